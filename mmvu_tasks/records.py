"""MMVU records: one multiple-choice question on one image; two of them, positive and leading, make a pair.

`MMR-benchmark.json` of the Hub dataset BAAI/Multimodal-Robustness-Benchmark is one JSON list, an item a question:

    {"id": "attribute/shape/07", "image": "attribute/shape/07.jpg",
     "question": "Is the clock round?\\nA. It is square.\\nB.It is round.\\nC. It is oval.\\nD. There is no clock.",
     "ground_truth": "B", "question_type": "POS"}

The two questions of a pair share their `id`; which of them comes first varies, so the type is read, never inferred.
Options stand on lines of their own or on the line of the question, with or without dot and space, sometimes out of
order of letters: `parse_question` reads every form that occurs.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from judge.core.edition import content_hash
from judge.errors import UserError
from judge.io.files import read_bytes
from mmvu_tasks.categories import CATEGORIES, NAMES, category_of

LETTERS = ("A", "B", "C", "D")
TYPES = ("POS", "NEG")

FETCH_AGAIN = "fetch MMR-benchmark.json again (see `mmjudge doctor`) or mend the record"

# Where an option starts, strictest reading first; the first that finds every letter exactly once is taken. The last
# one serves options on the line of the question with dots missing: "A. red B dark green C blue. D. no colour".
_LABELS = tuple(
    re.compile(pattern, re.MULTILINE)
    for pattern in (
        r"^[^\S\n]*\(?([A-D])[.):,、．：]",
        r"^[^\S\n]*\(?([A-D])(?:[.):,、．：]|(?=\s))",
        r"(?<!\S)\(?([A-D])[.):、．：]",
        r"(?<!\S)\(?([A-D])(?:[.):、．：]|(?=\s))",
    )
)


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One question. index: 0-based position in the published file; question: as published, options included;
    options: the four texts in order of letters A to D; category: name as in the paper's tables."""

    index: int
    id: str
    image: str
    question: str
    options: tuple[str, ...]
    ground_truth: str
    question_type: str
    category: str
    level: str


def parse_question(question: str) -> tuple[str, tuple[str, ...]] | None:
    """(question without options, the four option texts in order of letters), or None where they cannot be read."""
    for pattern in _LABELS:
        labels = list(pattern.finditer(question))
        if sorted(label[1] for label in labels) != list(LETTERS):
            continue
        ends = [label.start() for label in labels[1:]] + [len(question)]
        texts = {
            label[1]: " ".join(question[label.end() : end].split()) for label, end in zip(labels, ends, strict=True)
        }
        if all(texts.values()):
            return question[: labels[0].start()].strip(), tuple(texts[letter] for letter in LETTERS)
    return None


def read_records(path: Path) -> list[Record]:
    """All records of a published file, in order. Raises UserError by id, index and field."""
    try:
        rows = json.loads(read_bytes(path))
    except OSError as error:
        raise UserError(f"cannot be read: {error.strerror}", file=path, fix=FETCH_AGAIN) from None
    except (ValueError, RecursionError) as error:  # truncated, not UTF-8, or nested without end
        raise UserError(f"not valid JSON, probably cut off: {error}", file=path, fix=FETCH_AGAIN) from None
    return from_rows(rows, path)


def from_rows(rows: Any, path: Path) -> list[Record]:
    """Records of parsed JSON; no id has more than one pair. `path` is for messages."""
    if not isinstance(rows, list) or not rows:
        raise UserError("expected one JSON list of questions", file=path, fix=FETCH_AGAIN)
    records = [_from_row(row, index, path) for index, row in enumerate(rows)]
    by_id: dict[str, list[Record]] = {}
    for record in records:
        by_id.setdefault(record.id, []).append(record)
    for id_, questions in by_id.items():
        if len(questions) > 2:
            where = ", ".join(str(record.index) for record in questions)
            raise UserError(
                f"duplicate id: more than one pair, at index {where}",
                file=path,
                record=id_,
                field="id",
                fix=FETCH_AGAIN,
            )
    return records


def pairs_per_category(records: Iterable[Record]) -> dict[str, int]:
    """Category name → number of whole pairs, in the order of the tables."""
    halves = Counter((record.id, record.category) for record in records)
    counts = Counter(category for (_, category), found in halves.items() if found == 2)
    return {name: counts[name] for name in NAMES if counts[name]}


def content(records: Iterable[Record]) -> str:
    """The hash that tells an edition by its ids and texts, in their order; names of pictures are not part of it."""
    return content_hash([record.id, record.question, record.ground_truth, record.question_type] for record in records)


def _from_row(row: Any, index: int, path: Path) -> Record:
    def refuse(problem: str, field: str | None) -> UserError:
        id_ = row.get("id") if isinstance(row, dict) else None
        record = f"{id_ if isinstance(id_, str) else '?'} (index {index})"
        return UserError(problem, file=path, record=record, field=field, fix=FETCH_AGAIN)

    if not isinstance(row, dict):
        raise refuse("expected an object", None)
    for field in ("id", "image", "question", "ground_truth", "question_type"):
        if not isinstance(row.get(field), str) or not row[field]:
            raise refuse("missing or not a string", field)
    category = category_of(row["id"])
    if category is None:
        known = ", ".join(category.key for category in CATEGORIES)
        raise refuse(f"names no category; known: {known}", "id")
    for field, allowed in (("ground_truth", LETTERS), ("question_type", TYPES)):
        if row[field] not in allowed:
            raise refuse(f"{row[field]!r} is none of {', '.join(allowed)}", field)
    parsed = parse_question(row["question"])
    if parsed is None:
        raise refuse("its options cannot be read: expected one each of A, B, C and D, with a text", "question")
    return Record(
        index=index,
        id=row["id"],
        image=row["image"],
        question=row["question"],
        options=parsed[1],
        ground_truth=row["ground_truth"],
        question_type=row["question_type"],
        category=category.name,
        level=category.level,
    )
