"""RA, MR, POS and NEG in percent, with Wilson intervals: overall, per category and per level.

    RA   robustness accuracy ↑   both questions of a pair right, of all pairs
    MR   misleading rate ↓       the leading question wrong, of the pairs whose positive one is right
    POS  ↑, NEG ↑                right answers, of the scored questions of that type

Overall values pool the pairs; they are not means over categories (all published rows agree with that). The same four
with the suffix `_reference` are what the published extraction makes of the same answers. Chance, for four options and
independent guesses: RA 1/4 · 1/4 = 6.25, MR 3/4 = 75, POS and NEG 25. (The paper's tables print 25 and 50.)
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

from judge.core.benchmark import Dataset, Summary
from judge.core.metric import Metric, Ratio, Unit
from judge.core.verdict import Verdict
from judge.results.estimates import estimates
from mmvu_tasks.categories import LEVELS, NAMES
from mmvu_tasks.contract_numbers import contract_numbers
from mmvu_tasks.pairs import OUTCOMES, Joined, count_outcomes, half_of, join
from mmvu_tasks.records import Record

REFERENCE = "_reference"
NO_OPTION = "no_option"


def pair_units(verdicts: Sequence[Verdict], *, reference: bool) -> list[Unit]:
    """Whole pairs, their outcome one of `OUTCOMES`; pairs with one answer or an unscored one are not counted."""
    first: dict[str, int] = {}
    for position, verdict in enumerate(verdicts):
        first.setdefault(verdict.id, position)
    return [
        Unit(pair.id, pair.category, OUTCOMES.index(pair.outcome(reference=reference)), first[pair.id])
        for pair in join(verdicts, reference=reference).pairs
    ]


def question_units(kind: str, verdicts: Sequence[Verdict], *, reference: bool) -> list[Unit]:
    """Questions of a type ("POS" or "NEG"), 1 for a right answer; their cluster is the picture, of which an id has one.

    Most pictures have one question of a type; one of v1 has two positive ones.
    """
    units = []
    for position, verdict in enumerate(verdicts):
        if verdict.details["type"] == kind:
            right = half_of(verdict).under(reference=reference)
            outcome = None if right is None else int(right)
            name = f"{verdict.id} (index {verdict.index})"
            units.append(Unit(name, verdict.category or "", outcome, position, cluster=verdict.id))
    return units


def _is_of(kind: str, record: Record) -> bool:
    return record.question_type == kind


def _four(reference: bool) -> tuple[Metric, ...]:
    pairs = functools.partial(pair_units, reference=reference)
    questions = {kind: functools.partial(question_units, kind, reference=reference) for kind in ("POS", "NEG")}
    right = Ratio((0, 1), (1, 1))
    return (
        Metric(
            "RA", "robustness accuracy", "pairs", "pairs of which both questions are answered right",
            pairs, Ratio((1, 0, 0, 0), (1, 1, 1, 1)), chance=6.25, by_category=True,
        ),
        Metric(
            "MR", "misleading rate", "pairs",
            "pairs lost to the leading question, of those whose plain question is answered right",
            pairs, Ratio((0, 1, 0, 0), (1, 1, 0, 0), higher_is_better=False), chance=75.0, by_category=True,
        ),
        Metric(
            "POS", "accuracy on plain questions", "questions", "plain questions answered right",
            questions["POS"], right, chance=25.0, concerns=functools.partial(_is_of, "POS"),
        ),
        Metric(
            "NEG", "accuracy on leading questions", "questions", "leading questions answered right",
            questions["NEG"], right, chance=25.0, concerns=functools.partial(_is_of, "NEG"),
        ),
    )  # fmt: skip


def _of_reference(metric: Metric) -> Metric:
    meaning = f"{metric.meaning}, as the published extraction reads the answers"
    return dataclasses.replace(metric, name=metric.name + REFERENCE, meaning=meaning, headline=False, by_category=False)


METRICS = (*_four(reference=False), *map(_of_reference, _four(reference=True)))


def summarise(verdicts: Sequence[Verdict], dataset: Dataset | None) -> Summary:
    """All metrics. A pair counts when both its halves have a score; a question, when it has. The rest is counted in
    `extra["pairs"]` and said in the notes. dataset None: unanswered pairs go unmentioned."""
    joined = join(verdicts)
    categories = {name: [v for v in verdicts if v.category == name] for name in NAMES}
    levels = {name: [v for v in verdicts if v.details["level"] == name] for name in LEVELS}
    return Summary(
        metrics=estimates(METRICS, verdicts),
        categories={name: estimates(METRICS, of) for name, of in categories.items()},
        groups={"level": {name: estimates(METRICS, of) for name, of in levels.items()}},
        extra=_extra(joined, verdicts),
        notes=_notes(joined, verdicts, dataset),
    )


def _extra(joined: Joined, verdicts: Sequence[Verdict]) -> dict[str, object]:
    scored = [verdict for verdict in verdicts if verdict.score is not None]
    no_option = sum(verdict.details.get("reason") == NO_OPTION for verdict in scored)
    contract = contract_numbers(verdicts, METRICS[0])
    return {
        **({} if contract is None else {"contract": contract}),
        "pairs": {
            "whole": len(joined.pairs),
            "alone": len(joined.alone),
            "unscored": len(joined.unscored),
            "outcomes": dict(count_outcomes(joined.pairs)),
            "outcomes_reference": dict(count_outcomes(join(verdicts, reference=True).pairs, reference=True)),
        },
        # a share like `unscored.rate`, of the scored answers
        NO_OPTION: {"n": no_option, "rate": no_option / len(scored) if scored else None},
        "chance": {metric.name: metric.chance for metric in METRICS if metric.headline},
    }


def _notes(joined: Joined, verdicts: Sequence[Verdict], dataset: Dataset | None) -> list[str]:
    by_chance: dict[float | None, list[str]] = {}
    for metric in METRICS:
        if metric.headline:
            by_chance.setdefault(metric.chance, []).append(metric.name)
    chance = (f"{' and '.join(names)} {value:g}" for value, names in by_chance.items())
    notes = [f"chance with four options: {', '.join(chance)}"]
    for ids, what in (
        (joined.alone, "one question only was answered"),
        (joined.unscored, "a question has no score"),
    ):
        if ids:
            left_out = "1 pair is" if len(ids) == 1 else f"{len(ids)} pairs are"
            notes.append(f"{left_out} left out of RA and MR because {what}: {_some(ids)}")
    twins = [pair for pair in joined.pairs if pair.twin]
    for pair in twins:
        types = "/".join(half.question_type for half in pair.halves)
        notes.append(
            f"{pair.id} was published as {types}; as in the reference tally, one right answer of POS type counts as"
            " misled, whichever half it is"
        )
    if dataset is not None:
        if len(verdicts) < len(dataset.records):
            notes.append(f"{len(verdicts)} of {len(dataset.records)} questions were answered; the others are left out")
        if dataset.source.note:
            notes.append(dataset.source.note)
    return notes


def _some(ids: Sequence[str], shown: int = 3) -> str:
    return ", ".join(ids[:shown]) + (f" and {len(ids) - shown} more" if len(ids) > shown else "")
