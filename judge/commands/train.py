"""`mmjudge train RECIPE`: fine-tune a judge on human scores (`judge.finetune`, docs/finetuning.md).

mmjudge train recipes/internvl2_4b.toml --set data=scores.jsonl --set out=out/judge
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from judge.finetune.checkpoints import find_checkpoints
from judge.finetune.extra import needs_finetune
from judge.finetune.processes import first_process
from judge.io.progress import MOMENT, doing

EXAMPLES = (
    "mmjudge train recipes/internvl2_4b.toml --set data=scores.jsonl --set out=out/judge",
    "mmjudge train recipes/internvl2_4b.toml --set data=scores.jsonl --set out=out/judge --resume",
)
INTERRUPTED = 130  # as the shell has it: 128 + SIGINT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe", metavar="RECIPE", help="TOML file, or one that comes along: recipes/internvl2_4b.toml"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help="a key of the recipe with another value; may be repeated",
    )
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint, to the same weights")


def run(args: argparse.Namespace) -> int:
    with needs_finetune():
        from judge.finetune.recipe import read_recipe
        from judge.finetune.setup import find_setup

        recipe = read_recipe(args.recipe, args.overrides)
        try:
            setup = find_setup(recipe, resume=args.resume)
            with doing("importing torch and transformers", after=MOMENT, silent=not first_process()):
                from judge.finetune.train import train_judge

            train_judge(recipe, resume=args.resume, setup=setup)
        except KeyboardInterrupt:
            if find_checkpoints(Path(recipe.out), whole=True):
                print(f"interrupted; --resume goes on from the last checkpoint in {recipe.out}", file=sys.stderr)
            else:
                print(
                    f"interrupted before the first checkpoint in {recipe.out}; nothing can be resumed", file=sys.stderr
                )
            return INTERRUPTED
    return 0
