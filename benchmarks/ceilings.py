"""What a device can do: rates of matrix products, of a copy and of attention, measured the way a judge uses them.

    measure_ceilings("cuda", torch.bfloat16, described)
    {"product_flops": 7.8e14, "copy_bandwidth": 4.3e12, "products": {"8192x8192x8192": …}, "attention_flops": …}

`product_flops` is the best of all products measured, `copy_bandwidth` counts what is read and what is written. Values
are random, not zeros: with zeros a GPU draws less power and is faster.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from judge.model.weights.original_layout import Layout


def measure_ceilings(device: str, dtype: Any, described: Layout, *, small: bool = False) -> dict[str, Any]:
    """Operations and bytes a second of this device for a judge of this layout. small: sizes for a CPU, to see that it
    runs."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    text, vision = described.text, described.vision
    h, inner, v = text["hidden_size"], text["intermediate_size"], vision["hidden_size"]
    square, tokens, copied = (256, 256, 1 << 22) if small else (8192, 8192, 8 << 30)
    random = torch.Generator(device).manual_seed(0)

    def values(*shape: int) -> Any:
        return torch.randn(*shape, generator=random, device=device, dtype=dtype)

    products = {}
    shapes = (square, square), (h, 3 * h), (h, h), (h, 2 * inner), (inner, h), (v, vision["intermediate_size"])
    for inside, outside in shapes:
        rows = square if (inside, outside) == (square, square) else tokens
        a, b = values(rows, inside), values(inside, outside)
        seconds = _seconds(lambda a=a, b=b: a @ b, device)  # type: ignore[misc]
        products[f"{rows}x{inside}x{outside}"] = 2 * rows * inside * outside / seconds
    source = torch.empty(copied, dtype=torch.uint8, device=device).random_(generator=random)
    target = torch.empty_like(source)
    copy = 2 * copied / _seconds(lambda: target.copy_(source), device)
    heads = text["num_attention_heads"]
    q, k, w = (values(1, heads, tokens, h // heads) for _ in range(3))
    attention = _seconds(lambda: scaled_dot_product_attention(q, k, w, is_causal=True), device)
    return {
        "product_flops": max(products.values()),
        "products": products,
        "copy_bandwidth": copy,
        "attention_flops": 2 * tokens**2 * h / attention,
    }


def _seconds(work: Callable[[], Any], device: str, repeats: int = 10) -> float:
    """Of one call, the fastest of three rounds of `repeats`."""
    import torch

    rounds = []
    for _ in range(4):  # the first warms up
        start = time.perf_counter()
        for _ in range(repeats):
            work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        rounds.append((time.perf_counter() - start) / repeats)
    return min(rounds[1:])
