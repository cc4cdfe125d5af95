"""The analysis as pictures: distributions for plain and leading questions, and where the question's tokens attend.

    draw_distributions(measured, out)          out/right_letter.png, out/attention.png
    draw_heat_map(pair, pictures, file)        the picture of a pair, once for each question, with its map on it

Drawn by matplotlib, which comes with the extra "report". Files are PNG.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from judge.attention.choices import LEADING, PLAIN
from judge.attention.measure import Measured
from judge.attention.tables import MEASURES
from judge.errors import UserError
from judge.io.files import cannot_write, make_folder, write_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {PLAIN: "#1f77b4", LEADING: "#d62728"}
NAMES = {PLAIN: "plain (POS)", LEADING: "leading (NEG)"}
BINS = 20
DOTS = 110


def draw_distributions(measured: Sequence[Measured], out: Path) -> list[Path]:
    """Two files in `out`: the probability of the right letter, and attention from the question to the picture.

    Raises UserError where matplotlib is not installed or a file cannot be written.
    """
    return [
        _drawn(out / "right_letter.png", measured, ["p_right"], (0, 100)),
        _drawn(out / "attention.png", measured, ["picture_first", "picture_last", "answer_last"], None),
    ]


def draw_heat_map(shown: Sequence[Measured], picture: Image.Image, texts: Sequence[str], file: Path) -> Path:
    """One panel a question of one picture: its map over the picture, its text above, its letters' probabilities below.

    Raises UserError as `draw_distributions` does.
    """
    figure = _figure(4.2 * len(shown), 5.2)
    levels = [found.grid() for found in shown]
    top = max(float(level.max()) for level in levels)
    for number, (found, level, text) in enumerate(zip(shown, levels, texts, strict=True)):
        axes = figure.add_subplot(1, len(shown), number + 1)
        axes.imshow(np.asarray(picture.convert("L")), cmap="gray", vmin=0, vmax=255)
        left, up, right, down = found.map["box"]
        heat = axes.imshow(
            level, cmap="inferno", alpha=0.55, extent=(left, right, down, up), vmin=0, vmax=top, interpolation="nearest"
        )
        axes.set_xlim(0, picture.width)
        axes.set_ylim(picture.height, 0)
        axes.set_axis_off()
        axes.set_title(_asked(text), fontsize=8, loc="left", color=COLOURS[found.kind])
        said = "   ".join(f"{letter} {value:.0%}" for letter, value in found.letters.items())
        mark = "right" if found.is_right else "wrong"
        axes.text(
            0, -0.04, f"{NAMES[found.kind]}, right letter {found.right}: {mark}\n{said}",
            transform=axes.transAxes, fontsize=8, va="top",
        )  # fmt: skip
        bar = figure.colorbar(heat, ax=axes, fraction=0.04, pad=0.02)
        bar.ax.tick_params(labelsize=6)
    return _saved(figure, file)


def _asked(text: str) -> str:
    """The first lines of a question, as they fit above its panel; a dollar sign starts no formula."""
    lines = [part for line in text.strip().splitlines() for part in textwrap.wrap(line, 52)]
    return "\n".join(lines[:5]).replace("$", r"\$")


def _drawn(file: Path, measured: Sequence[Measured], names: Sequence[str], limits: tuple[int, int] | None) -> Path:
    figure = _figure(4.6 * len(names), 3.2)
    for number, name in enumerate(names):
        axes = figure.add_subplot(1, len(names), number + 1)
        measure = MEASURES[name]
        values = {
            kind: [value for found in measured if found.kind == kind and (value := measure.of(found)) is not None]
            for kind in (PLAIN, LEADING)
        }
        everything = [value for of in values.values() for value in of]
        low, high = limits or (0.0, max([*everything, 1e-9]) * 1.02)
        for kind, of in values.items():
            _histogram(axes, of, np.linspace(low, high, BINS + 1), kind)
        axes.set_xlabel(f"{measure.full_title}, %")
        axes.set_xlim(low, high)
        axes.set_ylabel("% of questions")
        axes.legend(frameon=False, fontsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    return _saved(figure, file)


def _histogram(axes: Axes, values: Sequence[float], edges: np.ndarray, kind: str) -> None:
    """Shares of the kind's questions, with its mean as a dashed line."""
    if not values:
        return
    weights = np.full(len(values), 100 / len(values))
    axes.hist(
        values,
        edges.tolist(),
        weights=weights,
        color=COLOURS[kind],
        alpha=0.45,
        label=f"{NAMES[kind]}, n {len(values)}",
    )
    axes.axvline(float(np.mean(values)), color=COLOURS[kind], ls="--", lw=1.2)


def _figure(width: float, height: float) -> Figure:
    require_matplotlib()
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def require_matplotlib() -> None:
    """Raise UserError where matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise UserError("matplotlib is not installed", fix="pip install 'mmjudge[report]', or --no-plots") from None


def _saved(figure: Figure, file: Path) -> Path:
    import matplotlib

    data = io.BytesIO()
    settings: dict[Any, Any] = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    with matplotlib.rc_context(settings):
        figure.savefig(data, format="png", dpi=DOTS, metadata={"Software": None})
    make_folder(file.parent)
    try:
        write_bytes(file, data.getvalue())
    except OSError as error:
        raise cannot_write(file, error) from error
    return file
