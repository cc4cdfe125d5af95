"""Charts as inline SVG: drawn by matplotlib, coloured by the page (`judge.report.drawing`).

Charts are drawn narrow: a phone shows one across, a desk two or three. Axes are cut to where the values lie (`zoomed`),
so that intervals of twenty thousand answers are seen; an axis that does not begin at 0 says so. Bars begin at 0.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from judge.report.drawing import GRID, INK, MUTED, SURFACE, Tips, as_svg, drawing, new_figure, series
from judge.report.marks import HOLLOW, MARKERS, SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BARS = 4
"""Runs whose scores are drawn as bars side by side."""

Estimate = Mapping[str, Any]
"""{"value", "ci_low", "ci_high", "n"} of results.json."""
Span = tuple[float, float]
"""Where an axis begins and ends."""


def zoomed(estimates: Iterable[Estimate], top: float, also: Iterable[float | None] = ()) -> Span:
    """Where an axis from 0 to `top` is cut so that values and intervals fill it; `also`: other values to be seen.

    From 0 where that costs little: where they lie low anyway.
    """
    found = [of.get(name) for of in estimates for name in ("value", "ci_low", "ci_high")]
    ends = [float(value) for value in (*found, *also) if value is not None]
    if not ends:
        return 0.0, top
    low, high = min(ends), max(ends)
    room = max(0.07 * (high - low), 0.002 * top)
    low, high = max(0.0, low - room), min(top, high + room)
    return (0.0 if low < 0.25 * high else low), high


@drawing
def intervals(
    names: Sequence[str], estimates: Sequence[Estimate], span: Span, axis: str, *, chance: float | None = None
) -> str:
    """One metric: a row a run, the first on top."""
    figure, axes = new_figure(0.75 + 0.26 * len(names))
    for number, estimate in enumerate(estimates):
        _point(axes, estimate, -number, number, span)
    axes.set_yticks([-number for number in range(len(names))], [_short(name) for name in names])
    axes.set_ylim(-len(names) + 0.4, 0.6)
    _across(axes, span, axis)
    _chance(axes, chance)
    return as_svg(figure, {})


@drawing
def by_category(
    rows: Sequence[str],
    runs: Sequence[Sequence[Estimate]],
    span: Span,
    axis: str,
    *,
    chance: float | None = None,
    published: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Intervals side by side. runs: of every run an estimate a row; published: row → values drawn as a pale range."""
    step = 0.17
    height = 0.75 + len(rows) * (0.14 + step * len(runs))
    figure, axes = new_figure(height)
    centres = [-(row * (0.14 + step * len(runs))) for row in range(len(rows))]
    for centre, name in zip(centres, rows, strict=True):
        values = (published or {}).get(name)
        if values:
            axes.plot(
                [values[0], values[-1]], [centre, centre], color=GRID, lw=7 + 8 * len(runs), solid_capstyle="butt"
            )
            axes.plot([values[len(values) // 2]] * 2, [centre - 0.08, centre + 0.08], color=MUTED, lw=1)
    for number, estimates in enumerate(runs):
        offset = step * ((len(runs) - 1) / 2 - number)
        for centre, estimate in zip(centres, estimates, strict=True):
            _point(axes, estimate, centre + offset, number, span)
    axes.set_yticks(centres, rows)
    half = 0.07 + step * len(runs) / 2
    axes.set_ylim(centres[-1] - half, half)
    _across(axes, span, axis)
    _chance(axes, chance)
    return as_svg(figure, {})


@dataclasses.dataclass(frozen=True)
class Axes2:
    """The two axes of a plane: what they are called, and where they begin and end."""

    x: str
    y: str
    across: Span
    up: Span


@drawing
def plane(
    points: Sequence[tuple[Estimate, Estimate]],
    of: Axes2,
    *,
    better: str,
    published: Mapping[str, tuple[float, float]] | None = None,
    chance: tuple[float, float] | None = None,
) -> str:
    """Runs with their intervals both ways, published systems as grey rings named by their tooltips."""
    figure, axes = new_figure(3.4)
    tips: Tips = {}
    for number, (name, (x, y)) in enumerate((published or {}).items()):
        axes.plot(x, y, "o", ms=4, mfc="none", mec=MUTED, gid=f"tip{number}")
        tips[f"tip{number}"] = f"{name}: {x:.1f}, {y:.1f}"
    for number, (across, up) in enumerate(points):
        if across.get("value") is None or up.get("value") is None:
            continue
        colour = series(number)
        axes.plot([across["ci_low"], across["ci_high"]], [up["value"]] * 2, color=colour, lw=1.2, alpha=0.6)
        axes.plot([across["value"]] * 2, [up["ci_low"], up["ci_high"]], color=colour, lw=1.2, alpha=0.6)
        _mark(axes, across["value"], up["value"], number, 7)
    if chance is not None:
        axes.plot(*chance, "x", color=MUTED, ms=6)
        axes.annotate("guessing", chance, (6, 0), textcoords="offset points", color=MUTED, fontsize=8, va="center")
    axes.annotate(better, (0.03, 0.97), xycoords="axes fraction", color=MUTED, fontsize=8, va="top")
    axes.set_ylim(*of.up)
    axes.set_ylabel(_named(of.y, of.up))
    _across(axes, of.across, of.x)
    axes.grid(color=GRID, lw=0.6)
    return as_svg(figure, tips)


@drawing
def contrast(
    names: Sequence[str], pairs: Sequence[tuple[Estimate, Estimate]], labels: tuple[str, str], chance: float | None
) -> str:
    """One line a run from its second metric, a bar, to its first, its mark, and how far apart they are."""
    figure, axes = new_figure(0.95 + 0.42 * len(names))
    low, high = zoomed([of for pair in pairs for of in pair], 100)
    for number, (first, second) in enumerate(pairs):
        y = -number
        if first.get("value") is None or second.get("value") is None:
            continue
        a, b = first["value"], second["value"]
        axes.plot([b, a], [y, y], color=series(number), lw=2.5, alpha=0.45)
        axes.plot(b, y, "|", color=series(number), ms=11, mew=2.4)
        _mark(axes, a, y, number, 7)
        right = max(a, b)
        axes.annotate(
            f"{b - a:+.1f}".replace("-", "−"), (right, y), (9, 0), textcoords="offset points", va="center", fontsize=8.5
        )
    axes.set_yticks([-number for number in range(len(names))], [_short(name) for name in names])
    axes.set_ylim(-len(names) + 0.4, 0.6)
    # room on the right for the words of the last one
    _across(axes, (low, high + 0.16 * (high - low)), f"mark: {labels[0]}, bar: {labels[1]}, percent right")
    axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= 100])
    _chance(axes, chance)
    return as_svg(figure, {})


@drawing
def bars(
    names: Sequence[str], pairs: Sequence[tuple[Estimate, Estimate]], labels: tuple[str, str], chance: float | None
) -> str:
    """Two bars a condition with their intervals, the second paler: the paper's Fig. 1 with conditions for models."""
    figure, axes = new_figure(0.95 + 0.62 * len(names))
    for number, pair in enumerate(pairs):
        for place, (estimate, alpha) in enumerate(zip(pair, (1.0, 0.4), strict=True)):
            if estimate.get("value") is None:
                continue
            y = -number + 0.38 * (0.5 - place)
            axes.barh(y, estimate["value"], 0.34, color=series(number), alpha=alpha, lw=0)
            axes.plot([estimate["ci_low"], estimate["ci_high"]], [y, y], color=INK, lw=1)
            right = max(estimate["value"], estimate["ci_high"])
            axes.annotate(
                f"{labels[place]} {estimate['value']:.1f}", (right, y), (4, 0), textcoords="offset points",
                va="center", fontsize=7.5,
            )  # fmt: skip
    _chance(axes, chance)
    axes.set_yticks([-number for number in range(len(names))], [_short(name) for name in names])
    axes.set_ylim(-len(names) + 0.4, 0.6)
    axes.set_xlim(0, 125)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("percent right")
    axes.grid(axis="x", color=GRID, lw=0.6)
    return as_svg(figure, {})


@drawing
def histogram(counts: Sequence[Sequence[int]], highest: float) -> str:
    """counts: of every run, how often each score was given. Heights are shares of the run's scored answers.

    highest: percent where the axis ends, one for all charts that are seen side by side. Up to four runs are bars, more
    are lines.
    """
    figure, axes = new_figure(2.2)
    width = 0.8 / len(counts)
    for number, shares in enumerate(map(percent, counts)):
        if len(counts) > BARS:
            axes.plot(range(len(shares)), shares, color=series(number), lw=1, alpha=0.6)
            for score, share in enumerate(shares):
                _mark(axes, score, share, number, 5)
            continue
        left = [score - 0.4 + width * (number + 0.5) for score in range(len(shares))]
        axes.bar(left, shares, width * 0.92, color=series(number))
        if len(counts) > 1:
            for x, share in zip(left, shares, strict=True):
                if share:
                    _mark(axes, x, share, number, 4.5)
    if len(counts) == 1:
        labels = [str(count) if count else "" for count in counts[0]]
        axes.bar_label(axes.containers[0], labels, color=MUTED, fontsize=8, padding=1)  # type: ignore[arg-type]
    axes.set_xticks(range(len(counts[0])))
    axes.set_ylim(0, highest * 1.12)
    axes.set_xlabel("score")
    axes.set_ylabel("% of scored answers")
    axes.grid(axis="y", color=GRID, lw=0.6)
    return as_svg(figure, {})


def percent(counts: Sequence[int]) -> list[float]:
    """The share of each in all of them."""
    return [100 * count / (sum(counts) or 1) for count in counts]


@drawing
def ranking(
    runs: Sequence[tuple[str, Estimate]],
    published: Mapping[str, float],
    axis: str,
    *,
    higher_is_better: bool,
    chance: float | None,
) -> str:
    """Runs among published systems, the best on top."""
    rows: list[tuple[float, str, Estimate | None, int]] = [(value, name, None, -1) for name, value in published.items()]
    rows += [(e["value"], name, e, number) for number, (name, e) in enumerate(runs) if e.get("value") is not None]
    rows.sort(key=lambda row: row[0], reverse=higher_is_better)
    span = zoomed([estimate for _, estimate in runs], 100, published.values())
    figure, axes = new_figure(0.75 + 0.185 * len(rows))
    for row, (value, _, estimate, number) in enumerate(rows):
        if estimate is None:
            axes.plot(value, -row, "o", mfc="none", mec=MUTED, ms=4.5)
        else:
            axes.axhspan(-row - 0.5, -row + 0.5, color=series(number), alpha=0.12, lw=0)
            _point(axes, estimate, -row, number, span)
    axes.set_yticks([-row for row in range(len(rows))], [_short(name) for _, name, _, _ in rows])
    for label, (_, _, _, number) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(MUTED if number < 0 else INK)
        label.set_fontweight("normal" if number < 0 else "bold")
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    _across(axes, span, axis)
    _chance(axes, chance)
    return as_svg(figure, {})


def _across(axes: Axes, span: Span, name: str) -> None:
    axes.set_xlim(*span)
    axes.set_xlabel(_named(name, span))
    axes.grid(axis="x", color=GRID, lw=0.6)


def _named(axis: str, span: Span) -> str:
    """The name of an axis, which says where it does not begin at 0."""
    return f"{axis} · axis begins at {span[0]:.3g}" if span[0] > 0 else axis


def _point(axes: Axes, estimate: Estimate, y: float, number: int, span: Span) -> None:
    """A value with its interval, whose ends stand out from behind the mark however short it is."""
    if estimate.get("value") is None:
        axes.annotate(
            "nothing to count", (span[0], y), (4, 0), textcoords="offset points", color=MUTED, fontsize=7, va="center"
        )
        return
    ends = [estimate["ci_low"], estimate["ci_high"]]
    axes.plot(ends, [y, y], color=series(number), lw=1.6, alpha=0.75)
    _mark(axes, estimate["value"], y, number, 6)
    axes.plot(ends, [y, y], "|", color=series(number), ms=10, mew=1.1)


def _mark(axes: Axes, x: float, y: float, number: int, size: float) -> None:
    colour, number = series(number), number % SERIES
    face, edge = (SURFACE, colour) if HOLLOW[number] else (colour, SURFACE)
    axes.plot(x, y, MARKERS[number], mfc=face, mec=edge, mew=1.3 if HOLLOW[number] else 0.6, ms=size, clip_on=False)


def _chance(axes: Axes, chance: float | None) -> None:
    """A dashed line, where the axis has room for it."""
    if chance is not None and axes.get_xlim()[0] <= chance <= axes.get_xlim()[1]:
        axes.axvline(chance, color=MUTED, lw=1, ls=(0, (3, 3)), zorder=0.9)


def _short(name: str, most: int = 26) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
