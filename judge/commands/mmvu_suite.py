"""`mmjudge mmvu-suite NAME=DIR…`: MMVU and ten general benchmarks side by side, with Table 13 of the paper beside them.

mmjudge mmvu-suite base=out/base tuned=out/tuned merged=out/merged --llm Phi-3
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

EXAMPLES = (
    "mmjudge mmvu-suite base=out/base tuned=out/tuned merged=out/merged",
    "mmjudge mmvu-suite base=out/base merged=out/merged --llm Llama-3-8B --format json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "runs", nargs="+", type=_run, metavar="NAME=DIR",
        help="a model, and the --output_path of lmms-eval on examples/general_suite.yaml",
    )  # fmt: skip
    parser.add_argument("--llm", choices=("Phi-2", "Phi-3", "Llama-3-8B"), help="only these rows of Table 13")
    parser.add_argument("--format", choices=("text", "json"), default="text")


def run(args: argparse.Namespace) -> int:
    import dataclasses

    from judge.results.cells import aligned
    from mmvu_tasks.train.suite import format_rows, read_published, read_suite

    suites = {name: read_suite(folder) for name, folder in args.runs}
    if args.format == "json":
        own = {name: {column: value and dataclasses.asdict(value) for column, value in suite.items()}
               for name, suite in suites.items()}  # fmt: skip
        published = [dataclasses.asdict(row) for row in read_published() if args.llm in (None, row.llm)]
        print(json.dumps({"runs": own, "published": published}, indent=1))
        return 0
    print("\n".join(aligned(format_rows(suites, args.llm))))
    print(
        "\nRA, MR: MMVU. ±: 95%, from lmms-eval's standard errors. -: not run, or scored by the benchmark's own server."
    )
    print("Below: Table 13 of the supplement to arXiv 2406.10638, on the 300 pairs of v1, by other harnesses.")
    return 0


def _run(text: str) -> tuple[str, Path]:
    name, separator, folder = text.partition("=")
    if not separator or not name or not folder:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=DIR, such as base=out/base")
    return name, Path(folder)
