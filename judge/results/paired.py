"""Two runs on the same questions: how far apart, and is it more than chance?

A unit has an outcome in each run, so two runs are one table of counts [outcome in the first, outcome in the second]
for every category. Everything is drawn from that table, never from the units:

    [[150, 14, 3, 4],      150 pairs are PP in both runs, 14 went from PP to PN, …
     [ 31, 40, 1, 6], …]   → RA +7.3 [+2.0, +12.7], p 0.008, 43 wins, 21 losses, 236 ties

- interval: percentile bootstrap of units, each category resampled on its own: one multinomial draw a resample
  (Efron and Tibshirani 1993, ch. 8, 13.3).
- p-value, two-sided: McNemar's exact test for shares of units (McNemar, Psychometrika 12 (1947) 153-157; exact
  binomial form). For other metrics the permutation test in which the two runs may have swapped their outcomes on
  each unit (Efron and Tibshirani 1993, ch. 15; also right for ratios such as MR, whose denominators differ between
  the runs): swaps of equal outcomes change nothing, so one binomial draw for each pair of outcomes.
- least detectable difference at this n: (z_0.975 + z_0.8) standard errors of the difference, the latter from the
  bootstrap (Miller, "Adding Error Bars to Evals", arXiv:2411.00640).

Differences are second minus first, in the metric's own unit (points, where it is a percentage).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from judge.core.estimate import Estimate
from judge.core.metric import Ratio, Unit
from judge.results.statistics import detectable, percentile_interval, wilson

RESAMPLES = 10_000
ROUNDING = 1e-9
"""Differences this small are those of floating point: outcome weights are small integers."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """One metric, second run minus first.

    difference: over the units that both runs have scored; value None where a run has no denominator (an MR without
    a pair whose positive question is right). p: two-sided, None with the value. wins: units the second run does
    better on, among those that count in both runs' denominators. detectable: the difference that would be found with
    80% power at this n, None where the units show no variation to tell it from.
    """

    difference: Estimate
    p: float | None
    wins: int
    losses: int
    ties: int
    detectable: float | None

    def to_json(self) -> dict[str, Any]:
        """The fields by name, `difference` as {"value", "ci_low", "ci_high", "n"}."""
        return dataclasses.asdict(self)


Differences = dict[str, Difference]


def join_units(first: Iterable[Unit], second: Iterable[Unit], outcomes: int) -> dict[str, np.ndarray]:
    """Counts [outcomes, outcomes] by category (in order of appearance) of the units scored in both runs."""
    theirs = {unit.name: unit for unit in second}
    counts: dict[str, np.ndarray] = {}
    for unit in first:
        other = theirs.get(unit.name)
        if other is None or unit.outcome is None or other.outcome is None:
            continue
        if unit.category not in counts:
            counts[unit.category] = np.zeros((outcomes, outcomes), dtype=np.int64)
        counts[unit.category][unit.outcome, other.outcome] += 1
    return counts


def differences(
    joint: Mapping[str, np.ndarray], metrics: Mapping[str, Ratio], *, seed: int = 0
) -> tuple[Differences, dict[str, Differences]]:
    """Every metric over all units, and by category.

    joint: category → counts [outcomes, outcomes], first run by second, as `join_units` makes them. The same seed gives
    the same numbers.
    """
    rng = np.random.default_rng(seed)
    kinds = _Kinds(metrics)
    total = _Sums.nothing(kinds)
    categories: dict[str, Differences] = {}
    for name, counts in joint.items():
        sums = _Sums.drawn(counts, kinds, rng)
        categories[name] = _differences(sums, kinds, metrics)
        total = total + sums  # units are drawn within their category, so draws of categories add up to draws of all
    return _differences(total, kinds, metrics), categories


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact McNemar p-value: wins against losses as fair coin tosses; ties say nothing."""
    tosses = wins + losses
    ways, tail = 1, 0
    for k in range(min(wins, losses) + 1):
        tail += ways
        ways = ways * (tosses - k) // (k + 1)
    return min(1.0, 2 * tail / 2**tosses)  # integers until here: no rounding, however many tosses


class _Kinds:
    """Units that no metric tells apart are drawn together: 13 kinds instead of 49 for scores from 0 to 6.

    features [kinds, features]: what a unit of a kind adds to the sums that the metrics are made of (`_features`).
    of [outcomes²]: the kind of a unit with these outcomes; swapped [kinds]: the kind after swapping the runs.
    columns: metric → its features.
    """

    def __init__(self, metrics: Mapping[str, Ratio]) -> None:
        parts = {name: _features(metric) for name, metric in metrics.items()}
        features = np.concatenate(list(parts.values()), axis=2)
        self.outcomes, _, width = features.shape
        self.features, of = np.unique(features.reshape(-1, width), axis=0, return_inverse=True)
        self.of = of.reshape(-1)
        self.swapped = np.empty(len(self.features), dtype=np.int64)
        self.swapped[self.of] = self.of.reshape(self.outcomes, self.outcomes).T.reshape(-1)
        ends = np.cumsum([part.shape[2] for part in parts.values()])
        self.columns = {
            name: slice(end - part.shape[2], end) for (name, part), end in zip(parts.items(), ends, strict=True)
        }


