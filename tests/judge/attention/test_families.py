"""Where visual tokens stand, by family. The oracle is the model: one cell of the picture is changed, one token changes.

The vision towers' attention is put out (its output projection is 0), so that what a token holds comes from its own
pixels; what the text model is given is then compared with and without the change.
"""

from __future__ import annotations

import re

import numpy as np
import pytest
import tiny_families
import torch
from PIL import Image, ImageDraw

from judge.attention.families import FAMILIES, Grid, Pictured, grids, require_family
from judge.attention.prompt import encode_prompt
from judge.errors import UserError

MESSAGES = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is it round?\nA. It is."}]}]
TOWER = re.compile(r"vis\w*\..*(out_proj|\bproj|projection_layer)$")
SIZES = ((280, 160), (160, 280))
"""Width and height: across and upright."""

EXPECTED = {
    # 28 pixels / 7 = 4 patches a side; a class token, which is left out
    "llava": ((4, 4), (4, 4)),
    "llava_next": ((4, 4), (4, 4)),
    "llava_onevision": ((4, 4), (4, 4)),
    # at most 56² pixels: 280 × 160 shrinks by √(280 · 160 / 56²) = 3.78 to 74 × 42, whole tokens of 14: 5 × 3
    "qwen2_vl": ((3, 5), (5, 3)),
    "qwen2_5_vl": ((3, 5), (5, 3)),
    "qwen3_vl": ((3, 5), (5, 3)),
    "qwen3_vl_moe": ((3, 5), (5, 3)),
    # 4 patches a side, shuffled together by 2
    "internvl": ((2, 2), (2, 2)),
    "idefics3": ((2, 2), (2, 2)),
    "smolvlm": ((2, 2), (2, 2)),
    "gemma3": ((2, 2), (2, 2)),
}
"""Rows and columns of either picture."""


@pytest.fixture(scope="module", params=list(FAMILIES))
def family(request):
    """(name, model that sees locally, processor)."""
    model, processor = tiny_families.build_family(request.param)
    put_out = 0
    for name, module in model.named_modules():
        if TOWER.search(name) and ("attn" in name or "attention" in name):
            torch.nn.init.zeros_(module.weight)
            torch.nn.init.zeros_(module.bias)
            put_out += 1
    assert put_out == 2, "a vision tower of two layers"
    return request.param, model, processor


def embeddings(model, prompt) -> np.ndarray:
    """What the text model is given: [tokens, size]."""
    found = []
    hook = model.get_decoder().register_forward_pre_hook(
        lambda module, args, kwargs: found.append(kwargs["inputs_embeds"][0]), with_kwargs=True
    )
    with torch.no_grad():
        model(**prompt.inputs, use_cache=False)
    hook.remove()
    return found[0].float().numpy()


@pytest.mark.parametrize("which", [0, 1])
def test_one_cell_of_the_picture_is_one_token(family, which):
    name, model, processor = family
    width, height = SIZES[which]
    picture = Image.effect_noise((width, height), 40).convert("RGB")
    prompt = encode_prompt(model, processor, MESSAGES, [picture])
    (grid,) = prompt.grids
    assert (grid.rows, grid.columns) == EXPECTED[name][which]
    before = embeddings(model, prompt)
    left, top, right, bottom = grid.box
    for row in range(grid.rows):
        for column in range(grid.columns):
            changed = picture.copy()
            # the middle of the cell: scaling mixes pixels across its edges
            edges = [
                left + (right - left) * (column + 0.25) / grid.columns,
                top + (bottom - top) * (row + 0.25) / grid.rows,
                left + (right - left) * (column + 0.75) / grid.columns,
                top + (bottom - top) * (row + 0.75) / grid.rows,
            ]
            ImageDraw.Draw(changed).rectangle(edges, fill=(255, 0, 0))
            after = embeddings(model, encode_prompt(model, processor, MESSAGES, [changed]))
            moved = np.abs(after - before).max(axis=1)[grid.positions]
            assert moved.argmax() == row * grid.columns + column
            assert np.sort(moved)[-2] < 0.3 * moved.max()


