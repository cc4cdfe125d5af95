"""The leaderboards of `mmjudge table` as text, Markdown, LaTeX, CSV and JSON.

    FORMATS["csv"](boards, None)         ->  "benchmark,group,model,…"
    FORMATS["text"](boards, "field")     ->  the main metric by field

Text, Markdown and LaTeX have the same cells; CSV and JSON have all digits and no prose.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from judge.core.foreign_text import on_one_line
from judge.core.metric import Metric
from judge.results.cells import LATEX, MARKDOWN, WIDTH, Rows, aligned, cell, escaped, p_value, piped
from judge.results.table import Group, Standing

ALL = 10_000
"""Characters of a note that is kept whole."""
PAIRS = 15
"""So many pairs are written out in text and Markdown; JSON has all."""


@dataclasses.dataclass(frozen=True)
class Published:
    """A published system. n: questions; metrics: by our names."""

    name: str
    n: int
    metrics: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Leaderboard:
    """A group of runs, and the published systems that were measured as they were, with their source.

    metrics: the columns; refusals: why there are no published systems.
    """

    group: Group
    metrics: Sequence[Metric]
    published: Sequence[Published] = ()
    source: str | None = None
    refusals: Sequence[str] = ()


def _rows(board: Leaderboard) -> Rows:
    """One row a run or published system, the best first."""
    group = board.group
    head = ["model", "date", "n", "unscored", "failed", *(_titled(metric) for metric in board.metrics)]
    compared = len(group.standings) > 1
    rows = []
    for standing in group.standings:
        results = standing.run.results
        found = [standing.run.estimate(metric.name) for metric in board.metrics]
        n = f"PARTIAL {standing.part}" if standing.part else str(results["n"])
        row = [
            on_one_line(standing.name),
            standing.date or "-",
            n,
            _rate(results["unscored"]),
            _rate(standing.failures),
        ]
        letters = [standing.letters] if compared else []
        rows.append(([one.get("value") for one in found], [*row, *map(cell, found), *letters]))
    for system in board.published:
        values = [system.metrics.get(metric.name) for metric in board.metrics]
        cells = ["-" if value is None else f"{value:.2f}" for value in values]
        row = [system.name, "published", str(system.n), "-", "-", *cells, *(["-"] if compared else [])]
        rows.append((values, row))
    rows.sort(key=lambda row: [_rank(*pair) for pair in zip(row[0], board.metrics, strict=True)])
    return [[*head, *(["alike"] if compared else [])], *(row for _, row in rows)]


def _rank(value: float | None, metric: Metric) -> tuple[bool, float]:
    return value is None, 0.0 if value is None else (-value if metric.higher_is_better else value)


def _members(board: Leaderboard, field: str) -> Rows:
    """One row a category or member of `field`, one column a run."""
    names = [on_one_line(standing.name) for standing in board.group.standings]
    members = board.group.members(field)
    return [
        [f"{board.group.measured(field)} by {field}", *names],
        *([on_one_line(name), *map(_cell_with_n, found)] for name, found in members.items()),
    ]


def _pairs(group: Group) -> Rows:
    rows = [[f"difference in {group.main.name}", "95% interval", "n", "p", "p (Holm)"]]
    for pair in group.pairs:
        difference = pair.difference.difference
        value = "-" if difference.value is None else f"{difference.value:+.2f}"
        interval = "-"
        if difference.ci_low is not None and difference.ci_high is not None:
            interval = f"[{difference.ci_low:+.2f}, {difference.ci_high:+.2f}]"
        first, second = on_one_line(pair.first), on_one_line(pair.second)
        p, adjusted = p_value(pair.difference.p), p_value(pair.adjusted)
        cells = [f"{first} − {second}: {value}", interval, str(difference.n), p, adjusted]
        rows.append(cells)
    return rows


def _notes(board: Leaderboard, by: str | None) -> Iterator[str]:
    """What a reader must know, a sentence each."""
    group = board.group
    if group.differing:
        parts = "; ".join(
            f"{name}: {there or 'absent'} there, {here or 'absent'} here"
            for name, (there, here) in group.differing.items()
        )
        yield f"Measured differently from the first table of {group.title}, not to be ranked with it. {parts}."
    if any(standing.part for standing in group.standings):
        yield "PARTIAL: only some of the questions were asked."
    if group.replayed:
        yield "Replayed feedback: nothing here says that one and the same judge wrote it for all runs."
    if not group.same_questions:
        yield "Not all runs have the same questions; a pair is compared on those that both have."
    if by is not None:
        return
    if len(group.standings) > 1:
        yield (
            f"alike: runs that share a letter do not differ significantly in {group.main.name} (5%, paired on the same "
            f"questions, Holm's correction for {len(group.pairs)} pair{'s' if len(group.pairs) > 1 else ''})."
        )
    for metric in (metric for metric in board.metrics if metric.beside):
        counted = ", ".join(f"{on_one_line(one.name)} {_coverage(one)}" for one in group.standings)
        yield f"{metric.name}: {metric.meaning}. How many those are: {counted}."
    if board.source:
        yield f"published: {board.source} They have no intervals and are in no comparison."
    if board.refusals:
        yield f"No published systems beside them: {' '.join(board.refusals)}"


def _coverage(standing: Standing) -> str:
    """How many answers a rule can tell, of how many."""
    found = standing.run.results.get("by_rule")
    if not found:
        return "none"
    return f"{found['ruled']} of {found['questions']} ({found['coverage']:.1f}%)"


def _title(group: Group) -> str:
    dataset = group.standings[0].run.results.get("dataset", {})
    title = f"{group.title}, edition {dataset['edition']}" if dataset.get("edition") else group.title
    return f"{title}, subset {dataset['subset']}" if dataset.get("subset") else title


def as_text(boards: Sequence[Leaderboard], by: str | None) -> str:
    """For a terminal; wide where there are many metrics."""
    parts = []
    for board in boards:
        group = board.group
        lines = [_title(group), "", *aligned(_members(board, by) if by else _rows(board))]
        if not by and 0 < len(group.pairs) <= PAIRS:
            lines += ["", *aligned(_pairs(group))]
        elif not by and group.pairs:
            lines += ["", f"{len(group.pairs)} pairs were compared: --format json has them"]
        notes = [f"- {note}" for note in _notes(board, by)]
        lines += ["", *(line for note in notes for line in textwrap.wrap(note, WIDTH, subsequent_indent="  "))]
        parts.append("\n".join([*lines, f"signature: {group.signature}"]))
    return "\n\n\n".join(parts)


def as_markdown(boards: Sequence[Leaderboard], by: str | None) -> str:
    """A section for every table, with its notes."""
    parts = []
    for board in boards:
        lines = [
            f"### {escaped(_title(board.group), MARKDOWN)}",
            "",
            *piped(_members(board, by) if by else _rows(board)),
        ]
        if not by and 0 < len(board.group.pairs) <= PAIRS:
            lines += ["", *piped(_pairs(board.group))]
        lines += ["", *(f"- {escaped(note, MARKDOWN)}" for note in _notes(board, by))]
        parts.append("\n".join([*lines, f"- signature: `{board.group.signature}`"]))
    return "\n\n".join(parts)


def as_latex(boards: Sequence[Leaderboard], by: str | None) -> str:
    """A tabular for every table, with booktabs' rules; notes and signature as comments."""
    parts = []
    for board in boards:
        head, *rows = ([escaped(word, LATEX) for word in row] for row in (_members(board, by) if by else _rows(board)))
        lines = [
            f"% {on_one_line(line, ALL)}"
            for line in (_title(board.group), *_notes(board, by), f"signature: {board.group.signature}")
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
    rows = [row for number, board in enumerate(boards, 1) for row in _records(board, number, by)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    # the signature, long and for machines, comes last
    names = [name for name in names if name != "signature"] + ["signature"]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().rstrip("\n")


def _records(board: Leaderboard, number: int, by: str | None) -> Iterator[dict[str, Any]]:
    group = board.group
    members = {} if by is None else group.members(by)
    for position, standing in enumerate(group.standings):
        about: dict[str, Any] = {"benchmark": group.benchmark, "group": number, **_about(standing)}
        if by is None:
            metrics = {name: value for metric in board.metrics for name, value in _flat(metric, standing).items()}
            yield {**about, **metrics, "alike": standing.letters, "signature": standing.run.results["signature"]}
        for name, found in members.items():
            yield {
                "benchmark": group.benchmark, "group": number, "model": standing.name,
                "folder": str(standing.run.folder), str(by): name, "metric": group.measured(str(by)), **found[position],
                "signature": standing.run.results["signature"],
            }  # fmt: skip
    for system in board.published if by is None else ():
        yield {
            "benchmark": group.benchmark, "group": number, "model": system.name, "n": system.n, **system.metrics,
            "source": board.source,
        }  # fmt: skip


def _flat(metric: Metric, standing: Standing) -> dict[str, Any]:
    found = standing.run.estimate(metric.name)
    fields = (("", "value"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high"), ("_n", "n"))
    return {f"{metric.name}{ending}": found.get(field) for ending, field in fields}


def _about(standing: Standing) -> dict[str, Any]:
    results = standing.run.results
    return {
        "model": standing.name,
        "folder": str(standing.run.folder),
        "date": standing.date,
        "n": results["n"],
        "part": standing.part,
        "unscored": results["unscored"]["n"],
        "unscored_rate": results["unscored"].get("rate"),
        "failed": standing.failures.get("n"),
        "failed_rate": standing.failures.get("rate"),
    }


def as_json(boards: Sequence[Leaderboard], by: str | None) -> str:
    """{"tables": [{"benchmark", "signature", "differing", "runs", "pairs", "published", "notes"}]}."""
    tables = []
    for board in boards:
        group = board.group
        members = {} if by is None else group.members(by)
        runs = [
            {
                **_about(standing),
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


def _titled(metric: Metric) -> str:
    return metric.name if metric.higher_is_better else f"{metric.name} (less is better)"


def _cell_with_n(estimate: Mapping[str, Any]) -> str:
    return f"{cell(estimate)} n={estimate['n']}" if estimate.get("value") is not None else "-"


def _rate(counted: Mapping[str, Any]) -> str:
    rate = counted.get("rate")
    return "-" if "n" not in counted else f"{counted['n']}" + ("" if rate is None else f" ({100 * rate:.1f}%)")


FORMATS: Mapping[str, Callable[[Sequence[Leaderboard], str | None], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "latex": as_latex,
    "csv": as_csv,
    "json": as_json,
}
