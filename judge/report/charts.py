"""Charts as inline SVG: drawn by matplotlib, coloured by the page.

Colours of the figures are tokens (`INK`, `series(0)`, …) which become CSS variables, so that one drawing serves light
and dark; text stays text in the page's font; ids are hashes of the content, and the same numbers give the same bytes.
Charts are drawn narrow: a phone shows one across, a desk two or three.
"""

from __future__ import annotations

import functools
import io
import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, SURFACE = "#fe0001", "#fe0002", "#fe0003", "#fe0004"
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", SURFACE: "--surface"}
SERIES = 8
"""Colours and markers before they repeat."""
MARKERS = "osD^vPX*"

WIDTH = 4.1
"""Inches; a figure of this width has text of readable size at 340 CSS pixels."""
_TOKEN = re.compile(r"#fe0[01][0-9a-f]{2}")
_FAMILY = re.compile(r"font-family: [^;]*; ?")
_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"

Estimate = Mapping[str, Any]
"""{"value", "ci_low", "ci_high", "n"} of results.json."""
Tips = dict[str, str]
Chart = TypeVar("Chart", bound=Callable[..., str])


def _drawing(chart: Chart) -> Chart:
    """Draw with settings of our own, whatever the user's are; a name with a dollar sign is no formula."""

    @functools.wraps(chart)
    def draw(*args: Any, **options: Any) -> str:
        import matplotlib

        settings = {
            **matplotlib.rcParamsDefault, "svg.fonttype": "none", "svg.hashsalt": "mmjudge", "text.parse_math": False,
            "text.color": INK,
        }  # fmt: skip
        settings = {name: value for name, value in settings.items() if not name.startswith("backend")}
        with matplotlib.rc_context(settings):
            return chart(*args, **options)

    return cast(Chart, draw)


def series(number: int) -> str:
    """The colour token of run `number`."""
    return f"#fe01{number % SERIES:02x}"


@_drawing
def by_category(
    rows: Sequence[str],
    runs: Sequence[Sequence[Estimate]],
    top: float,
    axis: str,
    *,
    chance: float | None = None,
    published: Mapping[str, Sequence[float]] | None = None,
) -> str:
    """Intervals side by side. runs: of every run an estimate a row; published: row → values drawn as a pale range."""
    step = 0.17
    height = 0.75 + len(rows) * (0.14 + step * len(runs))
    figure, axes = _figure(height)
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
            _point(axes, estimate, centre + offset, number)
    _chance(axes, chance)
    axes.set_yticks(centres, rows)
    half = 0.07 + step * len(runs) / 2
    axes.set_ylim(centres[-1] - half, half)
    axes.set_xlim(0, top)
    axes.set_xlabel(axis)
    axes.grid(axis="x", color=GRID, lw=0.6)
    return _svg(figure, {})


@_drawing
def plane(
    points: Sequence[tuple[Estimate, Estimate]],
    x_axis: str,
    y_axis: str,
    *,
    better: str,
    published: Mapping[str, tuple[float, float]] | None = None,
    chance: tuple[float, float] | None = None,
) -> str:
    """Runs with their intervals both ways, published systems as grey rings named by their tooltips."""
    figure, axes = _figure(3.4)
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
        axes.plot(
            across["value"], up["value"], MARKERS[number % SERIES], color=colour, mec=SURFACE, ms=8, clip_on=False
        )
    if chance is not None:
        axes.plot(*chance, "x", color=MUTED, ms=6)
        axes.annotate("guessing", chance, (6, 0), textcoords="offset points", color=MUTED, fontsize=8, va="center")
    axes.annotate(better, (0.03, 0.97), xycoords="axes fraction", color=MUTED, fontsize=8, va="top")
    seen = [*points, *([_exact(*chance)] if chance else []), *(_exact(*pair) for pair in (published or {}).values())]
    axes.set_xlim(0, _round_up(across.get("ci_high") for across, _ in seen))
    axes.set_ylim(0, _round_up(up.get("ci_high") for _, up in seen))
    axes.set_xlabel(x_axis)
    axes.set_ylabel(y_axis)
    axes.grid(color=GRID, lw=0.6)
    return _svg(figure, tips)


@_drawing
def contrast(
    names: Sequence[str], pairs: Sequence[tuple[Estimate, Estimate]], labels: tuple[str, str], chance: float | None
) -> str:
    """One line a run from its second metric to its first, and how far apart they are."""
    figure, axes = _figure(0.95 + 0.42 * len(names))
    for number, (first, second) in enumerate(pairs):
        y = -number
        if first.get("value") is None or second.get("value") is None:
            continue
        a, b = first["value"], second["value"]
        axes.plot([b, a], [y, y], color=series(number), lw=2.5, alpha=0.45)
        axes.plot(a, y, "o", color=series(number), ms=7)
        axes.plot(b, y, "o", mfc=SURFACE, mec=series(number), mew=1.8, ms=7)
        right = max(a, b)
        axes.annotate(
            f"{b - a:+.1f}".replace("-", "−"), (right, y), (9, 0), textcoords="offset points", va="center", fontsize=8.5
        )
    _chance(axes, chance)
    axes.set_yticks([-number for number in range(len(names))], [_short(name) for name in names])
    axes.set_ylim(-len(names) + 0.4, 0.6)
    axes.set_xlim(0, 112)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel(f"●  {labels[0]}     ○  {labels[1]}     percent right")
    axes.grid(axis="x", color=GRID, lw=0.6)
    return _svg(figure, {})


