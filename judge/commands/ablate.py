"""`mmjudge ablate RESPONSES --judge J --out DIR`: what each criterion of the rubric does to the judge's scores.

    mmjudge ablate anole=anole.jsonl gill=gill.jsonl --humans humans.jsonl --judge MMIE/MMIE-Score --rubric mmjudge \\
        --out out/ablation

Judges all answers with the whole rubric and once more without each criterion, then prints how scores, agreement with
people (`--humans`) and the order of the systems in each category changed. DIR/ablation.json has all of it, DIR/RUBRIC/
MODEL/ a results folder for each variant and model, which `mmjudge agree` and `mmjudge compare` read. An interrupted run
goes on when the same command is given again.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.commands import options
from judge.commands.output import write_output
from judge.core.benchmark import Answer
from judge.engines import Engine
from judge.engines.loading import check_engine, load_engine
from judge.engines.replay import PREFIX
from judge.errors import UserError
from judge.io import human_scores
from judge.io.progress import MOMENT, doing
from judge.io.responses import read_responses
from judge.scoring.pipeline import default_rubric
from judge.validity.ablation import AblationSetup, judge_variants, rubric_variants
from judge.validity.ablation_report import report_ablation
from judge.validity.pairing import split_model
from judge.validity.resampling import RESAMPLES, Resampling

EXAMPLES = (
    "mmjudge ablate answers.jsonl --judge MMIE/MMIE-Score --out ablation/",
    "mmjudge ablate a=a.jsonl b=b.jsonl --humans humans.jsonl --judge judge/ --rubric mmjudge --out ablation/",
)
KEPT = "what was judged is in {out}; the same command goes on from there"
FILE = "ablation.json"
WIDTH = 118


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("responses", nargs="+", metavar="[MODEL=]RESPONSES", help="responses as for `mmjudge score`, a file a model")
    options.add(parser, "--out", required=True, help=f"folder for {FILE} and the results of every variant")
    add("--humans", type=Path, metavar="FILE", help="human-scored JSONL: report the change in agreement, too")
    options.add(parser, "--benchmark", help="whose answers these are (default: the first that has a judge)")
    options.add(parser, *options.DATA, "--judge", "--tokenizer", "--profile", *options.ENGINE, *options.RAY)
    options.add(parser, "--rubric", help="wording to leave criteria out of (default: what the judge was trained on)")
    add("--criterion", action="append", default=[], metavar="NAME", help="leave only this one out; may be repeated")
    options.add(parser, "--resamples", default=RESAMPLES, help=f"of the bootstrap (default: {RESAMPLES})")
    options.add(parser, "--seed")


def run(args: argparse.Namespace) -> int:
    judge = options.judge_name(args)
    if judge.startswith(PREFIX):
        raise UserError("a replay repeats what was said under the whole rubric", fix="give --judge a judge that reads")
    benchmark = options.judged_benchmark(args)
    options.refuse_unused(args, benchmark, judge)
    check_engine(judge, options.engine_options(args))
    scores = human_scores.read_human_scores(args.humans) if args.humans else []
    responses = _responses(args.responses, args.image_root, scores)
    # the rubric is read before a judge is loaded; a judge behind an address has its small files elsewhere
    rubric = benchmark.rubric(args.rubric or default_rubric(options.judge_folder(args, judge)))
    variants = rubric_variants(rubric, benchmark.categories, args.criterion)
    own = all(answer.record is not None for answers in responses.values() for answer in answers)
    dataset = None if own and args.data is None else benchmark.load(args.data)
    setup = AblationSetup(benchmark, dataset, _engine(judge, args), options.profile(args))
    judged = judge_variants(variants, responses, setup, args.out)
    with doing(f"resampling the questions {args.resamples:,} times", after=MOMENT):
        content = report_ablation(judged, scores, Resampling(args.resamples, args.seed))
    file = write_output(args.out / FILE, content)
    print(f"{table(content)}\n\n{file}")
    return 0


def _engine(judge: str, args: argparse.Namespace) -> Engine:
    return load_engine(judge, options.engine_options(args))


def _responses(
    given: Sequence[str], image_root: Path | None, scores: Sequence[human_scores.HumanScore]
) -> dict[str, list[Answer]]:
    """Answers by model under test. A file without a name is of the one model people scored, or named after itself."""
    models = list(dict.fromkeys(score.model for score in scores))
    responses: dict[str, list[Answer]] = {}
    for word in given:
        model, file = split_model(word)
        if model is None:
            model = models[0] if len(models) == 1 else file.stem
        if scores and model not in models:
            raise UserError(
                f"nobody scored answers of {model!r}; people scored: {', '.join(models)}",
                file=file,
                fix=f"write MODEL={file}",
            )
        if model in responses:
            raise UserError(f"a second file of answers of {model!r}", file=file, fix="give one a model")
        responses[model] = read_responses(file, image_root)
    return responses


def table(content: Mapping[str, Any]) -> str:
    """The content of ablation.json for a terminal: a line a criterion, ranks that changed, what follows in words."""
    people = content["with_human_score"] > 0
    lines = [
        f"{content['n']} answers of {', '.join(content['models'])}; whole rubric {content['rubric']}",
        "",
        f"{'without':<29}{'in':<13}{'n':>5}{'score':>8}{'change':>22}{'moved':>7}"
        + (f"{'n':>6}{'Pearson':>9}{'change':>22}" if people else ""),
    ]
    for name, entry in content["criteria"].items():
        score = entry["score"]
        line = (
            f"{name[:28]:<29}{', '.join(entry['categories'])[:12]:<13}{entry['n']:>5}{_number(score['whole']):>8}"
            f"{_interval(score['change']):>22}{_number(score['moved']['value']):>7}"
        )
        if people:
            pearson = entry["agreement"]["pearson"]
            line += (
                f"{pearson['change']['n']:>6}{_number(pearson['whole']['value']):>9}{_interval(pearson['change']):>22}"
            )
        lines.append(line)
        if any(entry["unscored"].values()):
            lines.append(
                f"  left out, unscored: {entry['unscored']['whole']} by the whole rubric, "
                f"{entry['unscored']['without']} without {name}"
            )
    lines.append("")
    for sentence in content["findings"]:
        lines += textwrap.wrap(f"- {sentence}", WIDTH, subsequent_indent="  ")
    drawn = content["resampling"]
    legend = (
        "change: without minus whole, paired, with its 95% interval (percentile bootstrap of questions, "
        f"{drawn['resamples']} resamples, seed {drawn['seed']}; not corrected for the number of criteria); moved: mean "
        "absolute change of a score. Any change of wording may move a judge, not only the loss of this criterion."
    )
    return "\n".join([*lines, "", *textwrap.wrap(legend, WIDTH), f"signature: {content['signature']}"])


def _interval(found: Mapping[str, Any]) -> str:
    if found["value"] is None:
        return "-"
    value = f"{round(found['value'], 2) + 0.0:+.2f}"
    return f"{value} [-]" if found["ci_low"] is None else f"{value} [{found['ci_low']:+.2f}, {found['ci_high']:+.2f}]"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
