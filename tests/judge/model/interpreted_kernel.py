"""Run by test_decode_kernel.py with TRITON_INTERPRET=1, which Triton reads when it is imported: a line a check."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from judge.model import attention, decode_kernel, generate
from judge.model.cache import KeyValueCache
from judge.model.weights import checkpoint

decode_kernel.SPLIT, decode_kernel.BLOCK = 32, 16


def cached(heads, lengths, size, dtype):
    """Sequences in a layer of a cache, NaN wherever no token is: what must not be read, not even to be masked."""
    torch.manual_seed(0)
    starts = [3 + sum(lengths[:n]) + 3 * n for n in range(len(lengths))]
    keys = torch.full((starts[-1] + lengths[-1] + 3, heads[1], size), float("nan"), dtype=dtype)
    values = keys.clone()
    for start, length in zip(starts, lengths, strict=True):
        for x in (keys, values):
            x[start : start + length] = torch.randn(length, heads[1], size)
    return torch.randn(len(lengths), heads[0], size).to(dtype), keys, values, starts


def the_kernel_is_the_plain_path():
    lengths = [1, 32, 33, 97]
    exact, rounded = (torch.float32, 2e-6), (torch.bfloat16, 2e-2)
    for heads, size, (dtype, tolerance) in (((2, 2), 16, exact), ((4, 2), 24, rounded), ((2, 1), 96, exact)):
        q, keys, values, starts = cached(heads, lengths, size, dtype)
        found = decode_kernel.launch_decode_attention(
            q, keys, values, torch.tensor(starts), torch.tensor(lengths), max(lengths)
        )
        assert found.dtype == dtype
        expected = attention.decode_attention(q.float(), keys.float(), values.float(), starts, lengths)
        torch.testing.assert_close(found.float(), expected, atol=tolerance, rtol=0)


def company_changes_nothing():
    """Bit for bit: splits are a sequence's own."""
    lengths = [40, 3, 100]
    q, keys, values, starts = cached((1, 1), lengths, 16, torch.float32)
    together = decode_kernel.launch_decode_attention(q, keys, values, torch.tensor(starts), torch.tensor(lengths), 100)
    for n, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        for longest in (length, 300):
            one = (q[n : n + 1], keys, values, torch.tensor([start]), torch.tensor([length]), longest)
            assert torch.equal(decode_kernel.launch_decode_attention(*one)[0], together[n])


def the_check_before_the_first_use_passes():
    assert attention._checked(torch.device("cpu"), torch.bfloat16, 2, 1, 16) is decode_kernel.launch_decode_attention


def the_judge_writes_the_same():
    """Recorded prompts across both rope sets, with the kernel and without."""
    decode_kernel.SPLIT = 64
    model = checkpoint.load_model(Path(sys.argv[1]))
    torch.manual_seed(0)
    rows = [generate.ModelInput(torch.randint(3, 500, (length,)).tolist()) for length in (40, 127)]
    expected = dict(generate.generate_all(model, rows, stop=567, max_new_tokens=2))
    calls = []
    attention.find_decode_kernel = lambda model: (
        lambda *args: calls.append(1) or decode_kernel.launch_decode_attention(*args)
    )
    found = dict(generate.generate_all(model, rows, stop=567, max_new_tokens=2))
    assert [found[n].ids for n in range(2)] == [expected[n].ids for n in range(2)]
    assert len(calls) == len(KeyValueCache(model, 1).keys)  # every step but the first, every layer


if __name__ == "__main__":
    for check in (
        the_kernel_is_the_plain_path,
        company_changes_nothing,
        the_check_before_the_first_use_passes,
        the_judge_writes_the_same,
    ):
        check()
        print("ok", check.__name__, flush=True)
