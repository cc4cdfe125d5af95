"""The benchmark of the real shape, run in small."""

from __future__ import annotations

import json
from collections import namedtuple

import pytest
import torch

from judge.model import images
from judge.model.weights import shapes


@pytest.fixture(scope="module")
def real_shape(script):
    return script("real_shape")


def test_the_real_shape_has_the_published_size(real_shape, tmp_path):
    described = real_shape.write_description(tmp_path / "judge", real_shape.SCALES["real"])
    # InternViT-300M 304,012,288; projector 22,034,432; Phi-3-mini without head 3,722,443,776; head 98,365,440
    assert shapes.count_parameters(described) == 304_012_288 + 22_034_432 + 3_722_443_776 + 98_365_440
    # in bfloat16 8.294 GB; OpenGVLab/InternVL2-4B publishes shards of 4.96 and 3.34 GB
    assert round(2 * shapes.count_parameters(described) / 1e9, 1) == round(4.96 + 3.34, 1)
    assert described.tokens_per_tile == 256


def test_pictures_make_the_tiles_they_are_chosen_for(real_shape):
    tiles = {}
    for name, size in real_shape.PICTURES.items():
        columns, rows = images.tile_grid(*size)
        tiles[name] = columns * rows + (columns * rows > 1)  # the thumbnail
    # 512² one tile; 4:3 a grid of 4 x 3; 1024² one of 3 x 3; 16:9 one of 4 x 2
    assert tiles == {"square": 1, "photo": 13, "drawing": 10, "wide": 9}


def test_the_tiny_scale_runs_the_whole_path(real_shape, tmp_path, capsys):
    folder = tmp_path / "work"
    folder.mkdir()
    arguments = ["--scale", "tiny", "--new-tokens", "8", "--folder", str(folder), "--out", str(tmp_path / "out.json")]
    assert real_shape.main(arguments) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == found
    # tiles of 112: every picture is large enough for its whole grid, and 512² gets 3 x 3 and a thumbnail as well
    assert found["tiles"] == [0, 0, 10, 0, 13, 13 + 10, 13 + 10 + 9, 13 + 10 + 9 + 10]
    tokens = found["prompt_tokens"]
    limit = 256
    assert tokens[1] < limit < tokens[1] + 8  # crosses while it is answered
    assert min(tokens) < limit / 2
    assert max(tokens) > limit + 8
    assert found["dtype"] == "bfloat16"
    assert found["answer_s"] == pytest.approx(found["batch_s"] / 8)
    assert list(folder.iterdir()) == []


def test_fewer_rows_are_the_cheap_ones(real_shape, tmp_path):
    out = tmp_path / "out.json"
    arguments = ["--scale", "tiny", "--rows", "2", "--new-tokens", "2", "--folder", str(tmp_path), "--out", str(out)]
    assert real_shape.main(arguments) == 0
    assert json.loads(out.read_text())["tiles"] == [0, 0]


def test_memory_is_counted_from_the_shape(real_shape, tmp_path):
    described = real_shape.write_description(tmp_path / "judge", real_shape.SCALES["real"])
    row = real_shape.generate.ModelInput((1,) * 9_800)
    need = real_shape.needed(described, [row] * 8, 200, real_shape.SCALES["real"], "bfloat16")
    # weights 8.294 GB; a token is 2 · 32 layers · 3072 · 2 bytes = 393,216; 8 rows of 9,800 and 199, as the last token
    # written is not cached; 2 GB of activations
    assert need == 2 * 4_146_855_936 + 8 * 9_999 * 393_216 + 2e9


@pytest.mark.parametrize(("missing", "words"), [("disk", "of disk in"), ("memory", "of memory on cpu")])
def test_too_little_room_is_said_before_anything_is_written(real_shape, tmp_path, monkeypatch, capsys, missing, words):
    if missing == "disk":
        usage = namedtuple("usage", "total used free")
        monkeypatch.setattr(real_shape.shutil, "disk_usage", lambda _: usage(1, 1, 0))
    else:
        monkeypatch.setattr(real_shape, "free_memory", lambda _: 0.0)
    monkeypatch.setattr(real_shape, "write_weights", lambda *_: pytest.fail("weights were written"))
    assert real_shape.main(["--scale", "tiny", "--folder", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "are free" in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is here")
def test_the_real_scale_asks_for_a_gpu(real_shape, tmp_path, capsys):
    assert real_shape.main(["--folder", str(tmp_path)]) == 2
    assert "no CUDA device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
