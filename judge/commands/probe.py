"""`mmjudge probe JUDGE`: can this judge be steered by what it judges, and does it tell good answers from bad?

Judges the reference answers of a benchmark, the same degraded, and the same with instructions to the judge inside
(`judge.validity.probe`), and prints how far each change moved the score. With `--out DIR`, DIR/probe.json holds it all.

With `--repeat` the same answers are judged again under circumstances that should not matter, such as order, batch,
number type and picture format (`judge.validity.stability`); DIR/stability.json.

Exit code 3 where the judge gives no score that could be compared.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

from judge.commands import options
from judge.commands.output import write_output
from judge.core.scale import JUDGE_SCALE
from judge.engines import Engine
from judge.engines.loading import check_engine, is_address, is_general, load_engine
from judge.engines.replay import PREFIX
from judge.errors import UserError
from judge.scoring.grader import Grader
from judge.scoring.pipeline import default_rubric
from judge.validity.probe import Outcome, ProbeReport, probe_judge, reference_requests
from judge.validity.stability import FIRST, StabilityReport, repeat_judging

EXAMPLES = (
    "mmjudge probe MMIE/MMIE-Score",
    "mmjudge probe judge/ --repeat --n 50 --out probe/",
)
NOTHING_SCORED = 3
"""The exit code where no answer has a score, so that nothing was found out about the judge."""
KEPT = "nothing is kept; the same command begins anew"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "judge", metavar="JUDGE", help="judge folder, ORG/NAME[@REVISION] on the Hub, or openai:MODEL[@http://…]"
    )
    parser.add_argument(
        "--repeat",
        action="store_true",
        help="judge the same answers again in other order, batches, number type, picture format, …: do scores move?",
    )
    options.add(parser, "--out", help="folder for probe.json or stability.json")
    options.add(parser, "--benchmark", help="whose questions and rubric (default: the first that has a judge)")
    options.add(parser, "--data", help="local copy of the dataset (default: the benchmark's demo)")
    options.add(parser, "--n", default=10, help="questions in each category (default: 10)")
    options.add(parser, "--rubric", "--tokenizer", *options.ENGINE, *options.GENERAL)


def run(args: argparse.Namespace) -> int:
    if args.repeat:
        return _repeat(args)
    if args.judge.startswith(("replay:", "http://", "https://")):
        raise UserError(
            f"{args.judge}: only a judge that runs here or a general one can be probed",
            fix="give a folder, a repository or openai:MODEL@http://…",
        )
    benchmark = options.judged_benchmark(args)
    options.refuse_unused(args, benchmark, args.judge)
    how = options.engine_options(args)
    check_engine(args.judge, how)
    requests = reference_requests(benchmark, args.data, args.n)
    rubric = benchmark.rubric(args.rubric or default_rubric(args.judge))
    engine = load_engine(args.judge, how)
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
    return 0 if report.good.n else NOTHING_SCORED


def _repeat(args: argparse.Namespace) -> int:
    """Judge again under other circumstances, with any judge that reads."""
    if args.judge.startswith(PREFIX):
        raise UserError(f"{args.judge}: recorded feedback is the same under all circumstances", fix="give a judge")
    served = is_address(args.judge) or is_general(args.judge)
    benchmark = options.judged_benchmark(args)
    options.refuse_unused(args, benchmark, args.judge)
    how = options.engine_options(args)
    check_engine(args.judge, how)
    requests = reference_requests(benchmark, args.data, args.n)
    rubric = benchmark.rubric(args.rubric or default_rubric(options.judge_folder(args, args.judge)))
    engine = load_engine(args.judge, how)

    def load_other() -> Engine:
        other = "float32" if engine.identity["dtype"] == "bfloat16" else "bfloat16"
        return load_engine(args.judge, dataclasses.replace(how, dtype=other))

    with tempfile.TemporaryDirectory() as folder:
        grader, other_dtype = Grader(engine, rubric), None if served else load_other
        report = repeat_judging(grader, requests, Path(folder), other_dtype, progress=True)
    print(stability_table(report))
    if usage := getattr(engine, "usage", None):
        print(f"\n{usage.sentence()}")
    if args.out is not None:
        about = {"benchmark": benchmark.name, "rubric": rubric.label, "questions": len(requests), **engine.identity}
        file = write_output(args.out / "stability.json", {**about, **report.to_json()})
        print(f"\n{file}")
    return 0 if report.tried else NOTHING_SCORED


def stability_table(report: StabilityReport) -> str:
    """The report for a terminal: one line a change, what each of them is, then what follows."""
    lines = [f"{'':<14}{'answers':>8}{'moved':>7}{'largest':>9}{'equal':>9}  {'95% interval':<18}{'score lost':>10}"]
    for row in report.rows:
        if row.why_not is not None:
            lines.append(f"{row.name:<14}cannot be varied here: {row.why_not}")
            continue
        equal, interval = "-", "-"
        if row.equal.value is not None:
            equal, interval = f"{row.equal.value:.1f}%", f"[{row.equal.ci_low:.1f}%, {row.equal.ci_high:.1f}%]"
        largest = "-" if row.largest is None else str(row.largest)
        lines.append(f"{row.name:<14}{row.n:>8}{row.moved:>7}{largest:>9}{equal:>9}  {interval:<18}{row.lost:>10}")
    lines.append("")
    for row in report.rows:
        against = "" if row.against == FIRST else f" (compared with {row.against})"
        lines.append(f"{row.name:<14}{row.about}{against}")
    return "\n".join([*lines, "", report.sentences()])


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
