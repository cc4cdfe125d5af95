"""Prompts prepared ahead of the device: the tiles of the calling thread, whichever thread cuts them, and refusals."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal
from judge.engines import Completion, EngineOptions, Prompt
from judge.model import images
from mmie_tasks.demo import judge_dir

pytest.importorskip("torch", reason="the hf extra is not installed")

SHAPES = {
    "wide.png": (200, 60),
    "tall.png": (40, 120),
    "square.png": (50, 50),
    "dot.png": (1, 1),
    "photo.jpg": (90, 68),
}


@pytest.fixture(scope="module")
def engine():
    from judge.engines.local import load_local_engine

    return load_local_engine(str(judge_dir()), EngineOptions(device="cpu", max_new_tokens=4))


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for seed, (name, size) in enumerate(SHAPES.items()):
        Image.effect_noise(size, 80 + seed).convert("RGB").save(folder / name)
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing more")
    return folder


def prompt(paths):
    pieces = [Literal("### Question\n"), *(Picture(path, path.name) for path in paths), Text("What is it?")]
    return Prompt(Request("r", "PBL", (), ()), tuple(pieces))


def expected(engine, paths):
    return [images.cut_tiles(images.decode_image(path), engine.layout.tile_size) for path in paths]


def test_the_same_tiles_whichever_thread_cuts_them(engine, pictures):
    files = [pictures / name for name in SHAPES]
    wishes = [files[n % 5 : n % 5 + 1 + n % 3] for n in range(20)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: engine._prepare(n, prompt(wishes[n]), {}), range(20)))
    image = engine.model.config.image_token_id
    for number, (paths, ready) in enumerate(zip(wishes, found, strict=True)):
        tiles = expected(engine, paths)
        assert ready.number == number
        np.testing.assert_array_equal(ready.input.tiles, np.concatenate(tiles))
        assert list(ready.input.ids).count(image) == sum(map(len, tiles)) * engine.layout.tokens_per_tile


def test_the_engine_sees_pictures_of_16_bits_as_they_say(engine, tmp_path):
    """A slope from 0 to 65,535 is as bright as its middle where it is scaled, and all but white where it is clipped."""
    slope = np.linspace(0, 65_535, 64 * 64).astype(np.uint16).reshape(64, 64)
    Image.fromarray(slope).save(tmp_path / "deep.png")
    for scaled, low, high in ((True, 120, 135), (False, 253, 255)):
        pieces = (Picture(tmp_path / "deep.png", "deep", scaled), Text("What is it?"))
        ready = engine._prepare(0, Prompt(Request("r", "PBL", (), ()), pieces), {})
        assert low <= ready.input.tiles.mean() <= high


def test_a_prompt_without_pictures_has_no_tiles(engine):
    assert engine._prepare(0, prompt([]), {}).input.tiles is None


@pytest.mark.parametrize(("name", "reason"), [("broken.png", "image_refused"), ("absent.png", "image_missing")])
def test_refusals_say_their_reason_and_their_file(engine, pictures, name, reason):
    refused = engine._prepare(0, prompt([pictures / "square.png", pictures / name]), {})
    assert isinstance(refused, Completion)
    assert (refused.text, refused.unscored) == (None, reason)
    assert name in refused.note


def test_what_a_header_promises_plans_and_decides_nothing(engine, pictures, monkeypatch):
    prompts = [prompt([pictures / "wide.png"]), prompt([pictures / "tall.png", pictures / "dot.png"])]
    texts = {number: done.text for number, done in engine.complete(prompts)}
    assert None not in texts.values()
    for promised in ((1, 1), (900, 75)):
        monkeypatch.setattr(images, "read_image_size", lambda path, size=promised: size)
        assert {number: done.text for number, done in engine.complete(prompts)} == texts


def test_paths_are_data(engine, tmp_path):
    folder = Path(str(tmp_path / 'a "quoted"\nname \udcff'))
    try:
        folder.mkdir()
    except (OSError, UnicodeError):
        pytest.skip("this file system does not take such a name")
    Image.new("RGB", (30, 30), "red").save(folder / "x.png")
    side = engine.layout.tile_size
    assert engine._prepare(0, prompt([folder / "x.png"]), {}).input.tiles.shape == (1, side, side, 3)
