"""`mmjudge export RUN… --to FORM --out PATH`: finished runs for other programs to read.

    mmjudge export out/llava out/qwen --to inspect --out logs                inspect view --log-dir logs
    mmjudge export out/llava out/qwen --to hf --out answers                  datasets.load_dataset("answers")
    mmjudge export out/llava out/qwen --to wandb-table --out answers.json    wandb.Table(**json.load(…))

All answers are in it, scored or not, with the texts and pictures that the results folders hold. Nothing is overwritten.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from judge.commands import options
from judge.commands.table import results_folders
from judge.core.benchmark import find
from judge.errors import UserError
from judge.export import Content
from judge.export.card import whose
from judge.export.hf_dataset import write_hf_dataset
from judge.export.inspect_log import write_inspect_logs
from judge.export.pictures import GONE, Pictures
from judge.export.wandb_table import write_wandb_table
from judge.io.files import cannot_write, make_folder, new_folder
from judge.io.progress import size
from judge.results.answer_rows import NamedRun, named_runs
from judge.results.run_folder import read_runs

EXAMPLES = (
    "mmjudge export results/a results/b --to hf --out answers",
    "mmjudge export results --to inspect --out logs --answers-only",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "folders", nargs="+", type=Path, metavar="RUN", help="results folders of `mmjudge score`, or folders above them"
    )
    add(
        "--to",
        required=True,
        choices=["inspect", "hf", "wandb-table"],
        help="logs for `inspect view`, a folder for `datasets.load_dataset`, or JSON for `wandb.Table`",
    )
    options.add(parser, "--out", required=True, metavar="PATH", help="a new folder, or a new file with wandb-table")
    add("--answers-only", action="store_true", help="leave out questions, reference answers and their pictures")
    add("--no-pictures", action="store_true", help="leave out all pictures")


def run(args: argparse.Namespace) -> int:
    runs = named_runs(read_runs(results_folders(args.folders)))
    table = args.to == "wandb-table"
    content = Content(questions=not args.answers_only, pictures=not (args.no_pictures or table))
    pictures = Pictures(wanted=content.pictures)
    if table:
        _write_table(runs, args.out, content)
    else:
        write = write_inspect_logs if args.to == "inspect" else write_hf_dataset
        with new_folder(args.out) as folder:
            write(runs, folder, content, pictures)
    _tell(runs, args.out, content, pictures)
    return 0


def _write_table(runs: Sequence[NamedRun], out: Path, content: Content) -> None:
    if out.exists() or out.is_symlink():
        raise UserError("exists already, and nothing is overwritten", file=out, fix="give another --out")
    make_folder(out.parent)
    try:
        write_wandb_table(runs, out, content)
    except OSError as error:
        raise cannot_write(out, error) from error


def _tell(runs: Sequence[NamedRun], out: Path, content: Content, pictures: Pictures) -> None:
    """What is in the export and, on stderr, what is not."""
    n = sum(named.run.results["n"] for named in runs)
    shown = f", {pictures.written} pictures ({size(pictures.bytes)})" if content.pictures else ""
    print(f"{out}: {len(runs)} run{'s' if len(runs) > 1 else ''}, {n} answers{shown}")
    for name in dict.fromkeys(named.run.results["benchmark"] for named in runs):
        print(whose(find(name), content))
    for named in runs:
        if named.part:
            print(f"{named.run.folder}: PARTIAL, {named.part} questions", file=sys.stderr)
        if not named.samples:
            print(f"{named.run.folder}: no samples.jsonl, so no texts and pictures; score again", file=sys.stderr)
    for why, count in pictures.lost.items():
        keep = "; mmjudge score … --keep-images keeps all" if why == GONE else ""
        print(f"{count} picture{'s' if count > 1 else ''} left out: {why}{keep}", file=sys.stderr)
