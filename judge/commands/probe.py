"""`mmjudge probe JUDGE`: can this judge be steered by what it judges, and does it tell good answers from bad?

Judges the reference answers of a benchmark, the same degraded, and the same with instructions to the judge inside
(`judge.validity.probe`), and prints how far each change moved the score. With `--out DIR`, DIR/probe.json holds it all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from judge.core.benchmark import Benchmark, find, names
from judge.core.scale import JUDGE_SCALE
from judge.engines import EngineOptions
from judge.errors import UserError
from judge.io.files import cannot_write, write_json
from judge.scoring.grader import Grader
from judge.scoring.pipeline import default_rubric
from judge.validity.probe import Outcome, ProbeReport, probe_judge, reference_requests


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("judge", metavar="JUDGE", help="judge folder, or ORG/NAME[@REVISION] on the Hub")
    add("--out", type=Path, metavar="DIR", help="folder for probe.json")
    add("--benchmark", choices=names(), help="whose questions and rubric (default: the first that has a judge)")
    add("--data", type=Path, metavar="DIR", help="local copy of the dataset (default: the benchmark's demo)")
    add("--rubric", help="wording put to the judge (default: what the judge was trained on)")
    add("--n", type=int, default=10, metavar="N", help="questions in each category (default: 10)")
    add("--device", help="cpu, cuda, cuda:1, … (default: an accelerator where there is one)")
    add("--dtype", choices=["float32", "bfloat16"], help="default: bfloat16 on an accelerator, float32 on a CPU")
    add("--batch-size", type=int, metavar="N", help="answers judged together; changes speed, not scores")


def run(args: argparse.Namespace) -> int:
    if args.judge.startswith(("replay:", "http://", "https://")):
        raise UserError(f"{args.judge}: only a judge that runs here can be probed", fix="give a folder or a repository")
    if args.n < 1:
        raise UserError(f"--n {args.n}: a probe needs at least one question in each category")
    benchmark = _benchmark(args.benchmark)
    requests = reference_requests(benchmark, args.data, args.n)
    rubric = benchmark.rubric(args.rubric or default_rubric(args.judge))
    from judge.engines.local import load_local_engine

    options = EngineOptions(device=args.device, dtype=args.dtype, batch_size=args.batch_size)
    engine = load_local_engine(args.judge, options)
    report = probe_judge(Grader(engine, rubric), requests, progress=True)
    print(table(report))
    if args.out is not None:
        about = {
            "benchmark": benchmark.name,
            "rubric": rubric.label,
            "questions": len(requests),
            **engine.identity,
        }
        file = args.out / "probe.json"
        try:
            args.out.mkdir(parents=True, exist_ok=True)
            write_json(file, {**about, **report.to_json()})
        except OSError as error:
            raise cannot_write(file, error, fix="give another --out") from error
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


def _benchmark(name: str | None) -> Benchmark:
    if name is not None:
        return find(name)
    for candidate in map(find, names()):
        if candidate.judged:
            return candidate
    raise UserError("no installed benchmark is scored by a judge", fix="pip install mmjudge")
