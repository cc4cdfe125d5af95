"""Points for single criteria: their means with intervals, and two runs compared, against values made by hand."""

from __future__ import annotations

import pytest
from scipy import stats

from judge.core.estimate import EMPTY
from judge.core.verdict import Verdict
from judge.results.criteria import (
    compare_criteria,
    judged_without_criteria,
    mean_points,
    points_of,
    summarise_criteria,
)
from judge.results.statistics import mean_score, wilson


def verdict(number: int, points: object, category: str = "SA", score: int | None = 3) -> Verdict:
    reason = None if score is not None else "truncated"
    details = {} if points is None else {"criteria": points}
    return Verdict(f"{category}-{number}", "judge", score, reason, category, details=details)


@pytest.mark.parametrize(
    ("values", "value", "interval"),
    [
        ([1, 1, 1, 0], 0.75, wilson(3, 4)),
        ([0, 0], 0.0, (-wilson(0, 2)[1], wilson(0, 2)[1])),  # it may give or take off
        ([1, 1], 1.0, wilson(2, 2)),
        ([-1, 0, 0, 0], -0.25, (wilson(3, 4)[0] - 1, wilson(3, 4)[1] - 1)),
        ([-1, -1], -1.0, (wilson(0, 2)[0] - 1, wilson(0, 2)[1] - 1)),
    ],
)
def test_a_criterion_with_two_values_has_the_interval_of_a_proportion(values, value, interval):
    found = mean_points(values)
    assert (found.value, found.n) == (pytest.approx(value), len(values))
    assert (found.ci_low, found.ci_high) == pytest.approx(interval)


def test_a_criterion_with_more_values_has_the_interval_of_a_mean():
    found, scores = mean_points([0, 2, 6, 2]), mean_score([1, 0, 2, 0, 0, 0, 1])
    assert found == scores
    assert found.value == 2.5
    shifted = mean_points([-1, 1, 1, 1])  # -1 to 1: histogram 1, 0, 3 counted from -1
    assert shifted.value == 0.5
    assert mean_points([]) == EMPTY


def test_by_category_in_order_and_without_what_has_no_points():
    verdicts = [
        verdict(1, {"Wit": 1, "Form": 0}),
        verdict(2, {"Wit": 0, "Form": 0}),
        verdict(3, None),
        verdict(4, {"Wit": 1}, score=None),  # unscored
        verdict(5, {"Wit": 1, "Sense": 1}, "PBL"),
    ]
    found = summarise_criteria(verdicts, ["PBL", "SA"])
    assert {name: {key: (one.value, one.n) for key, one in of.items()} for name, of in found.items()} == {
        "all": {"Wit": (2 / 3, 3), "Form": (0.0, 2), "Sense": (1.0, 1)},
        "PBL": {"Wit": (1.0, 1), "Sense": (1.0, 1)},
        "SA": {"Wit": (0.5, 2), "Form": (0.0, 2)},
    }
    assert summarise_criteria([verdict(3, None)], ["SA"]) == {}


def test_the_interval_of_what_takes_off_never_lies_above_0_where_another_category_shows_that_it_does():
    verdicts = [verdict(n, {"Harm": 0, "Wit": 0, "Form": 0}) for n in range(3)]
    verdicts.append(verdict(9, {"Harm": -1, "Wit": 1, "Form": 0}, "PBL"))
    found = summarise_criteria(verdicts, ["PBL", "SA"])["SA"]
    most = wilson(0, 3)[1]
    assert [(one.value, one.ci_low, one.ci_high) for one in (found["Harm"], found["Wit"], found["Form"])] == [
        pytest.approx(interval) for interval in ((0, -most, 0), (0, 0, most), (0, -most, most))
    ]


@pytest.mark.parametrize("points", ["Wit", 4, [], {}, {"Wit": "1"}, {"Wit": 99}, {"Wit": True}, {"Wit": None}])
def test_what_is_no_object_of_points_is_none(points):
    assert points_of(verdict(1, points)) is None


def test_two_runs_are_paired_by_answer():
    first = [verdict(n, {"Wit": 0, "Harm": 0}) for n in range(8)]
    second = [verdict(n, {"Wit": int(n < 6), "Harm": -int(n < 2), "Other": 1}) for n in range(2, 12)]
    found = compare_criteria(first, second)
    assert [*found] == ["Wit", "Harm"]
    wit = found["Wit"]  # answers 2 to 7 are in both; 2 to 5 have gained the point
    assert (wit.wins, wit.losses, wit.ties, wit.difference.n) == (4, 0, 2, 6)
    assert wit.difference.value == pytest.approx(4 / 6)
    assert wit.p == pytest.approx(2 * stats.norm.sf(4 / 6**0.5))  # 4 won, none lost, one of each made up
    assert found["Harm"].difference.value == 0.0
    nothing = compare_criteria(first, [verdict(20, {"Wit": 1})])
    assert nothing["Wit"].difference.value is None


def test_a_criterion_that_takes_off_is_better_nearer_to_nothing():
    found = compare_criteria([verdict(1, {"Harm": -1})], [verdict(1, {"Harm": 0})])["Harm"]
    assert (found.wins, found.losses, found.difference.value) == (1, 0, 1.0)


@pytest.mark.parametrize(
    ("signature", "criteria", "said"),
    [
        ("benchmark:mmie|judge:a", None, True),
        ("benchmark:mmie|judge:a", {"all": {"Wit": {}}}, False),
        ("benchmark:mmvu|failures:1", None, False),  # rules decide
    ],
)
def test_who_gives_none(signature, criteria, said):
    results = {"signature": signature, "n": 1, **({} if criteria is None else {"criteria": criteria})}
    assert judged_without_criteria(results) is said
