"""A real diffusers pipeline as a painter: what a picture depends on, and what it does not."""

import hashlib
from types import SimpleNamespace

import pytest
import tiny_painter
from pydantic import ValidationError

from judge.core.question import Question
from judge.errors import UserError
from judge.systems import Failed
from judge.systems.diffusers_painter import BLOCKED, DiffusersSettings
from judge.systems.painters import SAME_BYTES, Wanted, picture_file, picture_seed, write_picture

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

WANTED = [Wanted("a red cup", 1), Wanted("a red cup", 2), Wanted("a dog in the snow", 1), Wanted("", 2**31 - 1)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_painter.build(tmp_path_factory.mktemp("painter"))


def painter(model, **keys):
    return DiffusersSettings(**{"model": str(model), "device": "cpu", "steps": 2, **keys}).open()


def drawn(painter, wanted):
    return {position: image.tobytes() for position, image, _ in painter.draw_pictures(wanted)}


def test_every_batch_size_draws_the_same_pixels(model):
    alone = drawn(painter(model), WANTED)
    assert len(set(alone.values())) == len(WANTED)
    for size in (2, 3, 4):
        assert drawn(painter(model, batch_size=size), WANTED) == alone
    assert drawn(painter(model, batch_size=2), WANTED[::-1]) == {3 - n: pixels for n, pixels in alone.items()}
    assert painter(model).repeatable == SAME_BYTES
    assert "bfloat16 on cpu" in painter(model, dtype="bfloat16").repeatable


def test_its_options_are_what_the_pipeline_is_called_with(model):
    one = painter(model, steps=1, guidance=1.0, width=48, height=16, negative="text", batch_size=2)
    ((_, image, _),) = one.draw_pictures(WANTED[:1])
    assert image.size == (48, 16)
    assert one.identity == {
        "kind": "diffusers",
        "model": one.identity["model"],
        "dtype": "float32",
        "device": "cpu",
        "steps": 1,
        "guidance": 1.0,
        "width": 48,
        "height": 16,
        "negative": "text",
    }
    assert one.identity["model"].startswith(f"{model.name}@local-")
    seen = {}
    one._pipeline = lambda **given: seen.update(given) or SimpleNamespace(images=["image"])
    list(one.draw_pictures(WANTED[:1]))
    assert seen["generator"][0].initial_seed() == 1
    del seen["generator"]
    assert seen == {
        "prompt": ["a red cup"],
        "output_type": "pil",
        "num_inference_steps": 1,
        "guidance_scale": 1.0,
        "width": 48,
        "height": 16,
        "negative_prompt": ["text"],
    }
    one._pipeline = None


def test_a_closed_painter_holds_nothing_and_can_be_used_again(model):
    one = painter(model)
    first = drawn(one, WANTED[:1])
    parts = [part for part in one._pipeline.components.values() if isinstance(part, torch.nn.Module)]
    assert len(parts) == 3
    one.close()
    one.close()
    assert sum(parameter.numel() for part in parts for parameter in part.parameters()) == 0
    assert drawn(one, WANTED[:1]) == first


def test_a_blocked_picture_is_the_models_failure_and_an_error_a_calls(model):
    one = painter(model, batch_size=2)

    def pipeline(prompt, **_):
        if any("dog" in each for each in prompt):
            raise RuntimeError("no memory")
        return SimpleNamespace(images=["image"] * len(prompt), nsfw_content_detected=["cup" in each for each in prompt])

    one._pipeline = pipeline
    assert {position: image for position, image, _ in one.draw_pictures(WANTED)} == {
        0: Failed("empty_answer", BLOCKED, "painter"),
        1: Failed("empty_answer", BLOCKED, "painter"),
        2: Failed("call_failed", "RuntimeError: no memory", "painter"),
        3: "image",
    }


def test_nothing_is_loaded_to_draw_nothing(tmp_path):
    assert list(painter(tmp_path).draw_pictures([])) == []
    with pytest.raises(UserError, match="cannot be loaded"):
        list(painter(tmp_path).draw_pictures(WANTED))


@pytest.mark.parametrize(
    "keys", [{"width": 1020}, {"height": 8192}, {"width": 0}, {"steps": 0}, {"dtype": "float8"}, {"batch_size": 0}]
)
def test_bounds(keys):
    with pytest.raises(ValidationError, match=next(iter(keys))):
        painter("any", **keys)


def test_seeds_and_names_are_what_the_page_says(tmp_path):
    question = Question("PBL-1", 4, "PBL", ())
    digest = hashlib.sha256(b"7|PBL-1|4|2").hexdigest()
    assert picture_seed(7, question, 2) == int(digest[:8], 16) >> 1
    name = picture_file({"b": 1, "a": None}, Wanted("a cup", 5))
    assert name == hashlib.sha256(b'{"a": null, "b": 1}|5|a cup').hexdigest() + ".png"
    from PIL import Image, PngImagePlugin

    image = Image.new("RGBA", (3, 2), (255, 0, 0, 9))
    image.info["Software"] = "somebody's"
    write_picture(tmp_path / name, image)
    with Image.open(tmp_path / name) as back:
        assert (back.mode, back.size, back.info, back.getpixel((0, 0))) == ("RGB", (3, 2), {}, (255, 0, 0))
        assert isinstance(back, PngImagePlugin.PngImageFile)
    assert [path.name for path in tmp_path.iterdir()] == [name]
