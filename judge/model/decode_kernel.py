"""Decode attention of all sequences in two launches, on a GPU (Triton). Imported only where it is used.

    launch_decode_attention(q, keys, values, starts, lengths, longest)   # starts, lengths (sequences,) on the device

Decoding a token reads all keys and values of its sequence once, and nothing else takes as long: what counts is that
every core reads at once. So each sequence and head is split into stretches of `SPLIT` tokens that are read side by
side, and what they found is joined (flash decoding). Splits are counted from the sequence's own first token, so what is
computed for it does not depend on its company. Products are plain float32 sums, not tensor cores' rounded ones.

Tested by Triton's interpreter against `judge.model.attention.decode_attention`; not yet run on a GPU.
`judge.model.attention.find_decode_kernel` therefore compares the two on the device before the first use.
"""

# ruff: noqa: N803 - constants of a kernel are written as such
from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl

SPLIT = 512
BLOCK = 64


def launch_decode_attention(q: Any, keys: Any, values: Any, starts: Any, lengths: Any, longest: int) -> Any:
    """(sequences, heads, size). q as that; keys, values: a layer of the cache (slots, key heads, size), contiguous.

    starts, lengths (sequences,): the first slot and the tokens of each in the cache. longest: no length is above it.
    """
    rows, heads, size = q.shape
    padded, splits = triton.next_power_of_2(size), triton.cdiv(longest, SPLIT)
    found = torch.empty((rows, heads, splits, padded), dtype=torch.float32, device=q.device)
    weights = torch.empty((rows, heads, splits), dtype=torch.float32, device=q.device)
    out = torch.empty_like(q, memory_format=torch.contiguous_format)
    shape = {"HEADS": heads, "SIZE": size, "PADDED": padded, "SPLIT": SPLIT}
    _parts[(rows, heads, splits)](
        *(q.contiguous(), keys, values, starts, lengths, found, weights, 1 / math.sqrt(size), splits),
        **shape,
        KEY_HEADS=keys.shape[1],
        BLOCK=BLOCK,
    )
    _join[(rows, heads)](found, weights, lengths, out, splits, **shape)
    return out


@triton.jit
def _parts(  # type: ignore[no-untyped-def]
    q,
    k,
    v,
    starts,
    lengths,
    found,
    weights,
    scale,
    splits,
    HEADS: tl.constexpr,
    SIZE: tl.constexpr,
    PADDED: tl.constexpr,
    SPLIT: tl.constexpr,
    KEY_HEADS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """One split of one head of one sequence: its weighted sum of values, and the logarithm of its weight."""
    sequence, head, split = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    length = tl.load(lengths + sequence)
    first = split * SPLIT
    if first < length:
        start = tl.load(starts + sequence)
        d = tl.arange(0, PADDED)
        query = tl.load(q + (sequence * HEADS + head) * SIZE + d, mask=d < SIZE, other=0.0).to(tl.float32) * scale
        best = -float("inf")
        total = 0.0
        sums = tl.zeros([PADDED], dtype=tl.float32)
        for block in range(0, SPLIT, BLOCK):
            token = first + block + tl.arange(0, BLOCK)
            inside = token < length
            slot = ((start + token).to(tl.int64) * KEY_HEADS + head // (HEADS // KEY_HEADS)) * SIZE
            mask = inside[:, None] & (d < SIZE)[None, :]
            key = tl.load(k + slot[:, None] + d[None, :], mask=mask, other=0.0).to(tl.float32)
            score = tl.where(inside, tl.sum(key * query[None, :], 1), -float("inf"))
            new = tl.maximum(best, tl.max(score, 0))
            weight = tl.exp(score - new)
            value = tl.load(v + slot[:, None] + d[None, :], mask=mask, other=0.0).to(tl.float32)
            sums = sums * tl.exp(best - new) + tl.sum(weight[:, None] * value, 0)
            total = total * tl.exp(best - new) + tl.sum(weight, 0)
            best = new
        at = (sequence * HEADS + head) * splits + split
        tl.store(found + at * PADDED + d, sums / total)
        tl.store(weights + at, best + tl.log(total))


@triton.jit
def _join(  # type: ignore[no-untyped-def]
    found,
    weights,
    lengths,
    out,
    splits,
    HEADS: tl.constexpr,
    SIZE: tl.constexpr,
    PADDED: tl.constexpr,
    SPLIT: tl.constexpr,
):
    """All splits of one head of one sequence, by their weights."""
    sequence, head = tl.program_id(0), tl.program_id(1)
    length = tl.load(lengths + sequence)
    d = tl.arange(0, PADDED)
    best = -float("inf")
    total = 0.0
    sums = tl.zeros([PADDED], dtype=tl.float32)
    for split in range(0, (length + SPLIT - 1) // SPLIT):  # noqa: PIE808 - as Triton's own examples write it
        at = (sequence * HEADS + head) * splits + split
        weight = tl.load(weights + at)
        new = tl.maximum(best, weight)
        part = tl.load(found + at * PADDED + d)
        sums = sums * tl.exp(best - new) + part * tl.exp(weight - new)
        total = total * tl.exp(best - new) + tl.exp(weight - new)
        best = new
    tl.store(out + (sequence * HEADS + head) * SIZE + d, (sums / total).to(out.dtype.element_ty), mask=d < SIZE)
