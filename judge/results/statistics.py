"""Estimates with intervals: of proportions, of means of scores.

    proportion(45, 60)                 -> Estimate(value=75.0, ci_low=62.8, ci_high=84.2, n=60)
    mean_score([3, 1, 1, 2, 13, 9, 1]) -> Estimate(value=3.73, ci_low=3.06, ci_high=4.32, n=30)

All intervals are two-sided at 95%, and hold their 95% at small n, too: `docs/statistics.md` says how that was counted.
Sources: Wilson, JASA 22 (1927) 209-212; Agresti and Coull, The American Statistician 52 (1998) 119-126.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from judge.core.estimate import EMPTY, Estimate

CONFIDENCE = 0.95
POWER = 0.8
Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
"""Standard errors to either side of a normal mean that hold `CONFIDENCE` of its distribution."""


def proportion(k: int, n: int, scale: float = 100.0) -> Estimate:
    """k of n as a share of `scale` (100: percent), with Wilson's score interval, no continuity correction.

    The score interval keeps its coverage near 0 and 1 and for small n, where the textbook one fails (Brown, Cai and
    DasGupta, Statistical Science 16 (2001) 101-133). EMPTY for n = 0. Raises ValueError unless 0 <= k <= n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no proportion")
    if n == 0:
        return EMPTY
    low, high = wilson(k, n)
    return Estimate(scale * k / n, scale * low, scale * high, n)


def wilson(k: float, n: float) -> tuple[float, float]:
    """Wilson's score interval for k of n > 0, as shares from 0 to 1. k and n may be fractional (effective counts).

    Raises ZeroDivisionError for n = 0.
    """
    share, z2 = k / n, Z * Z
    centre = share + z2 / (2 * n)
    half = Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # exact at the ends: there, rounding would leave 1e-17 instead of 0
    low = 0.0 if k == 0 else (centre - half) / (1 + z2 / n)
    high = 1.0 if k == n else (centre + half) / (1 + z2 / n)
    return low, high


def mean_score(counts: Sequence[int], *, scale: float = 1.0) -> Estimate:
    """Mean of whole scores, times `scale`. counts: of the scores 0, 1, … in order, 7 of them for scores 0…6.

    Interval: as those of paired differences (`judge.results.paired`), of the score statistic after two scores were made
    up, the lowest and the highest there may be: scores that are all alike are not certain, and a single one says
    nothing. The value is in points times `scale`, n the number of scores. EMPTY where there is none.
    """
    n = int(sum(counts))
    if n == 0:
        return EMPTY
    scores, top = range(len(counts)), len(counts) - 1
    total = sum(score * count for score, count in zip(scores, counts, strict=True))
    squares = sum(score * score * count for score, count in zip(scores, counts, strict=True))
    value, more = total / n, n + 2
    mean = (total + top) / more
    low, high = 0.0, float(top)
    if more > Z * Z:
        half = Z * math.sqrt(((squares + top * top) / more - mean * mean) / (more - Z * Z))
        low, high = max(min(mean - half, value), low), min(max(mean + half, value), high)
    return Estimate(scale * value, scale * low, scale * high, n)


def clustered_proportion(right: Sequence[float], asked: Sequence[int], scale: float = 100.0) -> Estimate:
    """A proportion over questions that come in clusters, such as several about one picture.

    right[c] of the asked[c] questions of cluster c are right; the value is a share of `scale` (100: percent), n the
    number of questions, and EMPTY where that is 0. Interval: Wilson's at the
    effective sample size n / deff, where deff is the cluster-robust variance of the proportion (CR1: residuals
    summed by cluster, times C / (C - 1)) over its variance for independent questions, and at least 1; where nothing
    varies, each cluster counts once. Source: Dean and Pagano, J. Survey Stat. Methodol. 3 (2015) 484-503; Cameron and
    Miller, J. Human Resources 50 (2015) 317-372. With one question a cluster this is `proportion`.
    """
    k, m = np.array(right, dtype=float), np.array(asked, dtype=float)
    k, m = k[m > 0], m[m > 0]
    n, clusters = float(m.sum()), len(m)
    if n == 0:
        return EMPTY
    share = float(k.sum() / n)
    variance = share * (1 - share) / max(n - 1, 1)
    if variance == 0 or clusters == 1:
        effective = float(clusters)
    else:
        # fsum: the order of clusters must not show in the last digit
        robust = math.fsum((k - share * m) ** 2) / n**2 * clusters / (clusters - 1)
        effective = n / max(robust / variance, 1.0)
    low, high = wilson(share * effective, effective)
    return Estimate(scale * share, scale * low, scale * high, int(n))


def superiority(above: Sequence[int], below: Sequence[int], *, resamples: int = 2000, seed: int = 0) -> Estimate:
    """How often one of the first scores is higher than one of the second, a tie half: 0.5 where they tell nothing.

    above, below: counts of the scores 0, 1, … in order. The value is the Mann-Whitney statistic over n1·n2, the area
    under the ROC curve (Hanley and McNeil, Radiology 143 (1982) 29-36); n is n1 + n2. Interval: percentile bootstrap,
    both sides drawn anew. EMPTY where a side has no score; no interval where no resample differs.
    """
    sides = [np.array(counts, dtype=float) for counts in (above, below)]
    if not all(counts.sum() for counts in sides):
        return EMPTY
    n = int(sides[0].sum() + sides[1].sum())

    def area(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        lower = np.cumsum(second, axis=-1) - second / 2
        values: np.ndarray = (first * lower).sum(axis=-1) / (first.sum(axis=-1) * second.sum(axis=-1))
        return values

    value = float(area(*sides))
    rng = np.random.default_rng(seed)
    drawn = [rng.multinomial(int(counts.sum()), counts / counts.sum(), size=resamples) for counts in sides]
    draws = area(*drawn)
    if np.ptp(draws) == 0:
        return Estimate(value, None, None, n)
    return Estimate(value, *percentile_interval(draws), n)


def percentile_interval(draws: np.ndarray) -> tuple[float, float]:
    """The middle 95% of the values that resampling gave, in their unit: Efron and Tibshirani (1993), ch. 13.

    draws: [resamples], at least one and all finite.
    """
    low, high = np.percentile(draws, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(low), float(high)


def detectable(standard_error: float) -> float:
    """The least true difference that a two-sided test at 5% finds with a power of 80%; unit of the standard error.

    Normal approximation, the far tail left out: (z_0.975 + z_0.8) standard errors. Source: Cohen, Statistical Power
    Analysis (1988), ch. 2; for benchmarks Miller, arXiv:2411.00640.
    """
    return (Z + NormalDist().inv_cdf(POWER)) * standard_error
