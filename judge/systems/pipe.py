"""A program of any kind, in its own environment: it reads question lines and writes answer lines.

    kind = "pipe"
    command = ["/opt/anole/bin/python", "answer.py", "--pictures", "{pictures}"]
    folder = "anole"                     # where it runs, beside SYSTEM.toml
    files = ["anole/answer.py"]          # what else fixes its answers: their hashes are part of the identity
    [model]                              # for the record
    repo = "GAIR/Anole-7b-v0.1"

It gets the questions on its standard input, a line each (`judge.systems.question_files`, with absolute paths), and
then the end; it writes a line an answer onto its standard output, in any order, and ends:

    {"id": "PBL-2896694", "index": 0, "response": [{"text": "Step 2: pour.", "image": "17.png", "seed": 7}]}

It may write whatever else onto its output: what is no JSON object goes into DIR/pipe.log, with all of its standard
error. `{questions}` and `{answers}` in the command are replaced by the names of files, which then stand for input and
output. Pictures lie below the folder `{pictures}`, in the environment as $MMJUDGE_PICTURES; they are copied.

A program that dies or says nothing for `seconds` is ended and started again with what is unanswered. The question that
it twice ended at is a failed call, and so are all that are left when it ended `restarts` times without any answer.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Literal

from pydantic import Field

from judge.core.question import Question
from judge.errors import UserError
from judge.io.files import make_folder, sha256
from judge.io.progress import progress_bar, say
from judge.systems import JSON, Failed, Reply, Workspace
from judge.systems.answer_lines import AnswerLines, NotAnAnswer
from judge.systems.program import Command, Ended, Program
from judge.systems.settings import AS_LIST, SPEED, Beside, Count, Given, Seconds, Settings

LOG = "pipe.log"
NAMED = 3
"""So many lines of one kind that are left out are shown."""
TWICE = 2
"""So often a program may end at a question before that question is given up."""


class PipeSettings(Settings):
    """See the module. seconds: the longest time between two answers; start_seconds: until the first one, in which
    weights are loaded. environment: variables that are set for it, besides those of this process."""

    kind: Literal["pipe"]
    command: Annotated[tuple[Given, ...], AS_LIST, Field(min_length=1)]
    folder: Annotated[Beside, Field(exclude=True)] = Field(default=".", validate_default=True)
    files: Annotated[tuple[Beside, ...], AS_LIST, Field(exclude=True)] = ()
    environment: Annotated[Mapping[str, str], SPEED] = Field(default={}, exclude=True)
    model: Mapping[str, str | int | float | bool] = {}  # pydantic copies it
    seconds: Annotated[Seconds, SPEED] = 600.0
    start_seconds: Annotated[Seconds, SPEED] = 1800.0
    restarts: Annotated[Count, SPEED] = 3

    def open(self, workspace: Workspace) -> Pipe:
        """The program, not yet started. Raises UserError where its folder or one of `files` is not there."""
        if not self.folder.is_dir():
            raise UserError("is not a folder", file=self.folder, field="folder", fix="mend SYSTEM.toml")
        try:
            hashes: dict[str, JSON] = {path.name: sha256(path) for path in self.files}
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", file=error.filename, field="files",
                            fix="mend SYSTEM.toml") from None  # fmt: skip
        return Pipe(self, workspace, {**self.to_json(), **({"files": hashes} if hashes else {})})


class Pipe:
    """See the module."""

    def __init__(self, settings: PipeSettings, workspace: Workspace, identity: Mapping[str, JSON]) -> None:
        self._settings, self._workspace = settings, workspace
        self._identity = identity
        self._program: Program | None = None

    @property
    def identity(self) -> Mapping[str, JSON]:
        """Command, what `model` says, and the hashes of `files`."""
        return self._identity

    def answer(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Reply | Failed]]:
        """Replies as the program writes them."""
        waiting = {question.index: question for question in questions}
        ended_at: Counter[int] = Counter()
        fruitless, ended = 0, Ended(None)
        with progress_bar(len(questions), "answers", "answer") as bar:
            while waiting:
                before = len(waiting)
                program = self._start(list(waiting.values()))
                for question, reply in self._replies(program, list(waiting.values())):
                    del waiting[question.index]
                    bar.update()
                    yield question, reply
                    program.answered()
                ended = program.stop()
                if not waiting or ended.well:
                    break
                fruitless = fruitless + 1 if len(waiting) == before else 0
                say(f"the program {ended.why}; {len(waiting)} of {len(questions)} questions are unanswered")
                if fruitless > self._settings.restarts:
                    break
                first = next(iter(waiting))
                ended_at[first] += 1
                if ended_at[first] == TWICE:
                    bar.update()
                    yield waiting.pop(first), Failed("call_failed", f"the program {ended.why}, twice at this question")
        for question in waiting.values():
            if ended.well:
                yield question, Failed("no_response", "the program ended without an answer to it")
            else:
                yield question, Failed("call_failed", f"the program {ended.why}")
        if ended.well or not waiting:
            shutil.rmtree(self._scratch, ignore_errors=True)  # what is in an answer was copied

    def _start(self, questions: Sequence[Question]) -> Program:
        settings = self._settings
        command = Command(
            settings.command,
            settings.folder,
            {**os.environ, **settings.environment},
            settings.start_seconds,
            settings.seconds,
        )
        self._program = Program(command, make_folder(self._scratch), self._workspace.folder / LOG, questions)
        return self._program

    def _replies(self, program: Program, questions: Sequence[Question]) -> Iterator[tuple[Question, Reply | Failed]]:
        """Until the program ends, or has answered all."""
        left = len(questions)
        lines = AnswerLines(questions, self._scratch, self._workspace.pictures)
        said: Counter[str] = Counter()
        for line in program.lines():
            try:
                found = lines.reply(line)
            except NotAnAnswer as error:
                program.log(line)
                said[error.kind] += 1
                if error.kind != "chatter" and said[error.kind] <= NAMED:
                    say(f"a line of the program is left out: {error}")
                continue
            yield found
            left -= 1
            if not left:
                return

    @property
    def _scratch(self) -> Path:
        """Where the program draws, and its files lie."""
        return self._workspace.folder / "pipe"

    def close(self) -> None:
        """End the program, if it runs."""
        if self._program is not None:
            self._program.stop(grace=0)

    def __enter__(self) -> Pipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
