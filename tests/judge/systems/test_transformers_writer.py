"""A real transformers model as a writer: batches change nothing, and a question cannot become structure."""

import pytest
import tiny_llava
from PIL import Image

from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.systems import Failed
from judge.systems.transformers_writer import TransformersSettings

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_llava.build(tmp_path_factory.mktemp("llava"))


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    pictures = []
    for colour in ("red", "green", "blue"):
        Image.new("RGB", (30, 20), colour).save(folder / f"{colour}.png")
        pictures.append(Picture(folder / f"{colour}.png", f"{colour}.png"))
    red, green, blue = pictures
    return [
        (Text("Only text."),),
        (Text("One: "), red, Text("\nWhat?")),
        (green, Text(" and "), blue, Text("?")),
        (Text("Text again, and longer than the first one."),),
        (Text("An <image> spelled </s> and "), red),
    ]


def writer(model, **keys):
    return TransformersSettings(**{"model": str(model), "device": "cpu", "max_new_tokens": 6, **keys}).open()


def test_every_batch_size_writes_the_same_texts(model, prompts):
    alone = dict(writer(model).write_texts(prompts))
    assert sorted(alone) == [0, 1, 2, 3, 4]
    assert all(isinstance(text, str) for text in alone.values())
    assert len(set(alone.values())) > 1
    together = writer(model, batch_size=3)
    assert dict(together.write_texts(prompts)) == alone
    loaded = together._model
    together.close()
    assert sum(parameter.numel() for parameter in loaded.parameters()) == 0
    assert dict(together.write_texts(prompts[:2])) == {0: alone[0], 1: alone[1]}  # it can be used again


def test_a_bad_picture_costs_only_its_own_question(model, prompts, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no more")
    broken = (Picture(tmp_path / "broken.png", "broken.png"),)
    texts = dict(writer(model, batch_size=4).write_texts([prompts[1], broken, prompts[2]]))
    assert isinstance(texts[1], Failed)
    assert (texts[1].reason, texts[1].by) == ("call_failed", "writer")
    assert "broken.png" in texts[1].note
    assert texts[0] == dict(writer(model).write_texts([prompts[1]]))[0]


def test_a_model_that_fails_at_everything_ends_the_run(model, prompts):
    broken = writer(model)
    broken.load_model()[0].generate = lambda **_: 1 / 0
    with pytest.raises(UserError, match="the writer failed at the first 3: ZeroDivisionError"):
        list(broken.write_texts([prompts[0]] * 9))


def test_nothing_is_loaded_to_be_named_or_to_write_nothing(model):
    named = writer(model)
    assert named.identity == {
        "kind": "transformers",
        "model": named.identity["model"],
        "dtype": "auto",
        "device": "cpu",
        "max_new_tokens": 6,
        "temperature": 0.0,
        "top_p": None,
    }
    assert named.identity["model"].startswith(f"{model.name}@local-")
    assert list(named.write_texts([])) == []
    assert named._model is None


def test_a_folder_that_holds_no_model(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be loaded"):
        list(writer(tmp_path).write_texts([(Text("a"),)]))
