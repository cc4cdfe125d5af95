"""`mmjudge view DIR…`: finished runs in the browser, side by side, answer by answer.

    mmjudge view out/llava out/qwen
    mmjudge view out/demo/* --browser

It prints an address of this machine to open in a browser and runs until Ctrl-C. It only reads. What is no results
folder among several is left out, and said, as `mmjudge table` does.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from judge.commands import options
from judge.commands.table import results_folders
from judge.view.runs import open_runs
from judge.view.server import Viewer
from judge.view.table import make_tables
from judge.web.server import Server

EXAMPLES = (
    "mmjudge view results/a results/b",
    "mmjudge view results --browser",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="results folders of `mmjudge score`, or folders above them"
    )
    options.add(parser, *options.PAGE)


def run(args: argparse.Namespace) -> int:
    with open_runs(results_folders(args.folders)) as runs:
        tables = make_tables(runs)
        with Server(Viewer(tables).site, args.port) as server:
            for table in tables:
                n, names = len(table.keys), ", ".join(run.name for run in table.runs)
                print(f"{table.benchmark.title}: {n:,} question{'' if n == 1 else 's'}, {names}")
            print("Ctrl-C ends")
            print(server.address, flush=True)
            if args.browser:
                server.open_browser()
            server.serve_until_ended()
    return 0
