"""The selected rows as a file: JSON lines, exactly as they are; or CSV, for a spreadsheet.

    {"id": "PBL-2896694", "index": null, "category": "PBL", "question": [{"text": "…"}, {"missing": "a.png"}],
     "truth": null, "runs": {"anole-7b": {"score": 4, "reason": null, "answer": [{"text": "…"}], "feedback": "…", …}}}

A cell of the CSV that a spreadsheet would take for a formula begins with an apostrophe. Pictures are named as the
results folder names them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from judge.core.request import Picture, Text
from judge.io.jsonl import writable
from judge.io.samples import Drawn, Piece
from judge.results.cells import plain_text
from judge.view.table import Table

BATCH = 64
"""Rows that are sent at once."""


def export_json_lines(table: Table, rows: Sequence[int]) -> Iterator[bytes]:
    """Lines of JSON in ASCII, some at a time. Raises Refused where the files have changed."""
    for start in range(0, len(rows), BATCH):
        made = (_row(table, row) for row in rows[start : start + BATCH])
        yield "".join(f"{json.dumps(row)}\n" for row in made).encode("ascii")


def export_csv(table: Table, rows: Sequence[int]) -> Iterator[bytes]:
    """A header and a line a row, in UTF-8 with the mark by which spreadsheets know it."""
    names = [run.name for run in table.runs]
    fields = ("score", "reason", "entropy", "answer", "feedback")
    facets = [facet.name for facet in table.facets]
    header = [
        "id",
        "index",
        "category",
        "question",
        "truth",
        *(f"{name}: {f}" for name in names for f in (*fields, *facets)),
    ]
    yield "\ufeff".encode() + _lines([header])
    for start in range(0, len(rows), BATCH):
        lines = []
        for row in (_row(table, number) for number in rows[start : start + BATCH]):
            line = [row["id"], row["index"], row["category"], _plain(row["question"]), row["truth"]]
            for name in names:
                of = row["runs"].get(name) or {"details": {}}
                found = {**of, "answer": _plain(of.get("answer"))}
                line += [found.get(field) for field in fields]
                line += [of["details"].get(facet) for facet in facets]
            lines.append(line)
        yield _lines(lines)


def _lines(rows: Sequence[Sequence[Any]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return plain_text(writable(value).replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _row(table: Table, row: int) -> dict[str, Any]:
    key = table.keys[row]
    asked, truth = None, None
    of_runs: dict[str, Any] = {}
    for run, positions in zip(table.runs, table.positions, strict=True):
        if (place := positions[row]) is None:
            continue
        verdict, sample = run.verdict(place), run.sample(key)
        if sample is not None:
            asked = asked or _named(sample.question)
            truth = sample.truth if truth is None else truth
        of_runs[run.name] = {
            "score": verdict.score,
            "reason": verdict.reason,
            "entropy": verdict.entropy,
            "answer": None if sample is None else _named(sample.answer),
            "feedback": verdict.feedback,
            "details": dict(verdict.details),
        }
    return {
        "id": key[0], "index": key[1], "category": table.categories[row], "question": asked, "truth": truth,
        "runs": of_runs,
    }  # fmt: skip


def _named(given: Sequence[Piece]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for piece in given:
        if isinstance(piece, Text):
            made.append({"text": piece.text})
        elif isinstance(piece, Drawn):
            made.append({"drawn": piece.to_json()})
        else:
            made.append({"image" if isinstance(piece, Picture) else "missing": piece.name})
    return made


def _plain(given: Sequence[dict[str, Any]] | None) -> str | None:
    """Parts as one text, pictures by name in brackets."""
    if given is None:
        return None
    said = []
    for piece in given:
        ((kind, value),) = piece.items()
        said.append(value if kind == "text" else str(Drawn(**value)) if kind == "drawn" else f"[{kind}: {value}]")
    return "\n".join(said)
