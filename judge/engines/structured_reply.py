r"""The reply of a general judge: what is asked of it as a JSON schema, and what its text says.

    reply_schema([Criterion("Text quality", …, 1), …, Criterion("Emotional impact", …, -1)])
    ->  {"type": "object", "properties": {"feedback": {"type": "string"}, "criteria": {…}, "total": {…}}, …}

    read_reply('```json\n{"feedback": "Clear.", "criteria": {"Text quality": 1, …}, "total": 4}\n```', criteria)
    ->  Judgement(feedback="Clear.", points={"Text quality": 1, …}, score=4, notes=(), span=(8, 79))

Where the rubric numbers criteria, each is given its point or 0 (one that takes off: -1 or 0), as the official wording
says, and the score is their sum, computed here. The total that the judge gives beside them is only compared: where it
is another, a note says so and the sum counts. Where the rubric numbers none, the total is the score.

What is read, when a server does not hold a model to the schema: the one JSON object in the text that has "criteria" or
"total", whatever stands around it (prose, a fence). Several such objects count only where they are equal. It must be
JSON as the standard has it: no comments, no trailing commas, no key twice. One inside or behind an object that is
broken does not count: it may be an answer's words in a feedback whose quotes are not escaped. The names of the criteria
count in any case; all must be there and no other, each a whole number that the criterion may have. Anything else is
`unreadable_reply`, with a note that says what is wrong; nothing is guessed.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from judge.core.criteria import Criterion, Points, total
from judge.core.foreign_text import on_one_line
from judge.core.scale import JUDGE_SCALE

MOST_CHARACTERS = 1 << 16
"""Of a reply; one of 4096 tokens has some 16,000."""
MOST_OBJECTS = 64
"""Places in a text where an object may begin that are looked at."""
MOST_OF_A_VALUE = 40

_PROSE = re.compile(r'\{[^{}"]*\}')
"""Braces that are no broken object."""
_TOTAL = re.compile(r'"total"\s*:\s*(\d)(?!\d)')


class UnreadableError(ValueError):
    """The reply is not what was asked for; the message says why."""


@dataclasses.dataclass(frozen=True)
class Judgement:
    """What a reply says. points: empty where the rubric numbers no criteria. notes: what a reader of the verdict must
    know. span: where the object stands in the text."""

    feedback: str
    points: Points
    score: int
    notes: tuple[str, ...]
    span: tuple[int, int]


def reply_schema(criteria: Sequence[Criterion]) -> dict[str, Any]:
    """The JSON schema of a reply, strict: every key is required and no other is allowed."""
    properties: dict[str, Any] = {"feedback": {"type": "string"}}
    if criteria:
        points = {each.name: {"type": "integer", "enum": sorted((0, each.points))} for each in criteria}
        properties["criteria"] = _object(points)
    properties["total"] = {"type": "integer", "enum": list(JUDGE_SCALE)}
    return _object(properties)


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def reply_form(criteria: Sequence[Criterion]) -> str:
    """The form of a reply in words, for a model that sees no schema."""
    if not criteria:
        return f'{{"feedback": "…", "total": a whole number from {JUDGE_SCALE}, as the grading instructions say}}'
    named = ", ".join(
        f"{json.dumps(each.name, ensure_ascii=False)}: "
        + ("1 where the answer meets it, else 0" if each.points > 0 else "-1 where a point is to be taken off, else 0")
        for each in criteria
    )
    return f'{{"feedback": "…", "criteria": {{{named}}}, "total": the sum of the criteria, 0 where it is below}}'


def read_reply(text: str, criteria: Sequence[Criterion]) -> Judgement:
    """What a reply says; see the module. Raises UnreadableError."""
    if len(text) > MOST_CHARACTERS:
        raise UnreadableError(f"a reply of {len(text)} characters, more than {MOST_CHARACTERS}")
    found = list(_objects(text))
    if not found:
        raise UnreadableError("no JSON object with the keys that were asked for")
    if any(value != found[0][0] for value, _ in found):
        raise UnreadableError(f"{len(found)} JSON objects that differ")
    value, span = found[-1]
    feedback = value.get("feedback")
    said = feedback if isinstance(feedback, str) else ""
    given = _whole(value.get("total"))
    if not criteria:
        if given is None or given not in JUDGE_SCALE:
            raise UnreadableError(f"the total is {_shown(value.get('total'))}, no whole number from {JUDGE_SCALE}")
        return Judgement(said, {}, given, (), span)
    points = _points(value.get("criteria"), criteria)
    score = total(points)
    notes = () if given == score else (f"total given {_shown(value.get('total'))}, the criteria add up to {score}",)
    return Judgement(said, points, score, notes, span)


def _points(value: Any, criteria: Sequence[Criterion]) -> Points:
    if not isinstance(value, dict):
        raise UnreadableError(f"the criteria are {_shown(value)}, no object")
    given = {name.strip().casefold(): points for name, points in value.items()}
    known = {each.name.casefold(): each for each in criteria}
    if given.keys() != known.keys() or len(given) != len(value):
        missing = [each.name for name, each in known.items() if name not in given]
        others = [name for name in value if name.strip().casefold() not in known]
        parts = [f"without {', '.join(missing)}"] if missing else []
        parts += [f"with {', '.join(map(_shown, others))}"] if others else []
        raise UnreadableError(f"criteria {' and '.join(parts) or 'twice under one name'}")
    points: Points = {}
    for name, each in known.items():
        found = _whole(given[name])
        if found is None or found not in (0, each.points):
            raise UnreadableError(f"{each.name} is {_shown(given[name])}, neither 0 nor {each.points}")
        points[each.name] = found
    return points


def _objects(text: str) -> Iterator[tuple[dict[str, Any], tuple[int, int]]]:
    """The JSON objects in a text that have a key of ours, none inside another, and where they stand. Raises
    UnreadableError for one behind a broken one."""
    decoder = json.JSONDecoder(object_pairs_hook=_without_twice, parse_constant=_refuse)
    place, broken = text.find("{"), False
    for _ in range(MOST_OBJECTS):
        if place < 0:
            return
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end, broken = place + 1, broken or not _PROSE.match(text, place)
        else:
            if "criteria" in value or "total" in value:
                if broken:
                    raise UnreadableError("a JSON object inside or behind one that is broken")
                yield value, (place, end)
        place = text.find("{", end)


def _without_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key twice")
    return made


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


def _whole(value: Any) -> int | None:
    """A whole number given as a number: 1 and 1.0, and neither true nor "1"."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):  # of any length: a float may have no room for it
        return value
    return int(value) if value.is_integer() else None