def test_what_a_llava_does_not_see_is_outside_the_box():
    """A square from the middle of 280 × 160: 160 pixels across, from (280 - 160) / 2 on."""
    model, processor = tiny_families.build_family("llava")
    picture = Image.effect_noise((280, 160), 40).convert("RGB")
    (grid,) = encode_prompt(model, processor, MESSAGES, [picture]).grids
    assert grid.box == (60.0, 0.0, 220.0, 160.0)
    blind = picture.copy()  # but for what bicubic scaling by 160 / 28 mixes in: 2 · 5.7 pixels
    ImageDraw.Draw(blind).rectangle((0, 0, 45, 160), fill=(255, 0, 0))
    one, other = (encode_prompt(model, processor, MESSAGES, [each]).inputs["pixel_values"] for each in (picture, blind))
    assert torch.equal(one, other)


def test_the_span_holds_the_tiles(family):
    """Every visual token lies within the span, and its first and its last one are such tokens."""
    name, model, processor = family
    prompt = encode_prompt(model, processor, MESSAGES, [Image.new("RGB", SIZES[0])])
    (grid,) = prompt.grids
    visual = np.flatnonzero(prompt.ids == model.config.image_token_id)
    assert grid.span == (visual[0], visual[-1] + 1)
    tiled = name in ("llava_next", "llava_onevision", "internvl", "idefics3", "smolvlm")
    assert (len(visual) > grid.rows * grid.columns) == tiled


def test_gemma3_with_pan_and_scan_begins_with_the_whole_picture():
    model, processor = tiny_families.build_family("gemma3")
    inputs = processor(
        text="<start_of_image>Is it round?", images=[Image.new("RGB", (280, 160))], return_tensors="pt",
        do_pan_and_scan=True, pan_and_scan_min_crop_size=8, pan_and_scan_max_num_crops=4,
        pan_and_scan_min_ratio_to_activate=1.2,
    )  # fmt: skip
    ids = inputs["input_ids"][0].numpy()
    (grid,) = grids(Pictured(ids, inputs, model.config, processor, [(280, 160)]))
    visual = np.flatnonzero(ids == model.config.image_token_id)
    # 280 / 160 = 1.75, rounded to 2 crops: three views of 4 tokens
    assert len(visual) == 12
    assert (grid.start, grid.span) == (visual[0], (visual[0], visual[-1] + 1))


SEVERAL = [
    {
        "role": "user",
        "content": [
            {"type": "image"},
            {"type": "text", "text": "and"},
            {"type": "image"},
            {"type": "text", "text": "Is it round?"},
        ],
    }
]


def test_every_picture_of_a_prompt_has_its_grid(family):
    name, model, processor = family
    pictures = [Image.new("RGB", size) for size in SIZES]
    if name == "llava_onevision":
        with pytest.raises(UserError, match="padded by llava_onevision"):
            encode_prompt(model, processor, SEVERAL, pictures)
        return
    prompt = encode_prompt(model, processor, SEVERAL, pictures)
    assert [(grid.rows, grid.columns) for grid in prompt.grids] == list(EXPECTED[name])
    first, second = prompt.grids
    assert first.span[1] < second.span[0]
    for grid in prompt.grids:
        assert grid.span[0] <= grid.start
        assert grid.start + grid.rows * grid.columns <= grid.span[1]


class Config:
    model_type = "paligemma"
    vision_config = None


def test_a_family_that_is_not_known_is_one_error_that_names_those_that_are():
    with pytest.raises(UserError, match="type paligemma stand is not known") as caught:
        require_family(Config)
    assert all(name in str(caught.value) for name in FAMILIES)


def test_a_llava_with_pixtral_is_not_known():
    class Tower:
        model_type = "pixtral"

    class Pixtral:
        model_type, vision_config = "llava", Tower

    with pytest.raises(UserError, match="llava with the vision tower pixtral"):
        require_family(Pixtral)


def test_a_processor_that_does_not_go_with_the_model_is_an_error():
    """One token of the grid is missing."""
    model, processor = tiny_families.build_family("internvl")
    prompt = encode_prompt(model, processor, MESSAGES, [Image.new("RGB", SIZES[0])])
    cut = np.where(np.arange(len(prompt.ids)) == prompt.grids[0].start, 0, prompt.ids)
    with pytest.raises(UserError, match="other visual tokens than expected"):
        grids(Pictured(cut, prompt.inputs, model.config, processor, [SIZES[0]]))


def test_positions_are_those_of_the_grid():
    assert Grid(2, 3, 5, (4, 12), (0, 0, 1, 1)).positions == slice(5, 11)
