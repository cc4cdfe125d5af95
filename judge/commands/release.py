"""`mmjudge release TRAINED --out DIR`: a fine-tuned judge for others, if it is better than its base.

    mmjudge release out/judge --out out/released --base-licence MIT --data-licence CC-BY-4.0 --statement data.md

TRAINED is the `out` of `mmjudge train`. An adapter is merged; both layouts are written, read again and compared; the
judge and its base score the held-out answers; DIR appears only where the judge agrees better with people, with a model
card in both folders. An interrupted release goes on with the same command and judges nothing twice. Exit codes: 0; 1
where the judge is not shown to be better (nothing is written); 2 for input that must be mended.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.commands import options
from judge.commands.output import write_output
from judge.engines.devices import check_device, default_device
from judge.errors import UserError
from judge.finetune.extra import needs_finetune
from judge.io import files
from judge.io.progress import doing
from judge.scoring.pipeline import RUBRIC_FILE, default_rubric

if TYPE_CHECKING:
    from judge.release.held_out import Comparison, Side
    from judge.release.trained import Trained

EXAMPLES = (
    "mmjudge release out/judge --out released/ --base-licence MIT --data-licence CC-BY-4.0 --statement data.md",
    "mmjudge release out/judge --out ours/ --name ours --base-licence MIT --data-licence MIT --statement data.md",
)
KEPT = "verdicts on held-out answers are in {trained}/release; the same command goes on from there"
NOT_BETTER = 1
AGREEMENT = "agreement.json"
WORK = "release"
"""Folder of TRAINED that holds the verdicts on the held-out answers."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from judge.finetune.metric import METRICS

    add = parser.add_argument
    add("trained", type=Path, metavar="TRAINED", help="what `mmjudge train` wrote: training.json, adapter/ or model/")
    options.add(parser, "--out", required=True, help="folder to make; must not exist")
    add("--base-licence", required=True, metavar="NAME", help="licence of the base, such as MIT")
    add("--data-licence", required=True, metavar="NAME", help="licence of the human scores")
    add("--statement", type=Path, metavar="FILE", help="Markdown on who scored the answers and how, for the card")
    add("--name", metavar="NAME", help="of the judge, in the card (default: DIR's)")
    add("--metric", choices=METRICS, help="what must be better than the base's (default: the recipe's)")
    add("--base", metavar="JUDGE", help="where the base is now (default: as in training.json)")
    add(
        "--base-rubric",
        choices=["mmjudge", "official"],
        help="wording put to the base (default: what its mmjudge.json names, else the judge's own)",
    )
    add("--data", type=Path, metavar="FILE", help="where the human scores are now")
    options.add(parser, "--image-root", help="where the pictures of answers are now")
    add("--questions", type=Path, metavar="DIR", help="where the benchmark's data is now")
    options.add(parser, *options.ENGINE)


def run(args: argparse.Namespace) -> int:
    from judge.model.weights import convert
    from judge.release import card, export, held_out
    from judge.release.trained import read_trained

    statement = _read(args.statement) if args.statement else None
    with needs_finetune():
        run = read_trained(
            args.trained, base=args.base, data=args.data, image_root=args.image_root, questions=args.questions
        )
    check_device(args.device)
    device = default_device(args.device)
    try:
        with files.new_folder(args.out) as folder:
            original, native = folder / "original", folder / "native"
            with doing(f"writing the judge of {args.trained}"):
                merged = export.write_original(run, original, device=device)
            if merged is not None:
                print(
                    f"adapter merged: it moves float32 logits by {merged.effect:.1e}, merging by {merged.merge:.1e}, "
                    f"rounding what is written by {merged.rounding:.1e}"
                )
            comparison = _compared(args, run, original)
            print("\n".join([_held_out(run), "", *held_out.table_lines(comparison), ""]))
            for line in card.findings(run, comparison):
                print(f"- {line}")
            if not comparison.better:
                write_output(args.trained / WORK / AGREEMENT, comparison.to_json())
                raise _NotBetterError(held_out.conclusion(comparison))
            native.mkdir()
            convert.write_converted(original, native, device=device)
            declared = card.Declared(args.name or args.out.name, args.base_licence, args.data_licence, statement)
            about = _about(run, comparison, original)
            layouts: tuple[tuple[Path, card.Layout], ...] = ((original, "original"), (native, "native"))
            for part, layout in layouts:
                export.write_description(part, about, card.render_card(run, comparison, merged, declared, layout))
            write_output(folder / AGREEMENT, comparison.to_json())
    except _NotBetterError as refused:
        print(f"mmjudge release: nothing is written: {refused}", file=sys.stderr)
        print(f"→ the numbers are in {args.trained / WORK / AGREEMENT}", file=sys.stderr)
        return NOT_BETTER
    print(f"\n{args.out}: original/ for `mmjudge score --judge`, native/ for transformers and vLLM")
    return 0


class _NotBetterError(Exception):
    """Leaves the folder that is being written behind, to be thrown away."""


def _compared(args: argparse.Namespace, run: Trained, folder: Path) -> Comparison:
    """The judge first: where it fails, the base need not be asked."""
    from judge.release import held_out

    own = default_rubric(str(run.base)) if (run.base / RUBRIC_FILE).is_file() else run.about["rubric"]

    def judged(name: str, judge: Path, rubric: str) -> Side:
        from judge.engines.local import load_local_engine

        print(f"the {name} on {len(run.held_out)} held-out answers", file=sys.stderr)
        engine = load_local_engine(str(judge), options.engine_options(args))
        return held_out.judge_held_out(run, engine, run.benchmark.rubric(rubric), args.trained / WORK / f"{name}.jsonl")

    sides = judged("judge", folder, run.about["rubric"]), judged("base", run.base, args.base_rubric or own)
    return held_out.compare_with_base(*sides, run.held_out, args.metric or run.recipe.metric)


def _held_out(run: Trained) -> str:
    questions = len({item.key[0] for item in run.held_out})
    return f"{len(run.held_out)} held-out answers to {questions} questions, against people's scores; 95% intervals"


def _about(run: Trained, comparison: Comparison, folder: Path) -> dict[str, Any]:
    """mmjudge.json."""
    from judge.model.weights import checkpoint

    kept = ("rubric", "rubric_sha256", "base_weights", "data_sha256", "recipe_sha256", "method", "steps", "seed")
    return {
        **{name: run.about[name] for name in kept if name in run.about},
        "base": run.base_name,
        "weights_sha256": checkpoint.weights_sha256(folder),
        "agreement": {comparison.metric: comparison.judge[comparison.metric].to_json()},
        "signature": str(comparison.sides["judge"].signature),
    }


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read ({error})", file=file, fix="give another --statement") from None
