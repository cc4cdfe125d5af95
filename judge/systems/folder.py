"""The output folder of `mmjudge ask`: answers as they come, and what answered, so that a killed run goes on.

    out/a/responses.jsonl    a line a question, in the order in which replies came; `mmjudge score` reads it
    out/a/pictures/          the pictures that it names
    out/a/texts.jsonl        of a system that writes first and draws later
    out/a/system.json        {"name", "benchmark", "data", "asked", "system": …, "runs": [{"date", "versions", …}]}

An answer's line is of the form of `judge.io.responses`; a part that was drawn says how, and a failure who failed:

    {"id": "PBL-2896694", "index": 0, "response": [{"text": "Step 2: pour.", "image": "pictures/9f….png",
      "prompt": "a cup", "seed": 7, "seconds": 1.9}]}
    {"id": "PBL-2896695", "index": 1, "response": null,
      "failed": {"reason": "call_failed", "by": "painter", "note": "503: out of memory"}}

Null is what a call that failed leaves: no score. A model that failed leaves "", the worst answer.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from filelock import FileLock

from judge.core.benchmark import Benchmark, Source
from judge.core.question import Question
from judge.core.request import Text
from judge.core.secrets import hide_secrets_in
from judge.errors import UserError
from judge.io.files import (
    Appendable,
    cannot_write,
    make_folder,
    read_bytes,
    remove_unfinished,
    write_json,
    write_json_lines,
)
from judge.io.image_paths import ImageRefused, below
from judge.io.jsonl import read_objects, writable
from judge.io.locks import take_lock
from judge.io.responses import parse_answer
from judge.results.run_info import versions
from judge.systems import JSON, Failed, Reply, Workspace

RESPONSES, SYSTEM = "responses.jsonl", "system.json"
PACKAGES = ("diffusers", "httpx", "lmms_eval", "openai", "pillow", "torch", "transformers", "vlmeval")
"""Whose versions are recorded with every run that asks."""
OTHER = "one folder is for one system's answers to one benchmark: give another --out"


@dataclasses.dataclass(frozen=True)
class Asking:
    """Who is asked what. name: what tables call the system. identity: see `judge.systems.System`."""

    name: str
    identity: Mapping[str, JSON]
    benchmark: Benchmark
    source: Source

    def to_json(self) -> dict[str, Any]:
        """What `system.json` says of it."""
        data = {"repo": self.source.repo, "revision": self.source.revision, "edition": self.source.edition}
        system = json.loads(json.dumps(hide_secrets_in(self.identity)))
        asked = {"benchmark": self.benchmark.name, "data": data, "asked": self.benchmark.asked}
        return {"name": self.name, **asked, "system": system}


class AnswerFolder:
    """The output folder of one asking, held by this process alone from `hold` on. A context manager.

    Making one changes nothing. Raises UserError where the folder holds another system's answers, or other files of
    these names.
    """

    def __init__(self, folder: str | Path, asking: Asking, questions: Sequence[Question]) -> None:
        self.workspace = Workspace(Path(folder))
        self.responses = self.workspace.folder / RESPONSES
        self._about = self.workspace.folder / SYSTEM
        self._asking = asking
        self._questions = {question.index: question for question in questions}
        self._lines: dict[int, dict[str, Any]] = {}
        self._file: Appendable | None = None
        self._lock: FileLock | None = None
        self._recorded = self._read_about()

    def _read_about(self) -> dict[str, Any] | None:
        try:
            found = json.loads(read_bytes(self._about))
        except FileNotFoundError:
            if self.responses.exists() and self.responses.stat().st_size:
                raise UserError(
                    f"holds answers, and no {SYSTEM} says whose", file=self.workspace.folder, fix=OTHER
                ) from None
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"cannot be read ({error})", file=self._about, fix="give another --out") from None
        ours = self._asking.to_json()
        if not isinstance(found, dict) or not isinstance(found.get("system"), dict):
            raise UserError("is not what mmjudge writes", file=self._about, fix="give another --out")
        for key in ("benchmark", "data", "asked"):
            if found.get(key) != ours[key]:
                problem = f"holds answers to other questions: {key} {_short(found.get(key))}, not {_short(ours[key])}"
                raise UserError(problem, file=self.workspace.folder, fix=OTHER)
        if differing := _differences(found["system"], ours["system"]):
            raise UserError(
                f"holds another system's answers: {', '.join(differing)}", file=self.workspace.folder, fix=OTHER
            )
        return found

    def _read_lines(self) -> None:
        """Answers that are there; those to questions that are not asked now stay, unseen."""
        for position, row in read_objects(self.responses):
            answer = parse_answer(row, position, self.workspace.folder)
            if answer.index is None:
                raise position.error("is missing", field="index", fix="give another --out")
            if answer.index in self._lines:
                raise position.error(f"answers question {answer.index} again", fix="give another --out")
            question = self._questions.get(answer.index)
            if question is not None and question.id != answer.id:
                raise position.error(f"is {answer.id}, and question {answer.index} is {question.id}", field="id",
                                     fix="give another --out")  # fmt: skip
            self._lines[answer.index] = row

    def hold(self) -> AnswerFolder:
        """Take the folder for this process, and open it for writing. Raises UserError where another process has it."""
        make_folder(self.workspace.folder)
        make_folder(self.workspace.pictures)
        self._lock = take_lock(self.responses)
        try:
            remove_unfinished(self.workspace.folder)
            remove_unfinished(self.workspace.pictures)
            self._file = Appendable(self.responses)
            self._read_lines()
        except OSError as error:
            self.close()
            raise cannot_write(self.responses, error) from error
        except BaseException:
            self.close()
            raise
        return self

    def drop(self, lost: Callable[[Question, Mapping[str, Any]], bool]) -> list[Question]:
        """Take out the lines for which `lost` says so, whose questions are then unanswered; which they were."""
        gone = [question for index, question in self._questions.items()
                if index in self._lines and lost(question, self._lines[index])]  # fmt: skip
        if gone:
            for question in gone:
                del self._lines[question.index]
            if self._file is not None:
                self._file.close()
            try:
                write_json_lines(self.responses, self._lines.values())
                self._file = Appendable(self.responses)
            except OSError as error:
                raise cannot_write(self.responses, error) from error
        return gone

    def record_run(self) -> None:
        """Say in `system.json` what answers, and that it is asked now with the packages that are installed."""
        run = {
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "command": shlex.join([Path(sys.argv[0]).name, *hide_secrets_in(sys.argv[1:])]),
            "versions": versions(PACKAGES),
        }
        runs = (self._recorded or {}).get("runs")
        self._recorded = {**self._asking.to_json(), "runs": [*(runs if isinstance(runs, list) else []), run]}
        try:
            write_json(self._about, self._recorded)
        except OSError as error:
            raise cannot_write(self._about, error) from error

    @property
    def unanswered(self) -> list[Question]:
        """The questions without a line, in their order."""
        return [question for index, question in self._questions.items() if index not in self._lines]

    @property
    def lines(self) -> list[Mapping[str, Any]]:
        """The lines of the questions asked, in their order."""
        return [self._lines[index] for index in self._questions if index in self._lines]

    def record(self, question: Question, reply: Reply | Failed) -> Mapping[str, Any]:
        """Write the line of a question's reply; it is on the disk when this returns. Raises UserError."""
        assert self._file is not None  # `hold` was called
        row = {"id": question.id, "index": question.index, **self._said(reply)}
        try:
            self._file.append(json.dumps(row, allow_nan=False).encode("ascii"), sync=True)
        except OSError as error:
            raise cannot_write(self.responses, error) from error
        self._lines[question.index] = row
        return row

    def _said(self, reply: Reply | Failed) -> dict[str, Any]:
        if isinstance(reply, Failed):
            failed = {"reason": reply.reason, "by": reply.by, "note": writable(reply.note)}
            return {"response": None if reply.side == "call" else "", "failed": failed}
        parts: list[dict[str, Any]] = []
        for part in reply.parts:
            if isinstance(part, Text):
                parts.append({"text": writable(part.text), "image": None})
                continue
            drawn: dict[str, Any] = {"image": self._name(part.path)}
            for key in ("prompt", "seed", "seconds"):
                if (value := getattr(part, key)) is not None:
                    drawn[key] = writable(value) if isinstance(value, str) else value
            if parts and parts[-1]["image"] is None:
                parts[-1] |= drawn  # a step and its picture are one part
            else:
                parts.append({"text": None, **drawn})
        said: dict[str, Any] = {"response": parts}
        return said if reply.note is None else {**said, "note": writable(reply.note)}

    def _name(self, path: Path) -> str:
        """What an answer calls a picture: its path from this folder. Raises ValueError for one that lies elsewhere."""
        name = path.absolute().relative_to(self.workspace.pictures.absolute())
        return f"{self.workspace.pictures.name}/{name.as_posix()}"

    def pictures_are_there(self, line: Mapping[str, Any]) -> bool:
        """Whether every picture that a line names is in the folder."""
        response = line["response"]
        for part in response if isinstance(response, list) else ():
            if part.get("image"):
                try:
                    below(self.workspace.folder, part["image"])
                except ImageRefused as refused:
                    if refused.reason == "image_missing":
                        return False
        return True

    def close(self) -> None:
        """Let others in."""
        if self._file is not None:
            self._file.close()
        if self._lock is not None:
            self._lock.release()
        self._file = self._lock = None

    def __enter__(self) -> AnswerFolder:
        return self.hold()

    def __exit__(self, *_: object) -> None:
        self.close()


def is_failed_call(line: Mapping[str, Any]) -> bool:
    """Whether a line says that nobody knows what the system would have said."""
    return line["response"] is None


def _differences(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    """What differs between two identities but for versions: ["painter.steps 20, not 30"]."""
    found = []
    for key in sorted({*theirs, *ours} - {"versions"}):
        there, here = theirs.get(key), ours.get(key)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            found += [f"{key}.{rest}" for rest in _differences(there, here)]
        elif there != here:
            found.append(f"{key} {_short(there)}, not {_short(here)}")
    return found


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 100 else f"{text[:100]}…"
