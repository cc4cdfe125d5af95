"""`mmjudge table DIR…`: finished runs as a leaderboard, for a terminal, a paper, a page or a spreadsheet.

    mmjudge table out/llava out/qwen
    mmjudge table out --by field                      every run in folders below out; the main metric by field
    mmjudge table out/* --format latex > table.tex

One row a run, the best first, with published systems between them where they were measured alike. Runs that were not
measured alike stand in tables of their own. What is no results folder among several is left out, and said.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from judge.commands.table_formats import FORMATS
from judge.errors import UserError
from judge.io.progress import MOMENT, doing
from judge.results.leaderboard import Leaderboard, leaderboards
from judge.results.repeats import FILE as REPEATS
from judge.results.run_folder import RunFolder, find_runs, read_runs
from judge.results.table import CATEGORY, CRITERION

EXAMPLES = (
    "mmjudge table results/a results/b",
    "mmjudge table results --by field --format latex",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="results folders of `mmjudge score`, or folders above them"
    )
    parser.add_argument(
        "--format", choices=list(FORMATS), default="text", help="csv and json have all digits (default: text)"
    )
    parser.add_argument(
        "--by",
        metavar="FIELD",
        help=f"the first metric by {CATEGORY}, or by what else results are given by: MMIE's field, MMVU's level; "
        f"points by {CRITERION}, where the judge gives them",
    )


def run(args: argparse.Namespace) -> int:
    runs = read_runs(first_repeats(results_folders(args.folders)))
    with doing(f"comparing all pairs of {len(runs)} runs", after=MOMENT):
        boards = leaderboards(runs)
    if args.by is not None:
        boards = _by(boards, args.by)
    print(FORMATS[args.format](boards, args.by))
    return 0


def results_folders(given: Sequence[Path]) -> list[Path]:
    """The results folders among `given` and below them, each once.

    What holds none is left out with a line on stderr. Raises UserError for a path that does not exist, and where there
    is no results folder at all. A run that has not ended is left to `read_run`, which refuses it.
    """
    found: dict[Path, Path] = {}
    left_out = []
    for path in given:
        folder = RunFolder(path)
        if not path.exists():
            raise UserError("no such results folder", file=path)
        own = folder.results.exists() or folder.verdicts.exists() or folder.owner.exists()
        below = [path] if own else find_runs(path)
        found |= {one.resolve(): one for one in below if one.resolve() not in found}
        begun = [] if own else find_runs(path, folder.owner.name)
        left_out += [str(one) for one in begun if one not in below] if below or begun else [str(path)]
    if not found:
        raise UserError("no results here, nor in folders below", file=given[0], fix="mmjudge score … --out DIR")
    if left_out:
        print(f"left out, no results in: {', '.join(left_out)}", file=sys.stderr)
    return list(found.values())


def first_repeats(folders: Sequence[Path]) -> list[Path]:
    """`folders` with one of each run whose questions were asked several times: repeats are no rivals of each other.

    The first of those given stands for all, as in `mmjudge contrast`, and a line on stderr says so.
    """
    runs: dict[Path, list[Path]] = {}
    for folder in folders:
        own = folder.resolve()
        runs.setdefault(own.parent if (own.parent / REPEATS).exists() else own, []).append(folder)
    for first, *others in runs.values():
        if others:
            said = f"{1 + len(others)} repeats of one run; {first.name} stands for them, {REPEATS} has mean and spread"
            print(f"{first.parent}: {said}", file=sys.stderr)
    return [first for first, *_ in runs.values()]


def _by(boards: Sequence[Leaderboard], field: str) -> list[Leaderboard]:
    """Those whose results are given by `field`. Raises UserError where none are."""
    having, refused = [], []
    for board in boards:
        try:
            board.group.members(field)
            having.append(board)
        except UserError as error:
            refused.append(error)
    if not having:
        raise refused[0]
    return having