@_drawing
def bars(
    names: Sequence[str], pairs: Sequence[tuple[Estimate, Estimate]], labels: tuple[str, str], chance: float | None
) -> str:
    """Two bars a condition with their intervals, the second paler: the paper's Fig. 1 with conditions for models."""
    figure, axes = _figure(0.95 + 0.62 * len(names))
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
    return _svg(figure, {})


@_drawing
def histogram(counts: Sequence[Sequence[int]]) -> str:
    """counts: of every run, how often each score was given. Heights are shares of the run's scored answers."""
    figure, axes = _figure(2.2)
    width = 0.8 / len(counts)
    for number, row in enumerate(counts):
        total = sum(row) or 1
        left = [score - 0.4 + width * (number + 0.5) for score in range(len(row))]
        bars = axes.bar(left, [100 * count / total for count in row], width * 0.92, color=series(number))
        if len(counts) == 1:
            axes.bar_label(bars, [str(count) if count else "" for count in row], color=MUTED, fontsize=8, padding=1)
    axes.set_xticks(range(len(counts[0])))
    axes.set_ylim(0, axes.get_ylim()[1] * 1.08)
    axes.set_xlabel("score")
    axes.set_ylabel("% of scored answers")
    axes.grid(axis="y", color=GRID, lw=0.6)
    return _svg(figure, {})


@_drawing
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
    figure, axes = _figure(0.75 + 0.185 * len(rows))
    for row, (value, _, estimate, number) in enumerate(rows):
        if estimate is None:
            axes.plot(value, -row, "o", mfc="none", mec=MUTED, ms=4.5)
        else:
            axes.axhspan(-row - 0.5, -row + 0.5, color=series(number), alpha=0.12, lw=0)
            _point(axes, estimate, -row, number)
    _chance(axes, chance)
    axes.set_yticks([-row for row in range(len(rows))], [_short(name) for _, name, _, _ in rows])
    for label, (_, _, _, number) in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_color(MUTED if number < 0 else INK)
        label.set_fontweight("normal" if number < 0 else "bold")
    axes.set_ylim(-len(rows) + 0.4, 0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel(axis)
    axes.grid(axis="x", color=GRID, lw=0.6)
    return _svg(figure, {})


def _exact(x: float, y: float) -> tuple[Estimate, Estimate]:
    return {"ci_high": x}, {"ci_high": y}


def _round_up(values: Iterable[float | None]) -> float:
    """The next ten above all of them."""
    return min(100.0, 10 * math.ceil((max((value or 0 for value in values), default=0) + 4) / 10))


def _point(axes: Axes, estimate: Estimate, y: float, number: int) -> None:
    if estimate.get("value") is None:
        axes.annotate(
            "nothing to count", (0, y), (4, 0), textcoords="offset points", color=MUTED, fontsize=7, va="center"
        )
        return
    colour = series(number)
    axes.plot([estimate["ci_low"], estimate["ci_high"]], [y, y], color=colour, lw=1.6, alpha=0.6)
    axes.plot(estimate["value"], y, MARKERS[number % SERIES], color=colour, mec=SURFACE, mew=0.6, ms=6, clip_on=False)


def _chance(axes: Axes, chance: float | None) -> None:
    if chance is not None:
        axes.axvline(chance, color=MUTED, lw=1, ls=(0, (3, 3)), zorder=0.9)


def _short(name: str, most: int = 26) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _figure(height: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    axes = figure.add_subplot()
    axes.set_facecolor("none")
    figure.patch.set_alpha(0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(GRID)
    axes.tick_params(colors=INK, length=0, labelsize=9)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set_color(MUTED)
        label.set_fontsize(9)
    axes.set_axisbelow(True)
    return figure, axes


def _svg(figure: Figure, tips: Tips) -> str:
    """The figure as an `svg` element without ids of its own making, fixed fonts or colours."""
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs that matplotlib's font lacks; the page has its own
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    root = ElementTree.fromstring(out.getvalue())
    for element in list(root):
        if element.tag == f"{_SVG}metadata":
            root.remove(element)
    for definitions in root.iter(f"{_SVG}defs"):
        for style in definitions.findall(f"{_SVG}style"):
            definitions.remove(style)  # it would reach the whole page
    _tidy(root, tips)
    for size in ("width", "height"):
        root.attrib.pop(size, None)
    return ElementTree.tostring(root, encoding="unicode")


def _tidy(element: ElementTree.Element, tips: Tips) -> None:
    """Tokens to variables, fonts to sizes, names as HTML wants them; ids that nothing refers to go."""
    element.tag = element.tag.removeprefix(_SVG)
    for name, value in list(element.attrib.items()):
        if name == f"{_XLINK}href":
            del element.attrib[name]
            element.attrib["href"] = value
        elif name in ("style", "fill", "stroke"):
            element.attrib[name] = _FAMILY.sub("", _TOKEN.sub(_variable, value))
    found = element.attrib.get("id", "")
    if found in tips:
        title = ElementTree.Element("title")
        title.text = tips[found]
        element.insert(0, title)
    if element.tag in ("g", "svg", "text") and found:
        del element.attrib["id"]
    for child in element:
        _tidy(child, tips)


def _variable(token: re.Match[str]) -> str:
    name = _VARIABLES.get(token[0]) or f"--series-{int(token[0][-2:], 16)}"
    return f"var({name})"
