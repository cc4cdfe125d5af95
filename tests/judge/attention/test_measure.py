"""What one forward pass gives: letters against the model's own logits, shares against columns added up by hand."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import tiny_families
import torch
from PIL import Image

from judge.attention.choices import Choice
from judge.attention.measure import LAYERS, Measured, attention_shares, measure_question, question_messages
from judge.attention.prompt import encode_prompt
from judge.core.question import Question
from judge.core.request import Picture, Text
from judge.errors import UserError


@pytest.fixture
def picture(tmp_path):
    file = tmp_path / "one.png"
    Image.effect_noise((70, 40), 60).save(file)
    return Picture(file, "one.png")


def choice(*parts, right="B", kind="POS"):
    return Choice(Question("attribute/shape/01", 3, "Shape", parts), kind, right)


TEXT = Text("Is it round?\nA. yes\nB. no\nC. both\nD. none")


def test_shares_of_columns_added_up_by_hand():
    rows = np.array([[0.1, 0.2, 0.3, 0.4, 0.0], [0.2, 0.5, 0.1, 0.1, 0.1]])
    found = attention_shares(rows, {"system": (0, 1), "picture": (1, 3), "question": (3, 5), "answer": (5, 5)})
    # columns 1 and 2: means 0.35 and 0.2, maxima 0.5 and 0.3
    assert found["picture"] == {"share": 0.55, "mean": 0.275, "peak": {"mean": 0.4, "min": 0.3, "max": 0.5}}
    assert found["system"] == {"share": 0.15, "mean": 0.15, "peak": {"mean": 0.2, "min": 0.2, "max": 0.2}}
    assert found["question"]["share"] == 0.3
    assert found["answer"] is None
    # (0.5 / 0.6 + 0.6 / 0.8) / 2
    assert found["of_before"] == pytest.approx((0.5 / 0.6 + 0.6 / 0.8) / 2, abs=1e-6)


def test_without_a_system_nothing_is_compared_with_it():
    segments = {"system": (0, 0), "picture": (0, 1), "question": (1, 2), "answer": (2, 2)}
    assert attention_shares(np.array([[0.4, 0.6]]), segments)["of_before"] is None


@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "internvl", "gemma3"])
def test_a_question_is_measured_as_the_model_answers_it(family, picture):
    model, processor = tiny_families.build_family(family)
    found = measure_question(model, processor, choice(picture, TEXT))
    with Image.open(picture.path) as image:
        prompt = encode_prompt(
            model, processor, question_messages(choice(picture, TEXT).question), [image.convert("RGB")]
        )
    model.set_attn_implementation("eager")
    with torch.no_grad():
        whole = model(**prompt.inputs, use_cache=False, output_attentions=True)
    ids = processor.tokenizer.convert_tokens_to_ids(list("ABCD"))
    probabilities = whole.logits[0, -1].double().softmax(dim=-1)[ids].numpy()
    assert found.mass == pytest.approx(probabilities.sum(), rel=1e-4)
    np.testing.assert_allclose(list(found.letters.values()), probabilities / probabilities.sum(), rtol=1e-4)
    assert found.p_right == found.letters["B"]
    assert found.margin == pytest.approx(found.p_right - max(found.letters[name] for name in "ACD"))
    assert found.is_right == (max(found.letters, key=found.letters.get) == "B")
    first, last = prompt.question
    for name, layer in LAYERS.items():
        attention = whole.attentions[layer][0].mean(dim=0).numpy()
        for rows, expected in (("question", attention[first:last]), ("answer", attention[-1:])):
            shares = found.attention[name][rows]
            begin, end = prompt.grids[0].span
            assert shares["picture"]["share"] == pytest.approx(expected[:, begin:end].mean(axis=0).sum(), rel=1e-3)
            peaks = expected[:, begin:end].max(axis=0)
            assert shares["picture"]["peak"]["max"] == pytest.approx(peaks.max(), rel=1e-3)
            total = sum(part["share"] for name, part in shares.items() if name != "of_before" and part)
            assert total == pytest.approx(1, abs=1e-4)
    grid = prompt.grids[0]
    expected = attention[first:last].mean(axis=0)[grid.positions].reshape(grid.rows, grid.columns)
    # levels of 1/255 of the range
    np.testing.assert_allclose(found.grid(), expected, atol=0.003 * np.ptp(expected) + 1e-9)
    assert found.map["box"] == pytest.approx(grid.box)


def test_a_line_is_read_as_it_was_written(picture):
    model, processor = tiny_families.build_family("qwen2_vl")
    found = measure_question(model, processor, choice(picture, TEXT))
    assert Measured.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert {field.name for field in dataclasses.fields(found)} == found.to_json().keys()


BROKEN = {
    "no letters": lambda row: row.pop("letters"),
    "a letter that is not there": lambda row: row.update(right="E"),
    "an index of another type": lambda row: row.update(index="0"),
    "half a map": lambda row: row["map"].update(levels=row["map"]["levels"][:-2]),
    "levels that are none": lambda row: row["map"].update(levels="zz"),
    "a layer less": lambda row: row["attention"].pop("first"),
    "a share that is text": lambda row: row["attention"]["last"]["answer"]["picture"].update(share="much"),
    "a box of three": lambda row: row["map"].update(box=[0, 0, 1]),
}


@pytest.mark.parametrize("damage", BROKEN)
def test_a_damaged_line_is_a_value_error(damage, picture):
    model, processor = tiny_families.build_family("qwen2_vl")
    row = json.loads(json.dumps(measure_question(model, processor, choice(picture, TEXT)).to_json()))
    BROKEN[damage](row)
    with pytest.raises(ValueError, match=r".+"):
        Measured.from_json(row)


def test_a_question_needs_its_picture(picture, tmp_path):
    model, processor = tiny_families.build_family("qwen2_vl")
    gone = Picture(tmp_path / "gone.png", "gone.png")
    with pytest.raises(UserError, match=r"gone.png: record attribute/shape/01 \(index 3\)") as caught:
        measure_question(model, processor, choice(gone, TEXT))
    assert caught.value.file == gone.path
    for parts in ((TEXT,), (picture, picture, TEXT)):
        with pytest.raises(UserError, match="pictures, and one is read"):
            measure_question(model, processor, choice(*parts))


def test_logits_that_are_no_numbers_are_one_error(picture):
    model, processor = tiny_families.build_family("qwen2_vl")
    model.lm_head.weight.data.fill_(float("nan"))
    with pytest.raises(UserError, match=r"logits are not finite.*\n→ use --dtype float32"):
        measure_question(model, processor, choice(picture, TEXT))
