"""Cells and rows of tables in text, Markdown and LaTeX.

    aligned([["model", "RA"], ["careful", "83.33"]])  ->  ["model       RA", "careful  83.33"]
    cell({"value": 83.33, "ci_low": 64.15, …})        ->  "83.33 [64.15, 93.32]"

`judge.results.leaderboard`, `judge.commands.table_formats` and `judge.commands.contrast_formats` put them together.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from judge.core.metric import Metric

WIDTH = 100
"""Columns of prose."""
LATEX = {c: rf"\{c}" for c in "&%$#_{}"} | {
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
    "−": "$-$",
    "<": "$<$",
    ">": "$>$",
}
MARKDOWN = {c: rf"\{c}" for c in "\\`*_[]|"} | {"<": "&lt;", "&": "&amp;"}
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""A text that begins so is a formula for a spreadsheet."""


Rows = list[list[str]]
"""Cells, the head first."""


def titled(metric: Metric) -> str:
    """The metric's name, with the way that is better where that is down."""
    return metric.name if metric.higher_is_better else f"{metric.name} (less is better)"


def cell(estimate: Mapping[str, Any]) -> str:
    """ "60.58 [57.30, 63.70]", "-" where there is no value."""
    if estimate.get("value") is None:
        return "-"
    low, high = estimate.get("ci_low"), estimate.get("ci_high")
    return f"{estimate['value']:.2f}" + ("" if low is None or high is None else f" [{low:.2f}, {high:.2f}]")


def p_value(p: float | None) -> str:
    """ "0.049", "<0.001", "-". What is below 5% does not read "0.050"."""
    if p is None:
        return "-"
    return "<0.001" if p < 0.001 else "<0.050" if 0.0495 <= p < 0.05 else f"{p:.3f}"


def aligned(rows: Rows) -> list[str]:
    """Columns with two spaces between them: the first and letters to the left, numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            f"{word:<{w}}" if not n else f"{word:>{w}}" for n, (word, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]


def piped(rows: Rows) -> list[str]:
    """As a table of Markdown."""
    head, *others = (f"| {' | '.join(escaped(word, MARKDOWN) for word in row)} |" for row in rows)
    return [head, f"|---{'|---:' * (len(rows[0]) - 1)}|", *others]


def plain_text(value: Any) -> Any:
    """`value` for CSV: a text that a spreadsheet would run as a formula begins with an apostrophe; numbers stay."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def comma_separated(names: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """Records as CSV, the names first; "" where a record has no such value."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: plain_text(value) for name, value in record.items()} for record in records)
    return stream.getvalue().rstrip("\n")


def escaped(text: str, characters: Mapping[str, str]) -> str:
    """characters: `MARKDOWN` or `LATEX`."""
    return "".join(characters.get(character, character) for character in text)
