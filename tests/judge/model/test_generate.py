"""Batched decoding against an oracle, against itself alone, and against transformers' own Phi-3."""

from __future__ import annotations

import inspect
import random

import numpy as np
import plain_model
import pytest
import torch

from judge.core.request import Picture, Text
from judge.core.rubric import Literal
from judge.model import conversation, distribution, generate, images, precision, verify
from judge.model.weights import checkpoint

NEW = 12


def stop_of(judge):
    return judge.tokenizer.special[conversation.STOP]


def tiles_of(judge, count, seed):
    side = judge.layout.tile_size
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def row_of(judge, words, tiles=(), seed=0, length=None):
    """A prompt of `words` words and one picture for each number in `tiles`; cut to `length` tokens."""
    vocabulary = ["the", "small", "red", "cat", "follows", "bright", "boat", "and", "it", "reads", "round", "lamp"]
    text = " ".join(random.Random(seed).choices(vocabulary, k=words))
    pieces = [Literal("Image-0: "), *[Picture(None, "x")] * len(tiles), Literal("\n"), Text(text)]
    encoded = conversation.encode_prompt(judge.tokenizer, pieces, list(tiles), judge.layout.tokens_per_tile)
    ids, end = encoded.ids, encoded.spans[0][1]
    if length is not None:
        ids = ids[: end - (len(ids) - length)] + ids[end:]
    return generate.ModelInput(ids, tiles_of(judge, sum(tiles), seed) if tiles else None)


def rows_of(judge):
    """Short, long, around the limit of the short regime and across it; no, one and several pictures."""
    limit = judge.layout.text["original_max_position_embeddings"]
    around = [row_of(judge, 150, seed=n, length=limit + n) for n in (-5, -1, 0, 1)]
    chosen = [row_of(judge, 3), row_of(judge, 90, seed=1), *around]
    return [*chosen, row_of(judge, 4, [1], seed=2), row_of(judge, 8, [2, 5], seed=3), row_of(judge, 20, [4], seed=4)]


def alone(judge, row, **options):
    ((_, generated),) = generate.generate_all(judge.model, [row], stop=stop_of(judge), max_new_tokens=NEW, **options)
    return generated


def oracle(judge, row, new, rope="reference"):
    """The logits (len(new), vocabulary) that `new` should have been chosen from."""
    return plain_model.step_logits(
        judge.layout.raw,
        plain_model.read(judge.folder),
        row.ids,
        new,
        None if row.tiles is None else torch.from_numpy(images.pixel_values(row.tiles)),
        image_token=judge.tokenizer.special["<IMG_CONTEXT>"],
        rope=rope,
    )


@pytest.fixture(params=["recorded", "second"])
def judge(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def regime(judge, request):
    """The judge under another rope regime, put back afterwards."""
    from judge.model import rope

    rope.install_rope(judge.model, request.param)
    yield request.param
    rope.install_rope(judge.model)


def test_rows_cover_both_regimes_and_the_crossing(judge):
    limit = judge.layout.text["original_max_position_embeddings"]
    lengths = [len(row.ids) for row in rows_of(judge)]
    assert any(n + NEW <= limit for n in lengths)
    assert any(n < limit < n + NEW for n in lengths)
    assert limit in lengths  # exact boundary: the whole prompt is short, the first new token is long
    assert limit + 1 in lengths
    assert any(n > limit + 1 for n in lengths)


@pytest.mark.parametrize("regime", ["reference", "recompute", "long"], indirect=True)
def test_one_mixed_batch_equals_the_oracle(judge, regime):
    rows = rows_of(judge)
    together = dict(generate.generate_all(judge.model, rows, stop=stop_of(judge), max_new_tokens=NEW))
    for number, row in enumerate(rows):
        logits = oracle(judge, row, together[number].ids, regime)
        assert together[number].ids == tuple(logits.argmax(-1).tolist())
        np.testing.assert_allclose(together[number].top, logits.amax(-1), atol=1e-4, rtol=0)


def test_the_regimes_differ_where_they_should(second):
    """Only rows that cross the limit tell `recompute` from `reference`; only rows that begin below it tell `long`."""
    limit = second.layout.text["original_max_position_embeddings"]
    seen = {"recompute": set(), "long": set()}
    for row in rows_of(second):
        first, longest = len(row.ids), len(row.ids) + NEW - 1
        where = "below" if longest <= limit else "across" if first <= limit else "beyond"
        new = list(range(300, 300 + NEW))
        reference = oracle(second, row, new)
        for other, places in seen.items():
            if not torch.equal(reference, oracle(second, row, new, other)):
                places.add(where)
    assert seen == {"recompute": {"across"}, "long": {"below", "across"}}


def test_recompute_is_what_phi3_of_transformers_does(second):
    from transformers import Phi3ForCausalLM

    from judge.model import rope

    if "next_sequence_length" not in inspect.getsource(Phi3ForCausalLM.prepare_inputs_for_generation):
        pytest.skip("this transformers (5.17) drops the cache and then reads the last token alone")

    theirs = Phi3ForCausalLM(second.model.config.text_config).eval()
    state = {name.replace("model.language_model.", "model."): t for name, t in second.model.state_dict().items()}
    theirs.load_state_dict({name: t for name, t in state.items() if name in theirs.state_dict()})
    rows = [row for row in rows_of(second) if row.tiles is None]
    rope.install_rope(second.model, "recompute")
    try:
        ours = dict(generate.generate_all(second.model, rows, stop=stop_of(second), max_new_tokens=NEW))
    finally:
        rope.install_rope(second.model)
    for number, row in enumerate(rows):
        ids = torch.tensor([row.ids])
        out = theirs.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=NEW,
            eos_token_id=stop_of(second),
        )
        assert out[0, len(row.ids) :].tolist() == list(ours[number].ids)


