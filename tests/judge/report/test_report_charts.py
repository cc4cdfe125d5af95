"""Charts are well-formed, the same every time, coloured by the page, and show texts as texts."""

import re
from xml.etree import ElementTree

import pytest

pytest.importorskip("matplotlib", reason="the extra 'report' is not installed")

from judge.report import charts

NAME = '<b>&"$\\frac{1}$ \N{GRINNING FACE}'


def estimate(value, spread=5.0):
    return {"value": value, "ci_low": value - spread, "ci_high": value + spread, "n": 30}


NOTHING = {"value": None, "ci_low": None, "ci_high": None, "n": 0}

DRAWN = {
    "by_category": lambda: charts.by_category(
        ["A", NAME], [[estimate(30), NOTHING], [estimate(50), estimate(60)]], (0, 100), "RA", chance=6.25,
        published={"A": [10.0, 20.0, 40.0]},
    ),
    "plane": lambda: charts.plane(
        [(estimate(20), estimate(60)), (NOTHING, estimate(3))], charts.Axes2("MR", "RA", (0, 100), (0, 100)),
        better="↖ better",
        published={NAME: (30.0, 50.0)}, chance=(75.0, 6.25),
    ),
    "contrast": lambda: charts.contrast(
        [NAME, "b"], [(estimate(80), estimate(60)), (NOTHING, estimate(1))], ("POS", "NEG"), 25.0
    ),
    "intervals": lambda: charts.intervals([NAME, "b"], [estimate(40), NOTHING], (30, 50), "RA"),
    "histogram": lambda: charts.histogram([[0, 1, 2, 3, 4, 5, 6], [0] * 7], 50.0),
    "histogram of many": lambda: charts.histogram([[number, 1, 2, 3, 4, 5, 6] for number in range(12)], 50.0),
    "ranking": lambda: charts.ranking(
        [(NAME, estimate(50)), ("b", NOTHING)], {"GPT-4o": 65.0}, "RA", higher_is_better=True, chance=6.25
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DRAWN)
def test_a_chart(name):
    svg = DRAWN[name]()
    root = ElementTree.fromstring(svg)
    assert root.tag == "svg"
    assert DRAWN[name]() == svg
    colours = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", svg))
    assert {colour for colour in colours if not colour.startswith(("var(--", "none", "url("))} == set()
    assert "http" not in svg
    assert "font-family" not in svg
    assert not list(root.iter("style"))
    if not name.startswith("histogram"):
        texts = "".join(root.itertext())
        assert NAME in texts or f"{NAME}: 30.0, 50.0" in texts


def test_what_is_referred_to_is_there():
    for draw in DRAWN.values():
        svg = draw()
        referred = set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg))
        assert referred <= set(re.findall(r' id="([^"]+)"', svg))
        assert referred  # markers and clips


def test_ranking_puts_the_best_on_top():
    def order(higher_is_better):
        svg = charts.ranking(
            [("ours", estimate(50))], {"low": 10.0, "high": 90.0}, "x", higher_is_better=higher_is_better, chance=None
        )
        found = ElementTree.fromstring(svg).iter("text")
        rows = [(float(text.attrib["y"]), text.text) for text in found if text.text in ("ours", "low", "high")]
        return [text for _, text in sorted(rows)]

    assert order(True) == ["high", "ours", "low"]
    assert order(False) == ["low", "ours", "high"]
