"""Rows of attention against transformers' own matrices (`output_attentions=True`, eager), for every family."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_families
import torch
from PIL import Image

from judge.attention.families import FAMILIES
from judge.attention.probe import AttentionCall, AttentionProbe, attention_rows
from judge.attention.prompt import encode_prompt
from judge.errors import UserError

MESSAGES = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is it round?\nA. It is."}]}]


def prompt_of(model, processor):
    return encode_prompt(model, processor, MESSAGES, [Image.effect_noise((70, 40), 60).convert("RGB")])


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_are_those_of_the_whole_matrix_and_logits_stay_the_same(family):
    model, processor = tiny_families.build_family(family)
    prompt = prompt_of(model, processor)
    rows = [*range(*prompt.question), len(prompt.ids) - 1]
    found = {}
    with torch.no_grad():
        for implementation in ("sdpa", "eager"):
            model.set_attn_implementation(implementation)
            plain = model(**prompt.inputs, use_cache=False).logits
            with AttentionProbe(model, [0, -1], rows) as probe:
                probed = model(**prompt.inputs, use_cache=False).logits
            after = model(**prompt.inputs, use_cache=False).logits
            assert torch.equal(plain, probed)
            assert torch.equal(plain, after)
            found[implementation] = probe
        whole = model(**prompt.inputs, use_cache=False, output_attentions=True).attentions
    assert len(whole) == 2
    for layer in (0, -1):
        expected = whole[layer][0].mean(dim=0)[rows].numpy()
        assert expected.std() > 0.01, "attention that does not vary would agree with anything"
        for probe in found.values():
            np.testing.assert_allclose(probe.rows(layer), expected, atol=1e-5)
            np.testing.assert_allclose(probe.rows(layer).sum(axis=1), 1, atol=1e-5)


CASES = {
    # 6 tokens, 4 heads on 2 key heads
    "causal": {},
    "everything is seen": {"causal": False},
    "a window": {"window": 3},
    "a bound of the scores": {"softcap": 2.0},
    "padding on the left": {"mask": torch.tensor([0, 0, 1, 1, 1, 1])},
    "later queries of a cache": {"queries": 2},
    "a mask of floats, by head": {"mask": "floats"},
    "a mask of booleans": {"mask": "booleans"},
}


@pytest.mark.parametrize("case", CASES)
def test_a_call_is_softmax_of_scaled_products(case):
    """Against the formula, in float64 and one row at a time."""
    options = dict(CASES[case])
    torch.manual_seed(1)
    heads, shared, tokens, size = 4, 2, 6, 8
    queries = options.pop("queries", tokens)
    query, key = torch.randn(heads, queries, size), torch.randn(shared, tokens, size)
    if options.get("mask") == "floats":
        options["mask"] = torch.randn(heads, queries, tokens)
    elif options.get("mask") == "booleans":
        options["mask"] = torch.rand(1, queries, tokens) > 0.3
        options["mask"][:, :, 0] = True
    call = AttentionCall(query, key, scaling=0.4, **{"mask": None, **options})
    rows = [tokens - 1, tokens - 2]
    found = attention_rows(call, rows).numpy()
    assert found.shape == (heads, 2, tokens)
    for head in range(heads):
        for number, row in enumerate(rows):
            at = row - (tokens - queries)
            scores = (query[head, at].double() @ key[head // 2].double().T).numpy() * 0.4
            if call.softcap:
                scores = call.softcap * np.tanh(scores / call.softcap)
            mask = call.mask
            for column in range(tokens):
                if mask is not None and mask.ndim == 3:
                    given = mask[head if len(mask) > 1 else 0, at, column]
                    scores[column] += float(given) if mask.is_floating_point() else (0 if given else -np.inf)
                    continue
                far = call.window is not None and column <= row - call.window
                if (call.causal and column > row) or far or (mask is not None and not mask[column]):
                    scores[column] = -np.inf
            weights = np.exp(scores - scores.max())
            np.testing.assert_allclose(found[head, number], weights / weights.sum(), atol=1e-6)


def test_bfloat16_rows_are_near_those_of_float32():
    model, processor = tiny_families.build_family("qwen2_vl", initializer_range=0.1)
    prompt = prompt_of(model, processor)
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        model = model.to(dtype)
        inputs = prompt.inputs.to(model.device, dtype=dtype)
        with torch.no_grad(), AttentionProbe(model, [-1], [len(prompt.ids) - 1]) as probe:
            model(**inputs, use_cache=False)
        found.append(probe.rows(-1))
    assert found[1].dtype == np.float32
    # three significant digits; a row sums to 1
    assert 0 < np.abs(found[0] - found[1]).max() < 0.01


def test_generation_may_go_on_within_a_probe():
    """The rows are the prompt's, and what is generated is what is generated without."""
    model, processor = tiny_families.build_family("qwen2_vl")
    prompt = prompt_of(model, processor)
    rows = [len(prompt.ids) - 1]
    with torch.no_grad():
        with AttentionProbe(model, [-1], rows) as once:
            model(**prompt.inputs, use_cache=False)
        plain = model.generate(**prompt.inputs, max_new_tokens=3, do_sample=False)
        with AttentionProbe(model, [-1], rows) as probe:
            generated = model.generate(**prompt.inputs, max_new_tokens=3, do_sample=False)
    assert torch.equal(plain, generated)
    np.testing.assert_allclose(probe.rows(-1), once.rows(-1), atol=1e-6)


