"""`mmjudge convert SRC DST`: a judge folder in the other layout, checked before it gets its name.

    mmjudge convert MMIE-Score out/native      # original → what transformers and vLLM load without remote code
    mmjudge convert out/native out/original    # and back, for `mmjudge score`

Which way follows from SRC. Every tensor keeps its bytes; logits of the reloaded folder are compared in float32.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from judge.commands import options
from judge.errors import UserError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", metavar="SRC", help="judge folder in either layout, or ORG/NAME[@REVISION] on the Hub")
    add("target", type=Path, metavar="DST", help="folder to make; must not exist")
    add("--to", choices=("native", "original"), help="refuse where SRC is in this layout already")
    options.add(parser, "--device", default="cpu", help="where the logits are compared (default: cpu)")


def run(args: argparse.Namespace) -> int:
    from judge.model.weights import convert, source

    folder = source.resolve_judge(args.source).folder
    to = convert.target_layout(folder)
    if args.to not in (None, to):
        raise UserError(f"is in the {args.to} layout already", file=folder, fix="leave --to out")
    report = convert.convert_judge(folder, args.target, device=args.device)
    print(f"{args.target}: {report.to} layout, {report.tensors} tensors of equal bytes, {report.bytes:,} bytes")
    worst = ", ".join(f"{name} {difference:.1e}" for name, difference in report.logits.items())
    print(f"largest difference of float32 logits: {worst} (allowed: {convert.LOGIT_TOLERANCE:.0e})")
    return 0
