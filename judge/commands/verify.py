"""`mmjudge verify CHECKPOINT --golden DIR`: run recorded cases through this install and compare.

ok   one_exif             single vision 2.6e-06  logits 1.8e-05
…
13/13 cases one by one, 13/13 in one batch (float32, cpu)
"""

from __future__ import annotations

import argparse
from pathlib import Path

from judge.commands import options
from judge.engines.loading import check_engine

EXAMPLES = (
    "mmjudge verify MMIE-Score/ --golden tests/golden",
    "mmjudge verify tests/golden/tiny-internvl2 --golden tests/golden --device cpu",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="judge folder, or ORG/NAME[@REVISION] on the Hub")
    parser.add_argument(
        "--golden",
        required=True,
        type=Path,
        metavar="DIR",
        help="folder with cases.json, arrays.npz and images/, recorded from the same weights",
    )
    options.add(parser, "--device", default="cpu", help="default: cpu")
    options.add(parser, "--dtype", default="float32", help="default: float32; the bounds are those of float32")


def run(args: argparse.Namespace) -> int:
    from judge.engines.local import load_local_engine
    from judge.model import verify

    how = options.engine_options(args)
    check_engine(args.checkpoint, how)
    golden = verify.read_golden(args.golden)
    engine = load_local_engine(args.checkpoint, how)
    results = []
    for result in verify.verify_cases(engine.model, engine.tokenizer, engine.layout, golden):
        print(result, flush=True)
        results.append(result)
    counts = [f"{sum(r.passed for r in results if r.mode == mode)}/{len(golden.cases)}" for mode in ("single", "batch")]
    print(f"{counts[0]} cases one by one, {counts[1]} in one batch ({args.dtype}, {args.device})")
    return 0 if all(result.passed for result in results) and results else 1
