"""What a model is asked: the question as it stands, text and images in their order, nothing added.

The prompts the authors sent are Tables 12-14 of the paper's appendix and were never released as files
(Lillianwei-h/MMIE issue 10), so nothing is put around the question. For a record of a step and its picture:

    messages(record) -> [{"role": "user", "content": [{"type": "text", "text": "Step 1: …"},
                                                       {"type": "image", "url": "./images/a.jpg"}]}]
    text(record)     -> "Step 1: …\\n<image>"
    visuals(record)  -> ("./images/a.jpg",)

Image names are as the record has them; the adapter opens them below the image root.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from judge.core.question import Question, as_parts
from judge.core.request import IMAGE_PLACEHOLDER, Picture
from judge.io.image_paths import ImageRefused
from judge.io.jsonl import writable
from judge.model.images import read_image_size
from mmie_tasks.judging import locate
from mmie_tasks.records import Record

# Models that take text and images apart count the placeholders; a question that spells one must not add to them.
_SPELLED = IMAGE_PLACEHOLDER.replace("<", "< ").replace(">", " >")


def messages(record: Record) -> list[dict[str, Any]]:
    """One user turn, truly interleaved. "url" holds the image's name in the record."""
    content: list[dict[str, str]] = []
    for part in record.question:
        if part.text:
            content.append({"type": "text", "text": part.text})
        if part.image is not None:
            content.append({"type": "image", "url": part.image})
    return [{"role": "user", "content": content}]


def text(record: Record) -> str:
    """The same order in one string: a line per text, and exactly one `<image>` line per image."""
    lines: list[str] = []
    for part in record.question:
        if part.text:
            lines.append(part.text.replace(IMAGE_PLACEHOLDER, _SPELLED))
        if part.image is not None:
            lines.append(IMAGE_PLACEHOLDER)
    return "\n".join(lines)


def visuals(record: Record) -> tuple[str, ...]:
    """Image names in the order of the placeholders of `text`."""
    return record.images


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
