"""What a model under test is sent: the picture, then the published question and one line of instruction.

    Is the clock round?
    A. It is square.
    …
    Answer with the option's letter from the given choices directly.

This is `question + "\\nAnswer with …"` to the letter, as the official scripts of the v1 table send it (GPT-4o, InternVL
and the others in evaluation/evaluation/models of BAAI-DCAI/Multimodal-Robustness-Benchmark @b85b573, and the template
`model_vqa_mmr.py` there). Six later scripts, behind rows of the CVPR table (LLaVA-OneVision, Llama-3.2, MiniCPM-2.6,
Ovis, Pixtral, InternVL2), put the line before the question instead. The first form is the default because every script
of one whole table has it and part of the other's. Nothing of the question is cleaned: it goes out with its spaces and
line ends as published.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from judge.core.benchmark import Dataset
from judge.core.condition import PLAIN, Condition, pick
from judge.core.question import INFO, Question, without_placeholders
from judge.core.request import Picture, Segment, Text
from judge.errors import UserError
from judge.io.jsonl import writable
from mmvu_tasks import contract
from mmvu_tasks.location import find_image
from mmvu_tasks.records import Record

DEFAULT = "direct"
FIRST = "extract"
"""The template of what a first call is asked, where there are two."""
_FOLDER = Path(__file__).parent / "templates"


def text(record: Record, prompt: str = DEFAULT) -> str:
    """The text of the message. prompt: name of a file in `templates/`, in which `{question}` is filled."""
    return template(prompt).replace("{question}", record.question)


def question(record: Record, dataset: Dataset, condition: Condition = PLAIN) -> Question:
    """What is asked, in the wording of every way in: the picture, then the text, with nothing between them.

    dataset: what the record is of; where its `image_root` is None nobody will open pictures. Raises UserError where the
    picture is not to be had.
    """
    shown = _shown(record, dataset, condition)
    asked = without_placeholders(writable(text(record, condition.template or DEFAULT)))
    parts: list[Segment] = [] if shown is None else [shown]
    first = [*parts, Text(template(FIRST))] if condition.procedure in ("cgr", "cgr_var") else []
    parts.append(Text(asked))
    return Question(record.id, record.index, record.category, tuple(parts), first=tuple(first))


def _shown(record: Record, dataset: Dataset, condition: Condition) -> Picture | None:
    if condition.picture == "swapped":
        return _picture(_other(record, dataset.records), dataset.image_root)
    return condition.show(_picture(record, dataset.image_root), record.id)


def _picture(record: Record, root: Path | None) -> Picture:
    return Picture(Path(record.image) if root is None else find_image(root, record), record.image)


def _other(record: Record, records: Sequence[Record]) -> Record:
    """The record whose picture is shown instead: of another category, the same for both questions of a pair."""

    def suits(number: int) -> bool:
        return records[number].category != record.category and records[number].image != record.image

    number = pick(record.id, len(records), suits)
    if number is None:
        raise UserError("there is no picture of another category to show instead", record=record.id, field="image")
    return records[number]


def identity(prompt: str = DEFAULT) -> str:
    """Name and hash, for the record of what was asked: "direct@1a2b3c4d"."""
    return f"{prompt}@{hashlib.sha256(template(prompt).encode()).hexdigest()[:8]}"


@cache
def template(prompt: str) -> str:
    """The text of a template, without the line end of its file; what it says of a contract is filled in.

    `{info}` becomes `INFO`, where what a first call said goes.
    """
    text = (_FOLDER / f"{prompt}.txt").read_text(encoding="utf-8").removesuffix("\n")
    text = text.replace("{schema}", json.dumps(contract.schema())).replace("{tool}", json.dumps(contract.function()))
    return text.replace("{info}", INFO)
