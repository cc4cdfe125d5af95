"""Janus and Emu3 draw here: real models of transformers, one picture at a time, each from its own seed."""

import json

import pytest
import tiny_drawing_models

from judge.errors import UserError
from judge.systems import Workspace
from judge.systems.native import NativeSettings
from judge.systems.painters import Wanted
from judge.systems.token_painters import Emu3Settings, JanusSettings

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

WANTED = [Wanted("a red cup", 1), Wanted("a red cup", 2), Wanted("a dog in the snow", 1)]


@pytest.fixture(scope="module", params=["janus", "emu3"])
def painter(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "janus":
        return JanusSettings(model=str(tiny_drawing_models.build_janus(folder)), device="cpu").open()
    keys = {"model": str(tiny_drawing_models.build_emu3(folder)), "device": "cpu", "width": 32, "height": 16}
    return Emu3Settings(**keys, top_k=32).open()


def drawn(painter, wanted):
    return {position: image.tobytes() for position, image, _ in painter.draw_pictures(wanted)}


def test_a_picture_depends_on_its_prompt_and_seed_alone(painter):
    state = torch.random.get_rng_state()
    first = drawn(painter, WANTED)
    assert len(set(first.values())) == 3
    assert drawn(painter, WANTED[::-1]) == {2 - n: pixels for n, pixels in first.items()}
    assert torch.equal(torch.random.get_rng_state(), state)  # nobody else's random numbers are used up
    ((_, image, _),) = painter.draw_pictures(WANTED[:1])
    assert image.size == ((16, 16) if painter.settings.kind == "janus" else (32, 16))
    assert image.mode == "RGB"
    model = painter._loaded[0]
    painter.close()
    assert sum(parameter.numel() for parameter in model.parameters()) == 0
    assert drawn(painter, WANTED[1:2]) == {0: first[1]}


def test_its_identity_has_all_that_fixes_a_picture(painter):
    names = {"kind", "model", "dtype", "device", "guidance", "temperature"}
    if painter.settings.kind == "emu3":
        names |= {"top_k", "width", "height", "suffix", "negative"}
    assert set(painter.identity) == names


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({"model_type": "chameleon"}, "Chameleon and Anole cannot draw with transformers"),
        ({"model_type": "llava"}, "is a model of type llava, not janus"),
        ({}, "is a model of type unknown, not janus"),
    ],
)
def test_a_model_that_cannot_draw_is_refused_before_anything_is_loaded(tmp_path, found, words):
    (tmp_path / "config.json").write_text(json.dumps(found))
    with pytest.raises(UserError, match=words):
        JanusSettings(model=str(tmp_path)).open()
    system = NativeSettings(kind="native", model={"kind": "janus", "model": str(tmp_path)})
    with pytest.raises(UserError, match=words):
        system.open(Workspace(tmp_path))
