"""Two runs on the same questions: how far apart, and is it more than chance?

A unit has an outcome in each run, so two runs are one table of counts [outcome in the first, outcome in the second]
for every category. Everything is computed from that table, nothing is drawn:

    [[150, 14, 3, 4],      150 pairs are PP in both runs, 14 went from PP to PN, …
     [ 31, 40, 1, 6], …]   → RA +7.3 [+2.0, +12.6], p 0.007, 43 wins, 21 losses, 236 ties

Interval and p come from one statistic, so p < 0.05 exactly where the 95% interval excludes 0: the score statistic of
the difference, taken as normal, after two units were made up, one that gains and one that loses as much.

    z(d) = (difference - d) / standard error, if the true difference were d        interval: all d with |z(d)| < 1.96
                                                                                   p: of z(0), two-sided

For shares of units, z(0) is McNemar's (wins - losses) / √(wins + losses + 2). `docs/statistics.md` has the formulas,
the sources and how often such intervals hold the true difference. Differences are second minus first, in the metric's
own unit (points, where it is a percentage).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from judge.core.estimate import Estimate
from judge.core.metric import Ratio, Unit
from judge.results.statistics import Z, detectable


@dataclasses.dataclass(frozen=True)
class Difference:
    """One metric, second run minus first.

    difference: over the units that both runs have scored; value None where a run has no denominator (an MR without
    a pair whose positive question is right). p: two-sided, None with the value. wins: units the second run does
    better on, among those that count in both runs' denominators. detectable: the difference that would be found with
    80% power at this n, None where no unit differs or where none could be found.
    """

    difference: Estimate
    p: float | None
    wins: int
    losses: int
    ties: int
    detectable: float | None

    def of_one_run(self) -> Difference:
        """What it is where both runs are one and the same: 0, on any questions."""
        if self.difference.value is None:
            return self
        return dataclasses.replace(self, difference=Estimate(0.0, 0.0, 0.0, self.difference.n), p=1.0, detectable=None)

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
    joint: Mapping[str, np.ndarray], metrics: Mapping[str, Ratio]
) -> tuple[Differences, dict[str, Differences]]:
    """Every metric over all units, and by category.

    joint: category → counts [outcomes, outcomes], first run by second, as `join_units` makes them.
    """
    by_category = {
        category: {name: difference_of(counts, metric) for name, metric in metrics.items()}
        for category, counts in joint.items()
    }
    overall = {
        name: difference_of(sum(joint.values(), start=np.zeros((len(metric.numerator),) * 2, dtype=np.int64)), metric)
        for name, metric in metrics.items()
    }
    return overall, by_category


def difference_of(counts: np.ndarray, metric: Ratio) -> Difference:
    """One metric from counts [outcomes, outcomes], first run by second."""
    n = int(counts.sum())
    wins, losses, ties = _wins(counts, metric)
    value = float(metric.of(counts.sum(axis=0)) - metric.of(counts.sum(axis=1)))
    if not math.isfinite(value):
        return Difference(Estimate(None, None, None, n), None, wins, losses, ties, None)
    statistic = _Statistic.of(counts, metric)
    low, high = (metric.scale * end for end in statistic.interval(Z))
    z = statistic.z
    if value * statistic.difference <= 0:
        # runs that are equal; or a rate over so few units that the two made up turn its sign: nothing is shown
        low, high, z = min(low, 0.0), max(high, 0.0), 0.0
    whole = metric.scale * (max(metric.numerator) - min(metric.numerator))
    least = detectable((high - low) / (2 * Z)) if wins or losses else math.inf
    return Difference(
        Estimate(value, max(min(low, value), -whole), min(max(high, value), whole), n),
        math.erfc(z / math.sqrt(2)),
        wins,
        losses,
        ties,
        least if least <= whole else None,
    )


@dataclasses.dataclass(frozen=True)
class _Statistic:
    """A difference of two ratios, and its variance if the true difference were d: at_zero + 2 · slope · d + curve · d².

    All in units of the numerator, over the units of both runs and the two that are made up.
    """

    difference: float
    at_zero: float
    slope: float
    curve: float

    @classmethod
    def of(cls, counts: np.ndarray, metric: Ratio) -> _Statistic:
        above, below = np.array(metric.numerator, dtype=float), np.array(metric.denominator, dtype=float)
        first, second = np.nonzero(counts)
        times = counts[first, second].astype(float)
        step = _step(times, np.where((below[first] > 0) & (below[second] > 0), above[second] - above[first], 0), metric)
        # the two: from 0 to a step, and from a step to 0
        times, counted = np.append(times, [1, 1]), [below.max()] * 2
        above_1, above_2 = np.append(above[first], [0, step]), np.append(above[second], [step, 0])
        below_1, below_2 = np.append(below[first], counted), np.append(below[second], counted)
        all_1, all_2 = times @ below_1, times @ below_2
        # how far each unit moves the difference, from what one common ratio would have it; if d is the difference, the
        # common ratio of the first run is (numerators - d · all_2) / (all_1 + all_2)
        ratio = (times @ above_1 + times @ above_2) / (all_1 + all_2)
        moves = (above_2 - ratio * below_2) / all_2 - (above_1 - ratio * below_1) / all_1
        by_d = -(all_1 / all_2 * below_2 + all_2 / all_1 * below_1) / (all_1 + all_2)
        return cls(
            float(times @ above_2 / all_2 - times @ above_1 / all_1),
            float(times @ moves**2),
            float(times @ (moves * by_d)),
            float(times @ by_d**2),
        )

    @property
    def z(self) -> float:
        """The largest z whose `interval` excludes 0."""
        return min(abs(self.difference) / math.sqrt(self.at_zero), 1 / math.sqrt(self.curve))

    def interval(self, z: float) -> tuple[float, float]:
        """All d with (difference - d)² ≤ z² · variance(d); everything, where that has no ends."""
        leading = 1 - z * z * self.curve
        if leading <= 0:
            return -math.inf, math.inf
        middle = self.difference + z * z * self.slope
        root = math.sqrt(middle**2 - leading * (self.difference**2 - z * z * self.at_zero))
        return (middle - root) / leading, (middle + root) / leading


def _step(times: np.ndarray, gains: np.ndarray, metric: Ratio) -> float:
    """What the two made-up units gain and lose: the root mean square of the gains there are and one of the whole scale.

    1 for a proportion, whose units gain or lose 1.
    """
    whole = max(metric.numerator) - min(metric.numerator)
    return math.sqrt((times @ gains**2 + whole**2) / (times[gains != 0].sum() + 1))


def _wins(counts: np.ndarray, metric: Ratio) -> tuple[int, int, int]:
    weight, counted = np.array(metric.numerator), np.array(metric.denominator) > 0
    gain = np.sign(weight[None, :] - weight[:, None]) * (1 if metric.higher_is_better else -1)
    both = counts * (counted[:, None] & counted[None, :])
    wins, losses, ties = (int(both[gain == sign].sum()) for sign in (1, -1, 0))
    return wins, losses, ties
