"""The criteria of a rubric as marks on a page.

    "1. Text quality: fluent, correct, easy to follow."                   ->  Criterion("Text quality", "fluent, …", 1)
    "7. Emotional impact: take off one point where …; never add one."     ->  Criterion("Emotional impact", "…", -1)

A met criterion is worth its points, any other 0. Six criteria give a point each and the scale ends at 6, so the sum of
the marks is a score; a seventh can only take one off, and a sum below 0 is 0. It is a suggestion: the rubric's own
scale ("5 good, one slight flaw") weighs the answer as a whole, so the score is the annotator's, and the marks stand
beside it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence

from judge.core.rubric import Rubric

_LINE = re.compile(r"^\d+\. ([^\n]*)", re.MULTILINE)
_TAKES_OFF = re.compile(r"\b(take off|deduct|subtract)\b")


@dataclasses.dataclass(frozen=True)
class Criterion:
    """points: what it is worth when it is marked: 1, or -1 for one that the rubric says to take off."""

    name: str
    text: str
    points: int


def find_criteria(rubric: Rubric, category: str) -> list[Criterion]:
    """The criteria of a category, in the rubric's order; none where its wording numbers none."""
    lines = iter(_LINE.findall(rubric.instructions(category)))
    found = []
    for name in rubric.criteria(category):
        text = next(line for line in lines if line.startswith(name)).removeprefix(name).lstrip(":, ")
        found.append(Criterion(name, text, -1 if _TAKES_OFF.search(text) else 1))
    return found


def are_valid(marks: Mapping[str, object], known: Sequence[Criterion]) -> bool:
    """Whether `marks` gives every criterion its points or 0, and names no other."""
    return marks.keys() == {criterion.name for criterion in known} and all(
        type(marks[criterion.name]) is int and marks[criterion.name] in (0, criterion.points) for criterion in known
    )