@dataclasses.dataclass(frozen=True)
class _Sums:
    """Sums of features over the units: as observed, in every resample and in every permutation ([…, features])."""

    counts: np.ndarray
    observed: np.ndarray
    resampled: np.ndarray
    permuted: np.ndarray

    @classmethod
    def nothing(cls, kinds: _Kinds) -> _Sums:
        width = kinds.features.shape[1]
        return cls(
            np.zeros((kinds.outcomes, kinds.outcomes), dtype=np.int64),
            np.zeros(width),
            np.zeros((RESAMPLES, width)),
            np.zeros((RESAMPLES, width)),
        )

    @classmethod
    def drawn(cls, counts: np.ndarray, kinds: _Kinds, rng: np.random.Generator) -> _Sums:
        of_kind = np.bincount(kinds.of, weights=counts.reshape(-1), minlength=len(kinds.features))
        n = int(counts.sum())
        resampled = rng.multinomial(n, of_kind / n, size=RESAMPLES).astype(float) @ kinds.features
        # a unit of a kind, or of its mirror image, is either in each permutation, with probability 1/2
        permuted = np.tile(of_kind[kinds.swapped] @ kinds.features, (RESAMPLES, 1))
        for kind, mirror in enumerate(kinds.swapped):
            either = int(of_kind[kind] + of_kind[mirror])
            if kind < mirror and either:
                drawn = rng.binomial(either, 0.5, size=RESAMPLES) - of_kind[mirror]
                permuted += np.outer(drawn, kinds.features[kind] - kinds.features[mirror])
        return cls(counts, of_kind @ kinds.features, resampled, permuted)

    def __add__(self, other: _Sums) -> _Sums:
        return _Sums(
            self.counts + other.counts,
            self.observed + other.observed,
            self.resampled + other.resampled,
            self.permuted + other.permuted,
        )


def _features(metric: Ratio) -> np.ndarray:
    """[outcomes, outcomes, features]: a unit's numerators and denominators in both runs.

    Where every unit counts alike in the denominator, the gain in the numerator and the denominator are enough.
    """
    above, below = np.array(metric.numerator, dtype=float), np.array(metric.denominator, dtype=float)
    first, second = np.indices((len(above), len(above)))
    if metric.counts_all:
        return np.stack([above[second] - above[first], below[first]], axis=2)
    return np.stack([above[first], below[first], above[second], below[second]], axis=2)


def _values(metric: Ratio, sums: np.ndarray) -> np.ndarray:
    """Differences […] from the metric's own sums […, features]; NaN where a run has no denominator."""
    with np.errstate(invalid="ignore", divide="ignore"):
        if metric.counts_all:
            values = sums[..., 0] / sums[..., 1]
        else:
            values = sums[..., 2] / sums[..., 3] - sums[..., 0] / sums[..., 1]
    return np.asarray(metric.scale * np.where(np.isfinite(values), values, np.nan))


def _differences(sums: _Sums, kinds: _Kinds, metrics: Mapping[str, Ratio]) -> Differences:
    return {
        name: _difference(
            metric,
            sums.counts,
            *(part[..., kinds.columns[name]] for part in (sums.observed, sums.resampled, sums.permuted)),
        )
        for name, metric in metrics.items()
    }


def _difference(
    metric: Ratio, counts: np.ndarray, observed: np.ndarray, resampled: np.ndarray, permuted: np.ndarray
) -> Difference:
    n = int(counts.sum())
    wins, losses, ties = _wins(counts, metric)
    value = float(_values(metric, observed))
    if not np.isfinite(value):
        return Difference(Estimate(None, None, None, n), None, wins, losses, ties, None)

    draws = _values(metric, resampled)
    draws = draws[np.isfinite(draws)]  # a resample may lack a denominator as well
    varies = draws.size > 0 and float(np.ptp(draws)) > ROUNDING
    low, high = percentile_interval(draws) if varies else _unseen(value, counts, metric)
    least = detectable(float(draws.std())) if varies else None

    if metric.is_share:
        p = mcnemar(wins, losses)
    else:
        # the observed arrangement is one of them; one without a denominator cannot be told to be less extreme
        extreme = np.count_nonzero(~(np.abs(_values(metric, permuted)) < abs(value) - ROUNDING))
        p = (int(extreme) + 1) / (RESAMPLES + 1)
    return Difference(Estimate(value, low, high, n), p, wins, losses, ties, least)


def _unseen(value: float, counts: np.ndarray, metric: Ratio) -> tuple[float, float]:
    """Bounds where no resample differs, as for two equal runs.

    A bootstrap would claim certainty; as in `mean_score`, the share of units that may yet differ is bounded as Wilson
    bounds 0 of n, and they move the difference by the whole range of the metric.
    """
    denominators = np.stack([counts.sum(axis=1), counts.sum(axis=0)]) @ np.array(metric.denominator)
    _, share = wilson(0, float(denominators.min()))
    whole = metric.scale * (max(metric.numerator) - min(metric.numerator))
    return max(value - share * whole, -whole), min(value + share * whole, whole)


def _wins(counts: np.ndarray, metric: Ratio) -> tuple[int, int, int]:
    weight, counted = np.array(metric.numerator), np.array(metric.denominator) > 0
    gain = np.sign(weight[None, :] - weight[:, None]) * (1 if metric.higher_is_better else -1)
    both = counts * (counted[:, None] & counted[None, :])
    wins, losses, ties = (int(both[gain == sign].sum()) for sign in (1, -1, 0))
    return wins, losses, ties
