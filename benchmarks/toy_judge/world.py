"""The little world of the MMIE demo: plans of coloured things to name and draw, and sums to answer.

SA and PBL items hold a plan and show its first thing; a right answer names and draws the others in order:

    plan      (Thing("red", "star"), Thing("blue", "cup"), Thing("green", "tree"))
    question  "How to decorate a window: first the red star, then the blue cup, last the green tree?"
              "Step 1: Stick the red star on the glass." + picture
    answer    "Step 2: Stick the blue cup on the glass." + picture,
              "Step 3: Stick the green tree on the glass." + picture

MSR items end in one short answer. The bundled items (`mmie_data`) and the tiny judge's training examples (`examples`)
are made from it, with different plans.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Sequence

from judge.demo.drawing import GRID, Placed, stamps

COLOURS = ("red", "blue", "green", "yellow", "orange", "purple", "pink", "black")
KINDS = ("ball", "box", "star", "heart", "house", "tree", "boat", "fish", "cup", "kite")


@dataclasses.dataclass(frozen=True)
class Thing:
    """What a plan is made of: a red star."""

    colour: str
    kind: str

    def __str__(self) -> str:
        return f"{self.colour} {self.kind}"

    def scene(self, dx: int = 0, dy: int = 0, scale: int = 2) -> list[Placed]:
        """The thing in the middle of a picture, moved by cells as far as the paper allows."""
        height, width = (side * scale for side in stamps()[self.kind].ink.shape)
        x = min(max((GRID - width) // 2 + dx, 0), GRID - width)
        y = min(max((GRID - height) // 2 + dy, 0), GRID - height)
        return [Placed(self.kind, self.colour, x, y, scale)]


Plan = tuple[Thing, ...]


@dataclasses.dataclass(frozen=True)
class Frame:
    """Words around a plan. title holds {plan}, step {thing}; numbered: steps start with "Step k: " (PBL)."""

    category: str
    field: str
    title: str
    step: str

    def question(self, plan: Plan) -> tuple[str, str]:
        """The title, and the first step as it is shown."""
        return self.title.format(plan=in_words(plan)), self.sentence(plan, 0)

    def sentence(self, plan: Plan, index: int, thing: Thing | None = None) -> str:
        """Step `index` of the plan in words; `thing` stands in for the planned one."""
        step = self.step.format(thing=thing or plan[index])
        if self.category == "PBL":
            return f"Step {index + 1}: {step}"
        return f"{_order(index, len(plan)).capitalize()} {step}"


FRAMES = (
    Frame("PBL", "Education", "How to decorate a window: {plan}?", "Stick the {thing} on the glass."),
    Frame("PBL", "Art", "How to paint a wall: {plan}?", "Paint the {thing} with a wide brush."),
    Frame("PBL", "Health", "How to lay out a memory game: {plan}?", "Put the {thing} on the table."),
    Frame("PBL", "Sports", "How to mark a running course: {plan}?", "Run to the {thing} and touch it."),
    Frame("PBL", "EECS", "How to program a small robot: {plan}?", "Let it fetch the {thing}."),
    Frame("SA", "Literature", "Mia walks along the beach. She will meet {plan}.", "Mia meets the {thing}."),
    Frame("SA", "Literature", "Tom opens an old chest. He will take out {plan}.", "Tom takes out the {thing}."),
    Frame("SA", "Literature", "The parade passes the school. It brings {plan}.", "the children see the {thing}."),
    Frame("SA", "Literature", "Grandma tells a tale. It is about {plan}.", "Grandma tells about the {thing}."),
    Frame("SA", "Literature", "The train rolls past the window. Ada counts {plan}.", "Ada points at the {thing}."),
)


def in_words(plan: Plan) -> str:
    """ "first the red star, then the blue cup, last the green tree" """
    return ", ".join(f"{_order(index, len(plan))} the {thing}" for index, thing in enumerate(plan))


def held_out(question: str) -> bool:
    """Whether a plan (in words) or a sum is kept from training: one in eight is, by its checksum."""
    return zlib.crc32(question.encode()) % 8 == 0


def _order(index: int, length: int) -> str:
    return "first" if index == 0 else "last" if index == length - 1 else "then"


@dataclasses.dataclass(frozen=True)
class Sum:
    """An MSR item: question (with options, if any), pictures, the reference and why it is right."""

    field: str
    question: str
    reference: str
    why: str
    pictures: Sequence[Sequence[Placed]] = ()


def row(kind: str, count: int, colours: Sequence[str]) -> list[Placed]:
    """`count` ≤ 4 small things, one in each quarter of the picture, in the colours given in turn."""
    corners = ((1, 0), (13, 0), (1, 12), (13, 12))
    return [Placed(kind, colours[i % len(colours)], *corners[i]) for i in range(count)]
