"""What a subset says of all questions: the post-stratified mean and its finite-population interval.

    estimate_whole([(("PBL", "Art"), 4), (("SA", "Literature"), None), …], {("PBL", "Art"): 1304, …})
    ->  Whole(Estimate(3.81, 3.73, 3.89, n=996), {("PBL", "Art"): Weight(n=65, of=1304, weight=0.0649), …})

Every stratum h counts by its share W_h = N_h / N of all questions, whatever its share of the answers with a score:

    mean = Σ W_h ȳ_h        variance = Σ W_h² (1 - n_h/N_h) s_h² / n_h

Where all of a stratum was asked it adds nothing to the variance. Source: Cochran, Sampling Techniques (3rd ed., 1977),
sections 5.3 and 5A.9. The subset is chosen by hash, not drawn; the interval takes it for a draw. As for `mean_score`,
the lowest and the highest score are made up, each of them times the share of the questions that was not asked.

A stratum with one score has no variance of its own and takes that of its category, else that of all scores; one without
any score gives its weight to the others of its category, else to all.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from judge.core.estimate import EMPTY, Estimate
from judge.core.scale import JUDGE_SCALE, Scale
from judge.core.subset import Stratum
from judge.results.statistics import Z


@dataclasses.dataclass(frozen=True)
class Weight:
    """n: scored answers of the stratum; of: its questions in the whole benchmark; weight: its share in the estimate."""

    n: int
    of: int
    weight: float


@dataclasses.dataclass(frozen=True)
class Whole:
    """The estimate of the mean score of all questions, in points, and the weights it was made with."""

    mean: Estimate
    weights: Mapping[Stratum, Weight]


def estimate_whole(
    rows: Sequence[tuple[Stratum, int | None]], of: Mapping[Stratum, int], scale: Scale = JUDGE_SCALE
) -> Whole:
    """The mean of all questions from the scores of some. rows: stratum and score of every answer, None for unscored.

    of: how many questions each stratum has; strata of `rows` that are not there are left out. EMPTY without a score.
    """
    scores: dict[Stratum, list[int]] = {stratum: [] for stratum in of}
    for stratum, score in rows:
        if score is not None and stratum in scores:
            scores[stratum].append(score)
    scored = {stratum: some for stratum, some in scores.items() if some}
    if not scored:
        return Whole(EMPTY, {})
    weights = _weights(scored, of)
    mean = math.fsum(weights[stratum] * sum(some) / len(some) for stratum, some in scored.items())
    mean = min(max(mean, float(scale.lowest)), float(scale.highest))  # rounded weights may add up to a little over 1
    variance = math.fsum(
        weights[stratum] ** 2 * max(1 - len(some) / of[stratum], 0.0) * _spread(stratum, scored) / len(some)
        for stratum, some in scored.items()
    )
    n = sum(map(len, scored.values()))
    low, high = _interval(mean, variance, n, max(1 - n / sum(of.values()), 0.0), scale)
    found = {stratum: Weight(len(scored[stratum]), of[stratum], weights[stratum]) for stratum in sorted(scored)}
    return Whole(Estimate(mean, low, high, n), found)


def _interval(mean: float, variance: float, n: int, unasked: float, scale: Scale) -> tuple[float, float]:
    """Of a mean of n scores with this variance. unasked: the share of questions that was not asked."""
    if unasked == 0:
        return mean, mean
    more = n + 2 * unasked
    centre = (n * mean + unasked * (scale.lowest + scale.highest)) / more
    squares = (n * (n * variance + mean**2) + unasked * (scale.lowest**2 + scale.highest**2)) / more
    if more <= Z * Z:
        return float(scale.lowest), float(scale.highest)
    half = Z * math.sqrt((squares - centre**2) / (more - Z * Z))
    return max(min(centre - half, mean), scale.lowest), min(max(centre + half, mean), scale.highest)


def _weights(scored: Mapping[Stratum, Sequence[int]], of: Mapping[Stratum, int]) -> dict[Stratum, float]:
    """Shares of all questions by stratum; they add up to 1."""
    total = sum(of.values())
    by_category: dict[str, float] = {}
    for stratum in scored:
        by_category[stratum[0]] = by_category.get(stratum[0], 0) + of[stratum]
    there = sum(count for stratum, count in of.items() if stratum[0] in by_category)
    whole = {
        category: sum(count for stratum, count in of.items() if stratum[0] == category) / total
        for category in by_category
    }
    return {stratum: of[stratum] / by_category[stratum[0]] * whole[stratum[0]] * total / there for stratum in scored}


def _spread(stratum: Stratum, scored: Mapping[Stratum, Sequence[int]]) -> float:
    """s² of the stratum, else of its category, else of all scores."""
    for members in (
        [stratum],
        [one for one in scored if one[0] == stratum[0]],
        list(scored),
    ):
        some = [score for one in members for score in scored[one]]
        if len(some) > 1:
            mean = sum(some) / len(some)
            return math.fsum((score - mean) ** 2 for score in some) / (len(some) - 1)
    return 0.0
