"""The demo's writer and painter, for a system of `kind = "describe"`: both are rules, neither needs weights.

    [writer]
    kind = "plugged"
    name = "mmjudge-demo"

The writer marks what `judge.demo.skills` would draw, and the painter draws what it can read of a description:

    "Step 2: Hang the blue cup.\\n<picture>a blue cup</picture>"        ->  a blue cup in the middle of white paper
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from judge.core.request import Picture, Segment, Text
from judge.demo.drawing import GRID, INKS, Placed, draw_picture, stamps
from judge.demo.skills import choose_option, continue_plan, work_out_sum

if TYPE_CHECKING:
    from PIL import Image

REQUEST = "The request:"
"""The line of the template that the question follows."""


class DemoWriter:
    """Answers the questions of the bundled demo, in the manner of a model that marks its pictures."""

    packages: tuple[str, ...] = ()

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.identity = {"kind": "mmjudge-demo", **options}

    def write_texts(self, prompts: Sequence[tuple[Segment, ...]]) -> Iterator[tuple[int, str]]:
        """(position, text) of every prompt."""
        for position, prompt in enumerate(prompts):
            yield position, self._text(prompt)

    def close(self) -> None:
        """Nothing is held."""

    def _text(self, prompt: Sequence[Segment]) -> str:
        from PIL import Image

        lines = "".join(part.text for part in prompt if isinstance(part, Text)).splitlines()
        lines = [line for line in lines[lines.index(REQUEST) + 1 :] if line] if REQUEST in lines else lines
        if steps := continue_plan(lines):
            marks = (f"\n<picture>a {step.colour} {step.kind}</picture>" if step.kind else "" for step in steps)
            return "\n".join(step.text + mark for step, mark in zip(steps, marks, strict=True))
        question = "\n".join(lines)
        pictures = [Image.open(part.path) for part in prompt if isinstance(part, Picture)]
        return (
            choose_option(question, pictures[0])
            if "\nA. " in question and pictures
            else work_out_sum(question, pictures)
        )


class DemoPainter:
    """Draws one stamp: the last word of a description that is one, in the last of its colours."""

    packages = ("pillow",)
    repeatable = "same bytes"

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.identity = {"kind": "mmjudge-demo", **options}

    def draw_pictures(self, wanted: Sequence[Any]) -> Iterator[tuple[int, Image.Image, float]]:
        """(position, picture, seconds) of every description."""
        for position, each in enumerate(wanted):
            yield position, self._picture(each.prompt), 0.0

    def close(self) -> None:
        """Nothing is held."""

    def _picture(self, prompt: str) -> Image.Image:
        words = re.findall(r"[a-z-]+", prompt.lower())
        kinds = [word for word in words if word in stamps()]
        colours = [word for word in words if word in INKS]
        if not kinds:
            return draw_picture([])
        height, width = (side * 2 for side in stamps()[kinds[-1]].ink.shape)
        colour = colours[-1] if colours else "black"
        return draw_picture([Placed(kinds[-1], colour, (GRID - width) // 2, (GRID - height) // 2, 2)])
