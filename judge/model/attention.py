"""Attention of one sequence over its own slots of the cache, without padding: in plain torch, on any device.

    prefill_attention(q, keys, values)                 # q (n, heads, size): the last n of the m tokens in keys (m, …)
    decode_attention(q, keys, values, starts, lengths) # q (sequences, heads, size): the newest token of each

`decode_attention` calls torch's attention once a sequence, on views of the cache. On CUDA `judge.model.decode_kernel`
does the same for all sequences at once, where `find_decode_kernel` finds that it does.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

TOLERANCE = {"float32": 1e-4, "bfloat16": 2e-2}
"""How far a kernel may be off the plain path, of values around 1."""


def prefill_attention(q: Any, keys: Any, values: Any, window: int | None = None) -> Any:
    """(n, heads, size): causal attention of the last n of m tokens. keys, values (m, key heads, size).

    window: how many tokens, itself included, a token sees; None: all before it.
    """
    from torch.nn.functional import scaled_dot_product_attention

    new, total = q.shape[0], keys.shape[0]
    groups = q.shape[1] // keys.shape[1]
    if groups > 1:
        keys, values = keys.repeat_interleave(groups, 1), values.repeat_interleave(groups, 1)
    q, keys, values = (x.transpose(0, 1)[None] for x in (q, keys, values))
    if window is not None and window < total:
        mask = _visible(new, total, q.device, window)
        out = scaled_dot_product_attention(q, keys, values, attn_mask=mask)
    elif new in (1, total):
        out = scaled_dot_product_attention(q, keys, values, is_causal=new > 1)
    elif q.is_cuda and _counts_from_the_end(q.device, q.dtype, q.shape[1], q.shape[-1]):
        from torch.nn.attention.bias import causal_lower_right

        out = scaled_dot_product_attention(q, keys, values, attn_mask=causal_lower_right(new, total))
    else:
        out = scaled_dot_product_attention(q, keys, values, attn_mask=_visible(new, total, q.device))
    return out[0].transpose(0, 1)


def decode_attention(
    q: Any, keys: Any, values: Any, starts: Sequence[int], lengths: Sequence[int], window: int | None = None
) -> Any:
    """(sequences, heads, size): each newest token over the tokens of its sequence.

    keys, values: a layer of the cache (slots, key heads, size); a sequence has slots start to start + length there,
    its newest token included. window: as in `prefill_attention`.
    """
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    heads = keys.shape[1]
    rows = []
    for row, start, length in zip(q, starts, lengths, strict=True):
        stop = start + length
        if window is not None:
            start = max(start, stop - window)
        # heads that share a key stand as queries of one head: a single token needs no mask between them
        grouped = row.view(1, heads, -1, row.shape[-1])
        seen = (x[start:stop].transpose(0, 1)[None] for x in (keys, values))
        rows.append(scaled_dot_product_attention(grouped, *seen).view(row.shape))
    return torch.stack(rows)


def find_decode_kernel(model: Any) -> Callable[..., Any] | None:
    """`decode_kernel.launch_decode_attention`, where it computes on the model's device what `decode_attention` does.

    None on a CPU, with a sliding window, and, with a warning, where it fails or is off.
    """
    text, weight = model.config.text_config, model.lm_head.weight
    if weight.device.type != "cuda" or text.sliding_window is not None:
        return None
    size = text.hidden_size // text.num_attention_heads
    return _checked(weight.device, weight.dtype, text.num_attention_heads, text.num_key_value_heads, size)


@functools.cache
def _counts_from_the_end(device: Any, dtype: Any, heads: int, size: int) -> bool:
    """Whether torch's own kernels for tokens behind others (`is_causal` counts from the first key) compute here what a
    mask does. They need none in memory."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    try:
        from torch.nn.attention.bias import causal_lower_right

        generator = torch.Generator(device).manual_seed(0)
        q, keys, values = (
            torch.randn((tokens, heads, size), generator=generator, device=device, dtype=dtype).transpose(0, 1)[None]
            for tokens in (150, 400, 400)
        )
        found = scaled_dot_product_attention(q, keys, values, attn_mask=causal_lower_right(150, 400))
        expected = scaled_dot_product_attention(q, keys, values, attn_mask=_visible(150, 400, device))
        _compare(found, expected, dtype)
    except Exception as error:
        _warn(f"attention behind a shared prefix takes a mask on {device}", error)
        return False
    return True


@functools.cache
def _checked(device: Any, dtype: Any, heads: int, key_heads: int, size: int) -> Callable[..., Any] | None:
    import torch

    try:
        from judge.model.decode_kernel import BLOCK, SPLIT, launch_decode_attention

        lengths = [1, SPLIT - 1, SPLIT, 2 * SPLIT + 17, BLOCK]
        starts = [sum(lengths[:n]) + 3 * n for n in range(len(lengths))]
        cache = (starts[-1] + lengths[-1], key_heads, size)
        generator = torch.Generator(device).manual_seed(0)
        q, keys, values = (
            torch.randn(shape, generator=generator, device=device, dtype=dtype)
            for shape in ((len(lengths), heads, size), cache, cache)
        )
        first_slots, counts = torch.tensor([starts, lengths], device=device)
        found = launch_decode_attention(q, keys, values, first_slots, counts, max(lengths))
        _compare(found, decode_attention(q, keys, values, starts, lengths), dtype)
    except Exception as error:  # a package, a compiler, a driver: anything may be missing
        _warn(f"the decoding kernel is not used on {device}", error)
        return None
    return launch_decode_attention


def _compare(found: Any, expected: Any, dtype: Any) -> None:
    off = float((found - expected).abs().max())
    if not off <= TOLERANCE[str(dtype).removeprefix("torch.")]:
        raise ArithmeticError(f"off by {off:.1e}")


def _warn(what: str, error: Exception) -> None:
    warnings.warn(f"{what}: {type(error).__name__}: {error}", RuntimeWarning, stacklevel=5)


def _visible(new: int, total: int, device: Any, window: int | None = None) -> Any:
    """(new, total) bool: what each of the last `new` tokens sees."""
    import torch

    token = torch.arange(total - new, total, device=device)[:, None]
    other = torch.arange(total, device=device)
    seen = other <= token
    return seen if window is None else seen & (other > token - window)
