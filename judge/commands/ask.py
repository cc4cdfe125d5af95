"""`mmjudge ask SYSTEM.toml --benchmark mmie --out DIR`: a system under test answers, with text and pictures.

It writes `DIR/responses.jsonl`, `DIR/pictures/` and `DIR/system.json` (`judge.systems.folder`), then

    mmjudge score DIR/responses.jsonl --benchmark mmie --out RESULTS

scores what was answered. An answer is on the disk as soon as it is there; killed at any point, the same command goes
on, and nothing is written or drawn twice. Exit codes: 0; 2 for input that must be mended; 3 where more calls failed
than `--max-unscored` allows (everything is written all the same).
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from judge.commands import options
from judge.core.benchmark import find

EXAMPLES = (
    "mmjudge ask examples/systems/chat.toml --benchmark mmie --out out/gemini --limit 20",
    "mmjudge ask examples/systems/pipe.toml --benchmark mmie --out out/anole",
)
KEPT = "what was answered is in {out}; the same command goes on from there"
TOO_MANY_FAILED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("system", metavar="SYSTEM.toml", type=Path, help="what is asked, and how: docs/systems.md")
    options.add(parser, "--benchmark", required=True, help="whose questions are asked")
    options.add(parser, "--out", required=True, help="folder for responses.jsonl, pictures/ and system.json")
    options.add(parser, "--data")
    options.add(parser, "--subset", help="only a fixed part of the questions, which stands for all: 1k (mmie)")
    add("--limit", type=options.positive, metavar="N", help="only the first N questions")
    add("--retry-failed", action="store_true", help="ask again where a call failed in an earlier run")
    options.add(parser, "--max-unscored", help="exit with 3 above this share of failed calls (default: 5%%)")


def run(args: argparse.Namespace) -> int:
    from judge.systems.ask import AskOptions, ask_questions, chosen
    from judge.systems.settings import read_settings

    settings = read_settings(args.system)
    benchmark = find(args.benchmark)
    dataset = benchmark.load(args.data, images=True)
    subset = benchmark.take_subset(dataset, args.subset) if args.subset else None
    asked = ask_questions(
        settings, benchmark, dataset, args.out, chosen(dataset, args.limit, subset), AskOptions(args.retry_failed)
    )
    print("\n".join([f"{settings.name}: {asked.to_lines()[0]}", *asked.to_lines()[1:]]))
    answers = shlex.quote(str(args.out / "responses.jsonl"))
    wanted = len(dataset.records) if subset is None else len(subset.records)
    partial = " --partial" if len(asked.lines) < wanted else ""
    partial += f" --subset {args.subset}" if args.subset else ""
    data = "" if args.data is None else f" --data {shlex.quote(str(args.data))}"
    print(f"→ mmjudge score {answers} --benchmark {benchmark.name}{data}{partial} --out RESULTS")
    if asked.failed_calls <= args.max_unscored * len(asked.lines):
        return 0
    print(f"{asked.failed_calls} of {len(asked.lines)} calls failed\n→ --retry-failed asks them again", file=sys.stderr)
    return TOO_MANY_FAILED
