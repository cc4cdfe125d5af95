"""One row in full, as the page shows it: question, reference, and of every run answer, feedback and how it was read.

    {"id": "PBL-2896694", "index": null, "category": "PBL", "question": [{"text": "…"}, {"image": "picture/5f0c…"}],
     "truth": "…", "runs": [{"score": 4, "reason": null, "answer": […], "feedback": "…", "details": [["field", "Art"]]},
                            null]}

All of it is text for `textContent`; a picture is called by a name that the album draws.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from judge.core.failure import MODEL, UNSCORED
from judge.core.request import Picture, Text
from judge.core.verdict import Verdict
from judge.io.samples import Drawn, Piece, Sample
from judge.view.table import Table
from judge.web.pictures import Album

SNIPPET = 160
"""Characters of a question in the list."""


def show_row(table: Table, row: int, album: Album) -> dict[str, Any]:
    """Everything about a row. Raises Refused where the files have changed."""
    key = table.keys[row]
    kept = [
        run.sample(key) if positions[row] is not None else None
        for run, positions in zip(table.runs, table.positions, strict=True)
    ]
    first = next((sample for sample in kept if sample is not None and sample.question), None)
    truth = next((sample.truth for sample in kept if sample is not None and sample.truth is not None), None)
    return {
        "id": key[0],
        "index": key[1],
        "category": table.categories[row],
        "question": None if first is None else pieces(first.question, album),
        "truth": truth,
        "runs": [_answer(table, run, row, sample, first, album) for run, sample in enumerate(kept)],
    }


def _answer(
    table: Table, run: int, row: int, sample: Sample | None, first: Sample | None, album: Album
) -> dict[str, Any] | None:
    place = table.positions[run][row]
    if place is None:
        return None
    verdict = table.runs[run].verdict(place)
    other = sample is not None and first is not None and _texts(sample.question) != _texts(first.question)
    return {
        "score": verdict.score,
        "reason": verdict.reason,
        "meaning": {**UNSCORED, **MODEL}.get(verdict.reason or "", ""),
        "failed": verdict.failure is not None,
        "by": verdict.by,
        "probs": verdict.score_probs,
        "expected": verdict.expected,
        "entropy": verdict.entropy,
        "details": details(table, verdict),
        "feedback": verdict.feedback,
        "question": pieces(sample.question, album) if sample is not None and other else None,
        "answer": None if sample is None else pieces(sample.answer, album),
        "system": None if sample is None or sample.failed is None else dict(sample.failed),
    }


def _texts(given: Sequence[Piece]) -> list[str]:
    return [piece.text for piece in given if isinstance(piece, Text)]


def details(table: Table, verdict: Verdict) -> list[tuple[str, str]]:
    """What the benchmark adds to a verdict: its own view's in words, then the others as they stand."""
    named = [(label, table.view.detail(verdict, name)) for name, label in table.view.details.items()]
    others = {name: value for name, value in verdict.details.items() if name not in table.view.details}
    found = [(label, value) for label, value in named if value is not None]
    return found + [
        (name.replace("_", " "), value if isinstance(value, str) else json.dumps(value))
        for name, value in others.items()
        if value is not None
    ]


def pieces(given: Sequence[Piece], album: Album) -> list[dict[str, str]]:
    """Texts, pictures and what is told of them, in their order."""
    made = []
    for piece in given:
        if isinstance(piece, Text):
            made.append({"text": piece.text})
        elif isinstance(piece, Picture):
            made.append({"image": f"picture/{album.name(piece)}"})
        elif isinstance(piece, Drawn):
            made.append({"drawn": str(piece)})
        else:
            made.append({"missing": piece.name})
    return made


def list_row(table: Table, row: int) -> list[Any]:
    """[id, index, category, beginning of the question, [[score, reason] or null for every run]]."""
    key = table.keys[row]
    outcomes = []
    for run, positions in enumerate(table.positions):
        outcomes.append(None if positions[row] is None else [table.scores[run][row], table.reason(run, row)])
    return [*key, table.categories[row], _snippet(table, row), outcomes]


def _snippet(table: Table, row: int) -> str:
    for run, positions in zip(table.runs, table.positions, strict=True):
        if positions[row] is not None and (sample := run.sample(table.keys[row])) is not None:
            said = " ".join(" ".join(_texts(sample.question)).split())
            if said:
                return said if len(said) <= SNIPPET else f"{said[:SNIPPET]}…"
    return ""
