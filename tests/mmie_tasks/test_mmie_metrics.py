"""Scores by hand, and the published averages of all 20 systems."""

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
    assert summary.metrics == {"score": EMPTY, "mean": EMPTY}
    assert summary.categories["PBL"] == {"score": EMPTY, "mean": EMPTY}
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
