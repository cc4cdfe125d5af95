"""One picture's positive and negative questions with their answers: the record between all steps of MMVU-Train.

    {"id": "000000170365", "image": "coco/000000170365.jpg", "conversations-pos": [
       {"from": "human", "value": "How many bowls are there?", "options": ["One.", "Four.", "Six.", "Two."]},
       {"from": "gpt", "value": "Four."}, …], "conversations-neg": […]}

It is the form in which the paper's prompt asks for it. The n-th negative question is made from the n-th positive one;
versions 0 and 1 of the prompt have negative questions only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.io.jsonl import read_objects
from mmvu_tasks.records import LETTERS

FILE = "pairs.jsonl"
POS, NEG = "conversations-pos", "conversations-neg"


@dataclasses.dataclass(frozen=True, slots=True)
class Turn:
    """A question and its answer. options: none, or those to choose from, the answer among them."""

    question: str
    answer: str
    options: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class PairedRecord:
    """What was made of one picture. image: its name below the folder of pictures. paired: False where some question
    has lost its partner, so that the n-th ones need not belong together; the file then says `"unpaired": true`."""

    id: str
    image: str
    positives: tuple[Turn, ...]
    negatives: tuple[Turn, ...]
    paired: bool = True

    @property
    def matched(self) -> tuple[tuple[Turn, Turn], ...]:
        """(positive, negative) of every pair; nothing where a question has lost its partner."""
        whole = self.paired and len(self.positives) == len(self.negatives)
        return tuple(zip(self.positives, self.negatives, strict=True)) if whole else ()

    def to_json(self) -> dict[str, Any]:
        """As in the module's example."""
        conversations = {POS: turns_to_json(self.positives), NEG: turns_to_json(self.negatives)}
        return {"id": self.id, "image": self.image, **conversations, **({} if self.paired else {"unpaired": True})}


def turns_to_json(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """Turns as a conversation of LLaVA's form; options, where there are any, stand with their question."""
    found: list[dict[str, Any]] = []
    for turn in turns:
        options = {"options": list(turn.options)} if turn.options else {}
        found += [{"from": "human", "value": turn.question, **options}, {"from": "gpt", "value": turn.answer}]
    return found


def turns_of(conversation: Any) -> tuple[Turn, ...]:
    """Turns of a conversation. Raises ValueError that says which message is wrong, counted from 1."""
    if not isinstance(conversation, list):
        raise ValueError("it is not a list of messages")
    if len(conversation) % 2:
        raise ValueError(f"{len(conversation)} messages: the last question has no answer")
    turns = []
    for number, message in enumerate(conversation, 1):
        due = "human" if number % 2 else "gpt"
        if not isinstance(message, dict) or message.get("from") != due:
            said = message.get("from") if isinstance(message, dict) else message
            raise ValueError(f"message {number} is from {str(said)[:40]!r}, not {due!r}: they take turns")
        if not isinstance(message.get("value"), str):
            raise ValueError(f'message {number} has no text under "value"')
    for asked, answered in zip(conversation[::2], conversation[1::2], strict=True):
        options = asked.get("options") or []
        if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
            raise ValueError(f"the options of {asked['value'][:60]!r} are not a list of texts")
        turns.append(Turn(asked["value"], answered["value"], tuple(options)))
    return tuple(turns)


def record_of(row: dict[str, Any]) -> PairedRecord:
    """The record of a parsed line. Raises ValueError."""
    for field in ("id", "image"):
        if not isinstance(row.get(field), str) or not row[field]:
            raise ValueError(f'no text under "{field}"')
    found = []
    for field in (POS, NEG):
        try:
            turns = turns_of(row.get(field, []))
            for turn in turns:
                if turn.options and (len(turn.options) != len(LETTERS) or turn.answer not in turn.options):
                    raise ValueError(f"{turn.question[:60]!r} has not four options with the answer among them")
            found.append(turns)
        except ValueError as error:
            raise ValueError(f"{field}: {error}") from None
    return PairedRecord(row["id"], row["image"], found[0], found[1], row.get("unpaired") is not True)


def read_pairs(path: Path) -> Iterator[PairedRecord]:
    """Every record of a file, once an id. Raises UserError by line."""
    seen: dict[str, str] = {}
    for position, row in read_objects(path):
        try:
            record = record_of(row)
        except ValueError as error:
            fix = "give the pairs.jsonl of `mmjudge mmvu-data construct`"
            raise position.error(f"is no paired record: {error}", fix=fix) from None
        if record.id in seen:
            raise UserError(
                f"stands twice, at {seen[record.id]} and {position.where}", file=path, record=record.id, field="id",
                fix="give each record an id of its own",
            )  # fmt: skip
        seen[record.id] = str(position.where)
        yield record
