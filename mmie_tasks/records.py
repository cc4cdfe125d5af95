"""MMIE records: one interleaved question, its reference answer, and where it belongs.

`data.json` of the Hub dataset MMIE/MMIE is one JSON list; an item looks like this ("catagory" is its spelling):

    {"id": "PBL-2896694", "catagory": "…", "field": "Education",
     "conversations": [
       {"from": "human", "content": [{"text": "How to double space in Word", "image": null},
                                     {"text": "Step 1: …", "image": "./images/v4-460px-….jpg"}]},
       {"from": "gpt", "content": [{"text": "Step 2: …", "image": "./images/….jpg"}]}]}

The turn of "gpt" is the reference answer (Lillianwei-h/MMIE issue 9). The official scorer reads another layout, the
"to-eval" list (README of that repository), which brings question, answer and reference together:

    {"id": "MSR-12", "question": [{"text": …, "image": …}], "answer": […] | "…", "model": "m",
     "gt_answer": [{"text": "21.60", "image": null}]}

Counts: mmie-bench.github.io (Table 2 of arXiv 2410.10139).
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.edition import UNKNOWN, Edition, content_hash, name_edition
from judge.errors import UserError
from judge.io.files import read_bytes
from judge.io.jsonl import writable

CATEGORIES = ("SA", "PBL", "MSR")
LABELS = ("catagory", "field")
"""Keys of an item that a record can do without."""
TITLES = {"SA": "Situational analysis", "PBL": "Project-based learning", "MSR": "Multi-step reasoning"}
PUBLISHED_COUNTS: Mapping[str, int] = {"SA": 5005, "PBL": 11482, "MSR": 3616}
PUBLISHED_TOTAL = sum(PUBLISHED_COUNTS.values())  # 20,103
EDITIONS: Mapping[str, int] = {"full": PUBLISHED_TOTAL}
CONTENTS: Mapping[str, str] = {}
"""`content` of the editions whose records have been seen. The dataset is gated: nobody has recorded its hash yet."""

_FETCH_AGAIN = "fetch data.json again (see `mmjudge doctor`) or mend the record"

# Labels of a list of options: "A. …" at the start of a line, or "(A)" anywhere. B must come after A.
_LABELS = tuple(
    tuple(re.compile(pattern.replace("A", letter), re.MULTILINE) for letter in "AB")
    for pattern in (r"^[ \t]*A[.)][ \t]*\S", r"\(A\)")
)
_LETTER = re.compile(r"\s*\(?[A-H]\)?\.?\s*")


@dataclasses.dataclass(frozen=True, slots=True)
class Part:
    """One step of a question or an answer: text, then an image (a name, relative to the image root). Either is None."""

    text: str | None
    image: str | None

    def to_json(self) -> dict[str, str | None]:
        """{"text", "image"}, as in `data.json`."""
        return {"text": self.text, "image": self.image}


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One question. category: SA, PBL or MSR by the id, as the official scorer takes it (by `catagory` where the id
    names none); field, catagory: the published labels as they stand, None where the item has none; answer: the
    reference, empty where there is none."""

    id: str
    category: str
    field: str | None
    question: tuple[Part, ...]
    answer: tuple[Part, ...]
    catagory: str | None = None

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the question's images in order."""
        return tuple(part.image for part in self.question if part.image is not None)

    @property
    def multiple_choice(self) -> bool:
        """Whether the record shows a choice: a list of options in the question, or a bare letter as the answer."""
        asked = "\n".join(part.text for part in self.question if part.text)
        said = [part.text for part in self.answer if part.text]
        options = any((first := a.search(asked)) and b.search(asked, first.end()) for a, b in _LABELS)
        return options or (len(said) == 1 and _LETTER.fullmatch(said[0]) is not None)


def category_of_id(id_: str) -> str | None:
    """By substring, in the order of the official `main.py`."""
    return next((category for category in CATEGORIES if category in id_), None)


def category_of_label(label: str) -> str | None:
    """The category a `catagory` value names: its code or words of its title."""
    words = re.sub(r"[^a-z]+", " ", label.lower()).split()
    for category, title in TITLES.items():
        if category.lower() in words or title.lower().replace("-", " ").split()[0] in words:
            return category
    return None


def edition_of(records: Sequence[Record], *, from_hub: bool) -> tuple[str, str | None]:
    """(edition, note) of records: "full", or a name that begins with "unknown".

    from_hub: whether they are a file of the benchmark's repository. note: what a reader must know about the name.
    """
    known = [Edition(name, size, CONTENTS.get(name)) for name, size in EDITIONS.items()]
    name, note = name_edition(known, len(records), content(records), from_hub=from_hub)
    return name or f"{UNKNOWN} ({len(records)})", note


def content(records: Iterable[Record]) -> str:
    """The hash that tells an edition by its ids, texts and names of pictures, in whatever order the records are."""
    rows = ([record.id, *map(_plain, (record.question, record.answer))] for record in records)
    return content_hash(sorted(rows, key=lambda row: str(row[0])))


