"""How well given scores agree with people's: ten coefficients, each with an interval.

    agree([5, 3, 6, 1, …], [4.5, 3, 5, 2, …], ["PBL-7", "PBL-7", "SA-2", …])
    ->  {"pearson": Estimate(0.11, -0.03, 0.25, n=200), …, "cosine": Estimate(0.87, 0.85, 0.90, n=200)}

Intervals: percentile bootstrap at 95% (Efron and Tibshirani 1993, ch. 13). What is drawn is the cluster: answers of
several models to one question are no independent witnesses of how the judge reads it. The same pairs and seed give the
same numbers, in whatever order the pairs come.

An estimate is undefined (value None) where there is nothing to compute, such as the correlation of a constant. It has
a value and no interval where resampling cannot give one: a single cluster, no variation between resamples, or more
than 5% of them undefined.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from statistics import NormalDist

import numpy as np

from judge.results.statistics import CONFIDENCE, EMPTY, Estimate
from judge.validity.coefficients import PAIRED, ZERO_IS_CHANCE, alpha_interval, icc_a1, of_pairs

RESAMPLES = 2000
DEFINED = 0.95
"""Share of resamples in which a coefficient must be defined for its interval to be given."""

CHUNK = 2**21
"""Weights held at once: resamples times distinct points."""

Coefficients = Callable[[np.ndarray, np.ndarray], Mapping[str, np.ndarray]]
"""(weights [r, m], points [m, columns]) → values [r] by name."""


def agree(
    given: Sequence[float],
    human: Sequence[float],
    clusters: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """The coefficients of `judge.validity.coefficients.PAIRED` between two sets of scores, each with n and interval.

    given, human: scores of the same answers, in one order and on one scale; where the scales differ, only those of
    `ASSOCIATION` mean something. clusters: what is resampled, usually the question's id of each answer; None where no
    two answers belong together. Raises ValueError for lengths that differ and for scores that are not finite.
    """
    points = _points(given, human)
    return _estimates(points, clusters, lambda w, p: of_pairs(w, p[:, 0], p[:, 1]), tuple(PAIRED), resamples, seed)


def differences(
    given: Sequence[float],
    other: Sequence[float],
    human: Sequence[float],
    clusters: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """How much more `given` has of each coefficient than `other` on the same answers: given minus other, paired.

    Both are resampled together. An interval above 0 says that `given` has more (of an error: that it is worse).
    """
    points = _points(given, other, human)

    def gains(weights: np.ndarray, cells: np.ndarray) -> dict[str, np.ndarray]:
        first, second = (of_pairs(weights, cells[:, column], cells[:, 2]) for column in (0, 1))
        return {name: first[name] - second[name] for name in first}

    return _estimates(points, clusters, gains, tuple(PAIRED), resamples, seed)


def reliability(
    ratings: Sequence[Sequence[float | None]],
    clusters: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Agreement among several raters: {"alpha_interval", "icc_a1"}. ratings [items, raters], None where one gave none.

    Items with fewer than two ratings are left out; n is the number of items. ICC needs every rater on every item, and
    is undefined elsewhere.
    """
    rows = [
        (tuple(math.nan if value is None else value for value in row), clusters[number] if clusters else None)
        for number, row in enumerate(ratings)
        if sum(value is not None for value in row) >= 2
    ]
    points = np.array([row for row, _ in rows], dtype=float)
    labels = [str(label) for _, label in rows] if clusters else None

    def coefficients(weights: np.ndarray, cells: np.ndarray) -> dict[str, np.ndarray]:
        complete = bool(np.isfinite(cells).all())
        icc = icc_a1(weights, cells) if complete else np.full(len(weights), np.nan)
        with np.errstate(invalid="ignore", divide="ignore"):
            return {"alpha_interval": alpha_interval(weights, cells), "icc_a1": icc}

    return _estimates(points, labels, coefficients, ("alpha_interval", "icc_a1"), resamples, seed)


def fisher(r: float, n: int) -> Estimate:
    """The interval of a published Pearson correlation of n > 3 pairs, by Fisher's z (Metron 1 (1921) 3-32)."""
    reach = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2) / math.sqrt(n - 3)
    return Estimate(r, math.tanh(math.atanh(r) - reach), math.tanh(math.atanh(r) + reach), n)


def pairs_needed(r: float, *, power: float = 0.8) -> int:
    """How many pairs show with this power that a true Pearson correlation r is not zero, at 95%; by Fisher's z."""
    normal = NormalDist()
    reach = normal.inv_cdf(0.5 + CONFIDENCE / 2) + normal.inv_cdf(power)
    return math.ceil((reach / math.atanh(abs(r))) ** 2 + 3)


def includes_zero(name: str, estimate: Estimate) -> bool:
    """Whether the coefficient `name` is one that 0 means chance for, and the interval does not exclude it."""
    if name not in ZERO_IS_CHANCE or estimate.ci_low is None or estimate.ci_high is None:
        return False
    return estimate.ci_low <= 0 <= estimate.ci_high


def _points(*columns: Sequence[float]) -> np.ndarray:
    if len({len(column) for column in columns}) != 1:
        raise ValueError(f"scores of {' and '.join(str(len(column)) for column in columns)} answers do not pair")
    points = np.array(columns, dtype=float).T
    if not np.isfinite(points).all():
        raise ValueError("a score is not a finite number")
    return points


def _estimates(
    points: np.ndarray,
    clusters: Sequence[str] | None,
    coefficients: Coefficients,
    names: Sequence[str],
    resamples: int,
    seed: int,
) -> dict[str, Estimate]:
    n = len(points)
    if clusters is not None and len(clusters) != n:
        raise ValueError(f"{len(clusters)} clusters for {n} answers")
    if n == 0:
        return dict.fromkeys(names, EMPTY)
    sample = _Sample.of(points, clusters)
    values = coefficients(sample.observed, sample.points)
    drawn = [coefficients(weights, sample.points) for weights in sample.draws(resamples, seed)]
    return {name: _estimate(float(values[name][0]), [part[name] for part in drawn], n) for name in names}


def _estimate(value: float, draws: Sequence[np.ndarray], n: int) -> Estimate:
    if not math.isfinite(value):
        return Estimate(None, None, None, n)
    every = np.concatenate(draws) if draws else np.empty(0)
    defined = every[np.isfinite(every)]
    if len(defined) < max(DEFINED * len(every), 2) or np.ptp(defined) < 1e-9:
        return Estimate(value, None, None, n)
    low, high = np.percentile(defined, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return Estimate(value, float(low), float(high), n)


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

    def draws(self, resamples: int, seed: int) -> Iterator[np.ndarray]:
        """Weights [some, m] until there are `resamples` of them."""
        rng = np.random.default_rng(seed)
        size = len(self.points) if self.members is None else len(self.members[0])
        rows = max(1, CHUNK // size)
        for start in range(0, resamples, rows):
            yield self._drawn(min(rows, resamples - start), rng)

    def _drawn(self, rows: int, rng: np.random.Generator) -> np.ndarray:
        if self.members is None:
            n = int(self.observed.sum())
            return rng.multinomial(n, self.observed[0] / n, size=rows).astype(float)
        point, cluster = self.members
        number = int(cluster.max()) + 1
        times = rng.multinomial(number, np.full(number, 1 / number), size=rows).astype(float)
        return np.add.reduceat(times[:, cluster], np.searchsorted(point, np.arange(len(self.points))), axis=1)
