"""The blended picture against one computed by hand, on a model whose last attention is known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tiny_families
import torch
from PIL import Image
from scipy import ndimage

from judge.attention.families import FAMILIES, Grid
from judge.attention.prompt import encode_prompt
from judge.attention.refinement import (
    VAR,
    Refinement,
    blend,
    blend_values,
    filtered,
    keep_picture,
    refine_picture,
)
from judge.errors import UserError

MESSAGES = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is it round?\nA. It is."}]}]
STRENGTHS = (1.0, 2.0, 3.0, -2.5)
"""Of the four heads."""


def model_with_known_attention():
    """A LLaVA whose last layer's queries and keys are the same for every token, but for the rotation by position.

    With zero weights and a bias of √8 · s on the first of the 8 numbers of a head, a query is s √8 (cos i, sin i) in
    the plane that turns by 1 a token, a key (cos j, sin j), and their product, scaled by 1 / √8, s cos(i - j).
    """
    model, processor = tiny_families.build_family("llava", attention_bias=True)
    attention = model.get_decoder().layers[-1].self_attn
    for projection, values in (
        (attention.q_proj, [strength * 8**0.5 for strength in STRENGTHS]),
        (attention.k_proj, [1.0, 1.0]),
    ):
        torch.nn.init.zeros_(projection.weight)
        torch.nn.init.zeros_(projection.bias)
        projection.bias.data[::8] = torch.tensor(values)
    return model, processor


def attention_by_hand(tokens: int, first: int, last: int) -> np.ndarray:
    """Mean over heads and over the rows first … last - 1 of softmax(s cos(i - j)) over j ≤ i: [tokens]."""
    rows = []
    for strength in STRENGTHS:
        for i in range(first, last):
            weights = np.array([np.exp(strength * np.cos(i - j)) if j <= i else 0.0 for j in range(tokens)])
            rows.append(weights / weights.sum())
    return np.mean(rows, axis=0)


def filtered_by_hand(attention: np.ndarray) -> np.ndarray:
    """1 - M, min-max, and a Gaussian of 5 × 5 with σ = 0.3 ((5 - 1) / 2 - 1) + 0.8 = 1.1, all at once."""
    inverted = 1 - attention
    normal = (inverted - inverted.min()) / (inverted.max() - inverted.min())
    down, across = np.mgrid[-2:3, -2:3]
    kernel = np.exp(-(down**2 + across**2) / (2 * 1.1**2))
    return ndimage.convolve(normal, kernel / kernel.sum(), mode="mirror")


def test_the_blended_picture_is_the_one_computed_by_hand():
    model, processor = model_with_known_attention()
    rng = np.random.default_rng(0)
    # as many pixels as tokens, so that the map needs no scaling
    levels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    picture = Image.fromarray(levels)
    # <|user|>, 16 visual tokens, 22 bytes of question, <|assistant|>
    expected = attention_by_hand(40, 17, 39)[1:17].reshape(4, 4)
    refined = refine_picture(model, processor, picture, MESSAGES)
    assert refined.grid == Grid(4, 4, 1, (1, 17), (0.0, 0.0, 4.0, 4.0))
    np.testing.assert_allclose(refined.attention, expected, atol=1e-7)
    by_hand = 0.85 * levels + 0.15 * 255 * filtered_by_hand(expected)[:, :, None]
    np.testing.assert_allclose(blend_values(levels.astype(float), refined.attention, refined.grid), by_hand, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(refined.picture), np.floor(by_hand + 0.5))


def test_the_question_chooses_the_rows():
    model, processor = model_with_known_attention()
    refined = refine_picture(model, processor, Image.new("RGB", (4, 4)), MESSAGES, question="Is it round?")
    # its 12 bytes only
    np.testing.assert_allclose(refined.attention.ravel(), attention_by_hand(40, 17, 29)[1:17], atol=1e-7)


def test_another_layer_may_be_chosen():
    model, processor = model_with_known_attention()
    decoder = model.get_decoder()
    decoder.layers = torch.nn.ModuleList(reversed(decoder.layers))
    first = dataclasses.replace(VAR, layer=0)
    refined = refine_picture(model, processor, Image.new("RGB", (4, 4)), MESSAGES, method=first)
    np.testing.assert_allclose(refined.attention.ravel(), attention_by_hand(40, 17, 39)[1:17], atol=1e-7)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_can_be_refined(family):
    """Pixels move by what the blend allows: 0.85 · I to 0.85 · I + 0.15 · 255; none moves that no token covers."""
    # the window of this one is too narrow to see the base view
    changes = {"sliding_window": None} if family == "llava_next" else {}
    model, processor = tiny_families.build_family(family, **changes)
    picture = Image.effect_noise((70, 40), 60).convert("RGB")
    refined = refine_picture(model, processor, picture, MESSAGES)
    assert refined.picture.size == picture.size
    before, after = np.asarray(picture, dtype=float), np.asarray(refined.picture, dtype=float)
    left, top, right, bottom = map(round, refined.grid.box)
    inside = np.zeros(before.shape, dtype=bool)
    inside[top:bottom, left:right] = True
    np.testing.assert_array_equal(before[~inside], after[~inside])
    added = (after - 0.85 * before)[inside]
    assert added.min() >= -0.5
    assert added.max() <= 0.15 * 255 + 0.5
    assert added.std() > 1, "the map varies"


def test_all_families_but_llava_cover_the_whole_picture():
    picture = Image.new("RGB", (70, 40))
    for family in FAMILIES:
        model, processor = tiny_families.build_family(family)
        (grid,) = encode_prompt(model, processor, MESSAGES, [picture]).grids
        assert (grid.box == (0, 0, 70, 40)) == (family != "llava")


GRID = Grid(1, 2, 0, (0, 2), (0.0, 0.0, 40.0, 20.0))


def test_a_map_is_dark_where_attention_is():
    """Far from the border between the two tokens: 0 under the one attended to, 1 under the other."""
    weights = filtered(np.array([[0.75, 0.25]]), (40, 20))
    assert weights.shape == (20, 40)
    np.testing.assert_allclose(weights[:, :6], 0, atol=0.02)
    np.testing.assert_allclose(weights[:, -6:], 1, atol=0.02)
    assert (np.diff(weights, axis=1) >= -1e-9).all()


def test_attention_that_does_not_vary_only_darkens():
    """There is nothing to tell regions apart by: M_filtered is 0."""
    picture = Image.new("RGB", (40, 20), (100, 200, 40))
    assert blend(picture, np.full((1, 2), 0.5), GRID).getcolors() == [(800, (85, 170, 34))]


def test_a_box_beyond_the_picture_is_cut():
    """40 pixels of map, the picture the 20 in their middle."""
    wide = Grid(1, 2, 0, (0, 2), (-10.0, 0.0, 30.0, 20.0))
    attention = np.array([[0.75, 0.25]])
    values = blend_values(np.zeros((20, 20, 3)), attention, wide)
    np.testing.assert_allclose(values[:, :, 0], 0.15 * 255 * filtered(attention, (40, 20))[:, 10:30])


def test_a_grey_or_transparent_picture_becomes_rgb():
    for mode in ("L", "RGBA"):
        blended = blend(Image.new(mode, (40, 20)), np.array([[0.75, 0.25]]), GRID)
        assert (blended.mode, blended.size) == ("RGB", (40, 20))


def test_the_identity_names_every_choice():
    assert VAR.identity == "var1-layer-1-mean-mean-invert-minmax-bicubic-gauss5-grey-0.85-0.15"
    fields = {"picture": 0.5, "attention": 0.5, "layer": 0, "kernel": 3}
    assert fields.keys() == {field.name for field in dataclasses.fields(Refinement)}
    for name, value in fields.items():
        assert dataclasses.replace(VAR, **{name: value}).identity != VAR.identity


def test_a_picture_is_kept_once_under_the_name_of_its_content(tmp_path):
    one, other = Image.new("RGB", (4, 4), (1, 2, 3)), Image.new("RGB", (4, 4), (1, 2, 4))
    names = [keep_picture(picture, tmp_path / "var") for picture in (one, other, one)]
    assert names[0] == names[2] != names[1]
    assert sorted(path.name for path in (tmp_path / "var").iterdir()) == sorted(set(names))
    with Image.open(tmp_path / "var" / names[1]) as back:
        assert back.getpixel((0, 0)) == (1, 2, 4)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be made"):
        keep_picture(one, tmp_path / "file")
