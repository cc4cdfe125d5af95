"""What a model is asked: the question as it stands, text and images in their order, nothing added.

The prompts the authors sent are Tables 12-14 of the paper's appendix and were never released as files
(Lillianwei-h/MMIE issue 10), so nothing is put around the question. For a record of a title, a step and its picture:

    question(dataset, 0).parts  ->  (Text("How to tie a knot\\nStep 1: …\\n"), Picture(root / "images/a.jpg"))
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from judge.core.benchmark import Dataset
from judge.core.condition import PLAIN, Condition, pick
from judge.core.question import Question, as_parts, wording
from judge.core.request import Picture
from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from judge.io.jsonl import writable
from judge.model.images import read_image_size
from mmie_tasks.judging import locate
from mmie_tasks.records import Record

ASKED = wording("plain")
"""This wording by name and hash, for the record of what was asked."""


def question(dataset: Dataset, index: int, condition: Condition = PLAIN) -> Question:
    """What is asked, in the wording of every way in (`judge.core.question`).

    A picture that is not to be had is left out and named in `missing`: that the answer is unscored for it (or scored
    without, in the reference profile) is decided where it is judged. Where the dataset has no `image_root`, pictures
    are not looked for. Raises UserError where there is no other picture to show.
    """
    record: Record = dataset.records[index]
    steps: list[str | Picture] = []
    missing = []
    for number, part in enumerate(record.question):
        if part.text:
            steps.append(writable(part.text))
        if part.image is not None:
            try:
                shown = _shown(dataset, record, f"{record.id}/{number}", part.image, condition)
            except ImageRefused as refused:
                missing.append(refused.message)
                continue
            if shown is not None:
                steps.append(shown)
    return Question(record.id, index, record.category, as_parts(steps), tuple(missing))


def _shown(dataset: Dataset, record: Record, seed: str, name: str, condition: Condition) -> Picture | None:
    if condition.picture == "none":
        return None
    if condition.picture == "swapped":
        name = _other(dataset.records, record, seed)
    return condition.show(_found(name, dataset.image_root), seed)


def _other(records: Sequence[Record], record: Record, seed: str) -> str:
    """The name of the picture that is shown instead: the first of a question of another category, none of its own."""
    own = {None, *record.images}

    def suits(number: int) -> bool:
        return records[number].category != record.category and _first_picture(records[number]) not in own

    number = pick(seed, len(records), suits)
    found = None if number is None else _first_picture(records[number])
    if found is None:
        raise UserError("there is no picture of another category to show instead", record=record.id, field="question")
    return found


def _first_picture(record: Record) -> str | None:
    return next((part.image for part in record.question if part.image is not None), None)


def _found(name: str, root: Path | None) -> Picture:
    if root is None:
        return Picture(Path(name), name)
    picture = locate(name, root, linked=True)
    read_image_size(picture.path)
    return picture
