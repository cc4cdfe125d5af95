"""Training data as TRL takes it: a row a conversation, or, for a template that marks no answers, a row an answer.

    {"id": "7", "image": "coco/7.jpg", "conversations": [{"from": "human", "value": "<image>\\nHow many bowls?"},
     {"from": "gpt", "value": "Four."}, {"from": "human", "value": "And cups?"}, {"from": "gpt", "value": "None."}]}

    whole   {"images": [Path], "messages": [user, assistant, user, assistant]}       the template marks the answers
    split   {"images": [Path], "prompt": [user], "completion": [assistant]}
            {"images": [Path], "prompt": [user, assistant, user], "completion": [assistant]}

Both learn every answer once and nothing else. `read_conversations` takes LLaVA's form (a list or lines;
`mmjudge mmvu-data mix` writes it) and trl.jsonl ({"images", "prompt", "completion"}). A picture that is gone or broken
is an error before the first step. What a text spells of a picture's placeholder is broken up, so that it is none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from judge.core.question import without_placeholders
from judge.errors import UserError
from judge.io.image_paths import ImageRefused, below
from judge.io.json_list import read_rows
from judge.io.jsonl import Position
from judge.model.images import read_image_size
from mmvu_tasks.train.pairs import turns_of

FORM = "give the mixed.json of `mmjudge mmvu-data mix`, or the trl.jsonl of `mmjudge mmvu-data filter`"
PLACEHOLDER = "<image>"
ROLES = {"user": "human", "assistant": "gpt"}


@dataclasses.dataclass(frozen=True)
class Conversation:
    """turns: (question, answer) in order. pictures: one or none; they stand before the first question."""

    id: str
    pictures: tuple[Path, ...]
    turns: tuple[tuple[str, str], ...]

    def whole(self) -> dict[str, Any]:
        """One row with every turn."""
        return {"images": list(map(str, self.pictures)), "messages": _messages(self.turns)}

    def split(self) -> Iterator[dict[str, Any]]:
        """A row for every answer, with all that was said before it."""
        for number, (question, answer) in enumerate(self.turns):
            prompt = [*_messages(self.turns[:number]), {"role": "user", "content": question}]
            completion = [{"role": "assistant", "content": answer}]
            yield {"images": list(map(str, self.pictures)), "prompt": prompt, "completion": completion}


def read_conversations(file: Path, image_root: Path) -> list[Conversation]:
    """Every conversation of a file, with its pictures. Raises UserError by record."""
    seen: set[Path] = set()
    found = []
    for position, row in read_rows(file):
        try:
            conversation = _of_trl(row) if "prompt" in row else _of_llava(row)
        except ValueError as error:
            raise position.error(f"is no conversation: {error}", fix=FORM) from None
        pictures = tuple(_picture(Path(name), image_root, seen, position) for name in conversation.pictures)
        found.append(dataclasses.replace(conversation, pictures=pictures))
    if not found:
        raise UserError("holds no conversation", file=file, fix=FORM)
    return found


def make_dataset(conversations: Iterable[Conversation], *, whole: bool) -> Any:
    """A `datasets.Dataset` whose pictures are opened when a batch needs them. whole: see the module."""
    import datasets

    rows = [row for one in conversations for row in ([one.whole()] if whole else one.split())]
    return datasets.Dataset.from_list(rows).cast_column("images", datasets.List(datasets.Image()))


def _of_llava(row: dict[str, Any]) -> Conversation:
    image = row.get("image")
    if image is not None and (not isinstance(image, str) or not image):
        raise ValueError('no name of a picture under "image"')
    turns = turns_of(row.get("conversations"))
    if not turns:
        raise ValueError('no message under "conversations"')
    first = turns[0].question.replace(PLACEHOLDER, "", 1).strip() if image else turns[0].question
    asked = [first, *(turn.question for turn in turns[1:])]
    pairs = zip(asked, (turn.answer for turn in turns), strict=True)
    return Conversation(str(row.get("id", "")), (Path(image),) if image else (), tuple(_clean(pairs)))


def _of_trl(row: dict[str, Any]) -> Conversation:
    messages = [*_list(row, "prompt"), *_list(row, "completion")]
    said = [
        {"from": ROLES.get(str(one.get("role"))), "value": one.get("content")} if isinstance(one, dict) else one
        for one in messages
    ]
    images = row.get("images", [])
    if not isinstance(images, list) or not all(isinstance(name, str) and name for name in images):
        raise ValueError('no list of names of pictures under "images"')
    turns = [(turn.question, turn.answer) for turn in turns_of(said)]
    return Conversation(str(row.get("id", "")), tuple(map(Path, images)), tuple(_clean(turns)))


def _list(row: dict[str, Any], field: str) -> list[Any]:
    found = row.get(field)
    if not isinstance(found, list) or not found:
        raise ValueError(f'no list of messages under "{field}"')
    return found


def _clean(turns: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for question, answer in turns:
        if not answer.strip():
            raise ValueError(f"the answer to {question[:60]!r} is empty")
        yield without_placeholders(question), without_placeholders(answer)


def _picture(name: Path, root: Path, seen: set[Path], position: Position) -> Path:
    """Where a picture lies. Raises UserError where it is gone, broken or outside `root`."""
    try:
        path = below(root, name.as_posix())
        if path not in seen:
            read_image_size(path)
            seen.add(path)
    except ImageRefused as refused:
        raise position.error(f"{name}: {refused.message}", fix="give --image-root, or mend the file") from None
    return path


def _messages(turns: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [
        {"role": role, "content": text}
        for turn in turns
        for role, text in zip(("user", "assistant"), turn, strict=True)
    ]
