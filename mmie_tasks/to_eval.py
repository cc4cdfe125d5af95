"""Answers as the list that the official scorer reads, which nothing published makes of `data.json`.

    [{"id": "PBL-2896694", "question": [{"text": "Step 1: …", "image": "images/4f….jpg"}], "model": "anole-7b",
      "answer": [{"text": "Step 2: …", "image": "images/9c….png"}], "gt_answer": [{"text": "…", "image": null}]}]

README of Lillianwei-h/MMIE @eb0fd6e. There `gt_answer` must be in every item, and its first text is read for MSR only;
a picture that is not on disk is skipped. Pictures lie beside the file. An answer of a call that failed has no place in
the list: the official scorer knows no unscored answer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Answer, Dataset
from judge.core.failure import failed_call
from judge.core.request import Picture
from judge.io.image_paths import ImageRefused
from mmie_tasks.joining import answered, join
from mmie_tasks.judging import locate
from mmie_tasks.records import Part

NOTHING: dict[str, str | None] = {"text": None, "image": None}


def to_eval_items(
    answers: Sequence[Answer], dataset: Dataset, model: str, keep: Callable[[Path], str | None]
) -> list[dict[str, Any]]:
    """The items of the answers that are there, in their order.

    keep: puts a picture beside the list and says what it is called there, None where it has gone. Raises UserError for
    answers to other questions.
    """
    given = [answer for answer in answers if not failed_call(answer.response)]
    items = []
    for answer, (id_, record) in zip(given, join(given, dataset), strict=True):
        assert record is not None  # `join` sees to it
        root = dataset.image_root
        question = [_part(part, root, keep, linked=True) for part in record.question]
        said = [_part(part, answer.image_root, keep) for part in answered(answer, id_).parts]
        truth = [part.to_json() for part in record.answer] or [NOTHING]
        items.append({"id": id_, "question": question, "answer": said, "model": model, "gt_answer": truth})
    return items


def _part(
    part: Part, root: Path | None, keep: Callable[[Path], str | None], linked: bool = False
) -> dict[str, str | None]:
    """A part with its picture's new name; with the old one where it is not to be had."""
    found: Picture | None = None
    if part.image is not None and root is not None:
        try:
            found = locate(part.image, root, linked=linked)
        except ImageRefused:
            found = None
    return {"text": part.text, "image": part.image if found is None else keep(found.path) or part.image}
