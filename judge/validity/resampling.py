"""The percentile bootstrap of coefficients: whole clusters of answers are drawn, many times at once.

    def coefficients(weights, points):
        return paired_coefficients(weights, points[:, 0], points[:, 1])

    estimate_coefficients(points, clusters, coefficients, ["pearson", …], Resampling(resamples=2000, seed=0))
    ->  {"pearson": Estimate(0.11, -0.03, 0.25, n=200), …}

Intervals: Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 13, at 95%. A cluster is a question with
all its answers: answers of several models to one question are no independent witnesses of how the judge reads it.

An estimate is undefined (value None) where there is nothing to compute, such as the correlation of a constant. It has
a value and no interval where resampling cannot give one: a single cluster, no variation between resamples, or more
than 5% of them undefined.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from judge.results.statistics import CONFIDENCE, EMPTY, Estimate, percentile_interval

RESAMPLES = 2000
DEFINED = 0.95
"""Share of resamples in which a coefficient must be defined for its interval to be given."""

CHUNK = 2**21
"""Weights held at once: resamples times distinct points."""

Coefficients = Callable[[np.ndarray, np.ndarray], Mapping[str, np.ndarray]]
"""(weights [r, m], points [m, columns]) → values [r] by name."""


@dataclasses.dataclass(frozen=True)
class Resampling:
    """How intervals are drawn. resamples: how many; 0 gives values without intervals. seed: of the drawing."""

    resamples: int = RESAMPLES
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """As in `agreement.json` and `ablation.json`."""
        return {
            "method": "percentile bootstrap",
            "confidence": CONFIDENCE,
            "of": "questions, with all their answers",
            "resamples": self.resamples,
            "seed": self.seed,
        }


DEFAULT = Resampling()


def estimate_coefficients(
    points: np.ndarray,
    clusters: Sequence[str] | None,
    coefficients: Coefficients,
    names: Sequence[str],
    resampling: Resampling,
) -> dict[str, Estimate]:
    """Every coefficient of `names` with its interval; n is the number of answers, EMPTY where there is none.

    points: [answers, columns], a column for each side. clusters: what is drawn, by answer; None: every answer alone.
    The same answers and seed give the same numbers, in whatever order they come. Raises ValueError where there are
    not as many clusters as answers.
    """
    n = len(points)
    if clusters is not None and len(clusters) != n:
        raise ValueError(f"{len(clusters)} clusters for {n} answers")
    if n == 0:
        return dict.fromkeys(names, EMPTY)
    sample = _Sample.of(points, clusters)
    values = coefficients(sample.observed, sample.points)
    drawn = [coefficients(weights, sample.points) for weights in sample.draws(resampling)]
    return {
        name: bootstrap_estimate(float(values[name][0]), np.concatenate([[], *(part[name] for part in drawn)]), n)
        for name in names
    }


def bootstrap_estimate(value: float, draws: np.ndarray, n: int, *, may_be_fixed: bool = False) -> Estimate:
    """`value` of n units with the middle 95% of what resampling gave instead. draws: [resamples], NaN where undefined.

    may_be_fixed: a value that no resample changes has the interval [value, value], as for a rank, which is certain
    where systems lie far apart. Without it there is no interval: that a correlation did not vary shows nothing.
    """
    if not math.isfinite(value):
        return Estimate(None, None, None, n)
    defined = draws[np.isfinite(draws)]
    if len(defined) < max(DEFINED * len(draws), 2) or (np.ptp(defined) < 1e-9 and not may_be_fixed):
        return Estimate(value, None, None, n)
    return Estimate(value, *percentile_interval(defined), n)


@dataclasses.dataclass(frozen=True)
class _Sample:
    """Answers with the same scores are one point that counts several times: 49 of them at most for whole scores.

    points [m, columns]; observed [1, m]: how often each occurs. members: for every answer its point and its cluster
    (a number), None where every answer is a cluster of its own.
    """

    points: np.ndarray
    observed: np.ndarray
    members: tuple[np.ndarray, np.ndarray] | None

    @classmethod
    def of(cls, points: np.ndarray, clusters: Sequence[str] | None) -> _Sample:
        # NaN (no rating) is equal to itself here
        distinct, which, counts = np.unique(points, axis=0, return_inverse=True, return_counts=True)
        which = which.reshape(-1)
        members = None
        if clusters is not None and len(set(clusters)) < len(points):
            _, cluster = np.unique(np.array(clusters, dtype=str), return_inverse=True)
            order = np.lexsort((cluster, which))
            members = which[order], cluster.reshape(-1)[order]
        return cls(distinct, counts[None, :].astype(float), members)

    def draws(self, resampling: Resampling) -> Iterator[np.ndarray]:
        """Weights [some, m] until there are as many as asked for."""
        rng = np.random.default_rng(resampling.seed)
        size = len(self.points) if self.members is None else len(self.members[0])
        rows = max(1, CHUNK // size)
        for start in range(0, resampling.resamples, rows):
            yield self._drawn(min(rows, resampling.resamples - start), rng)

    def _drawn(self, rows: int, rng: np.random.Generator) -> np.ndarray:
        if self.members is None:
            n = int(self.observed.sum())
            return rng.multinomial(n, self.observed[0] / n, size=rows).astype(float)
        point, cluster = self.members
        number = int(cluster.max()) + 1
        times = rng.multinomial(number, np.full(number, 1 / number), size=rows).astype(float)
        return np.add.reduceat(times[:, cluster], np.searchsorted(point, np.arange(len(self.points))), axis=1)
