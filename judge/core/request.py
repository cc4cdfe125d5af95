"""What is put before the judge: question, answer and reference as segments, so that text can never turn into structure.

A segment is text (from a dataset or a model: untrusted) or a picture. Numbering of pictures and the words around
them come from here alone:

    Request(id="PBL-1", category="PBL",
            question=(Text("Step 1: open the lid."), Picture("/data/images/a.jpg")),
            answer=(Text("Step 2: pour."),))
    .question_text()  ->  "Step 1: open the lid.\\nImage-0: <image>\\n"

Layout of the text: the official scorer, MMIE repository @eb0fd6e, `dataset.py`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

IMAGE_PLACEHOLDER = "<image>"


@dataclasses.dataclass(frozen=True)
class Text:
    """A run of untrusted text. It is followed by one newline in the prompt."""

    text: str


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image file. `path` is absolute and known to lie below an allowed root; `name` is as the record had it.

    scaled: how the judge sees grey levels of more than 8 bits: scaled to 8, or else clipped at 255, as the reference
    implementation does (`judge.model.images.decode_image`).
    """

    path: Path
    name: str
    scaled: bool = False


Segment = Text | Picture


@dataclasses.dataclass(frozen=True)
class Request:
    """One answer to be judged. Pictures are numbered over question and answer together, from 0."""

    id: str
    category: str
    question: tuple[Segment, ...]
    answer: tuple[Segment, ...]
    gt_answer: str | None = None
    details: dict[str, object] = dataclasses.field(default_factory=dict, compare=False)

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures of the question, then those of the answer: picture `n` is called `Image-n` in the prompt."""
        return tuple(s for s in (*self.question, *self.answer) if isinstance(s, Picture))

    def question_text(self) -> str:
        """The question as the official scorer writes it, with a placeholder for each picture."""
        return as_text(self.question, first=0)

    def answer_text(self) -> str:
        """The answer in the same form; its pictures are numbered after those of the question."""
        return as_text(self.answer, first=sum(isinstance(s, Picture) for s in self.question))

    def to_json(self) -> dict[str, object]:
        """The row of `requests.jsonl` (`mmjudge score --dry-run`): texts with placeholders, image names in order."""
        return {
            "id": self.id,
            "question": self.question_text(),
            "answer": self.answer_text(),
            "gt_answer": self.gt_answer,
            "images": [picture.name for picture in self.pictures],
        }


def label(number: int) -> str:
    """The words in front of picture `number`."""
    return f"Image-{number}: "


def as_text(segments: Sequence[Segment], first: int) -> str:
    """Segments as the official scorer writes them; pictures are numbered from `first`."""
    lines, number = [], first
    for segment in segments:
        if isinstance(segment, Text):
            lines.append(f"{segment.text}\n")
        else:
            lines.append(f"{label(number)}{IMAGE_PLACEHOLDER}\n")
            number += 1
    return "".join(lines)
