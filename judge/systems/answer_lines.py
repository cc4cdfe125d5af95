"""Lines that a program of others wrote become replies; nothing of them is trusted.

    lines = AnswerLines(questions, drawn=Path("out/pipe"), pictures=Path("out/pictures"))
    lines.reply(b'{"id": "PBL-1", "index": 0, "response": [{"text": "Pour.", "image": "17.png", "seed": 7}]}')
    ->  (question, Reply((Text("Pour."), Drawing(Path("out/pictures/9f….png"), seed=7))))

A picture is named relative to `drawn`, or by an absolute path below it. What lies elsewhere is not opened. It is copied
into `pictures` under the hash of its bytes.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from judge.core.foreign_text import MOST_OF_A_NOTE, on_one_line
from judge.core.question import Question
from judge.core.request import Text
from judge.errors import UserError
from judge.io.files import open_file
from judge.io.image_paths import ImageRefused, below
from judge.io.jsonl import Position, parse_strictly
from judge.io.responses import parse_answer
from judge.systems import Drawing, Failed, Reply
from judge.systems.pictures import MOST_PICTURE_BYTES, TooLarge, keep_picture

NOTHING = Failed("empty_answer", "the program's answer holds neither text nor picture")
Kind = Literal["chatter", "broken", "stranger", "again"]


class NotAnAnswer(Exception):  # noqa: N818 - a line among others, not a fault
    """A line that answers nothing. kind: no JSON object, a broken one, about no question that was asked, or about one
    that is answered."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(on_one_line(message, MOST_OF_A_NOTE))
        self.kind = kind


class _NoReply(Exception):  # noqa: N818
    def __init__(self, reason: str, note: str) -> None:
        super().__init__(note)
        self.failed = Failed(reason, note)


class AnswerLines:
    """The answers to `questions`, each of which is answered once; see the module."""

    def __init__(self, questions: Sequence[Question], drawn: Path, pictures: Path) -> None:
        self._questions = {question.index: question for question in questions}
        times = Counter(question.id for question in questions)
        self._by_id = {question.id: question for question in questions if times[question.id] == 1}
        self._answered: set[int] = set()
        self._drawn, self._pictures = drawn, pictures

    def reply(self, line: bytes) -> tuple[Question, Reply | Failed]:
        """The question that a line is about, and its reply. Raises NotAnAnswer.

        A line whose response cannot be read is a failed call: the program is mistaken, not the model.
        """
        try:
            row = parse_strictly(line)
        except ValueError as error:
            kind: Kind = "broken" if line.lstrip().startswith(b"{") else "chatter"
            raise NotAnAnswer(kind, f"it is no JSON ({error})") from None
        if not isinstance(row, dict):
            raise NotAnAnswer("chatter", "it is no object")
        if not row.keys() & {"id", "index"}:
            raise NotAnAnswer("broken", "it has neither id nor index")
        question = self._question(row)
        if question.index in self._answered:
            raise NotAnAnswer("again", f"{question.id} (index {question.index}) is answered again")
        self._answered.add(question.index)
        try:
            return question, self._reply({**row, "id": question.id})
        except _NoReply as without:
            return question, without.failed
        except UserError as error:
            said = on_one_line(error.problem, MOST_OF_A_NOTE)
            return question, Failed("call_failed", f"the program's line cannot be read: {said}")

    def _question(self, row: dict[str, Any]) -> Question:
        id_, index = row.get("id"), row.get("index")
        found = self._questions.get(index) if type(index) is int else None
        if index is None and isinstance(id_, str):
            found = self._by_id.get(id_)
        if found is None or id_ not in (None, found.id):
            raise NotAnAnswer(
                "stranger", f"id {json.dumps(id_)}, index {json.dumps(index)}: no such question was asked"
            )
        return found

    def _reply(self, row: dict[str, Any]) -> Reply | Failed:
        answer = parse_answer(row, Position(Path("the program"), "its line"), self._drawn)
        if answer.response is None:
            failed = answer.failed or {}
            return _failed(failed) or Failed("no_response", "the program answered null")
        if isinstance(answer.response, str):
            return Reply((Text(answer.response),)) if answer.response.strip() else NOTHING
        parts: list[Text | Drawing] = []
        notes: list[str] = []
        if not all(map(_is_ours, answer.response)):
            raise _NoReply("call_failed", 'a part of the program\'s line is not {"text", "image"}')
        for part in answer.response:
            if part["text"]:
                parts.append(Text(part["text"]))
            if part["image"]:
                drawing, problem = self._drawing(part)
                parts.append(drawing)
                notes += [problem] if problem else []
        said = any(isinstance(part, Drawing) or part.text.strip() for part in parts)
        return Reply(tuple(parts), "; ".join(notes) or None) if said else NOTHING

    def _drawing(self, part: dict[str, Any]) -> tuple[Drawing, str | None]:
        """The picture of a part, copied, and what is wrong with it."""
        name = part["image"]
        root = str(self._drawn.absolute())
        relative = os.path.relpath(name, root) if os.path.isabs(name) and name.startswith(f"{root}{os.sep}") else name
        try:
            data = _bytes(below(self._drawn, relative))
            kept = keep_picture(data, self._pictures)
        except ImageRefused as refused:
            raise _NoReply("call_failed", f"a picture of the program is not there: {refused.message}") from None
        except OSError as error:
            raise _NoReply("call_failed", f"a picture of the program cannot be read ({error.strerror})") from None
        except TooLarge as error:
            raise _NoReply("image_undecodable", str(error)) from None
        return Drawing(kept.path, part.get("prompt"), part.get("seed"), part.get("seconds")), kept.problem


def _is_ours(part: Any) -> bool:
    """Whether a part is {"text", "image"}; `parse_answer` passes lists of other layouts on as they are."""
    return isinstance(part, dict) and all(isinstance(part.get(key, 0), str | None) for key in ("text", "image"))


def _bytes(path: Path) -> bytes:
    with open_file(path) as file:
        return file.read(MOST_PICTURE_BYTES + 1)


def _failed(failed: Any) -> Failed | None:
    """A failure as the program tells it, where it does so in our words."""
    reason, note, by = failed.get("reason"), failed.get("note"), failed.get("by", "system")
    if not isinstance(reason, str) or by not in ("writer", "painter", "system"):
        return None
    try:
        return Failed(reason, on_one_line(str(note or ""), MOST_OF_A_NOTE), by)
    except ValueError:
        return None
