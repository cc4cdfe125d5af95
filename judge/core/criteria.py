r"""The criteria of a rubric: their names and points in its wording, and the points that a judge gave in its text.

    "1. Text quality: fluent, correct, easy to follow."                   ->  Criterion("Text quality", "fluent, …", 1)
    "7. Emotional impact: take off one point where …; never add one."     ->  Criterion("Emotional impact", "…", -1)
    "7) Emotional Impact (penalty only): … deduct 1 point. …"             ->  Criterion("Emotional Impact", "…", -1)

A met criterion is worth its points, any other 0. Six criteria give a point each and the scale ends at 6, so the sum of
the points, 0 where it is below, is a score. Judges that were trained with `objective = "criteria"` write a line for
each under "### Feedback"; a general judge's reply is written down with a heading of its own (`criteria_text`):

    ### Feedback\nThe second picture shows a closed lid.\n### Criteria\nText quality: 1\nImage quality: 0\n### Score\n1
    parse_criteria(text)  ->  {"Text quality": 1, "Image quality": 0}
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from judge.core.scale import JUDGE_SCALE

_LINE = re.compile(r"^\d+[.)] (?:\*\*)?([^:,(*\n]+)([^\n]*)$", re.MULTILINE)
_TAKES_OFF = re.compile(r"\b(take off|deduct|subtract)\b")
_SECTION = re.compile(r"(?:\A|\n)### (Feedback|Criteria)\n(.*?)\n### Score\n", re.DOTALL)
_GIVEN = re.compile(r"([^:\n]{1,80}): (-?\d{1,2})")
_FIRST, _LAST = "### Feedback", "### Score"
_HEADING = "### Criteria"
JOINER = "\N{WORD JOINER}"
MOST = 32
"""Criteria of one answer; what a file says beyond that is none of ours."""

Points = dict[str, int]
"""Name of a criterion → the points it was given."""


@dataclasses.dataclass(frozen=True)
class Criterion:
    """points: what it is worth when it is met: 1, or -1 for one that the rubric says to take off."""

    name: str
    text: str
    points: int


def numbered_criteria(instructions: str) -> list[Criterion]:
    """The criteria that a rubric's instructions number, one a line ("1. Name: …" or "1) Name: …"), in order; none where
    they number none."""
    return [
        Criterion(name.strip(), rest.lstrip(":,* "), -1 if _TAKES_OFF.search(rest) else 1)
        for name, rest in _LINE.findall(instructions)
    ]


def are_valid(marks: Mapping[str, object], known: Sequence[Criterion]) -> bool:
    """Whether `marks` gives every criterion its points or 0, and names no other."""
    return marks.keys() == {criterion.name for criterion in known} and all(
        type(marks[criterion.name]) is int and marks[criterion.name] in (0, criterion.points) for criterion in known
    )


def total(points: Mapping[str, int]) -> int:
    """The score that points add up to: their sum, kept on `JUDGE_SCALE`."""
    return min(JUDGE_SCALE.highest, max(JUDGE_SCALE.lowest, sum(points.values())))


def criteria_text(feedback: str, points: Mapping[str, int], score: int) -> str:
    """What a judge gave as text that `parse_criteria` and `judge.core.score_text` read back; see the module.

    feedback: whatever it says, none of its lines is a heading (`without_headings`). points: empty where the rubric
    numbers no criteria.
    """
    given = [_HEADING, *(f"{name}: {value}" for name, value in points.items())] if points else []
    return "\n".join([_FIRST, without_headings(feedback).strip(), *given, _LAST, str(score)])


def without_headings(text: str) -> str:
    """Text in which every # is followed by U+2060 (WORD JOINER, no width): a reader sees no difference, and no
    parser a heading."""
    return text.replace("#", f"#{JOINER}")


def parse_criteria(text: str, known: Collection[str] = ()) -> Points | None:
    """The points for single criteria in a judge's text, None where it gives none.

    They stand in the last part "### Criteria", or "### Feedback", before "### Score": a line "NAME: NUMBER" for every
    criterion and no other line. known: names of the rubric's criteria, all of which must be there and no other; empty
    where they are not known.
    """
    sections = list(_SECTION.finditer(text[: text.find(f"\n{_LAST}\n") + len(_LAST) + 2]))
    if not sections:
        return None
    section = sections[-1][2].rpartition(f"{_HEADING}\n")[2]
    found: Points = {}
    for line in section.splitlines():
        match = _GIVEN.fullmatch(line.strip())
        if match is None or match[1] in found or len(found) == MOST:
            return None
        found[match[1]] = int(match[2])
    return found if len(found) > 1 and (not known or found.keys() == set(known)) else None


def valid_points(value: Any) -> Points | None:
    """The points in a value from a file, None for what is no such object: names and whole numbers."""
    if not isinstance(value, Mapping) or not 0 < len(value) <= MOST:
        return None
    fits = all(
        isinstance(name, str) and 0 < len(name) <= 80 and type(given) is int and abs(given) <= JUDGE_SCALE.highest
        for name, given in value.items()
    )
    return dict(value) if fits else None
