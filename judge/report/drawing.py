"""How a chart becomes inline SVG that the page colours.

Colours of the figures are tokens (`INK`, `series(0)`, …) which become CSS variables, so that one drawing serves light
and dark; text stays text in the page's font; ids are hashes of the content, and the same numbers give the same bytes.
"""

from __future__ import annotations

import functools
import hashlib
import io
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast
from xml.etree import ElementTree

from judge.report.marks import SERIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, GRID, SURFACE = "#fe0001", "#fe0002", "#fe0003", "#fe0004"
_VARIABLES = {INK: "--ink", MUTED: "--muted", GRID: "--grid", SURFACE: "--surface"}
WIDTH = 4.1
"""Inches; a figure of this width has text of readable size at 340 CSS pixels."""
_TOKEN = re.compile(r"#fe0[01][0-9a-f]{2}")
_FAMILY = re.compile(r"font-family: [^;]*; ?")
_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"

Tips = dict[str, str]
"""The `gid` of a thing that is drawn → the words that show when it is pointed at."""
Chart = TypeVar("Chart", bound=Callable[..., str])


def drawing(chart: Chart) -> Chart:
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


def new_figure(height: float) -> tuple[Figure, Axes]:
    """An empty figure, `height` inches high, without a frame."""
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


def as_svg(figure: Figure, tips: Tips) -> str:
    """The figure as an `svg` element without ids of its own making, fixed fonts or colours."""
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # glyphs that matplotlib's font lacks; the page has its own
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    drawn = out.getvalue()
    root = ElementTree.fromstring(drawn)
    for element in list(root):
        if element.tag == f"{_SVG}metadata":
            root.remove(element)
    for definitions in root.iter(f"{_SVG}defs"):
        for style in definitions.findall(f"{_SVG}style"):
            definitions.remove(style)  # it would reach the whole page
    _tidy(root, tips)
    _tell_ids_apart(root, hashlib.sha256(drawn.encode()).hexdigest()[:8])
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


def _tell_ids_apart(root: ElementTree.Element, drawing_id: str) -> None:
    """A page has many drawings, and marks that two of them share would have one id."""
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == "id":
                element.attrib[name] = f"{drawing_id}-{value}"
            elif name == "href":
                element.attrib[name] = value.replace("#", f"#{drawing_id}-", 1)
            else:
                element.attrib[name] = value.replace("url(#", f"url(#{drawing_id}-")


def _variable(token: re.Match[str]) -> str:
    name = _VARIABLES.get(token[0]) or f"--series-{int(token[0][-2:], 16)}"
    return f"var({name})"
