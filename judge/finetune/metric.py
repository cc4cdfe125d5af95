"""By which coefficient a judge is chosen in training and released afterwards, and when no coefficient can help it.

    METRICS            ("pearson", "spearman", "kendall_b", "kappa_quadratic", "mae", "mse")
    "mae" in ERRORS    True: less is better

Names are those of `judge.validity.coefficients.PAIRED`, without the ones that say nothing about better and worse.
"""

from __future__ import annotations

from typing import Literal, get_args

Metric = Literal["pearson", "spearman", "kendall_b", "kappa_quadratic", "mae", "mse"]
METRICS: tuple[str, ...] = get_args(Metric)

ERRORS = ("mae", "mse")
"""Metrics of which less is better."""

MAX_UNSCORED = 0.05
"""Share of the answers that a judge of any use may leave unscored; as `mmjudge score --max-unscored`."""
