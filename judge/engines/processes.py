"""The judge in several processes, one a GPU, fed from one list: nobody waits for the slowest.

    engine = Processes("MMIE/MMIE-Score", ["cuda:0", "cuda:1"])
    engine.identity   that of `judge.engines.local`: how many there are changes no answer

Each process loads the judge by `load_local_engine` and talks over a pipe of its own (a queue that processes share stays
locked when one dies inside it). Prompts go out longest first, in units that shrink as the list does: large ones keep
an engine's batches full, small ones at the end let all finish together.

A process that dies is reported and its prompts go to the others: first alone, each in a unit of its own, and last of
all, since one of them may be what killed it. A prompt that was there twice is unscored (engine_error). When the last
process dies, UserError is raised: the journal has all that was decided.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import multiprocessing
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from judge.core.foreign_text import shown
from judge.engines import DEFAULT_OPTIONS, Completion, Engine, EngineOptions, Prompt, rough_length
from judge.errors import UserError

SMALLEST_UNIT = 32
SHARES = 4
"""A unit is the list's rest, divided by the processes and by this."""
DEATHS = 2

Loader = Callable[[str, EngineOptions, int | None], Engine]


@dataclasses.dataclass
class _Worker:
    """device: its name to people. unit: the positions it has been given and not answered yet."""

    device: str
    process: Any
    pipe: Connection
    identity: Mapping[str, str] | None = None
    unit: set[int] = dataclasses.field(default_factory=set)


