"""`mmjudge agree VERDICTS HUMANS`: how well a judge's scores agree with people's, and with what they must be compared.

    mmjudge agree --pairs pairs.jsonl out/mine                             people chose the better of two answers

    mmjudge agree out/anole humans.jsonl                                   people scored the answers of one model
    mmjudge agree anole=out/anole gill=out/gill humans.jsonl               of several
    mmjudge agree out humans.jsonl --beside base=out-base --clip openai/clip-vit-base-patch32 --out out/agreement

VERDICTS is a results folder of `mmjudge score`, its `verdicts.jsonl`, or a folder that holds one results folder for
each model under test. HUMANS is the human-scored JSONL (`judge.io.human_scores`). Ten coefficients with bootstrap
intervals, overall, by category and by model; baselines and other judges on the same answers; and the human ceiling,
where several people scored one answer. `--out DIR` writes all of it to DIR/agreement.json. With `--pairs` people's
choices between two answers take the place of HUMANS: `judge.commands.agree_pairs`.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.commands import agree_pairs, options
from judge.commands.output import write_output
from judge.errors import UserError
from judge.io import human_scores
from judge.io.files import sha256
from judge.io.progress import MOMENT, doing
from judge.results.run_info import versions
from judge.results.statistics import Estimate
from judge.validity import pairing
from judge.validity.agreement import includes_zero
from judge.validity.agreement_report import report_agreement
from judge.validity.baselines import ClipScore
from judge.validity.coefficients import PAIRED
from judge.validity.pairing import read_judge_verdicts
from judge.validity.resampling import RESAMPLES, Resampling

EXAMPLES = (
    "mmjudge agree anole=results/anole gill=results/gill humans.jsonl --out agreement/",
    "mmjudge agree --pairs pairs.jsonl results/mine",
)
FILE = "agreement.json"
WIDTH = 118
CELL = 24
NARROW, WIDE = 17, 31
"""Columns of a row's name; criteria have long ones."""
MARK = "°"
SHORT = ("pearson", "kappa_quadratic", "mae", "bias")
"""The coefficients of tables that have a row for each group."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "verdicts",
        nargs="*",
        metavar="[MODEL=]VERDICTS … HUMANS",
        help="results folders of `mmjudge score` or verdicts.jsonl files, one for each model under test, then the "
        "human-scored JSONL; with --pairs one for each judge, [JUDGE=]VERDICTS, and no HUMANS",
    )
    agree_pairs.add_arguments(parser)
    options.add(parser, "--image-root")
    add(
        "--beside",
        action="append",
        default=[],
        metavar="NAME=[MODEL=]VERDICTS",
        help="another judge's verdicts on the same answers, such as the untuned base's; may be repeated",
    )
    add("--clip", metavar="MODEL", help="CLIPScore as a baseline: a CLIP folder, or ORG/NAME on the Hub")
    options.add(parser, "--resamples", default=RESAMPLES, help=f"of the bootstrap (default: {RESAMPLES})")
    options.add(parser, "--seed")
    options.add(parser, "--out", help=f"folder for {FILE}")


def run(args: argparse.Namespace) -> int:
    if args.pairs is not None:
        return agree_pairs.run(args)
    agree_pairs.refuse_without_pairs(args)
    if len(args.verdicts) < 2:
        raise UserError(
            "gives no VERDICTS and HUMANS to compare", fix="mmjudge agree VERDICTS HUMANS, or --pairs FILE VERDICTS"
        )
    *verdicts, last = args.verdicts
    humans = Path(last)
    scores = human_scores.read_human_scores(humans, args.image_root)
    judged = read_judge_verdicts(verdicts, scores)
    others = {name: read_judge_verdicts(paths, scores) for name, paths in _others(args.beside).items()}
    with doing(f"resampling the questions {args.resamples:,} times", after=MOMENT):
        content = report_agreement(
            judged,
            scores,
            others=others,
            clip=ClipScore(args.clip) if args.clip else None,
            resampling=Resampling(args.resamples, args.seed),
        )
    if not content["n"]:
        raise UserError(
            f"no answer has both a score by people and one by the judge: {_left_out(content['left_out'])}",
            file=humans,
            fix="give the verdicts on the answers that people scored",
        )
    content["humans"] = {"sha256": sha256(humans)}
    content["versions"] = versions(("torch", "transformers") if args.clip else ())
    print(table(content))
    if args.out is not None:
        print(f"\n{write_output(args.out / FILE, content)}")
    return 0


def _others(given: Sequence[str]) -> dict[str, list[str]]:
    """Where the verdicts of other judges lie; `--beside` of one name belong together."""
    named: dict[str, list[str]] = {}
    for word in given:
        name, sign, where = word.partition("=")
        if not sign or not name or not where:
            raise UserError(f"--beside {word}: has no name", fix=f"write --beside base={word}")
        named.setdefault(name, []).append(where)
    return named


def table(content: Mapping[str, Any]) -> str:
    """The content of agreement.json for a terminal: what was compared, three tables, what follows in words."""
    people = content["people"]
    lines = [
        f"{_count(content['n'], 'answer')} to {_count(content['questions'], 'question')}, "
        f"{_count(content['models'], 'model')} under test, {_count(content['annotators'], 'annotator')}",
        f"left out: {_left_out(content['left_out'])}",
        "",
    ]
    columns = {"judge": content["overall"], "constant": content["beside"]["constant"]["coefficients"]}
    if people is not None:
        columns |= {"judge to others": people["judge"], "human ceiling": people["one"]}
    lines.append(f"{'':<17}" + "".join(f"{f'{name} ':>{CELL}}" for name in columns).rstrip())
    lines += [
        (f"{name:<17}" + "".join(_padded(name, column[name]) for column in columns.values())).rstrip()
        for name in PAIRED
    ]
    lines += ["", _head("")]
    lines.append(_row("judge", content["overall"]))
    lines += [_row(name, other["coefficients"]) for name, other in content["beside"].items()]
    for head, groups in (("category", content["categories"]), ("model", content["models_under_test"])):
        if len(groups) > 1:
            lines += ["", _head(head), *(_row(name or "-", group) for name, group in groups.items())]
    if criteria := content.get("criteria"):
        lines += ["", _head("criterion", WIDE), *(_row(name, one, WIDE) for name, one in criteria.items())]
    if people is not None:
        lines += ["", _head("annotator"), *(_row(name or "-", one) for name, one in people["annotators"].items())]
        alpha, icc = (people["reliability"][name] for name in ("alpha_interval", "icc_a1"))
        lines.append(
            f"among annotators, on {_count(people['answers'], 'answer')}: alpha {_cell('alpha_interval', alpha)}, "
            f"ICC(A,1) {_cell('icc_a1', icc)}"
        )
    lines.append("")
    for sentence in content["findings"]:
        lines += textwrap.wrap(f"- {sentence}", WIDTH, subsequent_indent="  ")
    drawn = content["resampling"]
    legend = (
        f"In brackets: 95% interval, percentile bootstrap of questions, {drawn['resamples']} resamples, seed "
        f"{drawn['seed']}. {MARK}: the interval includes zero. -: undefined, or no interval can be given."
    )
    if people is not None:
        legend += (
            " Human ceiling: each annotator against the mean of the others; judge to others: the judge against those "
            "same means."
        )
    return "\n".join([*lines, "", *textwrap.wrap(legend, WIDTH), f"signature: {content['signature'] or 'none'}"])


def _head(name: str, width: int = NARROW) -> str:
    return f"{name:<{width}}{'n':>5}" + "".join(f"{f'{column} ':>{CELL}}" for column in SHORT).rstrip()


def _row(name: str, coefficients: Mapping[str, Any], width: int = NARROW) -> str:
    cells = "".join(_padded(column, coefficients.get(column)) for column in SHORT)
    return f"{name[: width - 1]:<{width}}{coefficients['pearson']['n']:>5}{cells}".rstrip()


def _padded(name: str, found: Mapping[str, Any] | None) -> str:
    """The cell with room for a mark: numbers stay in line."""
    cell = _cell(name, found)
    return f"{cell if cell.endswith(MARK) else f'{cell} ':>{CELL}}"


def _cell(name: str, found: Mapping[str, Any] | None) -> str:
    if found is None or found["value"] is None:
        return "-"
    if found["ci_low"] is None:
        return f"{_number(name, found['value'])} [-]"
    interval = f"[{_number(name, found['ci_low'])}, {_number(name, found['ci_high'])}]"
    mark = MARK if includes_zero(name, Estimate(**found)) else ""
    return f"{_number(name, found['value'])} {interval}{mark}"


def _number(name: str, value: float) -> str:
    rounded = round(value, 2) + 0.0  # no "-0.00"
    return f"{rounded:+.2f}" if name == "bias" else f"{rounded:.2f}"


def _left_out(left: Mapping[str, Any]) -> str:
    reasons = ", ".join(f"{count} {reason}" for reason, count in left["unscored"]["reasons"].items())
    parts = [
        f"{_count(left['unscored']['n'], 'answer')} unscored by the judge{f' ({reasons})' if reasons else ''}"
        f"{_some(left['unscored'])}",
        f"{left['without_verdict']['n']} without a verdict{_some(left['without_verdict'])}",
        f"{left['without_human_score']['n']} without a human score",
    ]
    return "; ".join(parts)


def _some(missing: Mapping[str, Any]) -> str:
    """The first few by name; agreement.json has all."""
    if not missing["answers"]:
        return ""
    first = [
        f"{one['id']} of {one['model']}" if one["model"] else one["id"] for one in missing["answers"][: pairing.NAMED]
    ]
    return f": {', '.join(first)}{' …' if missing['n'] > pairing.NAMED else ''}"


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
