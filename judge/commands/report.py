"""`mmjudge report RESULTS… --out report.html`: results folders as one HTML file to look at, send or publish.

    mmjudge report out/llava/mmvu "InternVL2-8B=out/internvl/mmvu" --out report.html

Folders of several benchmarks and models may be mixed. The file needs nothing beside it; pictures of answers that it
does not single out are shown where the results folders lie where they lay.
"""

from __future__ import annotations

import argparse

from judge.commands import options
from judge.commands.output import write_output
from judge.errors import UserError
from judge.report import build

EXAMPLES = (
    "mmjudge report results/a --out report.html",
    "mmjudge report first=results/a second=results/b --out report.html",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders",
        nargs="+",
        metavar="RESULTS",
        help="results folders of `mmjudge score`; NAME=FOLDER gives the run a name (default: that of the folder)",
    )
    options.add(parser, "--out", required=True, metavar="FILE", help="the HTML file to write")
    parser.add_argument(
        "--megabytes", type=int, default=build.MEGABYTES, metavar="N",
        help="how large the file may become: texts and pictures are cut to fit (default: %(default)s, for mail)",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    if args.megabytes < 1:
        raise UserError(f"--megabytes is {args.megabytes}", fix="give 1 or more")
    try:
        page = build.build_report(args.folders, args.out, megabytes=args.megabytes)
    except ImportError as error:  # matplotlib, where a chart is drawn
        raise build.missing_package(error) from error
    write_output(args.out, page)
    print(f"{args.out} ({args.out.stat().st_size / 1e6:.1f} MB)")
    return 0
