"""A judge for actors of Ray, importable by name: it says what it was asked, and dies, hangs or fails where it is told.

Everything is agreed on through files in one folder, since actors are processes of their own.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from toy import HashJudge

from judge.core.request import Picture
from judge.engines import Completion, Engine, EngineOptions, Prompt
from judge.errors import UserError


@dataclasses.dataclass(frozen=True)
class Script:
    """What the actors of a test do.

    folder: for what happens once in all of them. deadly: id → how the actor ends that judges it ("killed", "raises",
    "silent"). always: it does so every time, not only the first. held: ids at which an actor writes its node's id to
    "held-ID" and waits for its end. failing: how many loads fail. others: how many loads give another judge. blind:
    nodes see no pictures. verdicts: the journal; an answer that is in there must not be judged again.
    """

    folder: Path
    deadly: Mapping[str, str] = dataclasses.field(default_factory=dict)
    always: bool = False
    held: Sequence[str] = ()
    failing: int = 0
    others: int = 0
    blind: bool = False
    verdicts: Path | None = None

    def first_time(self, name: str) -> bool:
        """Whether nobody has asked for this name before."""
        try:
            (self.folder / name).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def loader(self) -> functools.partial[Engine]:
        """As `judge.engines.actor.load_on_device`."""
        return functools.partial(load_scripted, script=self)


class ScriptedJudge(HashJudge):
    """The toys' judge, whose completions are noted with the node that it ran on."""

    def __init__(self, script: Script, judge: str, node: str) -> None:
        super().__init__(backwards=True, judge=judge)
        self._script, self._node = script, node

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        script = self._script
        for position, completion in super().complete(prompts):
            name = prompts[position].request.id
            how = script.deadly.get(name)
            if how is not None and (script.always or script.first_time(f"dead-{name}")):
                if how == "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                if how == "raises":
                    raise RuntimeError("the device is lost")
                return
            if name in script.held and script.first_time(f"once-{name}"):
                (script.folder / "part").write_text(self._node)
                (script.folder / "part").replace(script.folder / f"held-{name}")
                time.sleep(600)
            if script.verdicts is not None and f'"id": "{name}"' in script.verdicts.read_text():
                (script.folder / f"again-{name}").touch()
            paths = [piece.path for piece in prompts[position].pieces if isinstance(piece, Picture)]
            seen = " ".join(f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in paths)
            yield position, dataclasses.replace(completion, note=f"{self._node} {seen}".strip())


def load_scripted(judge: str, options: EngineOptions, threads: int | None, script: Script) -> ScriptedJudge:
    import ray

    from judge.engines import actor

    assert (options.device, options.ray, options.workers) == ("cpu", None, None)
    if any(script.first_time(f"failing-{n}") for n in range(script.failing)):
        raise UserError("the weights are gone", fix="fetch them")
    if script.blind:
        actor.picture_sha256 = lambda path: None
    other = any(script.first_time(f"other-{n}") for n in range(script.others))
    return ScriptedJudge(script, "another" if other else judge, ray.get_runtime_context().get_node_id())
