"""`mmjudge subset-check RESULTS…`: how well a subset's scores and ranks match those of all questions.

    mmjudge subset-check results/anole results/gill
    mmjudge subset-check results/anole --sizes 100,1000 --out check

RESULTS are runs of all questions of a judged benchmark. Each size has one fixed subset, that of 1,000 being the one of
`--subset 1k`; others of its kind say how far such a subset usually is from all. `--out DIR` writes
DIR/subset_check.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from judge.commands import options
from judge.commands.output import write_output
from judge.commands.table import first_repeats, results_folders
from judge.core.benchmark import find
from judge.core.foreign_text import on_one_line
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.progress import MOMENT, doing
from judge.results.compare import refuse_unlike
from judge.results.run_folder import Run, read_runs
from judge.results.run_info import versions
from judge.results.table import name_runs
from judge.validity.subset_check import DRAWS, SIZES, Row, check_subsets

EXAMPLES = (
    "mmjudge subset-check results/anole results/gill",
    "mmjudge subset-check results/anole --sizes 100,1000 --out check",
)
FILE = "subset_check.json"


def sizes(text: str) -> tuple[int, ...]:
    """The check of --sizes: whole numbers between commas, ascending and each once."""
    found = tuple(options.positive(part) for part in text.split(","))
    return tuple(sorted(set(found)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folders", nargs="+", type=Path, metavar="RESULTS", help="results folders of all questions, or folders above")
    shown = ",".join(map(str, SIZES))
    add("--sizes", type=sizes, default=SIZES, metavar="N,N,…", help=f"of the subsets (default: {shown})")
    add("--draws", type=options.positive, default=DRAWS, metavar="N", help=f"other subsets (default: {DRAWS})")
    options.add(parser, "--out", help=f"folder for {FILE}")


def run(args: argparse.Namespace) -> int:
    runs = read_runs(first_repeats(results_folders(args.folders)))
    for each in runs:
        _refuse(each)
        refuse_unlike(runs[0], each)
    names = name_runs(runs)
    with doing(f"drawing {args.draws} other subsets of {len(args.sizes)} sizes", after=MOMENT):
        content = check_subsets(
            {name: [_row(verdict) for verdict in each.verdicts] for name, each in zip(names, runs, strict=True)},
            args.sizes,
            args.draws,
        )
    content["signature"] = runs[0].results["signature"]
    content["versions"] = versions()
    print("\n".join(_text(content)))
    if args.out is not None:
        print(f"\n{write_output(args.out / FILE, content)}")
    return 0


def _refuse(each: Run) -> None:
    """Raise UserError for a run that is not of all questions of a benchmark with scores."""
    if not find(each.results["benchmark"]).judged:
        raise UserError("has no scores on a scale: only judged benchmarks are checked", file=each.folder)
    if given := [name for name in ("part", "subset") if name in each.signature.parts]:
        raise UserError(f"is itself a {given[0]} of the questions", file=each.folder, fix="give a run of all questions")
    if "data" not in each.signature.parts:
        raise UserError(
            "was scored without the questions: how many there are, and in which fields, it does not say",
            file=each.folder, fix="mmjudge score … --data FOLDER, into another --out",
        )  # fmt: skip


def _row(verdict: Verdict) -> Row:
    return verdict.id, (verdict.category or "", str(verdict.details.get("field") or "")), verdict.score


def _text(content: Mapping[str, Any]) -> Iterator[str]:
    """subset_check.json for a terminal."""
    yield f"{content['questions']} questions; {content['draws']} other subsets of each size"
    yield ""
    yield (
        f"{'size':>6}  {'run':<24}{'all':>8}{'fixed subset':>24}{'holds it':>10}{'error':>8}{'usual error':>13}"
        f"{'holds it':>10}"
    )
    for size, row in content["sizes"].items():
        for name, found in row["runs"].items():
            yield f"{size:>6}  {on_one_line(name)[:23]:<24}{_cells(found)}"
    if any(row["pairs"] for row in content["sizes"].values()):
        yield ""
        yield f"{'size':>6}{'pairs of runs':>15}{'in order':>10}{'usually':>9}{'tau-b':>8}"
        for size, row in content["sizes"].items():
            yield (
                f"{size:>6}{row['pairs']:>15}{_percent(row['same_order']):>10}{_percent(row['same_order_drawn']):>9}"
                f"{'-' if row['kendall_b'] is None else format(row['kendall_b'], '.2f'):>8}"
            )
    yield ""
    yield "error: fixed subset less all, usual error: root mean square over the other subsets, in percent of the scale"
    yield f"signature: {content['signature']}"


def _cells(found: Mapping[str, Any]) -> str:
    if found["estimate"] is None:
        return f"{found['full']:>8.2f}{'-':>24}{'-':>10}{'-':>8}{'-':>13}{'-':>10}"
    interval = f"{found['estimate']:.2f} [{found['ci_low']:.2f}, {found['ci_high']:.2f}]"
    error = found["estimate"] - found["full"]
    usual = "-" if found["rmse"] is None else f"{found['rmse']:.2f}"
    holds = "yes" if found["covered"] else "no"
    return f"{found['full']:>8.2f}{interval:>24}{holds:>10}{error:>+8.2f}{usual:>13}{_percent(found['coverage']):>10}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f}%"
