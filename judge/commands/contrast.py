"""`mmjudge contrast DIR DIR…`: one model, the same questions asked under other conditions, and what changes.

    mmjudge contrast results/mmvu results/mmvu_blind results/mmvu_swapped
    mmjudge contrast results/mmvu results/mmvu_json results/mmvu_tool --format markdown

Every condition is set against that of the first folder, question by question. Whether the model looks at the picture
follows from conditions that take it away; whether it is fit for a system, from those that ask for a form.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from judge.commands.contrast_formats import FORMATS, Shown
from judge.io.presentation import view_of
from judge.io.progress import MOMENT, counted, doing
from judge.results.contrast import Contrast, contrast, read_asked
from judge.results.published import Table, matching, read_published

EXAMPLES = (
    "mmjudge contrast results/mmvu results/mmvu_blind results/mmvu_swapped",
    "mmjudge contrast results/mmvu results/mmvu_json --format json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="DIR",
        help="results folders of one model, one a condition, or folders with repeats.json; the first is the reference",
    )
    parser.add_argument(
        "--format", choices=list(FORMATS), default="text", help="csv and json have all digits (default: text)"
    )
    parser.add_argument("--by", choices=["category"], help="the differences by category; csv and json have them anyway")


def run(args: argparse.Namespace) -> int:
    asked = [read_asked(folder) for folder in counted(args.folders, "reading results", "run")]
    with doing("comparing conditions", after=MOMENT):
        found = contrast(asked)
    print(FORMATS[args.format](Shown(found, published_beside(found)), args.by))
    return 0


def published_beside(found: Contrast) -> dict[str, Table]:
    """Condition → the published systems that were asked under it and measured as this run was; none for "plain"."""
    view = view_of(found.benchmark)
    tables = read_published(view.published) if view.published else []
    beside = {asked.name: matching(tables, [asked.run.results])[0] for asked in found.all if asked.condition}
    return {name: table for name, table in beside.items() if table is not None}
