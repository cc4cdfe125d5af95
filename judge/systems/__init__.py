"""Systems under test: whatever can be asked a question of texts and pictures, and answers with texts and pictures.

    with read_settings("SYSTEM.toml").open(Workspace(Path("out"))) as system:
        for question, reply in system.answer(benchmark.questions(dataset)):
            ...     # Reply((Text("Step 2: pour."), Drawing(Path("out/pictures/9f….png"), prompt="a cup", seed=7)))

A system knows no benchmark and no harness: `mmjudge ask`, lmms-eval and VLMEvalKit all ask it by this protocol, and
the answers go into one output folder (`Workspace`):

    DIR/responses.jsonl   the answers, a line each (judge/io/responses.py)
    DIR/pictures/         the pictures they name
    DIR/texts.jsonl       what a writer wrote that a painter has still to draw; only a system of two models has it
    DIR/system.json       what answered

**How a picture gets below the output folder.** A system puts it there itself, before it yields the reply that names
it: into `workspace.pictures`, under a name of its own making (a hash of what fixes the picture: settings, seed and
prompt; or of its bytes), by rename (`judge.io.files.write_bytes`), so that a file that is there is whole and need not
be drawn again. A name never comes from a model. `Drawing.path` is that file. Whoever writes the answers refuses a
drawing that lies anywhere else.

**Failures.** A reply is `Failed` where there is no answer. Where the call failed (an endpoint that is down, a process
that died: reasons of `judge.core.failure.CALL`), the answer is unscored and `--retry-failed` asks again. Where the
model failed (it was asked, and what it gave is nothing: reasons of `MODEL`), it counts as the worst answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

from judge.core.failure import side_of
from judge.core.question import Question
from judge.core.request import Text

JSON = None | bool | int | float | str | list["JSON"] | dict[str, "JSON"]

By = Literal["writer", "painter", "system"]
"""Who failed: the model that writes, the one that draws, or a system that is not made of two."""


@dataclasses.dataclass(frozen=True)
class Drawing:
    """A picture of an answer: a file in the workspace's `pictures`. prompt, seed, seconds: what it was drawn from and
    how long that took, None where nobody knows."""

    path: Path
    prompt: str | None = None
    seed: int | None = None
    seconds: float | None = None


@dataclasses.dataclass(frozen=True)
class Reply:
    """An answer: texts and pictures in their order. note: what people should know of it ("picture 2 is cut off")."""

    parts: tuple[Text | Drawing, ...]
    note: str | None = None


@dataclasses.dataclass(frozen=True)
class Failed:
    """No answer. reason: a code of `judge.core.failure.MODEL` or `CALL`; note: one line for people, which may quote
    others' words; by: who failed. Raises ValueError for another reason."""

    reason: str
    note: str
    by: By = "system"

    def __post_init__(self) -> None:
        if self.side == "judge":
            raise ValueError(f"{self.reason!r} says that the judge failed, not the system")

    @property
    def side(self) -> str:
        """ "model" or "call"."""
        try:
            return side_of(self.reason)
        except KeyError:
            raise ValueError(f"{self.reason!r} is no reason of judge.core.failure") from None


@dataclasses.dataclass(frozen=True)
class Workspace:
    """The output folder, as far as a system writes into it itself. The folders are there when it is first asked."""

    folder: Path

    @property
    def pictures(self) -> Path:
        """Where every picture of an answer lies."""
        return self.folder / "pictures"

    @property
    def texts(self) -> Path:
        """JSON lines that a system of several phases keeps for when it is started again, in a form of its own."""
        return self.folder / "texts.jsonl"


class System(Protocol):
    """A system under test. It is a context manager: leaving it frees whatever it holds (models, processes)."""

    @property
    def identity(self) -> Mapping[str, JSON]:
        """All that fixes its answers: kind, models and their revisions, dtype, steps, size, seed, the prompt's hash.

        Known as soon as the system is opened, when no weights are loaded yet. Two systems are the same where identities
        are, but for "versions" (of packages), which is recorded and not compared. It holds no secret.
        """
        ...

    def answer(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Reply | Failed]]:
        """Every question with its reply, once each, in whatever order replies come.

        A reply is yielded as soon as it is whole: it is on the disk before the next one is asked for. A question that
        fails is a `Failed`; UserError is for what no question survives, such as a model that is not there.
        """
        ...

    def close(self) -> None:
        """Free whatever is held; nothing happens where that was done before."""
        ...

    def __enter__(self) -> System: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
