"""When published systems may stand beside a run, and that the carried tables are what was published."""

import math

import pytest

from judge.core.benchmark import find
from judge.io.presentation import view_of
from judge.results import published
from mmie_tasks.metrics import published_average
from mmvu_tasks.categories import EDITIONS


def tables(name):
    return published.read_published(view_of(find(name)).published)


def result(n=20103, **parts):
    parts = {
        "edition": "full",
        "profile": "reference",
        "rubric": "official@12345678",
        "judge": "MMIE/MMIE-Score@9e8d",
        **parts,
    }
    return {"n": n, "signature": "|".join(f"{name}:{value}" for name, value in parts.items() if value)}


@pytest.mark.parametrize(
    ("changed", "reasons"),
    [
        ({}, []),
        ({"judge": "MMIE/MMIE-Score"}, []),
        ({"judge": "MMIE/MMIE-Score-2@9e8d"}, ["judge is MMIE/MMIE-Score there, MMIE/MMIE-Score-2@9e8d here"]),
        ({"profile": "strict"}, ["profile is reference there, strict here"]),
        ({"rubric": None}, ["rubric is official there, unknown here"]),
        ({"rubric": "mmjudge@1", "edition": "unknown (15)"},
         ["edition is full there, unknown (15) here", "rubric is official there, mmjudge@1 here"]),
        ({"n": 20102}, ["20,103 questions were answered there, 20,102 here"]),
    ],
)  # fmt: skip
def test_what_keeps_systems_out(changed, reasons):
    assert tables("mmie")[0].against(result(**changed)) == reasons


def test_every_run_must_match():
    found, said = published.matching(tables("mmie"), [result(), result()])
    assert found is not None
    assert said == []
    found, said = published.matching(tables("mmie"), [result(), result(profile="strict")])
    assert found is None
    assert said == ["MMIE, 20,103 questions: profile is reference there, strict here."]


@pytest.mark.parametrize(("edition", "n", "title"), [("v1", 600, "MMR, 300 pairs"), ("CVPR", 1786, "MMVU, 893 pairs")])
def test_the_edition_picks_the_table(edition, n, title):
    row = {"n": n, "signature": f"benchmark:mmvu|edition:{edition}|extraction:careful-3"}
    found, _ = published.matching(tables("mmvu"), [row])
    assert found is not None
    assert found.title == title
    assert set(found.values("RA_reference")) == {system.name for system in found.systems}
    assert found.values("RA") == {}  # ours, read carefully: nothing published is measured so


@pytest.mark.parametrize("position", [0, 1])
def test_mmvu_averages_follow_from_their_categories(position):
    """RA is a share of pairs, so its average weighs the categories by their pairs. Printed with two digits, a category
    of n pairs is off by at most 0.005; so is the average. One row fits no counts, as its table says."""
    table = tables("mmvu")[position]
    pairs = EDITIONS[("v1", "CVPR")[position]]
    assert len(table.systems) == (19, 15)[position]
    for system in table.systems:
        if system.name == "Qwen-VL-max-0809":
            assert any(system.name in remark for remark in table.remarks)
            continue
        average = math.fsum(system.categories["RA"][name] * n for name, n in pairs.items()) / sum(pairs.values())
        assert average == pytest.approx(system.metrics["RA"], abs=0.011), system.name


def test_mmie_averages_follow_from_their_categories():
    (table,) = tables("mmie")
    assert len(table.systems) == 20
    for system in table.systems:
        # three columns and the average itself are rounded to two digits: 0.005 + 0.005, and what the rounding of the
        # scores on the scale of 6 to three digits adds (0.0005 / 6 * 100 = 0.008)
        assert published_average(system.categories["score"]) == pytest.approx(system.metrics["score"], abs=0.02)


def test_spread_of_a_category():
    (table,) = tables("mmie")
    values = table.spread("score", "MSR")
    assert (values[0], values[-1], len(values)) == (39.33, 60.05, 20)  # GILL, Gemini-1.5
    assert table.spread("mean", "MSR") == []
