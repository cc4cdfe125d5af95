"""One judge of a cluster: what a Ray actor does with its GPU.

    actor.place()       Place(node="4565a2…", host="gpu-07")
    actor.load(…)       Loaded({"judge": "MMIE/MMIE-Score@9e8d…", …}, version="0.1.0")
    actor.begin(unit)   Report([], unseen=[17]): the picture of prompt 17 is not the same file here
    actor.more()        Report([(4, Completion(…)), (5, Completion(…))]), … and at last Report([], ended=True)

The engine runs in a thread of its own, so that it never waits for the driver (`judge.engines.cluster`). Calls are plain
ones, since a driver at an address ray://… knows no others.
"""

from __future__ import annotations

import dataclasses
import queue
import socket
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from judge.core.request import Picture, Segment
from judge.core.version import __version__
from judge.engines import Completion, Engine, EngineOptions, Prompt
from judge.errors import UserError
from judge.io import files

READERS = 8
Loader = Callable[[str, EngineOptions, "int | None"], Engine]
"""As `load_on_device`: judge, options, threads. A node must be able to import it by name."""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where an actor is. node: Ray's id of it. host: its name to people."""

    node: str
    host: str


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The judge that an actor has. version: of this package on its node."""

    identity: Mapping[str, str]
    version: str


@dataclasses.dataclass(frozen=True)
class Unit:
    """Work for an actor: prompts by number.

    sha256: of every picture as the driver sees it, None for one that cannot be read there; None as a whole for a node
    that has the driver's files. contents: references to the bytes of pictures, for a node that does not see the files.
    """

    prompts: Mapping[int, Prompt]
    sha256: Mapping[Path, str | None] | None = None
    contents: Mapping[Path, Any] | None = None


@dataclasses.dataclass
class Report:
    """What an actor has had since it was asked last.

    unseen: numbers of prompts whose pictures are other files here, or none: to be sent again with their bytes. ended:
    the unit is done. error: a traceback of what ended the engine; its process should end, too.
    """

    completions: list[tuple[int, Completion]] = dataclasses.field(default_factory=list)
    unseen: list[int] = dataclasses.field(default_factory=list)
    ended: bool = False
    error: str | None = None


class JudgeActor:
    """See the module. Ray makes it, one a GPU."""

    def __init__(self) -> None:
        self._reports: queue.SimpleQueue[Report] = queue.SimpleQueue()

    def place(self) -> Place:
        """Where this is."""
        import ray

        return Place(ray.get_runtime_context().get_node_id(), socket.gethostname())

    def load(self, load: Loader, judge: str, options: EngineOptions, threads: int | None) -> Loaded | Exception:
        """Load the judge. An error is returned, since Ray would wrap one that is raised. threads: as `Loader`."""
        try:
            self._engine = load(judge, options, threads)
            return Loaded(dict(self._engine.identity), __version__)
        except Exception as error:
            return _portable(error)

    def begin(self, unit: Unit) -> Report:
        """Start to judge a unit."""
        threading.Thread(target=self._judge, args=(unit,), name="judge", daemon=True).start()
        return self.more()

    def more(self) -> Report:
        """Wait for something to report, and take all there is."""
        report = self._reports.get()
        while not self._reports.empty():
            other = self._reports.get()
            report.completions += other.completions
            report.unseen += other.unseen
            report.ended, report.error = other.ended, other.error
        return report

    def _judge(self, unit: Unit) -> None:
        last: list[tuple[int, Completion]] = []  # held until the folder is gone: whoever has it may end this process
        try:
            with tempfile.TemporaryDirectory(prefix="mmjudge-") as folder:
                prompts = _with_files(unit, Path(folder))
                if unseen := sorted(unit.prompts.keys() - prompts.keys()):
                    self._reports.put(Report(unseen=unseen))
                numbers = list(prompts)
                left = set(numbers)
                for position, completion in self._engine.complete(list(prompts.values())) if prompts else ():
                    found = [(numbers[position], completion)]
                    left.discard(numbers[position])
                    if left:
                        self._reports.put(Report(found))
                    else:
                        last = found
                if left:
                    raise RuntimeError(f"the engine left {len(left)} of {len(numbers)} requests without a completion")
            self._reports.put(Report(last, ended=True))
        except BaseException as error:
            self._reports.put(Report(last, ended=True, error="".join(traceback.format_exception(error)).strip()))


def picture_sha256(path: Path) -> str | None:
    """SHA-256, hex, of a file's bytes; None where it cannot be read."""
    try:
        return files.sha256(path)
    except OSError:
        return None


def sha256_of_pictures(prompts: Mapping[int, Prompt]) -> dict[Path, str | None]:
    """`picture_sha256` of every picture of some prompts, read by several threads."""
    paths = sorted({picture.path for prompt in prompts.values() for picture in prompt.request.pictures})
    with ThreadPoolExecutor(READERS) as pool:
        return dict(zip(paths, pool.map(picture_sha256, paths), strict=True))


def load_on_device(judge: str, options: EngineOptions, threads: int | None) -> Engine:
    """The in-process engine. threads: for PyTorch on a CPU; None: as the environment has it. Raises UserError."""
    import torch

    from judge.engines.local import load_local_engine

    if threads is not None:
        torch.set_num_threads(threads)
    return load_local_engine(judge, options)


def _with_files(unit: Unit, folder: Path) -> dict[int, Prompt]:
    """The prompts whose pictures are here: seen as the driver sees them, or written into `folder`."""
    if unit.contents is None:
        if unit.sha256 is None:
            return dict(unit.prompts)
        here = sha256_of_pictures(unit.prompts)
        same = {path for path, found in here.items() if found == unit.sha256[path]}
        return {n: prompt for n, prompt in unit.prompts.items() if all(p.path in same for p in prompt.request.pictures)}
    import ray

    written = {}
    for number, (path, content) in enumerate(unit.contents.items()):
        written[path] = folder / str(number)
        if content is not None:  # else it stays missing, as it is for the driver
            written[path].write_bytes(ray.get(content))
    return {number: _moved(prompt, written) for number, prompt in unit.prompts.items()}


def _moved(prompt: Prompt, written: Mapping[Path, Path]) -> Prompt:
    """The prompt with its pictures elsewhere. Segments stay the same objects in request and message."""
    request = prompt.request
    moved: dict[int, Segment] = {
        id(item): dataclasses.replace(item, path=written[item.path]) if isinstance(item, Picture) else item
        for item in (*request.question, *request.answer)
    }
    question, answer = (tuple(moved[id(item)] for item in part) for part in (request.question, request.answer))
    pieces = tuple(moved.get(id(piece), piece) for piece in prompt.pieces)
    return Prompt(dataclasses.replace(request, question=question, answer=answer), pieces)


def _portable(error: Exception) -> Exception:
    """As it can be sent, and be raised over there as what it is where the user can mend it."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, ModuleNotFoundError):
        return ModuleNotFoundError(str(error), name=error.name)
    return RuntimeError("".join(traceback.format_exception(error)).strip())