def test_a_model_is_as_before_when_a_run_fails():
    model, processor = tiny_families.build_family("llava")
    prompt = prompt_of(model, processor)
    config = model.get_decoder().layers[-1].self_attn.config
    with pytest.raises(TypeError), AttentionProbe(model, [-1], [3]):
        model(**prompt.inputs, use_cache="what")(1)
    attention = model.get_decoder().layers[-1].self_attn
    assert attention.config is config
    assert not attention._forward_hooks
    assert not attention._forward_pre_hooks


def test_flash_attention_is_read_by_its_window():
    """It is given no mask, but a window: here a stand-in that attends as flash attention does, without its kernels."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, flash_attention_mask
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    given = []

    def attend(module, query, key, value, attention_mask, scaling, sliding_window=None, **options):
        given.append((attention_mask, sliding_window))
        far = torch.arange(query.shape[2])[:, None] - torch.arange(key.shape[2])[None]
        seen = (far >= 0) & (far < sliding_window)
        key, value = (each.repeat_interleave(module.num_key_value_groups, dim=1) for each in (key, value))
        output = torch.nn.functional.scaled_dot_product_attention(query, key, value, seen, scale=scaling)
        return output.transpose(1, 2), None

    ALL_ATTENTION_FUNCTIONS.register("of_windows", attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register("of_windows", flash_attention_mask)
    model, processor = tiny_families.build_family("llava_next")
    prompt = prompt_of(model, processor)
    rows = list(range(*prompt.question))
    found = {}
    for implementation in ("eager", "of_windows"):
        model.get_decoder().set_attn_implementation(implementation)
        with torch.no_grad(), AttentionProbe(model, [-1], rows) as probe:
            model(**prompt.inputs, use_cache=False)
        found[implementation] = probe.rows(-1)
    assert given == [(None, 16), (None, 16)]
    assert (found["eager"] > 0).sum(axis=1).tolist() == [16] * len(rows)
    np.testing.assert_allclose(found["of_windows"], found["eager"], atol=1e-5)


class Foreign(torch.nn.Module):
    """An attention that calls no function of transformers."""

    def __init__(self, inner):
        super().__init__()
        self.config, self.inner = inner.config, inner

    def forward(self, hidden_states, **options):
        return hidden_states, None


def test_an_attention_of_ones_own_is_one_error():
    model, processor = tiny_families.build_family("llava")
    prompt = prompt_of(model, processor)
    layers = model.get_decoder().layers
    layers[-1].self_attn = Foreign(layers[-1].self_attn)
    with torch.no_grad(), AttentionProbe(model, [-1], [3]) as probe:
        model(**prompt.inputs, use_cache=False)
    with pytest.raises(UserError, match=r"the attention of Foreign cannot be read: it does not call .*\n→ load .*sdpa"):
        probe.rows(-1)


def test_a_mask_of_another_kind_is_one_error():
    """As flex attention's are, whose kernels take long to compile."""
    from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register("of_blocks", lambda *given, **options: (given[1], None))
    ALL_MASK_ATTENTION_FUNCTIONS.register("of_blocks", lambda **given: {"blocks": []})
    model, processor = tiny_families.build_family("llava")
    prompt = prompt_of(model, processor)
    model.set_attn_implementation("of_blocks")
    with (
        pytest.raises(UserError, match="LlamaAttention cannot be read: its implementation has a mask of another kind"),
        torch.no_grad(),
        AttentionProbe(model, [-1], [3]),
    ):
        model(**prompt.inputs, use_cache=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: setattr(layers[-1], "self_attn", None), "it has no softmax attention"),
        (lambda layers: layers.__delitem__(slice(0, 2)), "layer -1 of a text model of 0 layers"),
    ],
)
def test_a_layer_without_attention_is_one_error(change, message):
    model, _ = tiny_families.build_family("llava")
    change(model.get_decoder().layers)
    with pytest.raises(UserError, match=message):
        AttentionProbe(model, [-1], [0])


def test_a_model_without_a_text_model_is_one_error():
    with pytest.raises(UserError, match="Linear has no text model whose layers can be found"):
        AttentionProbe(torch.nn.Linear(1, 1), [-1], [0])


def test_several_prompts_at_once_are_refused():
    model, processor = tiny_families.build_family("llava")
    prompt = prompt_of(model, processor)
    twice = {name: torch.cat([value, value]) for name, value in prompt.inputs.items()}
    with pytest.raises(UserError, match="2 prompts at once"), torch.no_grad(), AttentionProbe(model, [-1], [3]):
        model(**twice, use_cache=False)
