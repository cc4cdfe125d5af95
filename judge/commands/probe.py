"""`mmjudge probe JUDGE`: can this judge be steered by what it judges, and does it tell good answers from bad?

Judges the reference answers of a benchmark, the same degraded, and the same with instructions to the judge inside
(`judge.validity.probe`), and prints how far each change moved the score. With `--out DIR`, DIR/probe.json holds it all.
"""

from __future__ import annotations

import argparse

from judge.commands import options
from judge.commands.output import write_output
from judge.core.scale import JUDGE_SCALE
from judge.engines import Engine
from judge.engines.loading import is_general, load_engine
from judge.errors import UserError
from judge.scoring.grader import Grader
from judge.scoring.pipeline import default_rubric
from judge.validity.probe import Outcome, ProbeReport, probe_judge, reference_requests

EXAMPLES = (
    "mmjudge probe MMIE/MMIE-Score",
    "mmjudge probe judge/ --n 50 --out probe/",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "judge", metavar="JUDGE", help="judge folder, ORG/NAME[@REVISION] on the Hub, or openai:MODEL[@http://…]"
    )
    options.add(parser, "--out", help="folder for probe.json")
    options.add(parser, "--benchmark", help="whose questions and rubric (default: the first that has a judge)")
    options.add(parser, "--data", help="local copy of the dataset (default: the benchmark's demo)")
    options.add(parser, "--n", default=10, help="questions in each category (default: 10)")
    options.add(parser, "--rubric", *options.ENGINE, *options.GENERAL)


def run(args: argparse.Namespace) -> int:
    if args.judge.startswith(("replay:", "http://", "https://")):
        raise UserError(
            f"{args.judge}: only a judge that runs here or a general one can be probed",
            fix="give a folder, a repository or openai:MODEL@http://…",
        )
    benchmark = options.judged_benchmark(args)
    requests = reference_requests(benchmark, args.data, args.n)
    rubric = benchmark.rubric(args.rubric or default_rubric(args.judge))
    options.refuse_unused(args, benchmark, args.judge)
    engine: Engine
    if is_general(args.judge):
        engine = load_engine(args.judge, options.engine_options(args))
    else:
        from judge.engines.local import load_local_engine

        engine = load_local_engine(args.judge, options.engine_options(args))
    report = probe_judge(Grader(engine, rubric), requests, progress=True)
    print(table(report))
    if usage := getattr(engine, "usage", None):
        print(f"\n{usage.sentence()}")
    if args.out is not None:
        about = {
            "benchmark": benchmark.name,
            "rubric": rubric.label,
            "questions": len(requests),
            **engine.identity,
        }
        file = write_output(args.out / "probe.json", {**about, **report.to_json()})
        print(f"\n{file}")
    return 0


def table(report: ProbeReport) -> str:
    """The report for a terminal: one line a case, then what follows from them."""
    lines = [
        f"good answers: {_number(report.good.value)} of {JUDGE_SCALE.highest}, n {report.good.n}, "
        f"unscored {report.good_unscored}",
        "",
        f"{'':<32}{'mean':>6}{'shift':>8}  {'95% interval':<16}{'n':>4}{'unscored':>10}",
    ]
    for kind, outcomes in (("control", report.controls), ("injection", report.injections)):
        lines += [_line(kind, outcome) for outcome in outcomes]
    return "\n".join([*lines, "", report.sentences()])


def _line(kind: str, outcome: Outcome) -> str:
    shift = outcome.shift
    interval = "-" if shift.ci_low is None else f"[{shift.ci_low:+.2f}, {shift.ci_high:+.2f}]"
    note = {"control": ("", "  not shown to be below"), "injection": ("  MOVED", "")}[kind][not outcome.shown]
    return (
        f"{kind:<10} {outcome.case.name:<21}{_number(outcome.mean.value):>6}{_number(shift.value, '+'):>8}  "
        f"{interval:<16}{shift.n:>4}{outcome.unscored:>10}{note}"
    )


def _number(value: float | None, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.2f}"
