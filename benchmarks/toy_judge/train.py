"""Train the tiny judge of the demo: `python -m benchmarks.toy_judge.train --out DIR` (under 15 minutes on two cores).

As one would train a judge on people's scores, but that everything is made here, from nothing:

    DIR/base/           lessons: the model that is fine-tuned              (benchmarks.toy_judge.lessons)
    DIR/scored.jsonl    scored answers, their questions in DIR/data/       (benchmarks.toy_judge.scored)
    DIR/judge/          the run of judge/finetune/recipes/tiny.toml on them; DIR/judge/model/ is the judge that ships

The same seed gives the same bytes on the same machine and versions of torch: the recipe fixes the number of threads.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path

from judge.io import files
from judge.model.weights import checkpoint, original_layout, shards

from . import held_out

RECIPE = "recipes/tiny.toml"
HELD_OUT = 30  # answers per condition in the judge's own account


def make_judge(
    out: Path,
    *,
    seed: int,
    lessons: int,
    answers: int,
    overrides: Sequence[str] = (),
    log: Callable[..., None] = print,
) -> Path:
    """Base, scored answers, fine-tuning; returns the folder of the judge. overrides: "key=value" of the recipe."""
    import torch

    from judge.finetune.recipe import read_recipe
    from judge.finetune.train import train_judge

    from . import scored
    from .lessons import make_base

    own = {"base": out / "base", "data": out / "scored.jsonl", "questions": out / "data", "out": out / "judge"}
    numbers = read_recipe(RECIPE, [f"seed={seed}", *(f'{key}="{path}"' for key, path in own.items()), *overrides])
    torch.set_num_threads(numbers.threads)
    make_base(out / "base", seed=seed, steps=lessons, log=log)
    scored.write_scored(out, answers, seed=seed)
    train_judge(numbers)
    return out / "judge" / "model"


def write_card(judge: Path, base: Path) -> str:
    """Write the model card beside a judge, from its scores of held-out answers; returns their tables."""
    training = json.loads((judge.parent / "training.json").read_text(encoding="utf-8"))
    some = held_out.held_out_examples(HELD_OUT)
    given = held_out.judge_examples(some, judge)
    facts = {
        "parameters": f"{checkpoint.check_weights(judge, original_layout.read_layout(judge)):,}",
        "bytes": f"{sum(file.stat().st_size for file in shards.find_shards(judge)):,}",
        "n": HELD_OUT,
        "weights": checkpoint.weights_sha256(judge)[:12],
        "base_weights": training["base_weights"][:12],
        "seed": training["seed"],
        "steps": training["steps"],
        "batch": training["recipe"]["batch"],
        "rows": f"{training['rows']:,}",
        "table": held_out.score_table(given),
        "agreement": held_out.agreement_table(given, held_out.judge_examples(some, base)),
    }
    card = resources.files(__package__).joinpath("judge_card.md").read_text(encoding="utf-8")
    files.write_text(judge / "README.md", card.format_map(facts))
    return f"{facts['table']}\n\n{facts['agreement']}"


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for everything")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lessons", type=int, default=800, help="steps of the base")
    parser.add_argument("--answers", type=int, default=6000, help="scored answers")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a key of the recipe")
    args = parser.parse_args(argv)
    judge = make_judge(args.out, seed=args.seed, lessons=args.lessons, answers=args.answers, overrides=args.set)
    print(write_card(judge, args.out / "base"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
