"""How well given scores agree with people's: ten coefficients, each with an interval.

    measure_agreement([5, 3, 6, 1, …], [4.5, 3, 5, 2, …], ["PBL-7", "PBL-7", "SA-2", …])
    ->  {"pearson": Estimate(0.11, -0.03, 0.25, n=200), …, "cosine": Estimate(0.87, 0.85, 0.90, n=200)}

Every function returns estimates by the name of the coefficient. What has a value, what has an interval, and how that
is drawn: `judge.validity.resampling`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from judge.results.statistics import Estimate, Z, detectable
from judge.validity.coefficients import PAIRED, ZERO_IS_CHANCE, alpha_interval, icc_a1, paired_coefficients
from judge.validity.resampling import DEFAULT, Resampling, estimate_coefficients


def measure_agreement(
    given: Sequence[float],
    human: Sequence[float],
    clusters: Sequence[str] | None = None,
    resampling: Resampling = DEFAULT,
) -> dict[str, Estimate]:
    """The coefficients of `judge.validity.coefficients.PAIRED` between two sets of scores, each with n and interval.

    given, human: scores of the same answers, in one order and on one scale; where the scales differ, only those of
    `ASSOCIATION` mean something. clusters: what is resampled, usually the question's id of each answer; None where no
    two answers belong together. Raises ValueError for lengths that differ and for scores that are not finite.
    """
    points = _points(given, human)
    return estimate_coefficients(
        points, clusters, lambda w, p: paired_coefficients(w, p[:, 0], p[:, 1]), tuple(PAIRED), resampling
    )


def compare_agreement(
    given: Sequence[float],
    other: Sequence[float],
    human: Sequence[float],
    clusters: Sequence[str] | None = None,
    resampling: Resampling = DEFAULT,
) -> dict[str, Estimate]:
    """How much more `given` has of each coefficient than `other` on the same answers: given minus other, paired.

    Both are resampled together. An interval above 0 says that `given` has more (of an error: that it is worse).
    Arguments and errors as for `measure_agreement`.
    """
    points = _points(given, other, human)

    def gains(weights: np.ndarray, cells: np.ndarray) -> dict[str, np.ndarray]:
        first, second = (paired_coefficients(weights, cells[:, column], cells[:, 2]) for column in (0, 1))
        return {name: first[name] - second[name] for name in first}

    return estimate_coefficients(points, clusters, gains, tuple(PAIRED), resampling)


def measure_reliability(
    ratings: Sequence[Sequence[float | None]],
    clusters: Sequence[str] | None = None,
    resampling: Resampling = DEFAULT,
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

    return estimate_coefficients(points, labels, coefficients, ("alpha_interval", "icc_a1"), resampling)


def fisher_interval(r: float, n: int) -> Estimate:
    """The 95% interval of a published Pearson correlation r of n > 3 pairs, by Fisher's z (Metron 1 (1921) 3-32).

    Raises ValueError unless -1 < r < 1.
    """
    half = Z / math.sqrt(n - 3)
    return Estimate(r, math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half), n)


def pairs_needed(r: float) -> int:
    """How many pairs show, with a power of 80%, that a true Pearson correlation r is not 0; 95%, by Fisher's z.

    Raises ZeroDivisionError for r = 0, which no number of pairs shows.
    """
    return math.ceil((detectable(1.0) / math.atanh(abs(r))) ** 2 + 3)


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
