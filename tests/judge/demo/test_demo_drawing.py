"""Drawing and reading back are inverse, over every stamp; that is what makes the scripted model's eyes exact."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from judge.demo.drawing import CELL, GRID, INKS, PAPERS, Placed, draw_picture, read_picture, spell_word, stamps

SIZES = [
    (name, scale)
    for name, stamp in stamps().items()
    for scale in (1, 2)
    if max(stamp.ink.shape) * scale <= GRID  # ring and fence fill the paper at scale 1
]


@pytest.mark.parametrize(("name", "scale"), SIZES)
def test_every_stamp_is_read_back(name: str, scale: int) -> None:
    height, width = (side * scale for side in stamps()[name].ink.shape)
    colour, paper = list(INKS)[len(name) % len(INKS)], list(PAPERS)[len(name) % len(PAPERS)]
    corner = [Placed(name, colour, GRID - width, GRID - height, scale)]
    assert read_picture(draw_picture(corner, paper)) == corner


def test_things_beside_and_inside_each_other_are_told_apart() -> None:
    scene = [Placed("ring", "blue", 5, 5), Placed("heart", "red", 7, 8)]
    assert read_picture(draw_picture(scene)) == scene
    word = spell_word("STOP", "red", 0, 8)
    assert [placed.x for placed in word] == [0, 6, 12, 18]  # five cells a letter and one between
    assert read_picture(draw_picture(word)) == word


def test_a_picture_is_whole_cells_of_two_colours() -> None:
    pixels = np.asarray(draw_picture([Placed("box", "red", 2, 3, 1)], "sky"))
    assert pixels.shape == (GRID * CELL, GRID * CELL, 3) == (120, 120, 3)
    inked = (pixels == INKS["red"]).all(-1)
    assert inked.sum() == 10 * 10 * 25  # a box of 10 x 10 cells, 25 pixels a cell
    assert inked[15:65, 10:60].all()  # from cell (2, 3): x from 10, y from 15
    assert (pixels[~inked] == PAPERS["sky"]).all()


def test_what_is_no_stamp_is_not_seen() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), dtype=np.uint8)
    assert read_picture(Image.fromarray(noise)) == []
    assert read_picture(Image.new("RGB", (1, 1), "white")) == []


def test_a_stamp_must_stay_on_the_paper() -> None:
    with pytest.raises(ValueError, match="leaves the paper"):
        draw_picture([Placed("box", "red", 15, 0, 1)])  # 15 + 10 cells > 24
