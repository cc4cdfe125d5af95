"""The benchmark of preprocessing: its check of equality, and one short run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from judge.model import images


@pytest.fixture(scope="module")
def preprocessing(script):
    return script("preprocessing")


def test_one_bit_of_difference_ends_the_run(preprocessing, tmp_path, monkeypatch):
    path = tmp_path / "picture.png"
    preprocessing.photograph(600, 400, 0).save(path)
    assert preprocessing.check(path) == 7  # 3 x 2 tiles and the thumbnail
    cut = images.cut_tiles

    def almost(image):
        tiles = cut(image)
        tiles[3, 200, 100, 1] ^= 1
        return tiles

    monkeypatch.setattr(images, "cut_tiles", almost)
    with pytest.raises(RuntimeError, match=r"picture\.png: float32 here differs"):
        preprocessing.check(path)


def test_a_made_up_photograph_is_no_plain_noise(preprocessing):
    pixels = np.asarray(preprocessing.photograph(96, 64, 1)).astype(float)
    assert pixels.shape == (64, 96, 3)
    # neighbours are alike, as in photographs; in plain noise the two numbers are equal up to a factor of √2
    assert np.abs(np.diff(pixels, axis=1)).mean() < 0.5 * pixels.std()


def test_different_tiles_end_the_run(preprocessing, tmp_path, monkeypatch):
    preprocessing.photograph(60, 40, 0).save(tmp_path / "picture.png")
    monkeypatch.setattr(preprocessing, "SAMPLES", 1)
    real = preprocessing.cut
    monkeypatch.setattr(preprocessing, "cut", lambda paths: real(paths) ^ 1)  # of the threads; processes have their own
    with pytest.raises(RuntimeError, match="processes and threads cut different tiles"):
        preprocessing.measure_ahead(tmp_path, 1)


def test_a_short_run_prints_what_it_found(preprocessing, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(preprocessing, "KINDS", (("small", 500, 375, "JPEG"), ("square", 300, 300, "PNG")))
    monkeypatch.setattr(preprocessing, "SAMPLES", 10)  # more than are cut ahead
    monkeypatch.setattr(preprocessing, "READING_SECONDS", 0.0)
    monkeypatch.setattr(preprocessing, "STEP_SECONDS", 0.0)
    out = tmp_path / "out.json"
    assert preprocessing.main(["--repeats", "1", "--rounds", "1", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert [(row["picture"], row["tiles"], row["equal"]) for row in found["pictures"]] == [
        ("small", 13, True),
        ("square", 1, True),
    ]
    times = [row[name] for row in found["pictures"] for name in ("reference_ms", "ours_ms")]
    # each picture: reference, ours; over both
    assert found["ratio"] == pytest.approx((times[0] + times[2]) / (times[1] + times[3]))
    for consumer in ("no device", "one GPU"):
        by = found["seconds_a_sample"][consumer]
        assert set(by) == {"threads", "processes", "nothing to cut"}
        assert found["threads_over_processes"][consumer] == pytest.approx(by["threads"] / by["processes"])
    printed = capsys.readouterr().out
    assert "| one GPU |" in printed
    assert "| small | 13 |" in printed
    assert json.loads(printed.splitlines()[-1]) == found
