"""`mmjudge compare A B [C…]`: is the second run better than the first, by how much, and could it be chance?

Every run after the first is set against the first, in one table: each metric overall, the main ones by category too.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Sequence

from judge.commands import options
from judge.commands.output import write_output
from judge.core.foreign_text import on_one_line, shortened
from judge.errors import UserError
from judge.io.progress import counted
from judge.results.cells import aligned, cell, p_value
from judge.results.compare import Comparison, Row, compare
from judge.results.criteria import NONE_GIVEN, judged_without_criteria
from judge.results.remarks import remarks
from judge.results.run_folder import Run, read_runs

EXAMPLES = (
    "mmjudge compare results/a results/b",
    "mmjudge compare results/base results/a results/b --out comparison.json",
)
NAMED = 5
"""So many ids are written out; --out has all."""
COLUMNS = 80
LONGEST = 30
"""Characters of a name."""
HEAD = ("95% interval", "p", "n", "won", "lost", "tied", "least")
LEGEND = (
    "− A: the difference over the n units that both have scored, in the metric's points, with its 95% interval; p: "
    "two-sided, below 0.05 where the interval excludes 0, not corrected for the number of rows; won, lost, tied: units "
    "the second run does better, worse, alike on, of those that count in both runs' denominators; least: the least "
    "difference that n units like these show with 80% power."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="RESULTS", help="results folders of `mmjudge score`, two or more")
    options.add(parser, "--out", metavar="FILE", help="write all numbers and ids there as JSON")


def run(args: argparse.Namespace) -> int:
    if len(args.folders) < 2:
        raise UserError("give two or more results folders", fix="mmjudge compare A B")
    first, *others = read_runs(args.folders)
    comparisons = [compare(first, other) for other in counted(others, "comparing", "run")]
    if args.out is not None:
        content = {
            "benchmark": first.results["benchmark"],
            "signature": first.results["signature"],
            "comparisons": [comparison.to_json() for comparison in comparisons],
            "notes": _notes(first, comparisons),
        }
        write_output(args.out, content)
    print(comparison_text(first, comparisons))
    return 0


def comparison_text(first: Run, comparisons: Sequence[Comparison]) -> str:
    """The comparisons for a terminal: for each what both runs have, then the differences; 80 columns where names and
    numbers allow it."""
    lines = [_about("A", first)]
    lines += [_about(_letter(number), comparison.second) for number, comparison in enumerate(comparisons, 1)]
    for number, comparison in enumerate(comparisons, 1):
        letter = _letter(number)
        rows = list(_rows(comparison))
        for table in (
            [["", "A", letter], *([name, *_values(row)] for name, row in rows)],
            [["", f"{letter} − A", *HEAD], *([name, *_difference(row)] for name, row in rows)],
        ):
            lines += ["", *(line.rstrip() for line in aligned(table))]
        for side, ids in (("A", comparison.only_first), (letter, comparison.only_second)):
            if ids:
                more = f" and {len(ids) - NAMED} more" if len(ids) > NAMED else ""
                lines.append(f"only in {side}, left out of the difference: {', '.join(ids[:NAMED])}{more}")
    lines.append("")
    for said in _notes(first, comparisons):
        lines += textwrap.wrap(f"note: {said}", COLUMNS, subsequent_indent="      ")
    lines += [*textwrap.wrap(LEGEND, COLUMNS), f"signature: {first.results['signature']}"]
    return "\n".join(lines)


def _notes(first: Run, comparisons: Sequence[Comparison]) -> list[str]:
    runs = [("A", first), *((_letter(number), found.second) for number, found in enumerate(comparisons, 1))]
    return [*remarks(runs, categories=True), *([NONE_GIVEN] if judged_without_criteria(first.results) else [])]


def _rows(comparison: Comparison) -> Iterator[tuple[str, Row | None]]:
    """Name and row of every line; a title and the empty line before it have no row."""
    yield from comparison.metrics.items()
    if comparison.categories:
        main = next(iter(next(iter(comparison.categories.values()))))
        yield from (("", None), (f"{main} by category:", None))
        yield from ((category, rows[main]) for category, rows in comparison.categories.items() if main in rows)
    if comparison.criteria:
        yield from (("", None), ("points by criterion:", None))
        yield from ((shortened(on_one_line(name), LONGEST), row) for name, row in comparison.criteria.items())


def _letter(number: int) -> str:
    return chr(ord("A") + number) if number < 26 else f"#{number + 1}"


def _about(letter: str, run: Run) -> str:
    unscored = run.results["unscored"]
    share = "" if unscored.get("rate") is None else f" ({100 * unscored['rate']:.1f}%)"
    return f"{letter}  {run.folder}: {run.results['n']} answers, {unscored['n']} unscored{share}"


def _signed(value: float) -> str:
    """ "+2.91"; all there is of a percentage, "-100", takes no more room."""
    return f"{value:+.2f}".replace("100.00", "100")


def _values(row: Row | None) -> list[str]:
    return ["", ""] if row is None else [cell(row.first), cell(row.second)]


def _difference(row: Row | None) -> list[str]:
    if row is None:
        return [""] * (1 + len(HEAD))
    paired, found = row.paired, row.paired.difference
    value, interval = "-", "-"
    if found.value is not None and found.ci_low is not None and found.ci_high is not None:
        value, interval = _signed(found.value), f"[{_signed(found.ci_low)}, {_signed(found.ci_high)}]"
    least = "-" if paired.detectable is None else f"{paired.detectable:.2f}"
    return [value, interval, p_value(paired.p), *map(str, (found.n, paired.wins, paired.losses, paired.ties)), least]
