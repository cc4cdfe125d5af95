"""Estimates of a metric are those of the functions that its ratio and its units call for."""

import pytest

from judge.core.metric import UNSCORED, Metric, Ratio, Unit, scores
from judge.core.verdict import Verdict
from judge.results.estimates import estimate
from judge.results.statistics import EMPTY, clustered_proportion, mean_score, proportion

VERDICTS = [
    Verdict("SA-1", "judge", 1, category="SA"),
    Verdict("SA-2", "judge", 0, category="SA"),
    Verdict("PBL-1", "judge", 2, category="PBL"),
    Verdict("PBL-2", "judge", None, "truncated", category="PBL"),
]


def metric(numerator, denominator, units=scores, **how):
    return Metric("m", "m", "answers", "", units, Ratio(numerator, denominator, **how))


def two_a_picture(verdicts):
    return [Unit(unit.name, unit.category, unit.outcome, unit.position, unit.category) for unit in scores(verdicts)]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (metric((0, 0, 1), (1, 1, 1)), proportion(1, 3)),  # 2 of 1, 0, 2
        (metric((0, 1, 0), (1, 1, 0)), proportion(1, 2)),  # 1 of 1, 0: the denominator leaves the 2 out
        (metric((0, 1, 1), (1, 1, 1), scale=1), proportion(2, 3, scale=1)),
        (metric((0, 1, 1), (1, 1, 1), two_a_picture), clustered_proportion([1, 1], [2, 1])),  # SA: 1, 0; PBL: 2
        (metric((0, 1, 2), (1, 1, 1), scale=50), mean_score([1, 1, 1], scale=50)),
        (UNSCORED, proportion(1, 4)),
    ],
)
def test_an_estimate_follows_from_the_metric(of, expected):
    assert estimate(of, VERDICTS) == expected
    # the mean of what the units add is the metric
    values = of.values(VERDICTS)
    assert sum(values.values()) / len(values) == pytest.approx(expected.value)
    assert estimate(of, []) == EMPTY


def test_a_ratio_without_a_known_interval_is_refused():
    with pytest.raises(ValueError, match="no interval is known"):
        estimate(metric((0, 3, 1), (1, 1, 1)), VERDICTS)
