"""Coefficients of agreement between two sets of scores, each for many weightings of the items at once.

    weights [r, m]: how often each of m points counts, in each of r resamples; given, human [m]: the points

    paired_coefficients(np.ones((1, 4)), np.array([5, 3, 6, 1.]), np.array([4, 3, 5, 2.]))
    ->  {"pearson": array([0.949…]), …}

One definition serves the value (every item once) and its bootstrap (`judge.validity.agreement`): library functions take
one sample a call, which for 2,000 resamples of ten coefficients is minutes. The tests hold each against scipy,
scikit-learn and published worked examples. NaN where a coefficient is undefined, as correlations of a constant are.

Sources: Kendall, Biometrika 33 (1945) 239-251 (tau-b); Cohen, Psych. Bull. 70 (1968) 213-220 (weighted kappa);
Krippendorff, Computing Krippendorff's Alpha-Reliability (2011); McGraw and Wong, Psych. Methods 1 (1996) 30-46.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

PAIRED: Mapping[str, str] = {
    "pearson": "Pearson's correlation",
    "spearman": "Spearman's rank correlation, ties at their mean rank",
    "kendall_b": "Kendall's tau-b",
    "kappa_quadratic": "Cohen's kappa with quadratic weights",
    "alpha_interval": "Krippendorff's alpha, interval metric",
    "icc_a1": "ICC(A,1): two-way, absolute agreement, single rater; Shrout and Fleiss's ICC(2,1)",
    "bias": "mean of given minus human",
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "cosine": "cosine of the two vectors; high by construction where no score is negative",
}
"""Coefficients of two sets of scores, in the order of tables."""

ASSOCIATION = ("pearson", "spearman", "kendall_b")
"""Those that also make sense where the two sides are on different scales (words of an answer against a score)."""

ZERO_IS_CHANCE = (*ASSOCIATION, "kappa_quadratic", "alpha_interval", "icc_a1")
"""Those that are 0, on average, where one side knows nothing of the other."""

ROUNDING = 1e-12
BLOCK = 512


def paired_coefficients(weights: np.ndarray, given: np.ndarray, human: np.ndarray) -> dict[str, np.ndarray]:
    """Every coefficient of `PAIRED` → its values [r], NaN where undefined. weights [r, m], given and human [m]."""
    n = weights.sum(axis=1)
    gap = given - human
    squared = weights @ gap**2
    ratings = np.stack([given, human], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {
            "pearson": _correlation(weights, given, human),
            "spearman": _correlation(weights, _ranks(weights, given), _ranks(weights, human)),
            "kendall_b": _tau_b(weights, given, human),
            "kappa_quadratic": _kappa(weights, given, human, squared),
            "alpha_interval": alpha_interval(weights, ratings),
            "icc_a1": icc_a1(weights, ratings),
            "bias": weights @ gap / n,
            "mae": weights @ np.abs(gap) / n,
            "mse": squared / n,
            "cosine": weights @ (given * human) / np.sqrt((weights @ given**2) * (weights @ human**2)),
        }


def alpha_interval(weights: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """Krippendorff's alpha [r] with squared differences. ratings [m, raters], NaN where a rater gave none.

    Items with fewer than two ratings say nothing and are left out.
    """
    counts = np.isfinite(ratings).sum(axis=1)
    pairable = counts >= 2
    weights, counts = weights[:, pairable], counts[pairable]
    rated = ratings[pairable]
    # differences only: a common shift keeps the sums small
    rated = rated - (np.nanmin(rated) if rated.size else 0.0)
    sums, squares = np.nansum(rated, axis=1), np.nansum(rated**2, axis=1)
    n = weights @ counts
    observed = weights @ (2 * (counts * squares - sums**2) / (counts - 1)) / n
    spread = weights @ squares - (weights @ sums) ** 2 / n
    expected = 2 * spread / (n - 1)
    return _ratio(expected - observed, expected, _squared_range(rated))


def icc_a1(weights: np.ndarray, ratings: np.ndarray) -> np.ndarray:
    """ICC(A,1) [r] of ratings [m, raters] without gaps: McGraw and Wong's table 4, case 2A."""
    k, n = ratings.shape[1], weights.sum(axis=1)
    columns = weights @ ratings / n[:, None]
    grand = columns.mean(axis=1)
    between = k * _spread(weights, np.broadcast_to(ratings.mean(axis=1), weights.shape), grand)
    raters = n * ((columns - grand[:, None]) ** 2).sum(axis=1)
    total = sum(_spread(weights, np.broadcast_to(column, weights.shape), grand) for column in ratings.T)
    rows, error = between / (n - 1), (total - between - raters) / ((n - 1) * (k - 1))
    whole = rows + (k - 1) * error + k * (raters / (k - 1) - error) / n
    return _ratio(rows - error, whole, _squared_range(ratings))


