"""`mmjudge annotate MODEL=responses.jsonl … --annotator a1 --out scores.jsonl`: a page to score answers by hand.

    mmjudge annotate anole=anole.jsonl llava=llava.jsonl --benchmark mmie --annotator a1 --out scores.jsonl --n 800

It prints an address of this machine to open in a browser and runs until Ctrl-C. Every score is on the disk as soon as
it is given; the same command goes on where it stopped. Further annotators give their own name, at the same time and
into the same file if they like. `scores.jsonl` is what finetuning and `mmjudge agree` read.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from pathlib import Path

from judge.annotate.items import collect_items, draw_items, order_items
from judge.annotate.server import Server
from judge.annotate.session import Session
from judge.annotate.store import Store
from judge.commands import options
from judge.core.benchmark import find
from judge.errors import UserError

EXAMPLES = (
    "mmjudge annotate mine=responses.jsonl --benchmark mmie --annotator a1 --out scores.jsonl",
    "mmjudge annotate a=a.jsonl b=b.jsonl --benchmark mmie --annotator a1 --out scores.jsonl --n 800",
)
KEPT = "all scores given so far are in {out}"
NAMED = 3
"""So many ids are written out."""
_NAMED_FILE = re.compile("([^=]+)=(.+)", re.DOTALL)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "responses",
        nargs="+",
        metavar="MODEL=FILE",
        help="answers of a model: responses.jsonl, a samples JSONL of lmms-eval, or an official to-eval list",
    )
    options.add(parser, "--benchmark", required=True)
    add("--annotator", required=True, metavar="NAME", help="who scores; every annotator has an order of their own")
    options.add(
        parser, "--out", required=True, metavar="FILE", help="scores, a line each; what is there is gone on with"
    )
    options.add(parser, *options.DATA)
    options.add(parser, "--rubric", default="mmjudge", help="whose criteria (default: mmjudge)")
    options.add(parser, "--n", help="so many answers, drawn evenly from all models and categories")
    options.add(parser, "--seed", help="of the drawing and the order (default: 0)")
    options.add(parser, *options.PAGE)


def run(args: argparse.Namespace) -> int:
    benchmark = find(args.benchmark)
    files = _files(args.responses)
    annotator = args.annotator.strip()
    if not annotator or len(annotator) > 80 or not annotator.isprintable():
        raise UserError("an annotator has a name of 1 to 80 characters", fix="--annotator a1")
    items, left_out = collect_items(benchmark, files, data=args.data, image_root=args.image_root)
    rubric = benchmark.rubric(args.rubric)
    store = Store(args.out)
    if args.n is not None:
        items = draw_items(items, args.n, args.seed)
    session = Session(order_items(items, annotator, args.seed), rubric, store, annotator)
    for reason, count in sorted(Counter(verdict.reason for _, verdict in left_out).items(), key=str):
        ids = [f"{verdict.id} ({model})" for model, verdict in left_out if verdict.reason == reason]
        print(f"left out, {reason}: {count} ({', '.join(ids[:NAMED])}{', …' if count > NAMED else ''})")
    with Server(session, args.port) as server:
        print(f"{len(items)} answers, {session.scored()} of them scored by {annotator}; Ctrl-C ends")
        print(server.address, flush=True)
        if args.browser:
            server.open_browser()
        server.serve_until_ended()
        store.close()
        scored = session.scored()
    print(f"\n{scored} of {len(items)} answers scored by {annotator}: {args.out}")
    return 0


def _files(given: list[str]) -> list[tuple[str, Path]]:
    files: dict[str, Path] = {}
    for text in given:
        named = _NAMED_FILE.fullmatch(text)
        if named is None:
            raise UserError(
                f"{text!r} does not say whose answers these are",
                fix=f"MODEL={text}: the name goes into the scores, the page never shows it",
            )
        if named[1] in files:
            raise UserError(f"{named[1]!r} is given twice", fix="one file a model")
        files[named[1]] = Path(named[2])
    return list(files.items())
