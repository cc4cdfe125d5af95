"""Two runs on the same questions: how far apart, and is it more than chance?

A unit has an outcome in each run, so two runs are one table of counts [outcome in the first, outcome in the second]
for every category. Everything is drawn from that table, never from the units:

    [[181, 26, 3, 9],      PP in the first run: 181 stay PP, 26 become PN, …
     [ 14, 21, 1, 5], …]   → RA +2.3 [-3.0, 7.7], p 0.43, 40 wins, 33 losses, 227 ties

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
from collections.abc import Mapping
from typing import Any

import numpy as np

from judge.results.statistics import RESAMPLES, Estimate, detectable, percentiles, wilson
from judge.results.tally import Ratio, Tally

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
        return dataclasses.asdict(self)


Differences = dict[str, Difference]


def join(first: Tally, second: Tally) -> dict[str, np.ndarray]:
    """Counts [outcomes, outcomes] by category (in order of appearance) of the units scored in both runs."""
    outcomes = first.outcomes
    counts: dict[str, np.ndarray] = {}
    for name, unit in first.units.items():
        other = second.units.get(name)
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

    joint: category → counts [outcomes, outcomes], first run by second, as `join` makes them. The same seed gives the
    same numbers.
    """
    rng = np.random.default_rng(seed)
    outcomes = len(next(iter(metrics.values())).numerator)
    total, total_draws = np.zeros((outcomes, outcomes), dtype=np.int64), np.zeros((2, RESAMPLES, outcomes))
    categories: dict[str, Differences] = {}
    for name, counts in joint.items():
        draws = _bootstrap(counts, rng)
        categories[name] = _compare(counts, draws, metrics, rng)
        total, total_draws = total + counts, total_draws + draws
    return _compare(total, total_draws, metrics, rng), categories


def mcnemar(wins: int, losses: int) -> float:
    """Two-sided exact McNemar p-value: wins against losses as fair coin tosses; ties say nothing."""
    tosses = wins + losses
    ways, tail = 1, 0
    for k in range(min(wins, losses) + 1):
        tail += ways
        ways = ways * (tosses - k) // (k + 1)
    return min(1.0, 2 * tail / 2**tosses)  # integers until here: no rounding, however many tosses


def _compare(
    counts: np.ndarray, draws: np.ndarray, metrics: Mapping[str, Ratio], rng: np.random.Generator
) -> Differences:
    swapped = None if all(metric.is_share for metric in metrics.values()) else _permute(counts, rng)
    return {name: _difference(counts, draws, swapped, metric) for name, metric in metrics.items()}


def _difference(counts: np.ndarray, draws: np.ndarray, swapped: np.ndarray | None, metric: Ratio) -> Difference:
    n = int(counts.sum())
    wins, losses, ties = _wins(counts, metric)
    sides = np.stack([counts.sum(axis=1), counts.sum(axis=0)])
    first, second = metric.of(sides)
    value = float(second - first)
    if not np.isfinite(value):
        return Difference(Estimate(None, None, None, n), None, wins, losses, ties, None)

    resampled = np.diff(metric.of(draws), axis=0)[0]
    resampled = resampled[np.isfinite(resampled)]  # a resample may lack a denominator as well
    varies = resampled.size > 0 and float(np.ptp(resampled)) > ROUNDING
    low, high = percentiles(resampled) if varies else _unseen(value, sides, metric)
    least = detectable(float(resampled.std())) if varies else None

    if metric.is_share:
        p = mcnemar(wins, losses)
    else:
        assert swapped is not None
        permuted = np.abs(np.diff(metric.of(swapped), axis=0)[0])
        # the observed arrangement is one of them; one without a denominator cannot be told to be less extreme
        extreme = np.count_nonzero(~(permuted < abs(value) - ROUNDING))
        p = (extreme + 1) / (RESAMPLES + 1)
    return Difference(Estimate(value, low, high, n), p, wins, losses, ties, least)


def _bootstrap(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Outcome counts [run, resample, outcome] of resampled units."""
    n = counts.sum()
    drawn = rng.multinomial(n, counts.ravel() / n, size=RESAMPLES).reshape(RESAMPLES, *counts.shape)
    return np.stack([drawn.sum(axis=2), drawn.sum(axis=1)])


def _permute(counts: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Outcome counts [run, permutation, outcome] after swapping the two runs on each unit with probability 1/2."""
    low, high = np.triu_indices(len(counts), k=1)
    either = counts[low, high] + counts[high, low]
    low, high, either = low[either > 0], high[either > 0], either[either > 0]
    kept = rng.binomial(either, 0.5, size=(RESAMPLES, len(either)))
    first = np.tile(np.diag(counts), (RESAMPLES, 1))
    for column in range(len(either)):
        first[:, low[column]] += kept[:, column]
        first[:, high[column]] += either[column] - kept[:, column]
    return np.stack([first, counts.sum(axis=0) + counts.sum(axis=1) - first])


def _unseen(value: float, sides: np.ndarray, metric: Ratio) -> tuple[float, float]:
    """Bounds where no resample differs, as for two equal runs.

    A bootstrap would claim certainty; as in `mean_score`, the share of units that may yet differ is bounded as Wilson
    bounds 0 of n, and they move the difference by the whole range of the metric.
    """
    fewest = float((sides @ np.array(metric.denominator)).min())
    _, share = wilson(0, fewest)
    whole = metric.scale * (max(metric.numerator) - min(metric.numerator))
    return max(value - share * whole, -whole), min(value + share * whole, whole)


def _wins(counts: np.ndarray, metric: Ratio) -> tuple[int, int, int]:
    weight, counted = np.array(metric.numerator), np.array(metric.denominator) > 0
    gain = np.sign(weight[None, :] - weight[:, None]) * (1 if metric.higher_is_better else -1)
    both = counts * (counted[:, None] & counted[None, :])
    wins, losses, ties = (int(both[gain == sign].sum()) for sign in (1, -1, 0))
    return wins, losses, ties
