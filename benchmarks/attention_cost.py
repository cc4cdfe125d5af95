"""What reading attention rows costs: a forward pass with the probe, without it, and with whole matrices of attention.

    python benchmarks/attention_cost.py [--device cpu] [--dtype float32] [--sizes tiny middle] [--repeats 9]

A LLaVA with random weights reads a picture and a question of 150 tokens. `plain` is its forward pass (attention by
sdpa), as when it is only asked; `probe` the same with the rows of the question's tokens read in the first and the last
layer, as `mmjudge analyse` does; `matrices` asks transformers for all of them (`output_attentions=True`, which makes
every layer fall back to eager attention). The logits of plain and probe are compared first: one bit of difference ends
the run. The rows are compared with the matrices.

The three take turns, and the fastest of `--repeats` counts; on a CPU it is processor time, of one thread. Memory is
what tensors hold at once above the model and its inputs: on a GPU as its allocator counts it, on a CPU the storages of
all tensors that operations return, counted in a pass of its own. What an operation needs inside is not seen there.

Sizes: tiny 2 layers of 64 and 64 visual tokens; middle 12 layers of 1,024 and 576 visual tokens (0.2 billion weights
with a vision tower of 4 layers); large, for a GPU, 32 layers of 4,096 and 576 visual tokens (as LLaVA-1.5-7B).

Prints a Markdown table, then JSON.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from judge.attention.probe import AttentionProbe

QUESTION = 150
"""Tokens of the question: MMVU's have 60 to 200."""
BEFORE, AFTER = 30, 6
"""Tokens of the system's text, and of what the template puts before the answer."""
IMAGE = 3
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"layers": 2, "hidden": 64, "heads": 4, "key_heads": 2, "inner": 128, "vision": 2, "side": 8},
    "middle": {"layers": 12, "hidden": 1024, "heads": 16, "key_heads": 4, "inner": 2816, "vision": 4, "side": 24},
    "large": {"layers": 32, "hidden": 4096, "heads": 32, "key_heads": 32, "inner": 11008, "vision": 24, "side": 24},
}
SIDES = ("plain", "probe", "matrices")


def make_model(size: str, device: str, dtype: str) -> tuple[Any, dict[str, Any], list[int]]:
    """(model, inputs, positions of the question's tokens). Vision and text are as wide as each other."""
    import torch
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

    shape = SIZES[size]
    wide = min(shape["hidden"], 1024)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=wide, intermediate_size=4 * wide, num_hidden_layers=shape["vision"],
            num_attention_heads=min(shape["heads"], 16), image_size=14 * shape["side"], patch_size=14,
            projection_dim=wide,
        ),
        text_config=LlamaConfig(
            hidden_size=shape["hidden"], intermediate_size=shape["inner"], num_hidden_layers=shape["layers"],
            num_attention_heads=shape["heads"], num_key_value_heads=shape["key_heads"], vocab_size=1000,
        ),
        image_token_index=IMAGE,
    )  # fmt: skip
    torch.manual_seed(0)
    before = torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, dtype))
    try:
        with torch.device(device):
            model = LlavaForConditionalGeneration(config).eval()
    finally:
        torch.set_default_dtype(before)
    visual = shape["side"] ** 2
    text = torch.randint(10, 1000, (BEFORE + QUESTION + AFTER,))
    ids = torch.cat([text[:BEFORE], torch.full((visual,), IMAGE), text[BEFORE:]])[None].to(device)
    pixels = torch.randn(1, 3, 14 * shape["side"], 14 * shape["side"]).to(device, model.dtype)
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "pixel_values": pixels}
    first = BEFORE + visual
    return model, inputs, list(range(first, first + QUESTION))


def passes(model: Any, inputs: dict[str, Any], rows: Sequence[int]) -> dict[str, Callable[[], Any]]:
    """Each side as a call that gives (logits of the last token, mean rows of the last layer or None)."""

    def plain() -> Any:
        return model(**inputs, use_cache=False, logits_to_keep=1).logits, None

    def probe() -> Any:
        with AttentionProbe(model, [0, -1], rows) as found:
            logits = model(**inputs, use_cache=False, logits_to_keep=1).logits
        return logits, found.rows(-1)

    def matrices() -> Any:
        model.set_attn_implementation("eager")
        try:
            output = model(**inputs, use_cache=False, logits_to_keep=1, output_attentions=True)
        finally:
            model.set_attn_implementation("sdpa")
        return output.logits, output.attentions[-1][0, :, rows].float().mean(dim=0).cpu().numpy()

    return {"plain": plain, "probe": probe, "matrices": matrices}


