"""The score in a judge's text, as the official scorer takes it and as a careful reader would.

    text = "### Feedback\\nClear.\\n### Score\\nOut of 6, I give 4"
    parse_score(text, stopped=True, profile="reference")  ->  (6, None)
    parse_score(text, stopped=True, profile="strict")     ->  (4, None)

reference  MMIE @eb0fd6e, main.py `find_score`: the first number anywhere after `### Score`, rounded half to even
strict     the number that a score line states, or a reason; numbers in prose are never scores

Score lines, in order of authority (the first kind present decides): a heading (`### Score`, `## final score:`), a line
that begins with a qualified label (`Overall score: 4`), a line that begins with `Score:`. Lines of one kind that
disagree are ambiguous.
"""

from __future__ import annotations

import itertools
import math
import re
import unicodedata
from collections.abc import Iterable

from judge.core.benchmark import Profile
from judge.core.scale import JUDGE_SCALE

VERSION = "1"
"""Stands in every judge's signature; a change of what is read as a score changes it."""

_REFERENCE_MARKER = "### Score"
_REFERENCE_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")

_SEPARATOR = r"[\s\"']*(?:$|[:=]|(?=[-+(\[\d])|(?:is|of)\b)"
_HEADING = re.compile(rf"#+\s*(?:(?:final|overall|total)\s+)?score\b{_SEPARATOR}", re.I)
_QUALIFIED = re.compile(rf"\W*(?:the\s+)?(?:final|overall|total)\s+score\b{_SEPARATOR}", re.I)
_PLAIN = re.compile(rf"\W*(?:the\s+)?score\b{_SEPARATOR}", re.I)

_WORDS = dict(zip(("zero", "one", "two", "three", "four", "five", "six"), map(float, JUDGE_SCALE), strict=True))
_LOW, _TOP, _TOP_WORD = JUDGE_SCALE.lowest, JUDGE_SCALE.highest, [*_WORDS][-1]
# The range itself is no score: "(0-6)", "out of 6", "/6", "3 of 6"
_RANGE = (
    rf"(?:{_LOW}\s*(?:[-–—~]|to)\s*{_TOP}|max(?:imum)?(?:\s+of)?\s*{_TOP}"
    rf"|out\s+of\s+(?:a\s+(?:possible|maximum|total)\s+(?:of\s+)?)?(?:{_TOP}|{_TOP_WORD}))\b"
)
_SCALE = re.compile(
    rf"[(\[][^()\[\]]*\b{_RANGE}[^()\[\]]*[)\]]|\b{_RANGE}(?:\s+points)?"
    rf"|(?<=\d)\s*/\s*{_TOP}\b(?!\.\d)|(?<=\d)\s+of\s+{_TOP}\b",
    re.I,
)
# Not a bound ("4-5", "4 or 5"), not on another scale ("3/5", "8 of 10"), not a percentage.
_NUMBER = r"(?<![\w.,/])([+-]?\d+(?:\.\d+)?)(?![\w%/])(?![.,]\d)(?!\s*(?:[-–—~/%]|to|or|and|(?:out\s+)?of)\s*\d)"

# What a score line may say.
_BARE = re.compile(rf"{_NUMBER}(?:\s*(?:points?|marks?))?", re.I)
_LEADING = re.compile(rf"{_NUMBER}(?:\s*[-–—:;,(]|\.\s|\s+(?:because|since|as|for)\b)", re.I)
_SAID = re.compile(
    r"\b(?:score|scores|give|gives|say|assign|assigns|award|awards|rate|rates|deserves|earns)\b"
    r"(?:\s+(?:it|this|that|the|for|answer|response|a|an|of|is|as|at|would|be|should|score|final|overall|total))*"
    rf"\s*[:=]?\s*{_NUMBER}",
    re.I,
)
_DECORATION = " \t\r\f\v:=.,;!\"'(){}[]<>$•"


def parse_score(text: str, *, stopped: bool, profile: Profile) -> tuple[int | None, str | None]:
    """(score on `JUDGE_SCALE`, None) or (None, reason code of `judge.core.verdict`).

    stopped: the judge ended by itself, rather than at the limit of tokens.
    """
    found = _first_number(text) if profile == "reference" else _stated(text)
    if isinstance(found, str):
        return None, found if stopped else "truncated"
    if profile == "reference" and math.isfinite(found):
        found = float(round(found))  # half to even: 4.5 is 4, 5.5 is 6
    return (int(found), None) if found in JUDGE_SCALE else (None, "out_of_range")


def settled(text: str) -> bool:
    """Whether `reference` reads the same score from `text` whatever comes after it: a line has ended behind the number.

    `strict` is never settled: a heading that comes later may say another score, and is heard.
    """
    marker = text.find(_REFERENCE_MARKER)
    number = _REFERENCE_NUMBER.search(text, marker + len(_REFERENCE_MARKER)) if marker >= 0 else None
    return number is not None and "\n" in text[number.end() :]


def _first_number(text: str) -> float | str:
    marker = text.find(_REFERENCE_MARKER)
    if marker < 0:
        return "no_score_line"
    number = _REFERENCE_NUMBER.search(text, marker + len(_REFERENCE_MARKER))
    return float(number.group()) if number else "no_score_line"


def _stated(text: str) -> float | str:
    # full-width digits and punctuation count like others; emphasis is no content
    lines = re.sub(r"[*_`]", "", unicodedata.normalize("NFKC", text)).splitlines()
    for kind in (_HEADING, _QUALIFIED, _PLAIN):
        values: list[set[float]] = []
        for number, line in enumerate(map(str.strip, lines)):
            if match := kind.match(line):
                following = (lines[i] for i in range(number + 1, len(lines)))
                values.append(_values(line[match.end() :], following, column=kind is _HEADING))
        if values:
            distinct = set[float]().union(*values)
            return distinct.pop() if len(distinct) == 1 else "ambiguous_score"
    return "no_score_line"


def _values(rest: str, following: Iterable[str], column: bool) -> set[float]:
    """What one score line states: in the rest of the line, else in the next line that says something.

    column: numbers that begin further lines count as well, up to the next heading; several are no single score.
    """
    section = itertools.chain([rest], itertools.takewhile(lambda line: not line.lstrip().startswith("#"), following))
    said = (words for line in section if (words := _SCALE.sub("", line).strip(_DECORATION)))
    first = next(said, "")
    last_sentence = re.split(r"[.!?;]\s", first)[-1]
    values = _at_start(first) | _bare(last_sentence) | {float(match.group(1)) for match in _SAID.finditer(first)}
    return values.union(*map(_at_start, said)) if column else values


def _at_start(words: str) -> set[float]:
    words = re.sub(r"^-\s+", "", words)  # a bullet, not a sign
    match = _LEADING.match(words)
    return {float(match.group(1))} if match else _bare(words)


def _bare(words: str) -> set[float]:
    words = words.strip(_DECORATION)
    match = _BARE.fullmatch(words)
    if match:
        return {float(match.group(1))}
    return {_WORDS[words.lower()]} if words.lower() in _WORDS else set()
