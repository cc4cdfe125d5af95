"""The language model over several sequences at once: their tokens side by side in one row, and no padding.

    chunks = [PrefillChunk(ids, start=0, first=0), PrefillChunk(ids, start=5_000, first=700)]
    prefill(model, cache, chunks)                                                       # logits (2, vocabulary)
    decode(model, cache, DecodeBatch.from_lists([0, 5_000], [9, 812], [4, 7], device))  # logits (2, vocabulary)

Everything but attention treats tokens one by one, so tokens of all sequences go through it together; attention goes
sequence by sequence over the cache (`judge.model.cache`), where each layer has just put the new keys and values. The
modules are those of transformers' Phi-3 (models/phi3/modeling_phi3.py), put together here because its own forward
knows padded rows only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from judge.model import attention
from judge.model.cache import KeyValueCache


@dataclasses.dataclass(frozen=True)
class PrefillChunk:
    """Tokens of one sequence that are computed in one prefill pass.

    ids: theirs. start: the sequence's first slot in the cache; first: the position of ids[0], before which all is
    cached. long: which rope set rotates them. features: (image tokens among ids, hidden size) or None; images: where
    in ids they go. last: nothing of the prompt comes after.
    """

    ids: Sequence[int]
    start: int
    first: int
    long: bool
    images: Any = None
    features: Any = None
    last: bool = True

    @property
    def stop(self) -> int:
        """The position after the last of ids: so many tokens are cached after the pass."""
        return self.first + len(self.ids)

    def split(self, count: int) -> tuple[PrefillChunk, PrefillChunk]:
        """The first `count` tokens, and the others."""
        parts = []
        for begin, end in ((0, count), (count, len(self.ids))):
            images, features = self.images, self.features
            if features is not None:
                here = slice(*images.searchsorted([begin, end]))
                images, features = images[here] - begin, features[here]
            ids, last = self.ids[begin:end], self.last and end == len(self.ids)
            parts.append(PrefillChunk(ids, self.start, self.first + begin, self.long, images, features, last))
        return parts[0], parts[1]


def split_into_passes(chunks: Sequence[PrefillChunk], max_tokens: int) -> Iterator[list[PrefillChunk]]:
    """Chunks side by side, at most `max_tokens` tokens in each list; one that is longer is split."""
    together: list[PrefillChunk] = []
    room = max_tokens
    for chunk in chunks:
        if together and len(chunk.ids) > room:
            yield together
            together, room = [], max_tokens
        while len(chunk.ids) > max_tokens:
            part, chunk = chunk.split(max_tokens)
            yield [part]
        together.append(chunk)
        room -= len(chunk.ids)
    if together:
        yield together


@dataclasses.dataclass
class DecodeBatch:
    """Sequences that get a token each, on the host and on the device. starts: first slots in the cache; lengths:
    tokens cached; tokens: the newest token of each, not cached yet."""

    starts: list[int]
    lengths: list[int]
    device_starts: Any
    device_lengths: Any
    device_tokens: Any

    @classmethod
    def from_lists(
        cls, starts: Sequence[int], lengths: Sequence[int], tokens: Sequence[int], device: Any
    ) -> DecodeBatch:
        """The batch of as many sequences as each list has numbers, copied to the device at once."""
        import torch

        rows = torch.tensor([list(starts), list(lengths), list(tokens)], device=device)
        return cls(list(starts), list(lengths), *rows.unbind())

    def advance(self, tokens: Any) -> None:
        """After a step: every sequence has one token more, and `tokens` (sequences,) are the newest."""
        self.lengths = [length + 1 for length in self.lengths]
        self.device_lengths += 1
        self.device_tokens = tokens


def prefill(model: Any, cache: KeyValueCache, chunks: Sequence[PrefillChunk]) -> Any:
    """Compute chunks and put their keys and values into the cache. Logits (chunks, vocabulary) after the last token of
    each, float32."""
    import torch

    language, device = model.model.language_model, model.lm_head.weight.device
    ids = torch.tensor([i for chunk in chunks for i in chunk.ids], device=device)
    x = language.embed_tokens(ids)
    starts = [0]  # of each chunk in the row
    for chunk in chunks:
        if chunk.features is not None:
            x[torch.from_numpy(chunk.images).to(device) + starts[-1]] = chunk.features
        starts.append(starts[-1] + len(chunk.ids))
    positions = torch.cat([torch.arange(chunk.first, chunk.stop, device=device) for chunk in chunks])
    counts = torch.tensor([len(chunk.ids) for chunk in chunks], device=device)
    long, first_slots = torch.tensor(
        [[chunk.long for chunk in chunks], [chunk.start for chunk in chunks]], device=device
    ).repeat_interleave(counts, dim=1, output_size=len(ids))
    window = model.config.text_config.sliding_window

    def attend(q: Any, keys: Any, values: Any) -> Any:
        return torch.cat(
            [
                attention.prefill_attention(
                    q[begin:end],
                    keys[chunk.start : chunk.start + chunk.stop],
                    values[chunk.start : chunk.start + chunk.stop],
                    window,
                )
                for chunk, begin, end in zip(chunks, starts, starts[1:], strict=False)
            ]
        )

    rotation = language.rotary_emb.rotation(x, positions, long.bool())
    x = _layers(model, cache, x, rotation, first_slots + positions, attend)
    return _logits(model, x[torch.tensor(starts[1:], device=device) - 1])


def decode(model: Any, cache: KeyValueCache, batch: DecodeBatch, kernel: Callable[..., Any] | None = None) -> Any:
    """Put the newest token of every sequence into the cache. Logits (sequences, vocabulary) after it, float32.

    kernel: as `attention.decode_attention` but with starts and lengths on the device; None: that one.
    """
    language, window = model.model.language_model, model.config.text_config.sliding_window
    x, positions = language.embed_tokens(batch.device_tokens), batch.device_lengths
    rotation = language.rotary_emb.rotation(x, positions, language.rotary_emb.beyond(positions + 1))
    if kernel is None:
        lengths = [length + 1 for length in batch.lengths]

        def attend(q: Any, keys: Any, values: Any) -> Any:
            return attention.decode_attention(q, keys, values, batch.starts, lengths, window)
    else:
        device_lengths, longest = positions + 1, max(batch.lengths) + 1

        def attend(q: Any, keys: Any, values: Any) -> Any:
            return kernel(q, keys, values, batch.device_starts, device_lengths, longest)

    return _logits(model, _layers(model, cache, x, rotation, batch.device_starts + positions, attend))


def _layers(model: Any, cache: KeyValueCache, x: Any, rotation: tuple[Any, Any], slots: Any, attend: Any) -> Any:
    """Hidden states (tokens, size) after all layers. slots: where in the cache each token goes."""
    text = model.config.text_config
    cos, sin = (table[:, None] for table in rotation)
    size = text.hidden_size // text.num_attention_heads
    heads = [text.num_attention_heads, text.num_key_value_heads, text.num_key_value_heads]
    for layer, keys, values in zip(model.model.language_model.layers, cache.keys, cache.values, strict=True):
        qkv = layer.self_attn.qkv_proj(layer.input_layernorm(x))
        q, k, v = qkv.unflatten(-1, (-1, size)).split(heads, dim=1)
        q, k = _rotated(q, cos, sin), _rotated(k, cos, sin)
        keys.index_copy_(0, slots, k)
        values.index_copy_(0, slots, v)
        x = x + layer.self_attn.o_proj(attend(q, keys, values).flatten(1))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return x


def _rotated(x: Any, cos: Any, sin: Any) -> Any:
    import torch

    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


def _logits(model: Any, x: Any) -> Any:
    return model.lm_head(model.model.language_model.norm(x)).float()
