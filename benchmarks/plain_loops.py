"""Judging without the engine: the published loop, and the best that plain transformers is known to do; and the gate.

All take the same model as the engine, with `generate()` of transformers. The end token is switched off: every answer
has its own fixed length.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from preprocessing import reference as prepared
from workload import Sample

from judge.model import attention, images, packed, precision
from judge.model.cache import KeyValueCache
from judge.model.vision import vision_features

SAVE_STEP = 10
"""Samples after which the official loop writes everything (MMIE, main.py, `--save_step`)."""

FORCED = 8
"""Tokens of which the gate compares logits, after the prompt's own."""

BATCH, PADDED = 8, 80_000
"""Prompts of a batch at most, and their tokens with padding: 31 GB of cache at the real shape."""


def reference(model: Any, some: Sequence[Sample], device: str, dtype: Any, folder: Path, records: int) -> Iterator[Any]:
    """One sample at a time as published; yields after each. records: how many the dumped file holds."""
    # what a record holds when half of them have feedback
    rows = [
        {"id": f"PBL-{n}", "question": "q" * 500, "answer": "a" * 400, "gpt_feedback": "f" * 400}
        for n in range(records)
    ]
    for number, sample in enumerate(some, 1):
        yield _generate(model, [sample], device, _pixels(model, sample, device, dtype, torchvision=True))
        if number % SAVE_STEP == 0:
            with (folder / "reference.json").open("w") as file:
                json.dump(rows, file, indent=4)


def static(model: Any, some: Sequence[Sample], device: str, dtype: Any) -> None:
    """One at a time, largest first so that the cache is made once; transformers compiles the steps on CUDA."""
    for sample in sorted(some, key=lambda sample: -len(sample.ids)):
        pixels = _pixels(model, sample, device, dtype)
        _generate(model, [sample], device, pixels, cache_implementation="static")


def batched(model: Any, some: Sequence[Sample], device: str, dtype: Any, limit: int) -> None:
    """`BATCH` at a time, fewer where padding makes them `PADDED` tokens, sorted by length; a batch never holds both
    rope sets. Each writes for its longest answer."""
    import torch

    classes = [
        sorted((s for s in some if (len(s.ids) + s.work.new > limit) == long), key=lambda s: len(s.ids))
        for long in (False, True)
    ]
    for group in classes:
        while group:
            fits = [n for n in range(1, BATCH + 1) if n * len(group[:n][-1].ids) <= PADDED]
            batch, group = group[: max(fits, default=1)], group[max(fits, default=1) :]
            parts = [pixels for sample in batch if (pixels := _pixels(model, sample, device, dtype)) is not None]
            _generate(model, batch, device, torch.cat(parts) if parts else None)


