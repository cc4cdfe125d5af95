"""What a model under test is asked, in one wording for every way in.

    Question(id="PBL-2896694", index=0, category="PBL",
             parts=(Text("Step 1: open the lid.\\n"), Picture("/data/images/a.jpg"), Text("\\nWhat comes next?")))
    .text()  ->  "Step 1: open the lid.\\n<image>\\nWhat comes next?"

A model that takes text and pictures in turn is sent the parts; one that takes them apart is sent `text()` and the
pictures. Both are the same characters in the same order: one newline stands between a text and whatever is before and
after it, two texts in a row are one part, and between two pictures nothing stands. A text that spells `<image>` is sent
as "< image >", since many model classes count those words and end the run where they count one too many.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from judge.core.request import IMAGE_PLACEHOLDER, Picture, Segment, Text

SPELLED = IMAGE_PLACEHOLDER.replace("<", "< ").replace(">", " >")
"""What a question's own `<image>` becomes."""


@dataclasses.dataclass(frozen=True)
class Question:
    """One question of a benchmark. index: its 0-based position in the published file; an id may be shared by several.

    parts: see `as_parts`; a picture's `path` is where it lies, its `name` as the record has it. missing: a message for
    each picture that is not to be had, and without which the question is asked.
    """

    id: str
    index: int
    category: str
    parts: tuple[Segment, ...]
    missing: tuple[str, ...] = ()

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures in the order of the placeholders of `text`."""
        return tuple(part for part in self.parts if isinstance(part, Picture))

    def text(self, placeholder: str = IMAGE_PLACEHOLDER) -> str:
        """The parts as one string, with `placeholder` for each picture."""
        return "".join(part.text if isinstance(part, Text) else placeholder for part in self.parts)


def as_parts(steps: Iterable[str | Picture]) -> tuple[Segment, ...]:
    """The parts of a question from texts and pictures in their order; blank texts are left out.

    as_parts(["Step 1", picture, "Step 2", "Why?"])  ->  (Text("Step 1\\n"), picture, Text("\\nStep 2\\nWhy?"))
    """
    parts: list[Segment] = []
    for step in steps:
        if isinstance(step, Picture):
            if parts and isinstance(parts[-1], Text):
                parts[-1] = Text(f"{parts[-1].text}\n")
            parts.append(step)
        elif step.strip():
            said = without_placeholders(step)
            if parts and isinstance(parts[-1], Text):
                parts[-1] = Text(f"{parts[-1].text}\n{said}")
            else:
                parts.append(Text(f"\n{said}" if parts else said))
    return tuple(parts)


def without_placeholders(text: str) -> str:
    """`text`, in which no `<image>` can be counted as a picture."""
    return text.replace(IMAGE_PLACEHOLDER, SPELLED)
