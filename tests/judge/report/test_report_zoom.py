"""Intervals of twenty thousand answers are seen, and axes say where they begin."""

import re
import types
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="the extra 'report' is not installed")

from judge.core.benchmark import find
from judge.io.presentation import view_of
from judge.report import charts, figures

WIDTH = 340
"""CSS pixels of a chart on a phone."""


def estimate(value, half):
    return {"value": value, "ci_low": value - half, "ci_high": value + half, "n": 20103}


@pytest.mark.parametrize(
    ("estimates", "top", "also", "span"),
    [
        # from 45 to 75: 30 long, and 7% of it, 2.1, on both sides
        ([estimate(50, 5), estimate(70, 5)], 100, [], (42.9, 77.1)),
        ([estimate(50, 5)], 100, [75.0], (42.9, 77.1)),
        # 10 is less than a quarter of 90: from 0; 96 is not beyond the top
        ([estimate(15, 5), estimate(88, 2)], 100, [], (0, 95.6)),
        ([estimate(99.5, 0.5)], 100, [], (98.8, 100)),
        # 0.02 long, and at least 0.2% of the scale, 0.012, on both sides
        ([estimate(3.0, 0.01)], 6, [], (2.978, 3.022)),
        ([{"value": None, "ci_low": None, "ci_high": None}], 100, [None], (0, 100)),
    ],
)
def test_where_an_axis_is_cut(estimates, top, also, span):
    assert charts.zoomed(estimates, top, also) == pytest.approx(span)


def lengths(svg):
    """CSS pixels of the lines that lie flat in a colour of a run: the intervals."""
    root = ElementTree.fromstring(svg)
    scale = WIDTH / float(root.attrib["viewBox"].split()[2])
    found = []
    for path in root.iter("path"):
        points = [float(word) for word in re.findall(r"-?[\d.]+", path.attrib.get("d", ""))]
        if "--series-" in path.attrib.get("style", "") and len(points) == 4 and points[1] == points[3]:
            found.append(scale * abs(points[2] - points[0]))
    return found


def test_an_interval_at_full_size_is_longer_than_its_mark_is_wide():
    """20,103 scores with a standard deviation of 1.5 points: 1.96 · 1.5 / √20103 / 6 · 100 is 0.35 on each side."""
    runs = [estimate(value, 0.35) for value in (50.05, 49.66, 52.3)]
    svg = charts.intervals(["a", "b", "c"], runs, charts.zoomed(runs, 100), "score (percent), better →")
    found = lengths(svg)
    assert len(found) == 3
    assert min(found) > 20
    assert "axis begins at 49.1" in svg  # 49.66 − 0.35 − 7% of 3.34 = 49.08


def material(by_category):
    """Runs of MMIE, each a list of three estimates by category."""
    benchmark = find("mmie")

    def run(found):
        of = dict(zip(benchmark.categories, found, strict=True))
        return types.SimpleNamespace(estimate=lambda metric, category=None: of[category or benchmark.categories[0]])

    entries = [
        types.SimpleNamespace(
            name=f"m{number}", run=run(found), result={"categories": dict.fromkeys(benchmark.categories)}
        )
        for number, found in enumerate(by_category)
    ]
    return figures.Material(benchmark, view_of(benchmark), entries, None, {})


def test_categories_far_apart_have_axes_of_one_length_each():
    """On one axis from 20 to 80, intervals of 0.7 would be a hundredth of it."""
    runs = [[estimate(level + shift, 0.35) for level in (20, 50, 80)] for shift in (0, 1.5)]
    of = material(runs)
    figure = figures._by_category(of, "score", of.benchmark.categories)
    assert [panel.title for panel in figure.panels] == list(of.benchmark.categories)
    assert all(min(lengths(panel.svg)) > 20 for panel in figure.panels)
    assert "m0 20.0% (19.6 to 20.4), m1 21.5% (21.1 to 21.9)" in figure.panels[0].alt
    # the same 0.7 points are as long in every one
    found = [length for panel in figure.panels for length in lengths(panel.svg)]
    assert max(found) == pytest.approx(min(found), rel=0.01)


def test_wide_intervals_share_one_axis():
    of = material([[estimate(level, 8) for level in (40, 50, 60)] for _ in range(2)])
    figure = figures._by_category(of, "score", of.benchmark.categories)
    assert len(figure.panels) == 1
    assert "SA: m0 40.0% (32.0 to 48.0), m1 40.0% (32.0 to 48.0)" in figure.panels[0].alt


@pytest.mark.parametrize(
    ("categories", "runs", "shares"), [(12, 2, [12]), (12, 4, [6, 6]), (12, 12, [3, 3, 3, 3]), (3, 12, [3])]
)
def test_tall_charts_are_shared_out(categories, runs, shares):
    assert [len(some) for some in figures._shared_out(range(categories), runs)] == shares


def test_scores_by_category_end_at_one_height():
    """At 80 and 12% of it, though one has 25% at most: ticks of 20 up to 80."""
    for counts in ([1, 0, 0, 4], [5, 5, 5, 5]):
        texts = [text.text for text in ElementTree.fromstring(charts.histogram([counts] * 2, 80.0)).iter("text")]
        assert [text for text in texts if text.isdigit() and int(text) > 3] == ["20", "40", "60", "80"]
