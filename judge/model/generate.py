"""Batched greedy decoding that gives every prompt what it would get alone.

Prompts are read one at a time (no padding, no mask: the tokens are many and the device is busy anyway), then written
together: their caches are padded on the left and joined, each row keeps its own positions and with them its own rope
regime (`judge.model.rope`), and rows leave the batch as they finish.

    for number, done in greedy(model, rows, stop=32007, max_new_tokens=1024):
        done.ids, done.stopped            # (293, 21107, …, 32007), True

As the reference's `chat()`: greedy, no repetition penalty, `<|end|>` is the only stop token.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from judge.model import conversation, images

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from judge.model.tokenizer import Tokenizer

TILES_AT_ONCE = 32
"""Tiles in one pass of the vision tower; counted within a prompt, so that a batch does not change it."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A prompt ready to be read. tiles: uint8 (tiles, side, side, 3) of all its pictures in order, or None."""

    ids: Sequence[int]
    tiles: npt.NDArray[np.uint8] | None = None


@dataclasses.dataclass(frozen=True)
class Generated:
    """ids: new tokens, the stop token included where it was reached. prefill_logits: (vocabulary,), of the first new
    token. For every new token, top: its logit, watched: the logits of the `watch` ids."""

    ids: tuple[int, ...]
    stopped: bool
    prefill_logits: Any
    top: tuple[float, ...]
    watched: tuple[tuple[float, ...], ...]


def greedy(
    model: Any, rows: Sequence[Row], *, stop: int, max_new_tokens: int, watch: Sequence[int] = ()
) -> Iterator[tuple[int, Generated]]:
    """Yield (position in rows, what was generated) as rows finish."""
    import torch

    read = [_read(model, row) for row in rows]
    cache, first = _joined([cache for cache, _ in read]), torch.stack([logits for _, logits in read])
    del read
    active, logits = list(range(len(rows))), first
    new: list[list[int]] = [[] for _ in rows]
    top: list[list[float]] = [[] for _ in rows]
    watched: list[list[tuple[float, ...]]] = [[] for _ in rows]
    columns = torch.tensor(list(watch), dtype=torch.long, device=logits.device)
    while True:
        best = logits.max(-1)
        chosen = zip(active, best.indices.tolist(), best.values.tolist(), logits[:, columns].tolist(), strict=True)
        for i, token, logit, seen in chosen:
            new[i].append(token)
            top[i].append(logit)
            watched[i].append(tuple(seen))
        finished = {i for i in active if new[i][-1] == stop or len(new[i]) == max_new_tokens}
        for i in sorted(finished):
            yield i, Generated(tuple(new[i]), new[i][-1] == stop, first[i], tuple(top[i]), tuple(watched[i]))
        keep = [place for place, i in enumerate(active) if i not in finished]
        if not keep:
            return
        active = [active[place] for place in keep]
        # tokens cached so far: the newest one is about to be fed
        lengths = [len(rows[i].ids) + len(new[i]) - 1 for i in active]
        if finished:
            _select(cache, keep, max(lengths))
        if model.rope_regime == "recompute":
            limit = model.model.language_model.rotary_emb.limit
            for place, i in enumerate(active):
                if lengths[place] == limit:
                    _replace(cache, place, _read(model, rows[i], new[i])[0], limit)
        logits = _step(model, cache, [new[i][-1] for i in active], lengths)


def text(tokenizer: Tokenizer, generated: Generated) -> str:
    """What was generated, as `chat()` gives it back: stop token cut off, white space stripped."""
    ids = generated.ids[:-1] if generated.stopped else generated.ids
    # a stop token that was spelled out in ordinary pieces ends the text too
    return tokenizer.decode(ids).split(conversation.STOP)[0].strip()


