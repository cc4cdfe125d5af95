"""A system that answers by rule: what it says of a question depends on the question alone, and it can be made to fail.

It draws a picture of one colour for every question whose position is even, and notes in `log` what it was asked.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from PIL import Image

from judge.core.question import Question
from judge.core.request import Text
from judge.systems import JSON, Drawing, Failed, Reply, Workspace
from judge.systems.pictures import keep_picture
from judge.systems.settings import AS_LIST, SPEED, Settings


class ScriptedSettings(Settings):
    """stop: raise KeyboardInterrupt after so many replies. fail: positions at which the call fails; empty: at which the
    model does."""

    kind: Literal["scripted"]
    words: str = "Step"
    stop: Annotated[int, SPEED] = -1
    fail: Annotated[tuple[int, ...], AS_LIST, SPEED] = ()
    empty: Annotated[tuple[int, ...], AS_LIST, SPEED] = ()
    log: Annotated[str, SPEED] = ""

    def open(self, workspace: Workspace) -> Scripted:
        return Scripted(self, workspace)


class Scripted:
    def __init__(self, settings: ScriptedSettings, workspace: Workspace) -> None:
        self.settings, self.workspace = settings, workspace
        self.closed = 0

    @property
    def identity(self) -> Mapping[str, JSON]:
        return self.settings.to_json()

    def answer(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Reply | Failed]]:
        for number, question in enumerate(reversed(questions)):
            if number == self.settings.stop:
                raise KeyboardInterrupt
            if self.settings.log:
                with Path(self.settings.log).open("a") as log:
                    log.write(f"{question.index}\n")
            yield question, self.reply(question)

    def reply(self, question: Question) -> Reply | Failed:
        if question.index in self.settings.fail:
            return Failed("call_failed", "503: told to fail", "painter")
        if question.index in self.settings.empty:
            return Failed("empty_answer", "blocked by a filter", "writer")
        said = Text(f"{self.settings.words} {question.index}")
        if question.index % 2:
            return Reply((said,))
        digest = hashlib.sha256(question.text().encode()).digest()
        file = io.BytesIO()
        Image.new("RGB", (8, 8), tuple(digest[:3])).save(file, "PNG")
        path = keep_picture(file.getvalue(), self.workspace.pictures).path
        return Reply((said, Drawing(path, "a colour", digest[3], 0.25), Text("Done.")))

    def close(self) -> None:
        self.closed += 1

    def __enter__(self) -> Scripted:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
