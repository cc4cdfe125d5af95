"""Pictures made of stamps, and the way back from a picture to its stamps.

A picture is 24 x 24 cells of 5 pixels. A stamp (`stamps.txt`, letters in `glyphs.txt`) is ink of one colour on it:

    draw_picture([Placed("cup", "blue", x=2, y=3, scale=2)], paper="cream")  ->  120 x 120 RGB picture
    read_picture(that picture)  ->  [Placed("cup", "blue", x=2, y=3, scale=2)]

Cells are filled whole, without a font and without antialiasing, so that any Pillow draws the same pixels.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

GRID = 24
CELL = 5
INKS: Mapping[str, tuple[int, int, int]] = {
    "red": (215, 30, 30),
    "blue": (35, 75, 225),
    "green": (25, 150, 60),
    "yellow": (245, 205, 0),
    "orange": (250, 125, 10),
    "purple": (130, 40, 165),
    "pink": (255, 120, 190),
    "black": (20, 20, 20),
}
PAPERS: Mapping[str, tuple[int, int, int]] = {
    "white": (255, 255, 255),
    "cream": (255, 247, 222),
    "grey": (226, 226, 226),
    "sky": (219, 238, 252),
}


@dataclasses.dataclass(frozen=True)
class Stamp:
    """ink: (height, width) booleans in cells, without empty edges. words: what is true of the thing it shows."""

    name: str
    words: tuple[str, ...]
    ink: np.ndarray


@dataclasses.dataclass(frozen=True)
class Placed:
    """A stamp on paper: top left cell, and how many cells a cell of the stamp fills each way."""

    name: str
    colour: str
    x: int
    y: int
    scale: int = 1


@functools.cache
def stamps() -> dict[str, Stamp]:
    """All stamps by name; letters and figures are stamps named by their one character."""
    found: dict[str, Stamp] = {}
    for file in ("stamps.txt", "glyphs.txt"):
        for block in resources.files(__package__).joinpath(file).read_text().split("\n= ")[1:]:
            head, *rows = block.strip().splitlines()
            name, _, words = head.partition(":")
            found[name] = Stamp(
                name, tuple(words.split()), _trimmed(np.array([[c == "#" for c in row] for row in rows]))
            )
    return found


def draw_picture(scene: Iterable[Placed], paper: str = "white") -> Image.Image:
    """An RGB picture of `GRID * CELL` pixels a side. Raises ValueError where a stamp leaves the paper."""
    from PIL import Image

    cells = np.empty((GRID, GRID, 3), np.uint8)
    cells[:] = PAPERS[paper]
    for placed in scene:
        ink = np.kron(stamps()[placed.name].ink, np.ones((placed.scale, placed.scale), bool))
        height, width = ink.shape
        if placed.x < 0 or placed.y < 0 or placed.x + width > GRID or placed.y + height > GRID:
            raise ValueError(f"{placed} leaves the paper")
        cells[placed.y : placed.y + height, placed.x : placed.x + width][ink] = INKS[placed.colour]
    return Image.fromarray(cells.repeat(CELL, 0).repeat(CELL, 1))


def spell_word(word: str, colour: str, x: int, y: int) -> list[Placed]:
    """The letters of `word` side by side, one cell apart; x, y: the cell of the first one's top left corner."""
    return [Placed(letter, colour, x + 6 * position, y) for position, letter in enumerate(word)]


def read_picture(picture: Image.Image) -> list[Placed]:
    """The stamps of a picture, row by row of their tops, as `draw_picture` takes them. What is no stamp is left out."""
    cells = np.asarray(picture.convert("RGB").resize((GRID, GRID), resample=0), np.int64)
    names = [*INKS, *PAPERS]
    colours = np.array([*INKS.values(), *PAPERS.values()])
    nearest = ((cells[:, :, None, :] - colours) ** 2).sum(-1).argmin(-1)
    known = {(stamp.ink.shape, stamp.ink.tobytes()): stamp.name for stamp in stamps().values()}
    found = []
    for y, x, ink, colour in _pieces(nearest, len(INKS)):
        for scale in (2, 1):
            small = ink[::scale, ::scale]
            name = known.get((small.shape, small.tobytes()))
            if name and np.array_equal(np.kron(small, np.ones((scale, scale), bool)), ink):
                found.append(Placed(name, names[colour], x, y, scale))
                break
    return sorted(found, key=lambda placed: (placed.y, placed.x))


def _pieces(colours: np.ndarray, inks: int) -> Iterator[tuple[int, int, np.ndarray, int]]:
    """(top, left, ink, colour) of every 8-connected piece of one of the first `inks` colours."""
    left = {(int(y), int(x)) for y, x in np.argwhere(colours < inks)}
    while left:
        start = left.pop()
        piece, edge = [start], [start]
        while edge:
            y, x = edge.pop()
            for near in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if near in left and colours[near] == colours[start]:
                    left.remove(near)
                    piece.append(near)
                    edge.append(near)
        ys, xs = [y for y, _ in piece], [x for _, x in piece]
        ink = np.zeros((max(ys) - min(ys) + 1, max(xs) - min(xs) + 1), bool)
        ink[np.array(ys) - min(ys), np.array(xs) - min(xs)] = True
        yield min(ys), min(xs), ink, int(colours[start])


def _trimmed(ink: np.ndarray) -> np.ndarray:
    rows, columns = (np.flatnonzero(ink.any(axis)) for axis in (1, 0))
    return np.ascontiguousarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
