"""Scores by hand, and the published averages of all 20 systems."""

import dataclasses
import json

import folders
import pytest

from judge.core.benchmark import Dataset, Source
from judge.core.verdict import Verdict
from judge.results.statistics import EMPTY
from mmie_tasks import metrics
from mmie_tasks.records import Part, Record

SHARED = folders.SHARED / "data" / "published_results.json"


def verdict(id_, score, reason=None, **details):
    return Verdict(id_, "judge", score, reason, category=id_.split("-")[0], details=details)


VERDICTS = [
    verdict("SA-1", 6, field="Literature"),
    verdict("SA-2", 3, field="Literature"),
    verdict("PBL-1", 2, field="Health"),
    verdict("PBL-2", None, "no_score_line", field="Health"),
    verdict("PBL-3", 4, field="Art"),
    verdict("MSR-1", 0, field="Physics", form="multiple choice"),
]


def test_every_question_weighs_the_same():
    summary = metrics.summarise(VERDICTS, None)
    # (6 + 3 + 2 + 4 + 0) / 5 = 3; 3 / 6 = 50%
    assert summary.metrics["mean"].value == pytest.approx(3.0)
    assert summary.metrics["score"].value == pytest.approx(50.0)
    assert summary.metrics["score"].n == 5


def test_categories_fields_and_forms():
    summary = metrics.summarise(VERDICTS, None)
    assert {name: found["mean"].value for name, found in summary.categories.items()} == {
        "SA": pytest.approx(4.5),  # (6 + 3) / 2
        "PBL": pytest.approx(3.0),  # (2 + 4) / 2; PBL-2 has no score
        "MSR": pytest.approx(0.0),
    }
    fields = {name: (found["score"].value, found["score"].n) for name, found in summary.groups["field"].items()}
    assert fields == {
        "Art": (pytest.approx(100 * 4 / 6), 1),
        "Health": (pytest.approx(100 * 2 / 6), 1),
        "Literature": (pytest.approx(75.0), 2),
        "Physics": (pytest.approx(0.0), 1),
    }
    assert {name: found["mean"].n for name, found in summary.groups["form"].items()} == {
        "multiple choice": 1,
        "open": 4,
    }


def test_bounds_put_the_unscored_at_both_ends():
    bounds = metrics.summarise(VERDICTS, None).extra["bounds"]
    # all: 15 of 36 points are given and 6 are open; PBL: 6 of 18, 6 open
    assert bounds["all"] == {
        "n": 6,
        "unscored": 1,
        "unscored_at_0": pytest.approx(100 * 15 / 36),
        "unscored_at_6": pytest.approx(100 * 21 / 36),
    }
    assert bounds["PBL"]["unscored_at_0"] == pytest.approx(100 * 6 / 18)
    assert bounds["PBL"]["unscored_at_6"] == pytest.approx(100 * 12 / 18)
    assert bounds["SA"]["unscored_at_0"] == bounds["SA"]["unscored_at_6"] == pytest.approx(75.0)


def test_a_subset_is_also_given_with_the_published_weights():
    extra = metrics.summarise(VERDICTS, None).extra
    # (75 * 5005 + 50 * 11482 + 0 * 3616) / 20103
    assert extra["score_published_weights"] == pytest.approx(949_475 / 20_103)
    only_two = metrics.summarise([v for v in VERDICTS if v.category != "MSR"], None).extra
    assert "score_published_weights" not in only_two


def test_nothing_scored_is_null():
    summary = metrics.summarise([verdict("SA-1", None, "engine_error")], None)
    assert summary.metrics == {"score": EMPTY, "mean": EMPTY, "exact": EMPTY}
    assert summary.categories["PBL"] == {"score": EMPTY, "mean": EMPTY, "exact": EMPTY}
    assert summary.extra["bounds"]["all"]["unscored_at_6"] == pytest.approx(100.0)
    assert summary.extra["bounds"]["MSR"]["unscored_at_0"] is None


