"""`mmjudge merge BASE TUNED --weight 0.05 --out DIR`: two models of one shape become one (docs/mmvu_tuning.md).

Files are read and written piece by piece: memory stays below that of one model, however large both are. With
`--weights` and `--data`, several shares are tried on a part of MMVU, the best is written and measured on the rest.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from judge.commands import options
from judge.engines.devices import check_device
from judge.errors import UserError

EXAMPLES = (
    "mmjudge merge llava-hf/llava-1.5-7b-hf out/stage2/adapter --weight 0.05 --module vision_tower=0 --out out/merged",
    "mmjudge merge BASE TUNED --weights 0.05 0.25 0.5 1 --data mmvu --out out/sweep",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("base", metavar="BASE", help="folder of a transformers model, or ORG/NAME[@REVISION]")
    add("tuned", metavar="TUNED", help="a model of the same shape, or a LoRA adapter of the base")
    add("--weight", type=options.share, metavar="W", help="share of the tuned model: 0 is the base, 1 the tuned one")
    add(
        "--module", action="append", default=[], type=_module, metavar="NAME=W", dest="modules",
        help="another share for tensors with this part in their names, such as vision_tower=0; may be repeated",
    )  # fmt: skip
    options.add(parser, "--out", required=True, help="folder to make; must not exist")
    several = parser.add_argument_group("choosing a weight on MMVU")
    several.add_argument("--weights", nargs="+", type=options.share, metavar="W", help="shares that are tried")
    options.add(several, "--data")
    several.add_argument(
        "--share", type=options.share, metavar="S", help="share of the pairs that choose (default: 0.5)"
    )
    options.add(several, "--device", "--batch-size")


def run(args: argparse.Namespace) -> int:
    from judge.model.weights.merge import Mixture, merge_weights
    from judge.model.weights.source import find_model

    if (args.weight is None) == (args.weights is None):
        raise UserError("give --weight for one share, or --weights to choose one of several")
    modules = dict(args.modules)
    check_device(args.device)
    if args.weights is not None:
        return _choose(args, modules)
    for name in ("data", "share", "device", "batch_size"):
        if getattr(args, name) is not None:
            raise UserError(
                f"--{name.replace('_', '-')} is for choosing a weight", fix="give --weights, or leave it out"
            )
    about = merge_weights(find_model(args.base), find_model(args.tuned), args.out, Mixture(args.weight, modules))
    counts = about["tensors"]
    print(f"{args.out}: {counts['merged']} tensors merged with weight {args.weight:g}, {counts['copied']} copied")
    return 0


def _choose(args: argparse.Namespace, modules: Mapping[str, float]) -> int:
    from judge.model.weights.source import find_model
    from mmvu_tasks.benchmark import BENCHMARK
    from mmvu_tasks.train.sweep import Asking, Sweep, choose_weight, format_number, format_unscored

    dataset = BENCHMARK.load(args.data, images=True)
    sweep = Sweep(args.weights, modules, 0.5 if args.share is None else args.share)
    asking = Asking(dataset, args.device, batch_size=args.batch_size or 1)
    about = choose_weight(find_model(args.base), find_model(args.tuned), args.out, sweep, asking)
    print(f"on the other {len(about['parts']['rest']['pairs'])} pairs:")
    for name, numbers in about["on_the_rest"].items():
        unscored = format_unscored(about["unscored"]["on_the_rest"][name])
        print(f"  {name:<6} {_line(numbers, format_number)}{unscored}")
    difference = about["merged_minus_base"]["RA"]
    print(f"merged minus base: {format_number('RA', difference['difference'])}, p {difference['p']:.3g}")
    print(f"→ {args.out / 'model'}")
    return 0


def _line(numbers: Mapping[str, Any], form: Any) -> str:
    shown: Sequence[str] = [form(name, estimate) for name, estimate in numbers.items()]
    return ", ".join(shown)


def _module(text: str) -> tuple[str, float]:
    name, separator, weight = text.partition("=")
    if not separator or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=W, such as vision_tower=0")
    return name, options.share(weight)