def gate(model: Any, some: Sequence[Sample], device: str) -> dict[str, Any]:
    """Logits after prompt and forced tokens: engine, alone and in company, against transformers' own forward.

    Raises RuntimeError where they differ by more than twice what two kernels of transformers differ by (float32: or
    1e-4 of the largest logit, since its kernels may be the same).
    """
    import torch

    short = sorted((s for s in some if s.files), key=lambda s: len(s.ids))
    texts = [s for s in some if not s.files]
    chosen = [texts[-1], short[0], short[1], short[len(short) // 2]]  # one that comes near the rope's limit
    forced = torch.randint(5, 900, (len(chosen), FORCED), generator=torch.Generator().manual_seed(0)).tolist()
    backends = torch.nn.attention.SDPBackend
    math = [backends.MATH]
    fast = [backends.FLASH_ATTENTION, backends.CUDNN_ATTENTION, backends.EFFICIENT_ATTENTION, backends.MATH]
    plain = [_forward(model, s, f, device, math) for s, f in zip(chosen, forced, strict=True)]
    other = [_forward(model, s, f, device, fast) for s, f in zip(chosen, forced, strict=True)]
    alone = [packed_logits(model, [s], [f], device)[0] for s, f in zip(chosen, forced, strict=True)]
    company = packed_logits(model, chosen, forced, device)

    def apart(a: Sequence[Any], b: Sequence[Any]) -> float:
        return max(float((x - y).abs().max()) for x, y in zip(a, b, strict=True))

    largest = max(float(x.abs().max()) for x in plain)
    floor = apart(plain, other)
    allowed = 2 * floor if model.lm_head.weight.dtype != torch.float32 else max(2 * floor, 1e-4 * largest)
    found = {
        "largest_logit": largest,
        "kernels_apart": floor,
        "allowed": allowed,
        "engine_alone": apart(plain, alone),
        "engine_together": apart(plain, company),
        "alone_and_together": apart(alone, company),
        "prompts": [len(sample.ids) for sample in chosen],
    }
    if max(found["engine_alone"], found["engine_together"]) > allowed:
        raise RuntimeError(f"the engine's logits are not the reference's: {found}")
    return found


def _pixels(model: Any, sample: Sample, device: str, dtype: Any, *, torchvision: bool = False) -> Any:
    """(T, 3, side, side) of all pictures on the device; None without pictures. torchvision: as published."""
    import torch

    if not sample.files:
        return None
    if torchvision:
        return torch.cat([prepared(file, side(model)).to(dtype).to(device) for file in sample.files])
    cut = [images.pixel_values(images.cut_tiles(images.decode_image(file), side(model))) for file in sample.files]
    return torch.cat([torch.from_numpy(one).to(device, dtype) for one in cut])


def side(model: Any) -> int:
    """Pixels of a tile's side."""
    size = model.config.vision_config.image_size
    return int(size if isinstance(size, int) else size[0])


def _generate(model: Any, batch: Sequence[Sample], device: str, pixels: Any, **options: Any) -> Any:
    import torch

    longest, new = max(len(sample.ids) for sample in batch), max(sample.work.new for sample in batch)
    pad = 0
    ids = torch.tensor([[pad] * (longest - len(s.ids)) + list(s.ids) for s in batch], device=device)
    mask = torch.tensor([[0] * (longest - len(s.ids)) + [1] * len(s.ids) for s in batch], device=device)
    with torch.inference_mode():
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            **({} if pixels is None else {"pixel_values": pixels}),
            max_new_tokens=new,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=pad,
            **options,
        )
    if out.shape[1] != longest + new:
        raise RuntimeError(f"{out.shape[1] - longest} tokens instead of {new}")
    return out


def _forward(model: Any, sample: Sample, forced: Sequence[int], device: str, backends: Sequence[Any]) -> Any:
    """(1 + FORCED, vocabulary) float32 by transformers' forward and its growing cache."""
    import torch
    from transformers import DynamicCache

    dtype, rows, cache = model.lm_head.weight.dtype, [], DynamicCache()
    with torch.inference_mode(), torch.nn.attention.sdpa_kernel(list(backends)):
        ids = torch.tensor([list(sample.ids)], device=device)
        out = model(
            input_ids=ids,
            pixel_values=_pixels(model, sample, device, dtype),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        rows.append(out.logits[0, -1].float())
        for token in forced:
            ids = torch.tensor([[token]], device=device)
            rows.append(model(input_ids=ids, past_key_values=cache, use_cache=True).logits[0, -1].float())
    return torch.stack(rows)


def packed_logits(model: Any, some: Sequence[Sample], forced: Sequence[Sequence[int]], device: str) -> list[Any]:
    """(1 + forced tokens, vocabulary) float32 of each sample by the engine's passes, all samples together."""
    import numpy as np
    import torch

    lengths = [len(sample.ids) for sample in some]
    more = len(forced[0])
    starts = [sum(lengths[:n]) + n * more for n in range(len(some))]
    cache = KeyValueCache(model, sum(lengths) + more * len(some))
    beyond = model.model.language_model.rotary_emb.beyond
    with torch.inference_mode(), precision.exact_float32():
        spans = []
        for sample, start, length in zip(some, starts, lengths, strict=True):
            tiles = [images.cut_tiles(images.decode_image(file), side(model)) for file in sample.files]
            features = vision_features(model, np.concatenate(tiles)).flatten(0, 1) if tiles else None
            places = np.flatnonzero(np.asarray(sample.ids) == model.config.image_token_id)
            spans.append(packed.PrefillChunk(sample.ids, start, 0, bool(beyond(length)), places, features))
        rows = [packed.prefill(model, cache, spans)]
        kernel = attention.find_decode_kernel(model)
        for step in range(more):
            tokens = [row[step] for row in forced]
            cached = [length + step for length in lengths]
            batch = packed.DecodeBatch.from_lists(starts, cached, tokens, model.lm_head.weight.device)
            rows.append(packed.decode(model, cache, batch, kernel))
    together = torch.stack(rows, dim=1)
    return list(together.unbind())
