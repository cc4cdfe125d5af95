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

from typing import Any

from judge.core.request import IMAGE_PLACEHOLDER
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
