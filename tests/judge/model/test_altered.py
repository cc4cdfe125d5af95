"""Blank and noisy pictures: of the size of the real one, the same everywhere, and as files for those who take paths."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from judge.core.condition import Altered
from judge.core.request import Picture
from judge.io.image_paths import ImageRefused
from judge.model.altered import keep_shown, open_shown


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "a.png"
    Image.new("RGB", (7, 5), "red").save(file)
    return file


def test_a_blank_is_grey_and_noise_is_of_its_seed(path) -> None:
    assert np.asarray(open_shown(Picture(path, "a.png")))[0, 0].tolist() == [255, 0, 0]
    blank = np.asarray(open_shown(Altered(path, "a.png", how="blank", seed="x")))
    assert blank.shape == (5, 7, 3)
    assert set(blank.ravel().tolist()) == {128}
    noise = np.asarray(open_shown(Altered(path, "a.png", how="noise", seed="x")))
    assert noise.tobytes() == hashlib.shake_256(b"x").digest(5 * 7 * 3)
    other = open_shown(Altered(path, "a.png", how="noise", seed="y"))
    assert other.tobytes() != noise.tobytes()


@pytest.mark.parametrize("how", ["blank", "noise"])
def test_a_file_of_it_has_the_same_pixels_and_is_written_once(path, tmp_path, how) -> None:
    picture = Altered(path, "a.png", how=how, seed="x")
    file = keep_shown(picture, tmp_path / "cache")
    with Image.open(file) as image:
        assert image.tobytes() == open_shown(picture).tobytes()
    written = file.stat().st_mtime_ns
    assert keep_shown(picture, tmp_path / "cache") == file
    assert file.stat().st_mtime_ns == written
    assert keep_shown(Picture(path, "a.png"), tmp_path / "cache") == path


def test_a_picture_that_is_not_there_is_refused(tmp_path) -> None:
    with pytest.raises(ImageRefused):
        open_shown(Altered(tmp_path / "none.png", "none.png", how="blank"))
