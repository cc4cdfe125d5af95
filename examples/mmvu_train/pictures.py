"""The example's world: pictures of one coloured thing, and what is true of them.

    scenes(40, seed=1)   [Scene("0003", "yellow", "star", 5, 3, "cream"), …]     no scene is in two of the parts
    scene.draw()         a 120 x 120 picture

The parts are cut by colour and thing: a held-out picture shows a thing in a colour that it has in no other picture.
"""

from __future__ import annotations

import dataclasses
import random
import zlib
from typing import TYPE_CHECKING

from judge.demo.drawing import GRID, PAPERS, Placed, draw_picture, stamps

if TYPE_CHECKING:
    from PIL import Image

COLOURS = ("red", "blue", "green", "yellow", "purple", "black")
THINGS = ("star", "house", "tree", "boat", "cup")


@dataclasses.dataclass(frozen=True)
class Scene:
    """One picture. x, y: cells from the left and from the top."""

    id: str
    colour: str
    thing: str
    x: int
    y: int
    paper: str

    def draw(self) -> Image.Image:
        return draw_picture([Placed(self.thing, self.colour, self.x, self.y, 2)], self.paper)


def held_out(colour: str, thing: str) -> bool:
    """Whether pictures of this thing in this colour are kept from training: about one in four are."""
    return zlib.crc32(f"{colour} {thing}".encode()) % 4 == 0


def make_scenes(count: int, seed: int, *, test: bool) -> list[Scene]:
    """So many scenes, of the held-out things or of the others."""
    rng = random.Random(seed)
    kinds = [(colour, thing) for colour in COLOURS for thing in THINGS if held_out(colour, thing) is test]
    found = []
    for number in range(count):
        colour, thing = kinds[number % len(kinds)] if number % len(kinds) else rng.shuffle(kinds) or kinds[0]
        height, width = (2 * side for side in stamps()[thing].ink.shape)
        x, y = (GRID - width) // 2, (GRID - height) // 2
        found.append(Scene(f"{number:04}", colour, thing, x, y, rng.choice(list(PAPERS))))
    return found
