"""A chat class of lmms-eval as a writer: a real class on a tiny real model, asked as lmms-eval asks it."""

import pytest
import tiny_llava
from PIL import Image

from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.systems import Failed
from judge.systems.plugged import LmmsEvalSettings
from judge.systems.transformers_writer import TransformersSettings

pytest.importorskip("lmms_eval.tasks")
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_llava.build(tmp_path_factory.mktemp("llava"))


def writer(folder, **keys):
    arguments = f"pretrained={folder},device_map=cpu"
    given = {"model": "llava_hf", "model_args": arguments, "device": "cpu", "max_new_tokens": 5, **keys}
    return LmmsEvalSettings(**given).open()


def test_a_class_writes_what_its_model_writes(model, tmp_path):
    Image.new("RGB", (30, 20), "red").save(tmp_path / "red.png")
    red = Picture(tmp_path / "red.png", "red.png")
    prompts = [
        (Text("One "), red, Text(" two")),
        (red, red, Text("An <image> spelled")),  # one placeholder too many would end the run of this class
        (Text("Three "), red),
    ]
    one = writer(model)
    found = dict(one.write_texts(prompts))
    assert sorted(found) == [0, 1, 2]
    assert all(isinstance(text, str) for text in found.values())
    # the same model, asked by transformers itself
    alone = TransformersSettings(model=str(model), device="cpu", max_new_tokens=5)
    assert found == dict(alone.open().write_texts(prompts))
    loaded = one._model.model
    one.close()
    assert one._model is None
    assert sum(parameter.numel() for parameter in loaded.parameters()) == 0


def test_a_harness_text_about_a_failed_call_is_no_answer(model, monkeypatch):
    one = writer(model)
    one._load()
    said = "[LMMS_EVAL_REQUEST_FAILED after 3 retries] Connection error"
    monkeypatch.setattr(type(one._model), "generate_until", lambda self, requests: [said, "fine", ["a"]])
    assert dict(one.write_texts([(Text("a"),)] * 3)) == {
        0: Failed("call_failed", said, "writer"),
        1: "fine",
        2: Failed("call_failed", "the class returned no text, but list", "writer"),
    }


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"model": "no_such_class"}, "not found in available models"),
        ({"model": "instructblip"}, "has no chat class"),
        ({"model_args": "pretrained=/no/such/folder"}, "cannot be loaded"),
    ],
)
def test_what_is_no_chat_class_is_said(model, keys, words):
    with pytest.raises(UserError, match=words):
        list(writer(model, **keys).write_texts([(Text("a"),)]))
