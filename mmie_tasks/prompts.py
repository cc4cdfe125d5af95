"""What a model is asked: the question as it stands, text and images in their order, nothing added.

The prompts the authors sent are Tables 12-14 of the paper's appendix and were never released as files
(Lillianwei-h/MMIE issue 10), so nothing is put around the question. For a record of a title, a step and its picture:

    question(record, 0, root).parts  ->  (Text("How to tie a knot\\nStep 1: …\\n"), Picture(root / "images/a.jpg"))
"""

from __future__ import annotations

from pathlib import Path

from judge.core.question import Question, as_parts, wording
from judge.core.request import Picture
from judge.io.image_paths import ImageRefused
from judge.io.jsonl import writable
from judge.model.images import read_image_size
from mmie_tasks.judging import locate
from mmie_tasks.records import Record

ASKED = wording("plain")
"""This wording by name and hash, for the record of what was asked."""


def question(record: Record, index: int, root: Path | None) -> Question:
    """What is asked, in the wording of every way in (`judge.core.question`). root: the folder of the data's pictures.

    A picture that is not to be had is left out and named in `missing`: that the answer is unscored for it (or scored
    without, in the reference profile) is decided where it is judged. root None: pictures are not looked for.
    """
    steps: list[str | Picture] = []
    missing = []
    for part in record.question:
        if part.text:
            steps.append(writable(part.text))
        if part.image is not None:
            try:
                steps.append(_found(part.image, root))
            except ImageRefused as refused:
                missing.append(refused.message)
    return Question(record.id, index, record.category, as_parts(steps), tuple(missing))


def _found(name: str, root: Path | None) -> Picture:
    if root is None:
        return Picture(Path(name), name)
    picture = locate(name, root, linked=True)
    read_image_size(picture.path)
    return picture
