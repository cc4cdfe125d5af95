"""The language model over several sequences at once: their tokens side by side in one row, and no padding.

    logits = read(model, cache, [Span(ids, start=0, first=0), Span(ids, start=5_000, first=700)])   # (2, vocabulary)
    logits = write(model, cache, batch)                                                             # (rows, vocabulary)

Everything but attention treats tokens one by one, so tokens of all sequences go through it together; attention goes
sequence by sequence over the cache (`judge.model.cache`), where each layer has just put the new keys and values. The
modules are those of transformers' Phi-3 (models/phi3/modeling_phi3.py), put together here because its own forward
knows padded rows only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from judge.model import attention
from judge.model.cache import KeyValues


@dataclasses.dataclass(frozen=True)
class Span:
    """Tokens of one sequence that are read in one pass.

    ids: theirs. start: the sequence's first place in the cache; first: the position of ids[0], before which all is
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
        return self.first + len(self.ids)

    def cut(self, count: int) -> tuple[Span, Span]:
        """The first `count` tokens, and the others."""
        parts = []
        for begin, end in ((0, count), (count, len(self.ids))):
            images, features = self.images, self.features
            if features is not None:
                here = slice(*images.searchsorted([begin, end]))
                images, features = images[here] - begin, features[here]
            last = self.last and end == len(self.ids)
            parts.append(Span(self.ids[begin:end], self.start, self.first + begin, self.long, images, features, last))
        return parts[0], parts[1]


@dataclasses.dataclass
class Batch:
    """Sequences that write a token each, on the host and on the device. starts: first places in the cache; lengths:
    tokens cached; tokens: the newest token of each, not cached yet."""

    starts: list[int]
    lengths: list[int]
    device_starts: Any
    device_lengths: Any
    device_tokens: Any

    @classmethod
    def of(cls, starts: Sequence[int], lengths: Sequence[int], tokens: Sequence[int], device: Any) -> Batch:
        import torch

        rows = torch.tensor([list(starts), list(lengths), list(tokens)], device=device)
        return cls(list(starts), list(lengths), *rows.unbind())

    def advance(self, tokens: Any) -> None:
        """After a step: every sequence has one token more, and `tokens` (rows,) are the newest."""
        self.lengths = [length + 1 for length in self.lengths]
        self.device_lengths += 1
        self.device_tokens = tokens


def read(model: Any, cache: KeyValues, spans: Sequence[Span]) -> Any:
    """Put spans into the cache. Logits (spans, vocabulary) after the last token of each, float32."""
    import torch

    language, device = model.model.language_model, model.lm_head.weight.device
    ids = torch.tensor([i for span in spans for i in span.ids], device=device)
    x = language.embed_tokens(ids)
    starts = [0]  # of each span in the row
    for span in spans:
        if span.features is not None:
            x[torch.from_numpy(span.images).to(device) + starts[-1]] = span.features
        starts.append(starts[-1] + len(span.ids))
    positions = torch.cat([torch.arange(span.first, span.stop, device=device) for span in spans])
    counts = torch.tensor([len(span.ids) for span in spans], device=device)
    long, first_places = torch.tensor(
        [[span.long for span in spans], [span.start for span in spans]], device=device
    ).repeat_interleave(counts, dim=1, output_size=len(ids))
    window = model.config.text_config.sliding_window

    def attend(q: Any, keys: Any, values: Any) -> Any:
        return torch.cat(
            [
                attention.reading(
                    q[begin:end],
                    keys[span.start : span.start + span.stop],
                    values[span.start : span.start + span.stop],
                    window,
                )
                for span, begin, end in zip(spans, starts, starts[1:], strict=False)
            ]
        )

    rotation = language.rotary_emb.rotation(x, positions, long.bool())
    x = _layers(model, cache, x, rotation, first_places + positions, attend)
    return _logits(model, x[torch.tensor(starts[1:], device=device) - 1])


def write(model: Any, cache: KeyValues, batch: Batch, attend: Callable[..., Any] | None = None) -> Any:
    """Put the newest token of every sequence into the cache. Logits (sequences, vocabulary) after it, float32.

    attend: as `attention.writing` but with starts and lengths on the device; None: that one.
    """
    language, window = model.model.language_model, model.config.text_config.sliding_window
    x, positions = language.embed_tokens(batch.device_tokens), batch.device_lengths
    rotation = language.rotary_emb.rotation(x, positions, language.rotary_emb.beyond(positions + 1))
    if attend is None:
        lengths = [length + 1 for length in batch.lengths]

        def over(q: Any, keys: Any, values: Any) -> Any:
            return attention.writing(q, keys, values, batch.starts, lengths, window)
    else:
        device_lengths, longest = positions + 1, max(batch.lengths) + 1

        def over(q: Any, keys: Any, values: Any) -> Any:
            return attend(q, keys, values, batch.device_starts, device_lengths, longest)

    return _logits(model, _layers(model, cache, x, rotation, batch.device_starts + positions, over))


def _layers(model: Any, cache: KeyValues, x: Any, rotation: tuple[Any, Any], places: Any, attend: Any) -> Any:
    """Hidden states (tokens, size) after all layers. places: where in the cache each token goes."""
    text = model.config.text_config
    cos, sin = (table[:, None] for table in rotation)
    size = text.hidden_size // text.num_attention_heads
    heads = [text.num_attention_heads, text.num_key_value_heads, text.num_key_value_heads]
    for layer, keys, values in zip(model.model.language_model.layers, cache.keys, cache.values, strict=True):
        qkv = layer.self_attn.qkv_proj(layer.input_layernorm(x))
        q, k, v = qkv.unflatten(-1, (-1, size)).split(heads, dim=1)
        q, k = _rotated(q, cos, sin), _rotated(k, cos, sin)
        keys.index_copy_(0, places, k)
        values.index_copy_(0, places, v)
        x = x + layer.self_attn.o_proj(attend(q, keys, values).flatten(1))
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return x


def _rotated(x: Any, cos: Any, sin: Any) -> Any:
    import torch

    half = x.shape[-1] // 2
    return x * cos + torch.cat((-x[..., half:], x[..., :half]), dim=-1) * sin


def _logits(model: Any, x: Any) -> Any:
    return model.lm_head(model.model.language_model.norm(x)).float()
