"""How well a subset's scores and ranks match those of all questions, for subsets of several sizes.

    check_subsets({"anole": rows, "gill": rows}, sizes=(100, 1000), draws=50)  ->

    {"questions": 20103, "draws": 50, "sizes": {"1000": {
        "subset": "5f0c9a1e", "runs": {"anole": {"full": 55.2, "estimate": 54.6, "ci_low": 52.4, "ci_high": 56.8,
                                       "covered": true, "rmse": 1.1, "coverage": 0.94, "half_width": 2.2}},
        "pairs": 1, "same_order": 1.0, "same_order_drawn": 0.98, "kendall_b": 1.0}}}

The fixed subset of a size is one of many of its kind: others, made by hashing other words (`judge.core.subset`), say
how far such a subset usually is from the score of all (`rmse`, in percent of the scale), how often its interval holds
it, and how often two runs come out in their order. Nothing is drawn at random: the same runs give the same numbers.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.estimate import Estimate
from judge.core.scale import JUDGE_SCALE
from judge.core.subset import WORD, Stratum, choose_ranked, digest_of, rank_by_hash
from judge.errors import UserError
from judge.results.subset_estimate import estimate_whole

SIZES = (100, 200, 500, 1000, 2000, 5000)
DRAWS = 50
Row = tuple[str, Stratum, int | None]
"""id, stratum and score of one answer; None for unscored."""


def check_subsets(
    runs: Mapping[str, Sequence[Row]], sizes: Sequence[int] = SIZES, draws: int = DRAWS
) -> dict[str, Any]:
    """See above; scores and errors are percent of the scale. runs: by name, all of the same questions.

    Sizes that are not smaller than the number of questions are left out. Raises UserError where the runs have different
    questions, where no size is left, and for a run without a score.
    """
    names = list(runs)
    ids, strata, scores = _aligned(runs)
    full = {name: _percent_mean(scores[name], name) for name in names}
    smaller = [size for size in sizes if size < len(ids)]
    if not smaller:
        raise UserError(f"{len(ids)} questions are too few for a subset of {min(sizes)}", fix="give smaller --sizes")
    of = dict(Counter(strata))
    words = [WORD, *(f"{WORD}, check {number}" for number in range(draws))]
    estimates: dict[int, list[dict[str, Estimate]]] = {size: [] for size in smaller}
    digests: dict[int, str] = {}
    for word in words:
        ranked = rank_by_hash(ids, word)
        for size in smaller:
            chosen = choose_ranked(strata, ranked, size)
            if word == WORD:
                digests[size] = digest_of([ids[position] for position in chosen])
            estimates[size].append(
                {name: estimate_whole([(strata[n], scores[name][n]) for n in chosen], of).mean for name in names}
            )
    return {
        "questions": len(ids),
        "draws": draws,
        "sizes": {
            str(size): {"subset": digests[size], **_row(full, estimates[size][0], estimates[size][1:])}
            for size in smaller
        },
    }


def _aligned(runs: Mapping[str, Sequence[Row]]) -> tuple[list[str], list[Stratum], dict[str, list[int | None]]]:
    """Ids, strata and each run's scores, in the order of the first run."""
    first = next(iter(runs.values()))
    ids, strata = [row[0] for row in first], [row[1] for row in first]
    scores = {}
    for name, rows in runs.items():
        own = {row[0]: row[2] for row in rows}
        if own.keys() != set(ids) or len(rows) != len(ids):
            raise UserError(f"{name} is not about the same questions as {next(iter(runs))}")
        scores[name] = [own[one] for one in ids]
    return ids, strata, scores


def _percent_mean(scores: Sequence[int | None], name: str) -> float:
    there = [score for score in scores if score is not None]
    if not there:
        raise UserError(f"{name} has no score at all")
    return JUDGE_SCALE.percent * sum(there) / len(there)


def _row(
    full: Mapping[str, float], fixed: Mapping[str, Estimate], drawn: Sequence[Mapping[str, Estimate]]
) -> dict[str, Any]:
    """One size: each run's numbers, and how often two runs are in their order."""
    pairs = [(one, other) for one, other in itertools.combinations(full, 2) if not math.isclose(full[one], full[other])]
    orders = [[_same_order(full, found, pair) for pair in pairs] for found in (fixed, *drawn)]
    return {
        "runs": {name: _of_run(value, fixed[name], [found[name] for found in drawn]) for name, value in full.items()},
        "pairs": len(pairs),
        "same_order": _share(orders[0]),
        "same_order_drawn": _share([same for order in orders[1:] for same in order]),
        # tau-b without ties among the runs: pairs in order less pairs out of it
        "kendall_b": 2 * sum(orders[0]) / len(pairs) - 1 if pairs else None,
    }


def _of_run(full: float, fixed: Estimate, drawn: Sequence[Estimate]) -> dict[str, Any]:
    low, value, high = _percent(fixed)
    parts = [_percent(one) for one in drawn]
    known = [part for part in parts if part[1] is not None]
    return {
        "full": full,
        "estimate": value,
        "ci_low": low,
        "ci_high": high,
        "covered": _holds(low, full, high),
        "rmse": math.sqrt(sum((part[1] - full) ** 2 for part in known if part[1] is not None) / len(known))
        if known
        else None,
        "coverage": _share([bool(_holds(part[0], full, part[2])) for part in known]),
        "half_width": sum((part[2] - part[0]) / 2 for part in known if part[0] is not None and part[2] is not None)
        / len(known)
        if known
        else None,
    }


def _percent(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    """Lower end, value and upper end in percent of the scale."""
    ends = (estimate.ci_low, estimate.value, estimate.ci_high)
    low, value, high = (None if part is None else JUDGE_SCALE.percent * part for part in ends)
    return low, value, high


def _holds(low: float | None, value: float, high: float | None) -> bool | None:
    return None if low is None or high is None else low - 1e-9 <= value <= high + 1e-9


def _same_order(full: Mapping[str, float], found: Mapping[str, Estimate], pair: tuple[str, str]) -> float:
    """1 where the estimates are in the order of the full scores, 0 where they are not, 0.5 for a tie or an unknown."""
    one, other = (found[name].value for name in pair)
    if one is None or other is None or one == other:
        return 0.5
    return float((one > other) == (full[pair[0]] > full[pair[1]]))


def _share(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
