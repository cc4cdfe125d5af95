"""`mmjudge analyse MODEL`: what a model under test would answer, and what it attends to, question by question.

One forward pass a question on transformers (`judge.attention`): the probability of each letter where the answer begins,
and attention to the picture, for plain against leading questions. Writes OUT/questions.jsonl as it goes (the same
command goes on where it stopped), OUT/analysis.json with all tables, and plots; prints the tables.
"""

from __future__ import annotations

import argparse
import itertools
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.attention.analysis import describe_run, measure_questions
from judge.attention.choices import LEADING, PLAIN, Choice, choices_of
from judge.attention.families import require_known_type
from judge.attention.measure import Measured
from judge.attention.models import FIX, identify_model, load_model
from judge.attention.plots import draw_distributions, draw_heat_map, require_matplotlib
from judge.attention.tables import MEASURES, Summary, summarise_questions
from judge.commands import options
from judge.commands.output import write_output
from judge.core.benchmark import find
from judge.core.estimate import Estimate
from judge.core.foreign_text import MOST_OF_A_LINE, shortened
from judge.core.request import Text
from judge.engines.devices import OTHERS, check_device, default_device
from judge.errors import UserError
from judge.io.progress import MOMENT, doing
from judge.model.images import decode_image
from judge.results.terminal import WIDTH
from judge.systems.checkpoints import find_checkpoint
from judge.validity.resampling import RESAMPLES, Resampling

EXAMPLES = (
    "mmjudge analyse llava-hf/llava-1.5-7b-hf --benchmark mmvu --out look/llava",
    "mmjudge analyse out/mine --benchmark mmvu --data MMR-benchmark --out look/mine --limit 50 --device cpu",
)
KEPT = "questions that were measured are in {out}; the same command goes on from there"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="folder, or ORG/NAME[@REVISION] on the Hub")
    options.add(parser, "--out", required=True, help="folder for questions.jsonl, analysis.json and plots")
    options.add(parser, "--benchmark", required=True, help="whose questions")
    options.add(parser, "--data", "--device", "--dtype")
    parser.add_argument("--limit", type=options.positive, metavar="N", help="the first N questions only")
    parser.add_argument(
        "--show",
        action="append",
        metavar="ID",
        help="a pair to draw heat maps of (default: the four that lose most to the leading question)",
    )
    parser.add_argument("--no-plots", action="store_true", help="tables only; needs no matplotlib")
    options.add(parser, "--resamples", default=RESAMPLES, help=f"of the intervals (default: {RESAMPLES})")
    options.add(parser, "--seed")


def run(args: argparse.Namespace) -> int:
    if not args.no_plots:
        require_matplotlib()
    check_device(args.device, also=OTHERS)
    _check_model(args.model)
    benchmark = find(args.benchmark)
    choices = choices_of(benchmark, args.data)
    questions = choices.questions[: args.limit]
    shown = _asked_for(args.show, questions)
    device = default_device(args.device)
    dtype = args.dtype or ("float32" if device == "cpu" else "bfloat16")
    description = describe_run(benchmark.name, choices, identify_model(args.model), dtype)

    def load() -> tuple[Any, Any]:
        with doing(f"loading {args.model} on {device}, {dtype}"):
            return load_model(args.model, device=device, dtype=dtype)

    measured = measure_questions(questions, description, args.out, load)
    with doing(f"resampling {len(measured):,} questions", after=MOMENT):
        summary = summarise_questions(measured, Resampling(args.resamples, args.seed))
    print(table(summary, benchmark.title, description.parts))
    written = [
        write_output(args.out / "analysis.json", {"run": dict(description.parts), **summary.to_json()}),
        *([] if args.no_plots else _plots(measured, questions, shown, args.out)),
    ]
    print("\n" + "\n".join(map(str, written)))
    return 0


def _check_model(name: str) -> None:
    """Raise UserError for what cannot be measured, from its config.json, before torch is imported."""
    model_type = find_checkpoint(name).model_type
    if model_type is None:
        raise UserError(f"{name} cannot be loaded: no config.json that says of which type it is", fix=FIX)
    require_known_type(model_type)


