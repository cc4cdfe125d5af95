"""Packed passes: attention against its definition, and the same tokens however prompts are cut, shared and refilled."""

from __future__ import annotations

import dataclasses
import math
import random

import numpy as np
import pytest
import torch
from test_generate import NEW, alone, row_of, rows_of, stop_of

from judge.model import attention, generate, rope, verify, vision
from judge.model.counters import Counters
from judge.model.same_question import common_prefix_length


@pytest.fixture(params=["recorded", "second"])
def judge(request):
    return request.getfixturevalue(request.param)


def generator_of(judge, tokens, counters=None, **options):
    params = generate.DecodingParams(stop_of(judge), NEW, **options)
    return generate.Generator(judge.model, params, cache_tokens=tokens, counters=counters)


def room(row):
    return generate.slots_needed(len(row.ids), NEW)


# --- attention -------------------------------------------------------------------------------------------------------


def defined(q, keys, values, window=None):
    """Softmax of scaled products over what each of the last tokens sees, one head and token at a time, float64."""
    new, heads, size = q.shape
    total, groups = len(keys), heads // keys.shape[1]
    out = torch.zeros(q.shape, dtype=torch.float64)
    for n in range(new):
        position = total - new + n
        first = 0 if window is None else max(0, position + 1 - window)
        for head in range(heads):
            k, v = (x[first : position + 1, head // groups].double() for x in (keys, values))
            out[n, head] = torch.softmax(k @ q[n, head].double() / math.sqrt(size), 0) @ v
    return out.numpy()


@pytest.mark.parametrize("window", [None, 3, 100])
@pytest.mark.parametrize("heads", [(4, 4), (6, 3), (4, 1)])
@pytest.mark.parametrize(("new", "total"), [(1, 1), (1, 9), (9, 9), (4, 9), (70, 140)])
def test_reading_is_causal_attention_of_the_last(new, total, heads, window):
    torch.manual_seed(new + total)
    q, keys, values = torch.randn(new, heads[0], 16), torch.randn(total, heads[1], 16), torch.randn(total, heads[1], 16)
    found = attention.prefill_attention(q, keys, values, window)
    np.testing.assert_allclose(found, defined(q, keys, values, window), atol=1e-5)


def cached(heads, lengths, size=16, gap=3):
    """A layer of a cache with sequences of these lengths, noise in between, and the newest token of each."""
    torch.manual_seed(sum(lengths))
    starts = [gap + sum(lengths[:n]) + n * gap for n in range(len(lengths))]
    places = sum(lengths) + (len(lengths) + 1) * gap
    keys, values = torch.randn(places, heads[1], size), torch.randn(places, heads[1], size)
    return torch.randn(len(lengths), heads[0], size), keys, values, starts


@pytest.mark.parametrize("window", [None, 4])
@pytest.mark.parametrize("heads", [(4, 4), (6, 3)])
def test_writing_sees_the_own_sequence_alone(heads, window):
    lengths = [1, 30, 7, 64]
    q, keys, values, starts = cached(heads, lengths)
    found = attention.decode_attention(q, keys, values, starts, lengths, window)
    for n, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        own = slice(start, start + length)
        np.testing.assert_allclose(found[n : n + 1], defined(q[n : n + 1], keys[own], values[own], window), atol=1e-5)


def test_a_window_of_the_config_is_kept(second):
    """Against transformers' own forward, whose masks follow `sliding_window`."""
    config = second.model.config.text_config
    row = row_of(second, 60, seed=5)
    assert len(row.ids) > 40
    whole = alone(second, row)
    config.sliding_window = 20
    try:
        found = alone(second, row)
        ids = torch.tensor([[*row.ids, *found.ids[:-1]]])
        with torch.inference_mode():
            hidden = second.model.model.language_model(input_ids=ids, use_cache=False).last_hidden_state
            logits = second.model.lm_head(hidden[0, len(row.ids) - 1 :])
    finally:
        config.sliding_window = None
    assert not torch.allclose(found.prefill_logits, whole.prefill_logits, atol=0.1)
    np.testing.assert_allclose(found.top, logits.amax(-1), atol=1e-4)
    assert found.ids == tuple(logits.argmax(-1).tolist())


# --- passes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 5, 64, 100])
def test_a_prompt_cut_into_passes_is_the_same(judge, monkeypatch, most):
    rows = rows_of(judge)
    expected = [alone(judge, row) for row in rows]
    monkeypatch.setattr(generate, "MAX_BATCHED_TOKENS", most)
    if most == 1:
        rows, expected = rows[:1], expected[:1]  # a pass a token
    found = dict(generate.generate_all(judge.model, rows, stop=stop_of(judge), max_new_tokens=NEW))
    for number, one in enumerate(expected):
        assert found[number].ids == one.ids
        np.testing.assert_allclose(
            found[number].prefill_logits, one.prefill_logits, atol=verify.LOGIT_TOLERANCE, rtol=0
        )


def test_passes_are_filled_up_and_never_over(judge, monkeypatch):
    """The longest prompts of the fixtures have some 250 tokens: three passes and a rest, and short ones together."""
    monkeypatch.setattr(generate, "MAX_BATCHED_TOKENS", 70)
    sizes = []
    read = generate.packed.prefill

    def noted(model, cache, spans):
        sizes.append([len(span.ids) for span in spans])
        return read(model, cache, spans)

    monkeypatch.setattr(generate.packed, "prefill", noted)
    rows = rows_of(judge)
    counters = Counters()
    generator = generator_of(judge, sum(map(room, rows)), counters=counters)
    generator.admit(list(enumerate(rows)))
    assert max(map(sum, sizes)) <= 70
    assert sum(map(sum, sizes)) == sum(len(row.ids) for row in rows) == counters.prefill_tokens
    assert counters.prefill_positions == counters.kv_written == counters.prefill_tokens
    assert counters.forwards == len(sizes)
    assert counters.host_syncs == 1


@pytest.mark.parametrize("regime", ["reference", "recompute", "long"])
def test_a_shared_opening_is_the_same(judge, regime):
    """Rows of both rope sets and across the limit; an opening may go on where the rows do not."""
    rope.install_rope(judge.model, regime)
    try:
        rows = rows_of(judge)
        expected = [alone(judge, row) for row in rows]
        opening = rows[0].ids[: common_prefix_length(rows[0].ids, rows[-1].ids)]
        assert len(opening) > 30
        for shared in (tuple(opening), (*opening, 7, 8, 9), tuple(rows[-1].ids)):
            counters = Counters()
            generator = generator_of(judge, sum(map(room, rows)), counters=counters)
            found = dict(
                generator.admit([(n, dataclasses.replace(row, shared_prefix=shared)) for n, row in enumerate(rows)])
            )
            while generator.running:
                found |= dict(generator.step())
            assert [found[n].ids for n in range(len(rows))] == [one.ids for one in expected]
            for n, one in enumerate(expected):
                np.testing.assert_allclose(
                    found[n].prefill_logits, one.prefill_logits, atol=verify.LOGIT_TOLERANCE, rtol=0
                )
            assert counters.prefix_reused == counters.kv_copied >= len(opening) * len(rows)
            read = sum(len(row.ids) for row in rows)
            assert (
                counters.prefill_tokens
                == read - counters.prefix_reused + counters.prefix_computed + counters.recomputed
            )
            assert counters.prefix_computed <= 2 * len(shared)  # once in each rope set
            assert bool(counters.recomputed) == (regime == "recompute")
    finally:
        rope.install_rope(judge.model)


def test_old_openings_make_room(recorded):
    row = row_of(recorded, 3)
    counters = Counters()
    generator = generator_of(recorded, 4 * room(row), counters=counters)
    for n in range(2 * generate.MAX_PREFIXES):
        shared = (*row.ids[:20], *[300 + n] * 3)
        generator.admit([(n, dataclasses.replace(row, shared_prefix=shared))])
        while generator.running:
            generator.step()
    assert counters.prefix_computed == 2 * generate.MAX_PREFIXES * 23
    assert len(generator._prefixes) == generate.MAX_PREFIXES


def ends(new):
    """Where an answer is enough: as good as random, and a matter of its own ids alone."""
    return sum(new) % 4 == 0


@pytest.mark.parametrize("regime", ["reference", "recompute", "long"])
def test_refilled_at_every_step(judge, regime):
    """A cache for three or more at a time, answers of all lengths: places are used again at once, results hold."""
    rope.install_rope(judge.model, regime)
    try:
        rows = [row_of(judge, words, seed=words) for words in (80, 70, 66, 60, 30, 20, 9, 5, 3)] + rows_of(judge)
        rows.sort(key=lambda row: -len(row.ids))
        whole = [alone(judge, row).ids for row in rows]
        cuts = [next((k for k in range(1, NEW) if ends(ids[:k])), len(ids)) for ids in whole]
        assert len(set(cuts)) > 3
        counters = Counters()
        generator = generator_of(judge, 3 * room(rows[0]), ends=ends, counters=counters)
        waiting, found = list(enumerate(rows)), {}
        together = set()
        while waiting or generator.running:
            while waiting and generator.can_admit([len(waiting[0][1].ids)]):
                found |= dict(generator.admit([waiting.pop(0)]))
            together.add(len(generator.running))
            if generator.running:
                found |= dict(generator.step())
        assert [found[n].ids for n in range(len(rows))] == [ids[:k] for ids, k in zip(whole, cuts, strict=True)]
        assert max(together) > 2
        assert generator.cache.slots.num_free == generator.cache.slots.size
        # every token but a sequence's last is written to the cache once, and none is moved
        assert counters.decode_sequences == sum(k - 1 for k in cuts)
        assert counters.kv_written == counters.prefill_tokens + counters.decode_sequences - crossings(judge, rows, cuts)
        assert counters.kv_copied == 0
        assert counters.host_syncs == counters.decode_steps + counters.sequences
    finally:
        rope.install_rope(judge.model)


def crossings(judge, rows, cuts):
    """Tokens that were read again with all before them instead of being written."""
    if judge.model.rope_regime != "recompute":
        return 0
    limit = judge.layout.text["original_max_position_embeddings"]
    # the token at position `limit` is fed only if the answer goes on behind it
    return sum(len(row.ids) <= limit < len(row.ids) + k - 1 for row, k in zip(rows, cuts, strict=True))


def test_a_failed_admission_leaves_the_others_as_they_were(recorded, monkeypatch):
    rows = rows_of(recorded)
    expected = [alone(recorded, row) for row in rows]
    generator = generator_of(recorded, sum(map(room, rows)))
    found = dict(generator.admit([(0, rows[0]), (1, rows[1])]))
    found |= dict(generator.step())
    free = generator.cache.slots.num_free
    with monkeypatch.context() as broken:
        broken.setattr(generate.packed, "prefill", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            generator.admit([(2, rows[2]), (3, rows[3])])
    with pytest.raises(ValueError, match="image tokens without images"):
        generator.admit([(4, dataclasses.replace(rows[-1], tiles=None))])
    with pytest.raises(RuntimeError, match="no room for a prompt"):
        generator.admit([(5, row_of(recorded, 2000))])
    assert generator.running == [0, 1]
    assert generator.cache.slots.num_free == free
    found |= dict(generator.admit([(2, rows[2])]))
    while generator.running:
        found |= dict(generator.step())
    assert [found[n].ids for n in range(3)] == [one.ids for one in expected[:3]]


def test_pictures_of_several_prompts_share_a_pass(recorded, monkeypatch):
    """Tiles 1, 7 and 4 in passes of five: 5, 5 and 2, and the very features of each alone."""
    rows = [row for row in rows_of(recorded) if row.tiles is not None]
    assert [len(row.tiles) for row in rows] == [1, 7, 4]
    expected = [alone(recorded, row) for row in rows]
    monkeypatch.setattr(vision, "TILES_AT_ONCE", 5)
    counters = Counters()
    generator = generator_of(recorded, sum(map(room, rows)), counters=counters)
    found = dict(generator.admit(list(enumerate(rows))))
    while generator.running:
        found |= dict(generator.step())
    assert (counters.tiles, counters.tile_batches) == (12, 3)
    assert [found[n].ids for n in range(3)] == [one.ids for one in expected]


def test_random_schedules(second):
    """Any order of admissions and steps, any company: the same tokens."""
    rows = rows_of(second)
    expected = [alone(second, row).ids for row in rows]
    for seed in range(6):
        chance = random.Random(seed)
        generator = generator_of(second, sum(map(room, rows)))
        waiting, found = chance.sample(range(len(rows)), k=len(rows)), {}
        while waiting or generator.running:
            if waiting and (not generator.running or chance.random() < 0.5):
                some = [waiting.pop() for _ in range(min(len(waiting), chance.randint(1, 3)))]
                found |= dict(generator.admit([(n, rows[n]) for n in some]))
            else:
                found |= dict(generator.step())
        assert [found[n].ids for n in range(len(rows))] == expected
