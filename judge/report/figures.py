"""Which charts a benchmark has, what stands under them, and what they show in words for those who do not see them.

    figures_of(Material(MMVU, view, entries, table, chance))
    ->  [Figure("RA, MR, POS and NEG", "Values with …", [Panel("RA", "robustness accuracy: qwen 63.5% (…", svg), …])]

Panels of one figure are seen side by side, so their axes agree: the same runs in the same order, and either one scale
or scales of one length.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.benchmark import Benchmark
from judge.core.metric import Metric
from judge.io.presentation import View
from judge.report import charts
from judge.report.charts import Span
from judge.report.entries import Entry
from judge.report.findings import interval, number
from judge.results.published import Table
from judge.results.remarks import listed

SEEN = 0.03
"""An interval that is a smaller part of its axis is hardly seen."""
ROOM = 40
"""Intervals of one chart that is not too tall."""
IN_WORDS = 4
"""Of so many runs every value is said; of more, the lowest and the highest."""
Estimates = Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Panel:
    """One drawing. alt: what it shows, with its numbers."""

    title: str
    alt: str
    svg: str


@dataclasses.dataclass(frozen=True)
class Figure:
    """Drawings under one title with a sentence about them."""

    title: str
    text: str
    panels: Sequence[Panel]


@dataclasses.dataclass(frozen=True)
class Material:
    """What is drawn. entries: the best run first. table: published systems that were measured as all of them were.
    conditions: whether the runs are of one model under several."""

    benchmark: Benchmark
    view: View
    entries: Sequence[Entry]
    table: Table | None
    chance: Mapping[str, float]
    conditions: bool = False

    @property
    def names(self) -> list[str]:
        """Of the runs."""
        return [entry.name for entry in self.entries]

    def estimates(self, metric: str, category: str | None = None) -> Estimates:
        """Of every run."""
        return [entry.run.estimate(metric, category) for entry in self.entries]


def figures_of(of: Material) -> list[Figure]:
    """All that there is data for."""
    categories = [
        name for name in of.benchmark.categories if any(name in entry.result["categories"] for entry in of.entries)
    ]
    made = [_headline(of)]
    if of.view.plane is not None:
        made.append(_plane(of))
    if of.view.contrast is not None:
        made.append(_contrast(of))
    made += [_by_category(of, name, categories) for name in of.view.by_category if categories]
    if of.benchmark.judged:
        made += _scores(of, categories)
    return [*made, *(_ranking(of) if not of.conditions else ())]


def _headline(of: Material) -> Figure:
    """A panel a metric; one that is another on a different scale has none."""
    shown: dict[object, Metric] = {}
    for name in of.benchmark.headline:
        metric = of.view.metric(name)
        first = max(metric.ratio.numerator) or 1.0
        shape = tuple(weight / first for weight in metric.ratio.numerator)
        shown.setdefault((metric.units, shape, metric.ratio.denominator), metric)
    panels = []
    for metric in shown.values():
        estimates, chance = of.estimates(metric.name), of.chance.get(metric.name)
        svg = charts.intervals(
            of.names, estimates, charts.zoomed(estimates, metric.top), _axis(metric.name, metric), chance=chance
        )
        panels.append(Panel(metric.name, f"{metric.label}: {_all(of.names, estimates, metric)}", svg))
    title = listed([metric.name for metric in shown.values()])
    return Figure(title, "Values with their 95% intervals, in the order of the table.", panels)


def _plane(of: Material) -> Figure:
    """Published systems are measured their way, so runs beside them are too."""
    assert of.view.plane is not None
    x, y = of.view.plane
    across, up = of.view.metric(x), of.view.metric(y)
    text = f"{up.label.capitalize()} against {across.label}, with 95% intervals"
    systems: dict[str, tuple[float, float]] = {}
    ours = {name: name for name in of.view.plane}
    if of.table is not None:
        ours = {name: of.table.metrics.get(name, name) for name in of.view.plane}
        horizontal, vertical = (of.table.values(ours[name]) for name in of.view.plane)
        systems = {name: (horizontal[name], vertical[name]) for name in horizontal if name in vertical}
        text += "; grey: published systems"
    points = list(zip(of.estimates(ours[x]), of.estimates(ours[y]), strict=True))
    guess = (of.chance[x], of.chance[y]) if x in of.chance and y in of.chance else None
    spans = [
        charts.zoomed([point[axis] for point in points], 100, [pair[axis] for pair in systems.values()])
        for axis in (0, 1)
    ]
    axes = charts.Axes2(_axis(x, across), _axis(y, up), *spans)
    if guess is not None and not all(low <= value <= high for value, (low, high) in zip(guess, spans, strict=True)):
        guess = None
    better = "↖ better" if not across.higher_is_better else "↗ better"
    svg = charts.plane(points, axes, better=better, published=systems, chance=guess)
    said = [
        f"{name} {y} {number(b.get('value'), up)}, {x} {number(a.get('value'), across)}"
        for name, (a, b) in zip(of.names, points, strict=True)
    ]
    also = [f"{len(systems)} published systems around them"] if systems else []
    return Figure(f"{y} against {x}", f"{text}.", [Panel("", "; ".join([*said, *also]), svg)])


def _contrast(of: Material) -> Figure:
    assert of.view.contrast is not None
    first, second = (of.view.metric(name) for name in of.view.contrast)
    pairs = list(zip(of.estimates(first.name), of.estimates(second.name), strict=True))
    draw, mark = (charts.bars, "filled, pale") if of.conditions else (charts.contrast, "mark, bar")
    shown = dict(zip((first.label, second.label), mark.split(", "), strict=True))
    text = "What the leading question costs: " + " and ".join(f"{label} ({how})" for label, how in shown.items()) + "."
    svg = draw(of.names, pairs, (first.name, second.name), of.chance.get(first.name))
    said = [
        f"{name} {first.name} {number(a.get('value'), first)}, {second.name} {number(b.get('value'), second)}"
        for name, (a, b) in zip(of.names, pairs, strict=True)
    ]
    return Figure(f"{first.name} and {second.name}", text, [Panel("", "; ".join(said), svg)])


def _by_category(of: Material, name: str, categories: Sequence[str]) -> Figure:
    """One chart; where its axis would be too long for the intervals to be seen, a chart a category."""
    metric, chance = of.view.metric(name), of.chance.get(name)
    found = {category: of.estimates(name, category) for category in categories}
    spread = {category: of.table.spread(name, category) for category in categories} if of.table else {}
    every = [estimate for estimates in found.values() for estimate in estimates]
    span = charts.zoomed(every, metric.top, [value for values in spread.values() for value in values])
    way = f"further {'right' if metric.higher_is_better else 'left'} is better"
    text = f"{metric.label.capitalize()} in every category with its 95% interval; {way}"
    title = f"{name} by category"
    if _width(every) >= SEEN * (span[1] - span[0]):
        text += "; pale: from the lowest to the highest published system" if any(spread.values()) else ""
        panels = []
        for some in _shared_out(categories, len(of.entries)):
            runs = list(zip(*(found[category] for category in some), strict=True))
            svg = charts.by_category(some, runs, span, _axis(name, metric), chance=chance, published=spread)
            said = [f"{category}: {_words(of.names, found[category], metric)}" for category in some]
            panels.append(Panel(f"{some[0]} to {some[-1]}", ". ".join(said), svg))
        return Figure(title, f"{text}.", panels)
    panels = [
        Panel(
            category,
            f"{category}: {_all(of.names, estimates, metric)}",
            charts.intervals(of.names, estimates, own, _axis(name, metric), chance=chance),
        )
        for (category, estimates), own in zip(
            found.items(), _of_one_length(list(found.values()), metric.top), strict=True
        )
    ]
    return Figure(title, f"{text}; every category has an axis of its own, all of one length.", panels)


def _shared_out(categories: Sequence[str], runs: int) -> list[Sequence[str]]:
    """The categories in as many charts as have room for all intervals, about as many in each."""
    count = -(-len(categories) * runs // ROOM)
    most = -(-len(categories) // count)
    return [categories[start : start + most] for start in range(0, len(categories), most)]


def _width(estimates: Estimates) -> float:
    """The median length of an interval, infinite where there is none."""
    widths = [of["ci_high"] - of["ci_low"] for of in estimates if of.get("ci_low") is not None]
    return statistics.median(widths) if widths else float("inf")


def _of_one_length(every: Sequence[Estimates], top: float) -> list[Span]:
    """An axis for each, all as long as the longest, within 0 and `top`."""
    spans = [charts.zoomed(estimates, top) for estimates in every]
    length = max(high - low for low, high in spans)
    lows = [min(max(0.0, (low + high - length) / 2), top - length) for low, high in spans]
    return [(low, low + length) for low in lows]


def _scores(of: Material, categories: Sequence[str]) -> list[Figure]:
    panels, highest = [], 0.0
    counts: dict[str, list[list[int]]] = {}
    for category in categories:
        found = [
            of.benchmark.scale.histogram([v.score for v in entry.run.verdicts if v.category == category])
            for entry in of.entries
        ]
        if any(map(sum, found)):
            counts[category] = found
            highest = max(highest, *(share for row in found for share in charts.percent(row)))
    for category, found in counts.items():
        said = [
            f"{name} " + ", ".join(f"{score}: {share:.0f}%" for score, share in enumerate(charts.percent(row)) if share)
            for name, row in zip(of.names, found, strict=True)
        ]
        panels.append(Panel(category, f"{category}: {'; '.join(said)}", charts.histogram(found, highest)))
    return [Figure("Scores by category", "How often each score was given, on one scale.", panels)] if panels else []


def _ranking(of: Material) -> list[Figure]:
    if of.table is None:
        return []
    made = []
    for theirs, ours in of.table.metrics.items():
        metric, values, runs = of.view.metric(theirs), of.table.values(ours), of.estimates(ours)
        named = list(zip(of.names, runs, strict=True))
        svg = charts.ranking(
            named, values, _axis(theirs, metric), higher_is_better=metric.higher_is_better,
            chance=of.chance.get(theirs),
        )  # fmt: skip
        said = [f"{name} {_place(run, values, metric)}" for name, run in named]
        text = f"{metric.label.capitalize()} among {len(values)} published systems."
        made.append(Figure(f"{theirs} among published systems", text, [Panel("", "; ".join(said), svg)]))
    return made


def _place(run: Mapping[str, Any], values: Mapping[str, float], metric: Metric) -> str:
    value = run.get("value")
    if value is None:
        return "has no value"
    better = sum(other > value if metric.higher_is_better else other < value for other in values.values())
    return f"{number(value, metric)}, behind {better} of {len(values)} systems"


def _words(names: Sequence[str], estimates: Estimates, metric: Metric) -> str:
    having = [(of["value"], name) for name, of in zip(names, estimates, strict=True) if of.get("value") is not None]
    if len(names) <= IN_WORDS or not having:
        return _all(names, estimates, metric)
    (low, last), (high, first) = min(having), max(having)
    return f"from {number(low, metric)} ({last}) to {number(high, metric)} ({first})"


def _all(names: Sequence[str], estimates: Estimates, metric: Metric) -> str:
    """ "llava 63.5% (60.1 to 66.7), qwen no value"."""
    said = []
    for name, estimate in zip(names, estimates, strict=True):
        ends = interval(estimate, metric)
        said.append(f"{name} {number(estimate.get('value'), metric)}" + (f" ({ends})" if ends else ""))
    return ", ".join(said)


def _axis(name: str, metric: Metric) -> str:
    arrow = "→" if metric.higher_is_better else "←"
    return f"{name} ({'percent' if metric.top == 100 else 'points'}), better {arrow}"
