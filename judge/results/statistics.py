"""Estimates with intervals: Wilson for proportions, bootstrap for weighted means of scores.

    proportion(45, 60)                     -> Estimate(value=75.0, ci_low=62.8, ci_high=84.2, n=60)
    mean_score({"SA": [0, 1, 0, 2, 9, 7, 1], "PBL": [3, 0, 1, 0, 4, 2, 0]})
                                           -> Estimate(value=3.9, ci_low=3.4, ci_high=4.3, n=30)

All intervals are two-sided at 95%. Resampling n scores with replacement is one multinomial draw over their histogram,
so a resample costs the same for 30 scores as for 20,000; the distribution is that of the ordinary bootstrap.
Sources: Wilson, JASA 22 (1927) 209-212; Efron and Tibshirani, An Introduction to the Bootstrap (1993), 13.3 and 8.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 10_000
Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A value with a 95% interval over n units; all None where n is 0. Never NaN."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        return dataclasses.asdict(self)


EMPTY = Estimate(None, None, None, 0)


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
    """Wilson's score interval for k of n > 0, within 0…1. k and n may be fractional (effective counts)."""
    share, z2 = k / n, Z * Z
    centre = share + z2 / (2 * n)
    half = Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    # exact at the ends: there, rounding would leave 1e-17 instead of 0
    low = 0.0 if k == 0 else (centre - half) / (1 + z2 / n)
    high = 1.0 if k == n else (centre + half) / (1 + z2 / n)
    return low, high


def mean_score(histograms: Mapping[str, Sequence[int]], *, scale: float = 1.0, seed: int = 0) -> Estimate:
    """Mean over all scores of all strata, every score weighing the same, times `scale`.

    histograms: stratum (category) → counts of the scores 0, 1, … in order, 7 of them for scores 0…6.
    Interval: percentile bootstrap of 10,000 resamples, each stratum resampled on its own; the same seed gives the
    same interval. Where no stratum varies (one score, or all alike) the bootstrap would claim certainty; there, the
    share of unseen other scores is bounded as Wilson bounds 0 of n, and they are put at the ends of the scale.
    EMPTY where there is no score at all.
    """
    counts = np.array([list(counts) for counts in histograms.values() if sum(counts)], dtype=np.int64)
    if not counts.size:
        return EMPTY
    scores = np.arange(counts.shape[1])
    n = int(counts.sum())
    value = float((counts @ scores).sum() / n)
    if ((counts > 0).sum(axis=1) == 1).all():
        _, unseen = wilson(0, n)
        low, high = value * (1 - unseen), value + unseen * (float(scores[-1]) - value)
    else:
        rng = np.random.default_rng(seed)
        sums = np.zeros(RESAMPLES)
        for row in counts:
            sums += rng.multinomial(row.sum(), row / row.sum(), size=RESAMPLES) @ scores
        low, high = percentiles(sums / n)
    return Estimate(scale * value, scale * low, scale * high, n)


def percentiles(draws: np.ndarray) -> tuple[float, float]:
    """The middle 95% of `draws` (any shape, flattened)."""
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def clustered_proportion(right: Sequence[int], asked: Sequence[int], scale: float = 100.0) -> Estimate:
    """A proportion over questions that come in clusters, such as several about one picture.

    right[c] of the asked[c] questions of cluster c are right; n is the number of questions. Interval: Wilson's at the
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
        robust = float(((k - share * m) ** 2).sum()) / n**2 * clusters / (clusters - 1)
        effective = n / max(robust / variance, 1.0)
    low, high = wilson(share * effective, effective)
    return Estimate(scale * share, scale * low, scale * high, int(n))


def detectable(standard_error: float, *, power: float = 0.8, alpha: float = 1 - CONFIDENCE) -> float:
    """The least true effect found with this power by a two-sided test at alpha; unit of the standard error.

    Normal approximation, the far tail left out: (z_(1 - alpha/2) + z_power) standard errors. Source: Cohen,
    Statistical Power Analysis (1988), ch. 2; for benchmarks Miller, arXiv:2411.00640.
    """
    normal = NormalDist()
    return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * standard_error


def power(effect: float, standard_error: float, *, alpha: float = 1 - CONFIDENCE) -> float:
    """Probability, 0…1, that a two-sided test at alpha finds a true effect; both tails, normal approximation."""
    normal = NormalDist()
    reach, distance = normal.inv_cdf(1 - alpha / 2), abs(effect) / standard_error
    return normal.cdf(distance - reach) + normal.cdf(-distance - reach)