def _correlation(weights: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Weighted Pearson correlation [r]; one, other [m] or, where they change with the weights, [r, m]."""
    n = weights.sum(axis=1)
    # from the first on: a constant that binary fractions miss is then exactly 0
    one, other = (values - values[..., :1] for values in (one, other))
    a, b = (values - ((weights * values).sum(axis=1) / n)[:, None] for values in (one, other))
    spread = [
        _nonzero((weights * values**2).sum(axis=1), n * _squared_range(of)) for values, of in ((a, one), (b, other))
    ]
    return np.clip((weights * a * b).sum(axis=1) / np.sqrt(spread[0] * spread[1]), -1, 1)


def _ranks(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Mean ranks [r, m] of values [m] that occur `weights` times."""
    counts, codes = _ties(weights, values)
    return (np.cumsum(counts, axis=1) - (counts - 1) / 2)[:, codes]


def _ties(weights: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How often each distinct value occurs [r, values, ascending], and which of them each point has [m]."""
    distinct, codes = np.unique(values, return_inverse=True)
    codes = codes.reshape(-1)
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(distinct)))
    return np.add.reduceat(weights[:, order], starts, axis=1), codes


def _tau_b(weights: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    n = weights.sum(axis=1)
    balance = np.zeros(len(weights))  # concordant minus discordant, every pair twice
    for start in range(0, len(one), BLOCK):
        part = slice(start, start + BLOCK)
        signs = np.sign(one[:, None] - one[None, part]) * np.sign(other[:, None] - other[None, part])
        balance += ((weights @ signs) * weights[:, part]).sum(axis=1)
    untied = [
        n * (n - 1) - (counts * (counts - 1)).sum(axis=1)
        for counts, _ in (_ties(weights, values) for values in (one, other))
    ]
    return np.clip(balance / np.sqrt(_nonzero(untied[0], n) * _nonzero(untied[1], n)), -1, 1)


def _kappa(weights: np.ndarray, given: np.ndarray, human: np.ndarray, squared: np.ndarray) -> np.ndarray:
    """1 - observed / expected squared difference: what quadratic weights are, for scores that need not be integers."""
    n = weights.sum(axis=1)
    means = [weights @ side / n for side in (given, human)]
    spreads = [
        _spread(weights, np.broadcast_to(side, weights.shape), mean)
        for side, mean in zip((given, human), means, strict=True)
    ]
    expected = spreads[0] + spreads[1] + n * (means[0] - means[1]) ** 2
    return _ratio(expected - squared, expected, n * _squared_range(np.stack([given, human])))


def _spread(weights: np.ndarray, values: np.ndarray, centre: np.ndarray) -> np.ndarray:
    squares: np.ndarray = (weights * (values - centre[:, None]) ** 2).sum(axis=1)
    return squares


def _squared_range(values: np.ndarray) -> float:
    """The square of the whole range: a sum of squares far below it is rounding."""
    return float(np.ptp(values[np.isfinite(values)])) ** 2 if values.size else 0.0


def _nonzero(values: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    """values, NaN where they are 0 but for rounding."""
    return np.where(values > ROUNDING * scale, values, np.nan)


def _ratio(above: np.ndarray, below: np.ndarray, scale: np.ndarray | float) -> np.ndarray:
    return above / _nonzero(below, scale)