def test_the_interval_holds_the_value_and_is_the_same_on_both_scales():
    summary = metrics.summarise(VERDICTS, None)
    score, mean = summary.metrics["score"], summary.metrics["mean"]
    assert 0 <= mean.ci_low < mean.value < mean.ci_high <= 6
    assert (score.ci_low, score.ci_high) == pytest.approx((mean.ci_low / 6 * 100, mean.ci_high / 6 * 100))


def test_data_supply_the_field_and_say_what_is_absent():
    found = [
        Record("SA-1", "SA", "Literature", (Part("Q", None),), ()),
        Record("MSR-1", "MSR", "Physics", (Part("Which?\nA. one\nB. two", None),), ()),
    ]
    dataset = Dataset(Source("MMIE/MMIE", "local:0", "unknown (2)", "a note"), found, None)
    summary = metrics.summarise([Verdict("MSR-1", "judge", 3)], dataset)
    assert summary.categories["MSR"]["mean"].value == pytest.approx(3.0)
    assert list(summary.groups["field"]) == ["Physics"]
    assert summary.notes == ["1 of 2 questions were answered; the others are left out", "a note"]


@pytest.mark.skipif(not SHARED.is_file(), reason="../shared/data/published_results.json is absent")
def test_the_published_averages_are_question_weighted():
    rows = json.loads(SHARED.read_text(encoding="utf-8"))["mmie"]
    assert len(rows) == 20
    for system, (sa, pbl, msr, average) in rows.items():
        found = metrics.published_average({"SA": sa, "PBL": pbl, "MSR": msr})
        assert abs(found - average) <= 0.02, system


def told(number, score, exact, rule="number"):
    return dataclasses.replace(verdict(f"MSR-{number}", score), details={"exact": exact, "exact_rule": rule})


RULED = [
    told(1, 6, True), told(2, 3, True, "letter"), told(3, 3, False), told(4, 0, False, "text"), told(5, 1, False),
    dataclasses.replace(verdict("MSR-6", 2), details={"exact": None}), verdict("MSR-7", 5), verdict("SA-8", 4),
]  # fmt: skip


def test_what_rules_say_stands_beside_the_score_and_never_in_it():
    summary = metrics.summarise(RULED, None)
    assert summary.metrics["score"] == metrics.summarise([verdict(v.id, v.score) for v in RULED], None).metrics["score"]
    # 2 of 5 are right; 5 of 7 questions of reasoning have a rule
    assert (summary.metrics["exact"].value, summary.metrics["exact"].n) == (40.0, 5)
    found = summary.extra["by_rule"]
    assert (found["questions"], found["ruled"], found["coverage"]) == (7, 5, pytest.approx(500 / 7))
    assert found["rules"] == {"letter": 1, "number": 3, "text": 1}
    assert found["exact"] == dataclasses.asdict(summary.metrics["exact"])
    assert (found["judge"]["right"]["value"], found["judge"]["right"]["n"]) == (4.5, 2)  # (6 + 3) / 2
    assert (found["judge"]["wrong"]["value"], found["judge"]["wrong"]["n"]) == (pytest.approx(4 / 3), 3)
    # of the 6 pairs of a right and a wrong one 5 are won and one, 3 against 3, is a tie
    assert found["judge"]["superiority"]["value"] == pytest.approx(5.5 / 6)


UNTOLD = dataclasses.replace(verdict("MSR-2", None, "truncated"), details={"exact": False, "exact_rule": "number"})


def test_where_no_rule_can_tell_there_is_no_such_part():
    assert "by_rule" not in metrics.summarise([verdict("MSR-7", 5), verdict("SA-8", 4)], None).extra
    only_wrong = metrics.summarise([told(1, 2, False), UNTOLD], None).extra["by_rule"]
    assert only_wrong["exact"]["value"] == 0.0
    assert only_wrong["judge"]["right"]["value"] is None
    assert only_wrong["judge"]["wrong"]["n"] == 1  # the other has no score, and is told all the same
    assert only_wrong["judge"]["superiority"]["value"] is None
