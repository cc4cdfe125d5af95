"""The leaderboards of `mmjudge table` as text, Markdown, LaTeX, CSV and JSON.

    FORMATS["csv"](boards, None)         ->  "benchmark,group,model,…"
    FORMATS["text"](boards, "field")     ->  the main metric by field

Text, Markdown and LaTeX have the same cells; CSV and JSON have all digits and no prose.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from judge.core.foreign_text import on_one_line
from judge.results.cells import LATEX, MARKDOWN, WIDTH, aligned, comma_separated, escaped, piped
from judge.results.leaderboard import (
    PAIRS,
    Leaderboard,
    about_run,
    cautions,
    explanations,
    leaderboard_records,
    leaderboard_rows,
    member_rows,
    pair_rows,
    record_columns,
    title_of,
)
from judge.results.table import CATEGORY, Group

ALL = 10_000
"""Characters of a note that is kept whole."""


def _notes(board: Leaderboard, by: str | None) -> list[str]:
    """What a reader must know, a sentence each."""
    return [*cautions(board, categories=by == CATEGORY), *(explanations(board) if by is None else ())]


def _elsewhere(group: Group) -> str:
    return f"{len(group.pairs)} pairs were compared: --format json has them"


def as_text(boards: Sequence[Leaderboard], by: str | None) -> str:
    """For a terminal; wide where there are many metrics."""
    parts = []
    for board in boards:
        group = board.group
        lines = [title_of(group), "", *aligned(member_rows(board, by) if by else leaderboard_rows(board))]
        if not by and 0 < len(group.pairs) <= PAIRS:
            lines += ["", *aligned(pair_rows(group))]
        elif not by and group.pairs:
            lines += ["", _elsewhere(group)]
        notes = [f"- {note}" for note in _notes(board, by)]
        lines += ["", *(line for note in notes for line in textwrap.wrap(note, WIDTH, subsequent_indent="  "))]
        parts.append("\n".join([*lines, f"signature: {group.signature}"]))
    return "\n\n\n".join(parts)


def as_markdown(boards: Sequence[Leaderboard], by: str | None) -> str:
    """A section for every table, with its notes."""
    parts = []
    for board in boards:
        lines = [
            f"### {escaped(title_of(board.group), MARKDOWN)}",
            "",
            *piped(member_rows(board, by) if by else leaderboard_rows(board)),
        ]
        if not by and 0 < len(board.group.pairs) <= PAIRS:
            lines += ["", *piped(pair_rows(board.group))]
        elif not by and board.group.pairs:
            lines += ["", _elsewhere(board.group)]
        lines += ["", *(f"- {escaped(note, MARKDOWN)}" for note in _notes(board, by))]
        parts.append("\n".join([*lines, f"- signature: `{board.group.signature}`"]))
    return "\n\n".join(parts)


def as_latex(boards: Sequence[Leaderboard], by: str | None) -> str:
    """A tabular for every table, with booktabs' rules; notes and signature as comments."""
    parts = []
    for board in boards:
        head, *rows = (
            [escaped(word, LATEX) for word in row]
            for row in (member_rows(board, by) if by else leaderboard_rows(board))
        )
        lines = [
            f"% {on_one_line(line, ALL)}"
            for line in (title_of(board.group), *_notes(board, by), f"signature: {board.group.signature}")
        ]
        lines += [
            f"\\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            "\\toprule",
            " & ".join(head) + r" \\",
            "\\midrule",
        ]
        lines += [" & ".join(row) + r" \\" for row in rows]
        parts.append("\n".join([*lines, "\\bottomrule", "\\end{tabular}"]))
    return "\n\n".join(parts)


def as_csv(boards: Sequence[Leaderboard], by: str | None) -> str:
    """One row a run or published system, a column for every metric of any benchmark; by a field one row a member."""
    if by is None:
        rows = leaderboard_records(boards)
    else:
        rows = [row for number, board in enumerate(boards, 1) for row in _by_member(board, number, by)]
    return comma_separated(record_columns(rows), rows)


def _by_member(board: Leaderboard, number: int, by: str) -> Iterator[dict[str, Any]]:
    group = board.group
    members = group.members(by)
    for position, standing in enumerate(group.standings):
        for name, found in members.items():
            yield {
                "benchmark": group.benchmark, "group": number, "model": standing.name,
                "folder": str(standing.run.folder), by: name, "metric": group.measured(by), **found[position],
                "signature": standing.run.results["signature"],
            }  # fmt: skip


def as_json(boards: Sequence[Leaderboard], by: str | None) -> str:
    """{"tables": [{"benchmark", "signature", "differing", "runs", "pairs", "published", "notes"}]}."""
    tables = []
    for board in boards:
        group = board.group
        members = {} if by is None else group.members(by)
        runs = [
            {
                **about_run(standing),
                "metrics": {metric.name: standing.run.estimate(metric.name) for metric in board.metrics},
                "alike": standing.letters,
                "signature": standing.run.results["signature"],
                **({by: {name: found[number] for name, found in members.items()}} if by else {}),
            }
            for number, standing in enumerate(group.standings)
        ]
        tables.append(
            {
                "benchmark": group.benchmark,
                "ranked_by": group.main.name,
                "signature": group.signature,
                "differing": {name: {"first": a, "here": b} for name, (a, b) in group.differing.items()},
                "runs": runs,
                "pairs": [pair.to_json() for pair in group.pairs],
                "published": [dataclasses.asdict(system) for system in board.published],
                "source": board.source,
                "notes": list(_notes(board, by)),
            }
        )
    return json.dumps({"tables": tables}, indent=1, allow_nan=False)


FORMATS: Mapping[str, Callable[[Sequence[Leaderboard], str | None], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}
