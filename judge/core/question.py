"""What a model under test is asked, in one wording for every way in.

    Question(id="PBL-2896694", index=0, category="PBL",
             parts=(Text("Step 1: open the lid.\\n"), Picture("/data/images/a.jpg"), Text("\\nWhat comes next?")))
    .text()  ->  "Step 1: open the lid.\\n<image>\\nWhat comes next?"

A model that takes text and pictures in turn is sent the parts; one that takes them apart is sent `text()` and the
pictures. Both are the same characters in the same order: one newline stands between a text and whatever is before and
after it, two texts in a row are one part, and between two pictures nothing stands.

A text that spells `<image>`, or what another model has for a picture (`<image 1>`, `<|image_pad|>`, `<IMG_CONTEXT>`,
`[IMG]`), is sent with blanks inside the brackets: "< image >". Many model classes count those words, or give them the
token of a picture, and end the run where there is one too many.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from judge.core.request import IMAGE_PLACEHOLDER, Picture, Segment, Text

_MARK = re.compile(
    r"<(/?\|?(?:"
    r"(?:image|img|video|vision)[\w-]*(?:[ ](?:\d{1,3}|token|start|end))?"
    r"|(?:start|end)_of_image|fake_token_around_image|media_\w+|global-img|row_\d+_col_\d+"
    r")\|?)>"
    r"|\[(IMG(?:_BREAK|_END)?)\]",
    re.IGNORECASE,
)
"""What stands for a picture, or for the beginning or end of one, in the text of some model of transformers 5 or of
lmms-eval 0.7.3."""

INFO = "\N{OBJECT REPLACEMENT CHARACTER}info\N{OBJECT REPLACEMENT CHARACTER}"
"""Where what a first call said goes in the text of the second (`Question.with_info`)."""


@dataclasses.dataclass(frozen=True)
class Question:
    """One question of a benchmark. index: its 0-based position in the published file; an id may be shared by several.

    parts: see `as_parts`; a picture's `path` is where it lies, its `name` as the record has it. missing: a message for
    each picture that is not to be had, and without which the question is asked. first: the parts of a call that comes
    before it, whose answer goes where a text of `parts` has `INFO`; empty where there is one call.
    """

    id: str
    index: int
    category: str
    parts: tuple[Segment, ...]
    missing: tuple[str, ...] = ()
    first: tuple[Segment, ...] = ()

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The pictures in the order of the placeholders of `text`."""
        return tuple(part for part in self.parts if isinstance(part, Picture))

    def text(self, placeholder: str = IMAGE_PLACEHOLDER) -> str:
        """The parts as one string, with `placeholder` for each picture."""
        return "".join(part.text if isinstance(part, Text) else placeholder for part in self.parts)

    def first_call(self) -> Question:
        """The question of the call that comes before."""
        return dataclasses.replace(self, parts=self.first, first=())

    def with_info(self, info: str) -> Question:
        """The question after the first call, which said `info`."""
        said = without_placeholders(info.strip()).replace(INFO, "")
        parts = (Text(part.text.replace(INFO, said, 1)) if isinstance(part, Text) else part for part in self.parts)
        return dataclasses.replace(self, parts=tuple(parts), first=())


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
    """`text`, in which nothing can be taken for a picture: "the tag < image >"."""
    return _MARK.sub(lambda found: f"< {found[1]} >" if found[1] else f"[ {found[2]} ]", text)


PROBE = as_parts(["a <image>", Picture(Path("a.png"), "a.png"), Picture(Path("b.png"), "b.png"), "b", "c"])


def wording(name: str, template: str = "") -> str:
    """The name of a way to word questions, with the hash of all that it puts around and between their parts.

    wording("plain")  ->  "plain@1a2b3c4d". template: the text around a question, where there is one. It is the part
    `asked` of a signature (`judge.core.signature`).
    """
    said = Question("probe", 0, "", PROBE).text() + template
    return f"{name}@{hashlib.sha256(said.encode()).hexdigest()[:8]}"