class Processes:
    """See the module. A context manager: leaving it ends the processes, as does the end of this one."""

    reads = True

    def __init__(
        self,
        judge: str,
        devices: Sequence[str],
        options: EngineOptions = DEFAULT_OPTIONS,
        load: Loader | None = None,
        smallest_unit: int = SMALLEST_UNIT,
    ) -> None:
        """devices: one process each, "cpu" as often as wanted. options: handed on to each with its device in them.
        load: `load_local_engine` or its like, importable by name. smallest_unit: fewest prompts handed out at once.

        Returns when every process has loaded its judge. Raises UserError where none can, and where they differ.
        """
        self._smallest = smallest_unit
        self._workers: list[_Worker] = []
        context = multiprocessing.get_context("spawn")
        try:
            for device in devices:
                ours, theirs = context.Pipe()
                threads = max(1, (os.cpu_count() or 1) // len(devices)) if device == "cpu" else None
                own = dataclasses.replace(options, device=device)
                arguments = (theirs, load or _load_on_device, judge, own, threads)
                process = context.Process(target=_serve, args=arguments, name=f"judge on {device}", daemon=True)
                process.start()
                theirs.close()  # the end of the process is then the end of the pipe
                self._workers.append(_Worker(device, process, ours))
            self._await_identities()
        except BaseException:
            self.close()
            raise

    @property
    def identity(self) -> Mapping[str, str]:
        return self._identity

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """Completions as any process has them. Raises UserError when the last process has died."""
        waiting = collections.deque(
            sorted(range(len(prompts)), key=lambda number: rough_length(prompts[number].pieces), reverse=True)
        )
        suspects: collections.deque[int] = collections.deque()
        deaths: collections.Counter[int] = collections.Counter()
        while waiting or suspects or any(worker.unit for worker in self._workers):
            for worker in self._workers:
                if not worker.unit and (waiting or suspects):
                    self._hand_out(worker, waiting, suspects, prompts)
            busy = {worker.pipe: worker for worker in self._workers if worker.unit}
            if not busy:
                left = len(waiting) + len(suspects)
                raise UserError(
                    f"the last process of the judge has died, and {left} answers are not judged",
                    fix="the lines above say how they died; the same command goes on from here",
                )
            for pipe in wait(list(busy)):
                worker = busy[pipe]  # type: ignore[index]
                try:
                    said = worker.pipe.recv()
                except (EOFError, OSError):
                    for number in sorted(self._bury(worker)):
                        deaths[number] += 1
                        if deaths[number] < DEATHS:
                            suspects.append(number)
                        else:
                            note = f"the judge's process died on it {deaths[number]} times"
                            yield number, Completion(None, unscored="engine_error", note=note)
                    continue
                if isinstance(said, BaseException):
                    raise said
                number, completion = said
                worker.unit.discard(number)
                yield number, completion

    def _hand_out(
        self,
        worker: _Worker,
        waiting: collections.deque[int],
        suspects: collections.deque[int],
        prompts: Sequence[Prompt],
    ) -> None:
        if waiting:
            size = max(self._smallest, len(waiting) // (SHARES * len(self._workers)))
            unit = [waiting.popleft() for _ in range(min(size, len(waiting)))]
        else:
            unit = [suspects.popleft()]
        worker.unit = set(unit)
        # a process that has died meanwhile is found out when it is listened to
        with contextlib.suppress(OSError):
            worker.pipe.send([(number, prompts[number]) for number in unit])

    def _bury(self, worker: _Worker) -> set[int]:
        """Report a dead process; what it leaves behind."""
        worker.process.join()
        left, code = worker.unit, worker.process.exitcode
        how = f"killed by signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        self._workers.remove(worker)
        worker.pipe.close()
        _say(f"the judge's process on {worker.device} has died ({how}); {len(left)} answers go to the others")
        return left

    def _await_identities(self) -> None:
        failure: BaseException | None = None
        for worker in list(self._workers):
            try:
                said = worker.pipe.recv()
            except (EOFError, OSError):
                self._bury(worker)
                continue
            if isinstance(said, BaseException):
                failure = said
                self._workers.remove(worker)
                _say(f"no judge on {worker.device}: {said}")
            else:
                worker.identity = said
        if not self._workers:
            raise failure or UserError("no process could load the judge", fix="the lines above say how they died")
        self._identity = self._workers[0].identity or {}
        if any(worker.identity != self._identity for worker in self._workers):
            raise UserError(
                "the processes have loaded different judges", fix="was its folder changed just now? try again"
            )

    def close(self) -> None:
        """End the processes; what they were judging is lost."""
        for worker in self._workers:
            worker.process.terminate()
            worker.process.join()
            worker.pipe.close()
        self._workers = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _serve(pipe: Connection, load: Loader, judge: str, options: EngineOptions, threads: int | None) -> None:
    """In the process: load, say the identity, then answer units until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one that started us
    with contextlib.suppress(EOFError, OSError):
        try:
            engine = load(judge, options, threads)
            pipe.send(dict(engine.identity))
        except Exception as error:
            pipe.send(_portable(error))
            return
        while True:
            numbers, prompts = zip(*pipe.recv(), strict=True)
            for place, completion in _answers(engine, prompts):
                pipe.send((numbers[place], completion))


def _answers(engine: Engine, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
    """What ends an engine ends its process: the device may be lost, and others may do better."""
    try:
        left = len(prompts)
        for answer in engine.complete(prompts):
            yield answer
            left -= 1
        if left:
            raise RuntimeError(f"the engine left {left} of {len(prompts)} requests without a completion")
    except Exception as error:
        traceback.print_exception(error)
        sys.stderr.flush()
        os._exit(1)


def _load_on_device(judge: str, options: EngineOptions, threads: int | None) -> Engine:
    import torch

    from judge.engines.local import load_local_engine

    if threads is not None and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(threads)
    if options.device is not None and options.device.startswith("cuda"):
        torch.cuda.set_device(options.device)  # kernels of our own run on the current one
    return load_local_engine(judge, options)


def _portable(error: Exception) -> Exception:
    """As it can be sent, and be raised over there as what it is where the user can mend it."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, ModuleNotFoundError):
        return ModuleNotFoundError(str(error), name=error.name)
    return RuntimeError("".join(traceback.format_exception(error)).strip())


def _say(text: str) -> None:
    print(f"mmjudge: {shown(text)}", file=sys.stderr, flush=True)
