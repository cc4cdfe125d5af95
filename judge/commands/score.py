"""`mmjudge score FILE --benchmark mmie --out DIR`: saved responses in, `verdicts.jsonl` and `results.json` out.

Beside them goes `samples.jsonl`, questions and answers to be read in a report (`judge.io.samples`).

No model under test runs here. `verdicts.jsonl` is the journal: killed at any point, the same command goes on and
judges nothing twice. `results.json` appears when everything is decided. Exit codes: 0; 2 for input that must be mended;
3 where more answers than `--max-unscored` have no score (everything is written all the same).

The rubric is, in this order: `--rubric`; what `mmjudge.json` in the judge's folder names (`{"rubric": "mmjudge"}`: a
judge is asked in the words that it was trained on); "official", the wording of the published judge.

This process judges, on one device; with --ray all GPUs of a machine or of a cluster do (`judge.engines.cluster`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.commands import options
from judge.core.benchmark import Benchmark, find
from judge.engines import Prompt, Usage
from judge.engines.loading import is_general
from judge.engines.ray_connection import LOCAL
from judge.errors import UserError
from judge.harness.ranks import this_rank
from judge.results.criteria import NONE_GIVEN, judged_without_criteria
from judge.results.run_folder import RunFolder
from judge.results.terminal import engine_failures, result_table
from judge.scoring.pipeline import default_judge, default_rubric
from judge.scoring.score import ScoreOptions, score, write_requests

if TYPE_CHECKING:
    from judge.engines.cost import Price

EXAMPLES = (
    "mmjudge score responses.jsonl --benchmark mmie --out results/mine",
    "mmjudge score responses.jsonl --benchmark mmvu --data mmvu/ --out results/mine-mmvu",
)
TOO_MANY_UNSCORED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "file",
        metavar="FILE",
        type=Path,
        help="responses.jsonl, a samples JSONL of lmms-eval, or an official to-eval list",
    )
    options.add(parser, "--benchmark", required=True)
    options.add(parser, "--out", required=True, help="folder for verdicts.jsonl and results.json")
    options.add(
        parser, *options.DATA, *options.JUDGE, *options.ENGINE, *options.RAY, "--rope", *options.GENERAL, "--price"
    )
    add(
        "--stop-at-score",
        action="store_true",
        help="with --profile reference: end an answer where its score is certain (in the signature)",
    )
    add("--partial", action="store_true", help="only the questions in FILE were asked; without it others are unscored")
    options.add(parser, "--subset", help="only a fixed part of the questions, which stands for all: 1k (mmie)")
    add("--model", metavar="NAME", help="the model that answered, for the record (default: what FILE says)")
    add("--condition", metavar="NAME", help="what was asked under: blind, json, … (default: what FILE says, else none)")
    options.add(parser, "--max-unscored", help="exit with 3 above this share (default: 5%%)")
    add("--retry-unscored", action="store_true", help="judge again all that an earlier run left unscored")
    add("--keep-images", action="store_true", help="keep all pictures for the report, not only few or singled-out ones")
    add("--dry-run", action="store_true", help="stop before the judge: requests.jsonl and dropped.jsonl")


def run(args: argparse.Namespace) -> int:
    benchmark = find(args.benchmark)
    how = ScoreOptions(
        image_root=args.image_root,
        rubric=args.rubric,
        profile=options.profile(args),
        engine=options.engine_options(args),
        retry_unscored=args.retry_unscored,
        keep_images=args.keep_images,
        partial=args.partial,
        model=args.model,
        condition=args.condition,
        subset=args.subset,
    )
    if args.dry_run:
        return _dry_run(benchmark, args, how)
    judge = options.judge_name(args) if benchmark.judged else None
    options.refuse_unused(args, benchmark, judge)
    if args.stop_at_score and how.profile != "reference":
        raise UserError(
            "--stop-at-score: under --profile strict a later line may contradict the first score, so none is certain",
            fix="add --profile reference, or leave it out",
        )
    _refuse_ranks(args.ray)
    found = score(args.file, benchmark, args.out, judge=judge, data=args.data, options=how)
    print(result_table(found.results, benchmark.title, benchmark.headline))
    if judged_without_criteria(found.results):
        print(f"note: {NONE_GIVEN}")
    print(f"\n{RunFolder(found.folder).results}")
    if judge is not None and is_general(judge):
        _say_usage(found.results, args.price)
    if failures := engine_failures(found.verdicts, found.results["n"]):
        print(failures, file=sys.stderr)
    return _exit_code(found.results, args.max_unscored)


def _refuse_ranks(ray: str | None) -> None:
    """Raise UserError in one of several ranks: each would judge all answers.

    With the address of a cluster this is the one command that `ray symmetric-run` starts in a step of `srun`.
    """
    rank = this_rank()
    if not rank.alone and ray in (None, LOCAL):
        raise UserError(
            f"started {rank.size} times, as ranks of srun, torchrun or accelerate launch: each would judge all answers",
            fix="start it once; --ray uses all GPUs of a machine, --ray ADDRESS those of several (docs/scale.md)",
        )


def _dry_run(benchmark: Benchmark, args: argparse.Namespace, how: ScoreOptions) -> int:
    if not benchmark.judged:
        raise UserError(f"{benchmark.name} is decided by rules: there is nothing to hand to a judge")
    judge = ",".join(args.judge or [default_judge()])
    if general := is_general(judge):
        options.judge_name(args)
    if not general and args.price is not None:
        raise UserError(
            "--price is for a judge that is paid for by the token", fix="add --judge openai:MODEL, or leave it out"
        )
    requests, dropped = write_requests(args.file, benchmark, args.out, data=args.data, options=how)
    print(f"{args.out}: {len(requests)} requests, {dropped} dropped")
    if general:
        from judge.engines.cost import estimate_cost

        rubric = benchmark.rubric(args.rubric or default_rubric(judge))
        cost = estimate_cost([Prompt(request, rubric.render(request)) for request in requests], how.engine.general)
        print(f"{judge}: {cost.sentence(args.price)}, if nothing is judged yet")
    return 0


def _say_usage(results: Mapping[str, Any], price: Price | None) -> None:
    """What the run that wrote the results was answered, by the server's count, and what that costs."""
    if usage := Usage.from_json((results.get("run") or {}).get("usage")):
        cost = "" if price is None else f"{price.of(usage.prompt_tokens, usage.completion_tokens):,.4f}"
        print(usage.sentence(cost))


def _exit_code(result: Mapping[str, Any], max_unscored: float) -> int:
    unscored = result["unscored"]
    if unscored["rate"] is None or unscored["rate"] <= max_unscored:
        return 0
    print(
        f"{unscored['n']} of {result['n']} answers have no score, more than --max-unscored {max_unscored:.1%}\n"
        "→ see the reasons above; --retry-unscored judges those answers again",
        file=sys.stderr,
    )
    if missing := unscored["reasons"].get("not_answered"):
        hint = "if only the others were asked: --partial, and another --out"
        print(f"→ {missing} questions have no answer in FILE; {hint}", file=sys.stderr)
    if "image_missing" in unscored["reasons"]:
        print("→ pictures of answers are looked for beside FILE, or below --image-root DIR", file=sys.stderr)
    return TOO_MANY_UNSCORED