def read_records(path: Path) -> list[Record]:
    """All records of a `data.json`, in order. Raises UserError for what is not such a file, by id and field."""
    return list(from_rows(read_json(path), path))


def read_json(path: Path) -> Any:
    """The JSON value in `path`. Raises UserError for an absent, truncated or otherwise unreadable file."""
    try:
        return json.loads(read_bytes(path))
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=path, fix=_FETCH_AGAIN) from None
    except (ValueError, RecursionError) as error:  # truncated, not UTF-8, or nested without end
        raise UserError(f"not valid JSON, probably cut off: {error}", file=path, fix=_FETCH_AGAIN) from None


def from_rows(rows: Any, path: Path) -> Iterable[Record]:
    """Records of parsed `data.json` rows; `path` is for messages."""
    if not isinstance(rows, list):
        raise UserError("expected one JSON list of records", file=path, fix=_FETCH_AGAIN)
    seen: dict[str, int] = {}
    for index, row in enumerate(rows):
        record = _from_row(row, path, index)
        if record.id in seen:
            raise UserError(
                f"duplicate id, at index {seen[record.id]} and {index}", file=path, record=record.id, field="id",
                fix=_FETCH_AGAIN,
            )  # fmt: skip
        seen[record.id] = index
        yield record


def disagreements(records: Iterable[Record]) -> list[str]:
    """Ids of records whose `catagory` names another category than their id does."""
    named = ((record, category_of_label(record.catagory or "")) for record in records)
    return [record.id for record, category in named if category not in (None, record.category)]


def unlabelled(records: Sequence[Record]) -> dict[str, list[str]]:
    """Ids of records without a `catagory` or a `field`, by the name of what is missing."""
    missing = {name: [record.id for record in records if getattr(record, name) is None] for name in LABELS}
    return {name: ids for name, ids in missing.items() if ids}


def from_to_eval(row: Mapping[str, Any], path: Path | str) -> Record:
    """The question of one official to-eval row; its `answer` is the response and is not looked at here."""
    id_ = row.get("id")
    if not isinstance(id_, str) or not id_:
        raise UserError("missing", file=path, field="id", fix="give every row of the to-eval list a string id")
    category = category_of_id(id_)
    if category is None:
        raise UserError(
            "names no category", file=path, record=id_, field="id", fix="ids hold SA, PBL or MSR, as in data.json"
        )
    fix = "see the to-eval layout in the README of Lillianwei-h/MMIE"
    question = parts(row.get("question"), path, id_, "question", fix)
    return Record(id_, category, None, question, parts(row.get("gt_answer"), path, id_, "gt_answer", fix))


def parts(content: Any, path: Path | str, id_: str, field: str, fix: str = _FETCH_AGAIN) -> tuple[Part, ...]:
    """A list of {"text": str|null, "image": str|null}. An empty image name is no image; an empty text stays."""
    if not isinstance(content, list):
        raise UserError('expected a list of {"text", "image"}', file=path, record=id_, field=field, fix=fix)
    made = []
    for number, item in enumerate(content):
        text = item.get("text") if isinstance(item, dict) else 0
        image = item.get("image") if isinstance(item, dict) else 0
        if not isinstance(text, str | None) or not isinstance(image, str | None):
            raise UserError(
                'expected {"text": string or null, "image": string or null}', file=path, record=id_,
                field=f"{field}[{number}]", fix=fix,
            )  # fmt: skip
        made.append(Part(text, image or None))
    return tuple(made)


def _plain(said: Sequence[Part]) -> list[dict[str, str | None]]:
    return [part.to_json() for part in said]


def _from_row(row: Any, path: Path, index: int) -> Record:
    if not isinstance(row, dict):
        raise UserError("expected an object", file=path, record=f"at index {index}", fix=_FETCH_AGAIN)
    id_ = row.get("id")
    if not isinstance(id_, str) or not id_:
        raise UserError("missing or not a string", file=path, record=f"at index {index}", field="id", fix=_FETCH_AGAIN)
    # labels only: where one is not there, `unlabelled` counts it, and 20,102 other records are read all the same
    labels = (row.get("field"), row.get("catagory"))
    field, catagory = (writable(label) if isinstance(label, str) else None for label in labels)
    turns = row.get("conversations")
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise UserError("expected a list of turns", file=path, record=id_, field="conversations", fix=_FETCH_AGAIN)
    sides: dict[str, tuple[Part, ...]] = {}
    for speaker in ("human", "gpt"):
        said = [turn.get("content") for turn in turns if turn.get("from") == speaker]
        where = f"conversations.{speaker}"
        if not said:
            raise UserError("no such turn", file=path, record=id_, field=where, fix=_FETCH_AGAIN)
        sides[speaker] = tuple(part for content in said for part in parts(content, path, id_, where))
    category = category_of_id(id_) or category_of_label(catagory or "")
    if category is None:
        raise UserError(
            f"neither the id nor {catagory!r} names a category ({', '.join(CATEGORIES)})",
            file=path, record=id_, field="catagory", fix=_FETCH_AGAIN,
        )  # fmt: skip
    return Record(id_, category, field, sides["human"], sides["gpt"], catagory)