def _asked_for(ids: Sequence[str] | None, questions: Sequence[Choice]) -> Sequence[str] | None:
    known = {choice.question.id for choice in questions}
    for id_ in ids or ():
        if id_ not in known:
            raise UserError(f"--show {id_}: none of the {len(questions)} questions has this id")
    return ids


def _plots(
    measured: Sequence[Measured], questions: Sequence[Choice], shown: Sequence[str] | None, out: Path
) -> list[Path]:
    written = draw_distributions(measured, out)
    by_index = {choice.question.index: choice.question for choice in questions}
    for id_ in dict.fromkeys(shown or most_lost(measured)):
        of = sorted((found for found in measured if found.id == id_), key=lambda found: found.kind != PLAIN)
        asked = [by_index[found.index] for found in of]
        texts = ["".join(part.text for part in question.parts if isinstance(part, Text)) for question in asked]
        file = out / "maps" / f"{of[0].index:05}.png"
        written.append(draw_heat_map(of, decode_image(asked[0].pictures[0]), texts, file))
    return written


def most_lost(measured: Sequence[Measured], number: int = 4) -> list[str]:
    """The ids of the pairs whose right letter loses most probability to the leading question."""
    by_kind: dict[str, dict[str, Measured]] = {PLAIN: {}, LEADING: {}}
    for found in measured:
        by_kind.setdefault(found.kind, {})[found.id] = found
    both = by_kind[PLAIN].keys() & by_kind[LEADING].keys()
    drop = {id_: by_kind[PLAIN][id_].p_right - by_kind[LEADING][id_].p_right for id_ in both}
    return sorted(drop, key=lambda id_: (-drop[id_], id_))[:number]


def table(summary: Summary, title: str, parts: Mapping[str, str]) -> str:
    """The tables for a terminal, at most 100 columns."""
    lines = [
        shortened(f"{title}, edition {parts['edition']}: {parts['model']}, {parts['dtype']}", MOST_OF_A_LINE),
        f"{summary.questions} questions, {summary.pairs} pairs of a plain and a leading one",
        "",
        f"{'percent':<28}{'plain':>21}{'leading':>21}{'drop, by pair':>21}{'p':>8}",
    ]
    for name, measure in MEASURES.items():
        plain, leading = (_cells(summary.kinds[kind][name]) for kind in (PLAIN, LEADING))
        drop = summary.drops[name]
        lines.append(f"{measure.title:<28}{plain:>21}{leading:>21}{_cells(drop.difference):>21}{_p(drop.adjusted):>8}")
    lines += [
        "",
        f"{'correlation (Spearman)':<28}{'with being misled':>31}{'p':>8}{'of drops, with the first':>31}",
    ]
    for name, found in summary.predictions.items():
        misled = f"{_coefficient(found.misled):>31}{_p(found.adjusted):>8}"
        lines.append(f"{MEASURES[name].title:<28}{misled}{_coefficient(found.drops):>31}")
    notes = (
        "first, last: layer; peaks: mean over the picture's tokens of the most that a question's token attends to each;"
        " of before: the picture's share of what goes to all before the question. p: permutation tests,"
        " Holm-adjusted. Misled: the leading question is wrong, of the pairs whose plain one is right; right: the most"
        " probable letter is the right one."
    )
    words = (textwrap.wrap(text, WIDTH, break_on_hyphens=False) for text in (summary.sentence(), notes))
    return "\n".join([*lines, "", *itertools.chain(*words)])


def _cells(estimate: Estimate) -> str:
    if estimate.value is None:
        return "-"
    digits = 1 if abs(estimate.value) >= 10 else 2
    return f"{estimate.value:.{digits}f}{_interval(estimate, f'.{digits}f')}"


def _coefficient(estimate: Estimate) -> str:
    if estimate.value is None:
        return f"-, n {estimate.n}"
    return f"{estimate.value:+.2f}{_interval(estimate, '+.2f')}, n {estimate.n}"


def _interval(estimate: Estimate, form: str) -> str:
    if estimate.ci_low is None or estimate.ci_high is None:
        return ""
    return f" [{estimate.ci_low:{form}}, {estimate.ci_high:{form}}]"


def _p(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
