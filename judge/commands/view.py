"""`mmjudge view DIR…`: finished runs in the browser, side by side, answer by answer.

    mmjudge view out/llava out/qwen
    mmjudge view out/demo/* --browser

It prints an address of this machine to open in a browser and runs until Ctrl-C. It only reads. What is no results
folder among several is left out, and said, as `mmjudge table` does.
"""

from __future__ import annotations

import argparse
import threading
from concurrent.futures import Future
from pathlib import Path

from judge.commands import options
from judge.commands.table import results_folders
from judge.view.runs import ViewedRun, open_runs
from judge.view.server import Viewer
from judge.view.table import Table, make_tables
from judge.web.server import Server

EXAMPLES = (
    "mmjudge view results/a results/b",
    "mmjudge view results --browser",
)

SOON = 0.3
"""Seconds in which small runs are read: what is wrong with them is said before anything is served."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="DIR", help="results folders of `mmjudge score`, or folders above them"
    )
    options.add(parser, *options.PAGE)


def run(args: argparse.Namespace) -> int:
    with open_runs(results_folders(args.folders)) as runs:
        tables: Future[list[Table]] = Future()
        with Server(Viewer(tables.result).site, args.port) as server:
            reading = threading.Thread(target=_read_tables, args=(runs, tables, server), daemon=True)
            reading.start()
            reading.join(SOON)
            if not tables.done():
                print(f"reading {len(runs)} run{'' if len(runs) == 1 else 's'}; the page waits for it")
            elif tables.exception() is None:
                _print_tables(tables.result())
            if not (tables.done() and tables.exception()):
                print("Ctrl-C ends")
                print(server.address, flush=True)
                if args.browser:
                    server.open_browser()
                server.serve_until_ended()
        if tables.done():
            tables.result()  # raises what was wrong with the runs
    return 0


def _read_tables(runs: list[ViewedRun], tables: Future[list[Table]], server: Server) -> None:
    try:
        tables.set_result(make_tables(runs))
    except BaseException as error:
        tables.set_exception(error)
        server.stop()


def _print_tables(tables: list[Table]) -> None:
    for table in tables:
        n, names = len(table.keys), ", ".join(run.name for run in table.runs)
        print(f"{table.benchmark.title}: {n:,} question{'' if n == 1 else 's'}, {names}")