def vision_features(model: Any, tiles: npt.NDArray[np.uint8]) -> Any:
    """What the language model sees of uint8 tiles (T, side, side, 3): (T, tokens of a tile, hidden size)."""
    import torch

    weight = model.lm_head.weight
    with torch.inference_mode(), exact_float32():
        parts = []
        for start in range(0, len(tiles), TILES_AT_ONCE):
            pixels = torch.from_numpy(images.pixel_values(tiles[start : start + TILES_AT_ONCE]))
            parts.append(model.get_image_features(pixels.to(weight.device, weight.dtype)).pooler_output)
        return torch.cat(parts)


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Float32 that is float32 on CUDA: no TF32, whatever another model of this process has set."""
    import torch

    backends: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    name, exact = "allow_tf32", False
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # torch 2.9: the two interfaces must not be mixed
        backends[1], name, exact = torch.backends.cudnn.conv, "fp32_precision", "ieee"  # type: ignore[assignment]
    before = [getattr(backend, name) for backend in backends]
    try:
        for backend in backends:
            setattr(backend, name, exact)
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            setattr(backend, name, value)


def _read(model: Any, row: Row, continued: Sequence[int] = ()) -> tuple[Any, Any]:
    """Cache of one prompt with what was generated from it so far, and the logits (vocabulary,) after its last token."""
    import torch
    from transformers import DynamicCache

    language = model.model.language_model
    ids = torch.tensor([[*row.ids, *continued]], device=model.lm_head.weight.device)
    with torch.inference_mode(), exact_float32():
        embedded = language.embed_tokens(ids)
        places = ids == model.config.image_token_id
        # a generated image token is text: only the prompt's own stand for pictures
        places[:, len(row.ids) :] = False
        if row.tiles is not None:
            features = vision_features(model, row.tiles).flatten(0, 1)
            if int(places.sum()) != len(features):
                raise ValueError(f"{int(places.sum())} image tokens for {len(features)} image features")
            embedded[places] = features.to(embedded.dtype)
        elif places.any():
            raise ValueError("image tokens without images")
        positions = torch.arange(ids.shape[1], device=ids.device)[None]
        output = language(
            inputs_embeds=embedded, position_ids=positions, past_key_values=DynamicCache(), use_cache=True
        )
        return output.past_key_values, model.lm_head(output.last_hidden_state[0, -1]).float()


def _step(model: Any, cache: Any, tokens: Sequence[int], lengths: Sequence[int]) -> Any:
    """Feed one token a row; lengths: tokens each row has cached. Returns logits (rows, vocabulary), float32."""
    import torch

    language = model.model.language_model
    device = model.lm_head.weight.device
    longest = max(lengths)
    places = torch.arange(longest + 1, device=device)
    padding = longest - torch.tensor(lengths, device=device)
    with torch.inference_mode(), exact_float32():
        output = language(
            input_ids=torch.tensor(tokens, device=device)[:, None],
            attention_mask=(places >= padding[:, None]).long() if min(lengths) < longest else None,
            # a row's own positions: without them padding would count
            position_ids=torch.tensor(lengths, device=device)[:, None],
            past_key_values=cache,
            use_cache=True,
        )
        return model.lm_head(output.last_hidden_state[:, -1]).float()


def _joined(caches: Sequence[Any]) -> Any:
    """One cache of several rows, padded on the left. Empties the given ones layer by layer."""
    import torch
    from transformers import DynamicCache

    longest = max(cache.get_seq_length() for cache in caches)
    joined = DynamicCache()
    with torch.inference_mode():
        for number in range(len(caches[0].layers)):
            layers = [cache.layers[number] for cache in caches]
            pair = []
            for name in ("keys", "values"):
                parts = [getattr(layer, name) for layer in layers]
                shape = (len(parts), parts[0].shape[1], longest, parts[0].shape[3])
                whole = parts[0].new_zeros(shape)
                for place, part in enumerate(parts):
                    whole[place, :, longest - part.shape[2] :] = part[0]
                pair.append(whole)
            for layer in layers:
                layer.keys = layer.values = None
            joined.update(pair[0], pair[1], number)
    return joined


def _select(cache: Any, keep: Sequence[int], longest: int) -> None:
    """Keep these rows and the last `longest` tokens of them."""
    import torch

    with torch.inference_mode():
        for layer in cache.layers:
            rows = torch.tensor(list(keep), device=layer.keys.device)
            layer.keys = layer.keys[rows, :, -longest:]
            layer.values = layer.values[rows, :, -longest:]


def _replace(cache: Any, place: int, other: Any, length: int) -> None:
    """Put the first `length` tokens of a one-row cache into a row, at its end."""
    import torch

    with torch.inference_mode():
        for layer, source in zip(cache.layers, other.layers, strict=True):
            layer.keys[place, :, -length:] = source.keys[0, :, :length]
            layer.values[place, :, -length:] = source.values[0, :, :length]
