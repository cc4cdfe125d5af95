"""What the sample browser of a section holds: every question once, what every run made of it, cut to a size.

    {"runs": ["A", "B"], "categories": ["SA", "PBL"], "reasons": {"truncated": "the judge ran into …"},
     "details": ["field"], "pictures": ["a/images/9f2c07d1e4a85b36.jpg"],
     "rows": [["PBL-2896694", null, 1, "reference text",
               ["Step 1: open the lid.", 0],
               [[4, null, ["Step 2: pour.", {"m": "out/7.png"}], {"t": "### Feedback", "c": 812}, [0, 1, …], ["Art"]],
                null]]]}

A row is id, index, category, reference, question, and for every run null or score, reason, answer, feedback,
percent of every score, details. A part is a text, the number of a picture, {"m": the name of a missing picture}, {"d":
what the picture before it was drawn from}, or {"t": the beginning of a text, "c": how many characters more it has}.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.failure import MODEL, UNSCORED
from judge.core.request import Picture, Text
from judge.core.verdict import Verdict
from judge.io.presentation import View
from judge.io.samples import Drawn, Piece, Question, Sample
from judge.report.pictures import Album
from judge.results.run_folder import Run

LONGEST = (4000, 2000, 1400, 1000, 700, 500, 350, 250, 180, 120, 60, 24)
"""Characters that texts are cut to; the first with which everything fits is taken."""
FEW = 400
"""Rows by which it is found out how much all take."""

_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclasses.dataclass(frozen=True)
class Shown:
    """What the rows show. runs: of every run its name, verdicts and samples. album: numbers the pictures."""

    runs: Sequence[tuple[str, Run, Mapping[Question, Sample]]]
    view: View
    album: Album


def browser_data(shown: Shown, room: int) -> tuple[str, int]:
    """(JSON for a script element, characters that texts were cut to).

    room: bytes it may take. Where even the shortest texts are too long, texts are left out.
    """
    rows = _rows(shown)
    categories = list(dict.fromkeys(v.category or "" for row in rows for v in row.found if v is not None))
    numbers = {name: number for number, name in enumerate(categories)}

    def encode(of: Sequence[_Row], cut: int) -> str:
        return embed(
            {
                "runs": [name for name, _, _ in shown.runs],
                "categories": categories,
                "reasons": {**UNSCORED, **MODEL},
                "details": list(shown.view.details.values()),
                "rows": [_encoded(row, shown, numbers, cut) for row in of],
                "pictures": shown.album.addresses,
            }
        )

    # a few rows say nearly how much all will take: to write them all for every length would take minutes
    few = rows[:: max(1, len(rows) // FEW)]
    lengths = [*LONGEST, 0]
    while len(lengths) > 1 and _bytes(encode(few, lengths[0])) * len(rows) > room * len(few):
        lengths.pop(0)
    while _bytes(encoded := encode(rows, lengths[0])) > room and len(lengths) > 1:
        lengths.pop(0)
    return encoded, lengths[0]


@dataclasses.dataclass(frozen=True)
class _Row:
    """A question: of every run the verdict and the sample, None where it has none."""

    key: Question
    found: list[Verdict | None]
    samples: list[Sample | None]


def _rows(shown: Shown) -> list[_Row]:
    questions: dict[Question, list[Verdict | None]] = {}
    runs = shown.runs
    for _, run, kept in runs:  # samples are in the order of the answers, verdicts in that of judging
        decided = {(verdict.id, verdict.index) for verdict in run.verdicts}
        questions |= {key: [None] * len(runs) for key in kept if key in decided and key not in questions}
    for number, (_, run, _) in enumerate(runs):
        for verdict in run.verdicts:
            questions.setdefault((verdict.id, verdict.index), [None] * len(runs))[number] = verdict
    return [_Row(key, found, [kept.get(key) for _, _, kept in runs]) for key, found in questions.items()]


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "replace"))


def embed(value: Any) -> str:
    """JSON that means the same inside a script element, whatever its texts hold."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def clip(text: str, most: int) -> Any:
    """The text, or its beginning and how much is left out."""
    return text if len(text) <= most else {"t": text[:most], "c": len(text) - most}


def _encoded(row: _Row, shown: Shown, categories: Mapping[str, int], cut: int) -> list[Any]:
    key, found, samples = row.key, row.found, row.samples
    asked = next((sample for sample in samples if sample is not None), None)
    category = next(verdict.category or "" for verdict in found if verdict is not None)
    answers = [
        None if verdict is None else _answer(verdict, sample, shown, cut)
        for verdict, sample in zip(found, samples, strict=True)
    ]
    question = [] if asked is None else _pieces(asked.question, shown.album, cut)
    truth = None if asked is None or asked.truth is None else clip(asked.truth, cut)
    return [key[0], key[1], categories[category], truth, question, answers]


def _answer(verdict: Verdict, sample: Sample | None, shown: Shown, cut: int) -> list[Any]:
    probs = verdict.score_probs
    details = [shown.view.detail(verdict, name) for name in shown.view.details]
    return [
        verdict.score,
        verdict.reason,
        None if sample is None else _pieces(sample.answer, shown.album, cut),
        None if verdict.feedback is None else clip(verdict.feedback, cut),
        None if probs is None else [round(100 * share) for share in probs],
        [None if value is None else clip(value, max(cut, 24)) for value in details],
    ]


def _pieces(pieces: Sequence[Piece], album: Album, cut: int) -> list[Any]:
    made: list[Any] = []
    for piece in pieces:
        if isinstance(piece, Text):
            made.append(clip(piece.text, cut))
        elif isinstance(piece, Picture):
            made.append(album.number(piece))
        elif isinstance(piece, Drawn):
            said = str(piece)
            made.append({"d": said if len(said) <= cut else f"{said[:cut]}…"})
        else:
            made.append({"m": piece.name[:80]})
    return made
