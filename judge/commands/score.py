"""`mmjudge score FILE --benchmark mmie --out DIR`: saved responses in, `verdicts.jsonl` and `results.json` out.

Beside them goes `samples.jsonl`, questions and answers to be read in a report (`judge.io.samples`).

No model under test runs here. `verdicts.jsonl` is the journal: killed at any point, the same command goes on and
judges nothing twice. `results.json` appears when everything is decided. Exit codes: 0; 2 for input that must be mended;
3 where more answers than `--max-unscored` have no score (everything is written all the same).

The rubric is, in this order: `--rubric`; what `mmjudge.json` in the judge's folder names (`{"rubric": "mmjudge"}`: a
judge is asked in the words that it was trained on); "official", the wording of the published judge.

This process judges, on one device; with --ray all GPUs of a machine or of a cluster do (`judge.engines.cluster`).

Several FILEs, of as many models, are judged in one run (`judge.scoring.several`): a results folder each below DIR,
named by its file or by --model, then DIR/comparison.json, the comparison of all pairs.

A FILE of `lmms-eval --repeats N` has N answers to each question: a results folder each below DIR, repeat-1 and so on,
then DIR/repeats.json with their mean and spread (`judge.results.repeats`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.commands import options
from judge.commands.output import write_output
from judge.commands.table_formats import FORMATS
from judge.core.benchmark import Benchmark, find
from judge.engines import Prompt, Usage
from judge.engines.loading import is_general
from judge.engines.ray_connection import LOCAL
from judge.engines.replay import PREFIX
from judge.errors import UserError
from judge.harness.ranks import this_rank
from judge.io.responses import count_repeats
from judge.results.criteria import NONE_GIVEN, judged_without_criteria
from judge.results.leaderboard import Leaderboard
from judge.results.repeats import repeats_table, summarise_repeats, write_repeats
from judge.results.run_folder import RunFolder
from judge.results.table import rank_runs
from judge.results.terminal import engine_failures, result_table
from judge.scoring.pipeline import default_judge, default_rubric
from judge.scoring.score import ScoreOptions, score, write_requests
from judge.scoring.several import COMPARISON, RunsTogether, score_many, score_repeats

if TYPE_CHECKING:
    from judge.engines.cost import Price

EXAMPLES = (
    "mmjudge score responses.jsonl --benchmark mmie --out results/mine",
    "mmjudge score anole.jsonl gill.jsonl --benchmark mmie --out results",
)
KEPT = "what was judged is in {out}; the same command goes on from there"
SHARED = "taken from another answer to the same question instead of computed again:"
TOO_MANY_UNSCORED = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "files",
        nargs="+",
        metavar="FILE",
        type=Path,
        help="responses.jsonl, a samples JSONL of lmms-eval, or an official to-eval list; several, of as many models, "
        "are judged in one run",
    )
    options.add(parser, "--benchmark", required=True)
    options.add(
        parser,
        "--out",
        required=True,
        help="folder for verdicts.jsonl and results.json; of several FILEs, for a folder each",
    )
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
    add(
        "--model",
        action="append",
        metavar="NAME",
        help="the model that answered, for the record (default: what FILE says); of several FILEs, one for each in "
        "their order, which names its folder, too",
    )
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
        model=_only_model(args),
        condition=args.condition,
        subset=args.subset,
    )
    if args.dry_run:
        return _dry_run(benchmark, args, how)
    judges = _judges(args) if benchmark.judged else []
    options.refuse_unused(args, benchmark, judges[0] if judges else None)
    if args.stop_at_score and how.profile != "reference":
        raise UserError(
            "--stop-at-score: under --profile strict a later line may contradict the first score, so none is certain",
            fix="add --profile reference, or leave it out",
        )
    _refuse_ranks(args.ray)
    if len(args.files) > 1:
        return _score_many(benchmark, judges, args, how)
    judge = judges[0] if judges else None
    if count_repeats(args.files[0]) > 1:
        return _score_repeats(benchmark, judge, args, how)
    found = score(args.files[0], benchmark, args.out, judge=judge, data=args.data, options=how)
    print(result_table(found.results, benchmark.title, benchmark.headline))
    if judged_without_criteria(found.results):
        print(f"note: {NONE_GIVEN}")
    print(f"\n{RunFolder(found.folder).results}")
    if judge is not None and is_general(judge):
        _say_usage(found.results, args.price)
    if failures := engine_failures(found.verdicts, found.results["n"]):
        print(failures, file=sys.stderr)
    return _exit_code(found.results, args.max_unscored)


def _only_model(args: argparse.Namespace) -> str | None:
    """The model of the one FILE. Raises UserError where there are not as many models as files."""
    given = args.model or []
    if given and len(given) != len(args.files):
        raise UserError(
            f"{len(given)} --model for {len(args.files)} FILEs", fix="one for each, in their order, or none"
        )
    return given[0] if len(args.files) == 1 and given else None


def _judges(args: argparse.Namespace) -> list[str]:
    """The judge, or recorded feedback for each of several files. Raises UserError."""
    given: list[str] = args.judge or []
    if len(args.files) > 1 and len(given) > 1 and all(judge.startswith(PREFIX) for judge in given):
        return given
    return [options.judge_name(args)]


def _score_many(benchmark: Benchmark, judges: list[str], args: argparse.Namespace, how: ScoreOptions) -> int:
    """Judge several files in one run, print the comparison of all pairs; the highest exit code of any of them."""
    files = dict(zip(args.model, args.files, strict=True)) if args.model else args.files
    if len(files) < len(args.files):
        raise UserError("two FILEs have the same --model", fix="give every model a name of its own")
    judge = judges if len(judges) > 1 else judges[0] if judges else None
    found = score_many(files, benchmark, args.out, judge=judge, data=args.data, options=how)
    boards = [Leaderboard(group, group.metrics) for group in rank_runs(list(found.runs.values()))]
    print(FORMATS["text"](boards, None))
    if benchmark.judged:
        print(f"\n{SHARED}\n{found.saved or 'not counted, since the judge runs elsewhere or is replayed'}")
    print()
    for run in found.runs.values():
        print(RunFolder(run.folder).results)
    print(write_output(args.out / COMPARISON, json.loads(FORMATS["json"](boards, None))))
    if found.usage:
        _print_usage(found.usage, args.price)
    return _exit_code_of_all(found, args.max_unscored)


def _score_repeats(benchmark: Benchmark, judge: str | None, args: argparse.Namespace, how: ScoreOptions) -> int:
    """Judge every answer of a file that has several to each question, and write what they come to."""
    found = score_repeats(args.files[0], benchmark, args.out, judge=judge, data=args.data, options=how)
    runs = list(found.runs.values())
    summary = summarise_repeats(
        [dict(run.results) for run in runs], benchmark.stability([run.verdicts for run in runs])
    )
    print(repeats_table(summary, benchmark.title, benchmark.headline))
    print()
    for run in runs:
        print(RunFolder(run.folder).results)
    print(write_repeats(args.out, summary))
    if found.usage:
        _print_usage(found.usage, args.price)
    return _exit_code_of_all(found, args.max_unscored)


def _exit_code_of_all(found: RunsTogether, max_unscored: float) -> int:
    """The highest of all runs', whose failures are printed."""
    codes = []
    for name, run in found.runs.items():
        if failures := engine_failures(run.verdicts, run.results["n"]):
            print(f"{name}: {failures}", file=sys.stderr)
        codes.append(_exit_code(run.results, max_unscored, f"{name}: "))
    return max(codes)


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
    if len(args.files) > 1:
        raise UserError("--dry-run takes one FILE", fix="give it once for each")
    judge = ",".join(args.judge or [default_judge()])
    if general := is_general(judge):
        options.judge_name(args)
    if not general and args.price is not None:
        raise UserError(
            "--price is for a judge that is paid for by the token", fix="add --judge openai:MODEL, or leave it out"
        )
    requests, dropped = write_requests(args.files[0], benchmark, args.out, data=args.data, options=how)
    print(f"{args.out}: {len(requests)} requests, {dropped} dropped")
    if general:
        from judge.engines.cost import estimate_cost

        rubric = benchmark.rubric(args.rubric or default_rubric(judge))
        # like requests are put to the judge once
        distinct = {(each.category, each.question, each.answer, each.gt_answer): each for each in requests}
        prompts = [Prompt(request, rubric.render(request)) for request in distinct.values()]
        cost = estimate_cost(prompts, how.engine.general)
        print(f"{judge}: {cost.sentence(args.price)}, if nothing is judged yet")
    return 0


