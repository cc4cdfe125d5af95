"""`mmjudge train RECIPE`: fine-tune a judge on human scores (`judge.finetune`, docs/finetuning.md).

mmjudge train recipes/internvl2_4b.toml --set data=scores.jsonl --set out=out/judge
"""

from __future__ import annotations

import argparse
import sys

from judge.errors import UserError

PACKAGES = ("accelerate", "peft", "safetensors", "sentencepiece", "torch", "transformers")
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
    from judge.finetune import recipe

    read = recipe.read(args.recipe, args.overrides)
    try:
        from judge.finetune import train

        train.run(read, resume=args.resume)
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise UserError(f"{error.name} is not installed", fix="pip install 'mmjudge[finetune]'") from None
    except KeyboardInterrupt:
        print(f"interrupted; --resume goes on from the last checkpoint in {read.out}", file=sys.stderr)
        return INTERRUPTED
    return 0