def compare_sides(calls: dict[str, Callable[[], Any]]) -> float:
    """The greatest difference of a row from that of the whole matrix. Raises RuntimeError where logits changed."""
    import torch

    logits, _ = calls["plain"]()
    probed, rows = calls["probe"]()
    if not torch.equal(logits, probed):
        raise RuntimeError("the probe changed the logits")
    _, whole = calls["matrices"]()
    return float(np.abs(rows - whole).max())


def fastest(calls: dict[str, Callable[[], Any]], repeats: int, device: str) -> dict[str, float]:
    """Seconds by side; they take turns."""
    import torch

    clock = time.process_time if device == "cpu" else time.perf_counter
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(repeats):
        for side, call in calls.items():
            started = clock()
            call()
            if device != "cpu":
                torch.cuda.synchronize()
            best[side] = min(best[side], clock() - started)
    return best


def peak_bytes(call: Callable[[], Any], device: str) -> int:
    """Bytes that tensors held at once during a call, above what was held before."""
    import torch

    if device == "cpu":
        return _counted(call)
    torch.cuda.synchronize()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    call()
    torch.cuda.synchronize()
    return int(torch.cuda.max_memory_allocated() - before)


def _counted(call: Callable[[], Any]) -> int:
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_iter

    held: dict[int, int] = {}
    now, peak = 0, 0

    def release(key: int) -> None:
        nonlocal now
        now -= held.pop(key, 0)

    class Counting(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            nonlocal now, peak
            given = {
                tensor.untyped_storage()._cdata
                for tensor in tree_iter((args, kwargs))
                if isinstance(tensor, torch.Tensor)
            }
            result = function(*args, **(kwargs or {}))
            for tensor in tree_iter(result):
                if not isinstance(tensor, torch.Tensor):
                    continue
                storage = tensor.untyped_storage()
                key = storage._cdata
                if key in held or key in given:
                    continue  # a view
                held[key] = storage.nbytes()
                now += held[key]
                peak = max(peak, now)
                weakref.finalize(storage, release, key)
            return result

    with Counting():
        call()
    return peak


def measure_size(size: str, device: str, dtype: str, repeats: int) -> dict[str, Any]:
    """One row of the table: seconds and bytes by side, and their ratios to plain."""
    import torch

    model, inputs, rows = make_model(size, device, dtype)
    with torch.no_grad():
        calls = passes(model, inputs, rows)
        difference = compare_sides(calls)
        held = {side: peak_bytes(call, device) for side, call in calls.items()}
        seconds = fastest(calls, repeats, device)
    return {
        "size": size,
        "weights": sum(parameter.numel() for parameter in model.parameters()),
        "tokens": inputs["input_ids"].shape[1],
        "rows": len(rows),
        "difference": difference,
        "seconds": seconds,
        "bytes": held,
        "time_ratio": {side: seconds[side] / seconds["plain"] for side in SIDES[1:]},
        "memory_ratio": {side: held[side] / held["plain"] for side in SIDES[1:]},
    }


def table(found: Sequence[dict[str, Any]]) -> str:
    """Markdown: a line a size."""
    lines = [
        "| size | tokens | rows | plain | probe | matrices | time, probe | time, matrices | memory, plain | probe |"
        " matrices |",
        "|" + "---|" * 11,
    ]
    for row in found:
        cells = [row["size"], f"{row['tokens']}", f"{row['rows']}"]
        cells += [f"{1000 * row['seconds'][side]:.1f} ms" for side in SIDES]
        cells += [f"× {row['time_ratio'][side]:.3f}" for side in SIDES[1:]]
        cells += [f"{row['bytes'][side] / 2**20:.1f} MiB" for side in SIDES]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table and the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=["tiny", "middle"])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    import torch
    import transformers

    torch.set_num_threads(1)
    found = {
        "device": torch.cuda.get_device_name() if args.device != "cpu" else platform.processor() or "cpu",
        "dtype": args.dtype,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "sizes": [measure_size(size, args.device, args.dtype, args.repeats) for size in args.sizes],
    }
    print(table(found["sizes"]))
    print()
    text = json.dumps(found)
    print(text)
    if args.out is not None:
        args.out.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