def test_a_batch_equals_its_rows_alone_in_any_order(judge):
    rows = rows_of(judge)
    single = [alone(judge, row) for row in rows]
    for seed in range(4):
        order = random.Random(seed).sample(range(len(rows)), k=len(rows) - seed)
        stream = generate.generate_all(judge.model, [rows[i] for i in order], stop=stop_of(judge), max_new_tokens=NEW)
        together = {order[place]: generated for place, generated in stream}
        assert sorted(together) == sorted(order)
        for number, generated in together.items():
            assert generated.ids == single[number].ids
            np.testing.assert_allclose(
                generated.prefill_logits, single[number].prefill_logits, atol=verify.LOGIT_TOLERANCE, rtol=0
            )


def test_image_order_matters(judge):
    row = row_of(judge, 6, [1, 1], seed=9)
    swapped = generate.ModelInput(row.ids, row.tiles[::-1].copy())
    assert not torch.equal(alone(judge, row).prefill_logits, alone(judge, swapped).prefill_logits)


@pytest.mark.parametrize("surplus", [-1, 1])
def test_tiles_that_do_not_fit_the_prompt_are_an_error(recorded, surplus):
    row = row_of(recorded, 6, [2])
    with pytest.raises(ValueError, match="image tokens for"):
        alone(recorded, generate.ModelInput(row.ids, tiles_of(recorded, 2 + surplus, 0)))
    with pytest.raises(ValueError, match="image tokens without images"):
        alone(recorded, generate.ModelInput(row.ids, None))


def test_token_limit_and_stop(recorded):
    row = row_of(recorded, 3)
    whole = alone(recorded, row)
    assert len(whole.ids) == NEW
    assert not whole.stopped
    # the same row with its third token as the stop token ends there and keeps it
    third = whole.ids[2]
    assert third not in whole.ids[:2]
    ((_, cut),) = generate.generate_all(recorded.model, [row], stop=third, max_new_tokens=NEW)
    assert (cut.ids, cut.stopped) == (whole.ids[:3], True)
    assert len(cut.top) == len(cut.watched) == 3


def test_only_the_end_token_stops(golden_folder):
    """generation_config.json lists 2 and <|endoftext|> as well; chat() overrides it."""
    import json

    listed = json.loads((golden_folder / "tiny-internvl2" / "generation_config.json").read_text())["eos_token_id"]
    cases = json.loads((golden_folder / "cases.json").read_text())
    assert listed == [2, 560, 567]
    assert cases["meta"]["eos_token_id_used"] == 567


def test_watched_logits_are_those_of_the_step(second):
    row = row_of(second, 10)
    watch = distribution.score_tokens(second.tokenizer)
    generated = alone(second, row, watch=watch)
    expected = oracle(second, row, generated.ids)[:, list(watch)]
    np.testing.assert_allclose(generated.watched, expected, atol=1e-4, rtol=0)


def test_exact_float32_switches_tf32_off_and_puts_it_back():
    matmul = torch.backends.cuda.matmul
    name, loose = ("fp32_precision", "tf32") if hasattr(matmul, "fp32_precision") else ("allow_tf32", True)
    before = getattr(matmul, name)
    setattr(matmul, name, loose)
    try:
        with precision.exact_float32():
            assert getattr(matmul, name) in ("ieee", False)
        assert getattr(matmul, name) == loose
    finally:
        setattr(matmul, name, before)


def test_frequencies_stay_float32_in_bfloat16(golden_folder):
    """Trap T26: rounding them to bfloat16 changes 5 of 13 texts."""
    folder = golden_folder / "tiny-internvl2"
    rounded = checkpoint.load_model(folder, dtype="bfloat16")
    rotary = rounded.model.language_model.rotary_emb
    exact = checkpoint.load_model(folder).model.language_model.rotary_emb
    assert rounded.lm_head.weight.dtype == torch.bfloat16
    assert rotary.short.dtype == rotary.long.dtype == torch.float32
    assert torch.equal(rotary.short, exact.short)
    assert torch.equal(rotary.long, exact.long)
    rounded.to(torch.bfloat16)
    assert rotary.short.dtype == torch.float32