def _shown(value: Any) -> str:
    return on_one_line(json.dumps(value, ensure_ascii=False), MOST_OF_A_VALUE)


def total_probabilities(text: str, span: tuple[int, int], logprobs: Any) -> tuple[float, ...] | None:
    """Probabilities of 0 to 6 at the token of the total, to four digits, renormalised over these seven; None where the
    server gives none, or its tokens do not spell the text.

    text: the reply; span: where its object stands. logprobs: {"content": [{"token", "top_logprobs": [{"token",
    "logprob"}, …]}, …]}, as OpenAI and vLLM give it, unchecked. Scores that are not among the most probable tokens
    have 0. They are about the total as the judge wrote it.
    """
    matches = list(_TOTAL.finditer(text, *span))
    entries = logprobs.get("content") if isinstance(logprobs, dict) else None
    if not matches or not isinstance(entries, list):
        return None
    wanted, place = matches[-1].start(1), 0
    try:
        for entry in entries:
            token = entry["token"]
            if text[place : place + len(token)] != token:
                return None
            if place <= wanted < place + len(token):
                return _shares(entry["top_logprobs"]) if token.strip() == text[wanted] else None
            place += len(token)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        return None
    return None


def _shares(alternatives: Sequence[Mapping[str, Any]]) -> tuple[float, ...] | None:
    weights = [0.0] * len(JUDGE_SCALE)
    for each in alternatives:
        digit, logprob = str(each["token"]).strip(), float(each["logprob"])
        if len(digit) == 1 and digit in "0123456" and logprob <= 0:
            weights[int(digit)] += math.exp(logprob)
    whole = math.fsum(weights)
    return tuple(round(weight / whole, 4) for weight in weights) if whole > 0 else None
