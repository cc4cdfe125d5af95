"""`mmjudge mmvu-train RECIPE --data FILE --base MODEL --out DIR`: tune a model (docs/mmvu_tuning.md).

mmjudge mmvu-train recipes/mmvu_stage2.toml --data mixed.json --image-root images --base MODEL --out out/stage2
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from judge.commands import options
from judge.commands.train import INTERRUPTED
from judge.finetune.checkpoints import find_checkpoints
from judge.finetune.extra import needs_finetune
from judge.finetune.processes import first_process
from judge.io.progress import MOMENT, doing

EXAMPLES = (
    "mmjudge mmvu-train recipes/mmvu_stage1.toml --data captions.json --base MODEL --out out/stage1",
    "mmjudge mmvu-train recipes/mmvu_stage2.toml --data mixed.json --base out/stage1/model --out out/stage2 --resume",
)
KEYS = ("base", "data", "out", "image_root")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("recipe", metavar="RECIPE", help="TOML file, or one that comes along: recipes/mmvu_stage2.toml")
    options.add(parser, "--data", metavar="FILE", help="mixed.json or trl.jsonl of `mmjudge mmvu-data`")
    add("--base", metavar="MODEL", help="folder, or ORG/NAME[@REVISION], of an image-text-to-text model")
    options.add(parser, "--out", help="folder for checkpoints, the tuned model or adapter, and training.json")
    options.add(parser, "--image-root", help="folder that names of pictures are relative to (default: that of FILE)")
    add(
        "--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
        help="a key of the recipe with another value; may be repeated",
    )  # fmt: skip
    add("--resume", action="store_true", help="go on from the last checkpoint")


def run(args: argparse.Namespace) -> int:
    with needs_finetune("train"):
        from mmvu_tasks.train.tuning_recipe import read_tuning_recipe
        from mmvu_tasks.train.tuning_setup import find_tuning_setup

        given = {name: str(value) for name in KEYS if (value := getattr(args, name)) is not None}
        recipe = read_tuning_recipe(args.recipe, args.overrides, given)
        try:
            setup = find_tuning_setup(recipe, resume=args.resume)
            with doing("importing torch, transformers and trl", after=MOMENT, silent=not first_process()):
                from mmvu_tasks.train.tuning import tune_model

            tune_model(recipe, resume=args.resume, setup=setup)
        except KeyboardInterrupt:
            some = find_checkpoints(Path(recipe.out), whole=True)
            fix = "--resume goes on from the last checkpoint" if some else "there is no checkpoint to go on from"
            print(f"interrupted; {fix} in {recipe.out}", file=sys.stderr)
            return INTERRUPTED
    return 0
