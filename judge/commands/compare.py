"""`mmjudge compare A B [C…]`: is the second run better than the first, by how much, and could it be chance?

Every run after the first is set against the first, in one table: each metric overall, the main ones by category too.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from judge.commands import options
from judge.commands.output import write_output
from judge.errors import UserError
from judge.results.compare import Comparison, Row, compare
from judge.results.criteria import NONE_GIVEN, judged_without_criteria
from judge.results.remarks import remarks
from judge.results.run_folder import Run, read_run

EXAMPLES = (
    "mmjudge compare results/a results/b",
    "mmjudge compare results/base results/a results/b --out comparison.json",
)
NAMED = 5
"""So many ids are written out; --out has all."""
LEGEND = (
    "difference: second minus first over the n units that both have scored, in the metric's points, with its 95% "
    "interval; p: two-sided, not corrected for the number of rows; won, lost, tied: units the second run does better, "
    "worse, alike on, of those that count in both runs' denominators; least: the least difference that n units like "
    "these show with 80% power."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="RESULTS", help="results folders of `mmjudge score`, two or more")
    options.add(parser, "--out", metavar="FILE", help="write all numbers and ids there as JSON")


def run(args: argparse.Namespace) -> int:
    if len(args.folders) < 2:
        raise UserError("give two or more results folders", fix="mmjudge compare A B")
    first, *others = [read_run(folder) for folder in args.folders]
    comparisons = [compare(first, other) for other in others]
    if args.out is not None:
        content = {
            "benchmark": first.results["benchmark"],
            "signature": first.results["signature"],
            "comparisons": [comparison.to_json() for comparison in comparisons],
        }
        write_output(args.out, content)
    print(table(first, comparisons))
    return 0


def table(first: Run, comparisons: Sequence[Comparison]) -> str:
    """The comparisons for a terminal."""
    lines = [_about("A", first)]
    lines += [_about(_letter(number), comparison.second) for number, comparison in enumerate(comparisons, 1)]
    for number, comparison in enumerate(comparisons, 1):
        letter = _letter(number)
        lines += ["", _head(letter)]
        lines += [_line(name, row) for name, row in comparison.metrics.items()]
        for category, rows in comparison.categories.items():
            main = next(iter(rows))
            lines.append(_line(f"{main} · {category}", rows[main]))
        lines += ["points by criterion:"] if comparison.criteria else []
        lines += [_line(name, row) for name, row in comparison.criteria.items()]
        for side, ids in (("A", comparison.only_first), (letter, comparison.only_second)):
            if ids:
                more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
                lines.append(f"only in {side}, left out of the difference: {', '.join(ids[:NAMED])}{more}")
    runs = [("A", first), *((_letter(number), found.second) for number, found in enumerate(comparisons, 1))]
    lines.append("")
    for said in remarks(runs):
        lines += textwrap.wrap(f"note: {said}", 118, subsequent_indent="      ")
    if judged_without_criteria(first.results):
        lines.append(f"note: {NONE_GIVEN}")
    lines += [*textwrap.wrap(LEGEND, 118), f"signature: {first.results['signature']}"]
    return "\n".join(lines)


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"#{number + 1}"


def _about(letter: str, run: Run) -> str:
    unscored = run.results["unscored"]
    share = "" if unscored.get("rate") is None else f" ({100 * unscored['rate']:.1f}%)"
    return f"{letter}  {run.folder}: {run.results['n']} answers, {unscored['n']} unscored{share}"


def _head(letter: str) -> str:
    return (
        f"{'':<24}{'A':>22}{letter:>22}{f'{letter} − A':>25}{'p':>8}{'n':>7}"
        f"{'won':>6}{'lost':>6}{'tied':>7}{'least':>7}"
    )


def _line(name: str, row: Row) -> str:
    paired = row.paired
    p = "-" if paired.p is None else "<0.001" if paired.p < 0.001 else f"{paired.p:.3f}"
    least = "-" if paired.detectable is None else f"{paired.detectable:.2f}"
    return (
        f"{name[:23]:<24}{_cell(row.first):>22}{_cell(row.second):>22}{_cell(paired.difference.to_json(), '+'):>25}"
        f"{p:>8}{paired.difference.n:>7}{paired.wins:>6}{paired.losses:>6}{paired.ties:>7}{least:>7}"
    )


def _cell(estimate: Mapping[str, Any], sign: str = "") -> str:
    value, low, high = (estimate.get(name) for name in ("value", "ci_low", "ci_high"))
    if value is None:
        return "-"
    return f"{value:{sign}.2f}" + ("" if low is None or high is None else f" [{low:{sign}.2f}, {high:{sign}.2f}]")