def _say_usage(results: Mapping[str, Any], price: Price | None) -> None:
    """What the run that wrote the results was answered, by the server's count, and what that costs."""
    if usage := Usage.from_json((results.get("run") or {}).get("usage")):
        _print_usage(usage, price)


def _print_usage(usage: Usage, price: Price | None) -> None:
    cost = "" if price is None else f"{price.of(usage.prompt_tokens, usage.completion_tokens):,.4f}"
    print(usage.sentence(cost))


def _exit_code(result: Mapping[str, Any], max_unscored: float, name: str = "") -> int:
    unscored = result["unscored"]
    if unscored["rate"] is None or unscored["rate"] <= max_unscored:
        return 0
    print(
        f"{name}{unscored['n']} of {result['n']} answers have no score, more than --max-unscored {max_unscored:.1%}\n"
        "→ see the reasons above; --retry-unscored judges those answers again",
        file=sys.stderr,
    )
    if missing := unscored["reasons"].get("not_answered"):
        hint = "if only the others were asked: --partial, and another --out"
        print(f"→ {missing} questions have no answer in FILE; {hint}", file=sys.stderr)
    if "image_missing" in unscored["reasons"]:
        print("→ pictures of answers are looked for beside FILE, or below --image-root DIR", file=sys.stderr)
    return TOO_MANY_UNSCORED
