"""Keys and values of all sequences in one arena, each in a stretch of its own, written in place and never moved.

    cache = KeyValues(model, tokens=135_000)
    start = cache.regions.take(4_096)                        # room for a prompt and what will be written after it
    cache.keys[layer][start : start + 9]                     # (9, heads, head size), a view
    cache.regions.give(start, 4_096)                         # the next prompt may have it

A stretch is contiguous, so attention reads it through a view: no table, no gathering, no padding. It is taken for the
prompt and the most it may write, so that a sequence once admitted can always be finished. Prompts come longest first,
hence what one leaves is large enough for the next, and the arena hardly fragments.
"""

from __future__ import annotations

from typing import Any


class Regions:
    """Stretches of `size` places, first fit; neighbouring free stretches are one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = [(0, size)] if size else []

    @property
    def free(self) -> int:
        """Places that nobody has, contiguous or not."""
        return sum(stop - start for start, stop in self._free)

    def fits(self, length: int) -> bool:
        return any(stop - start >= length for start, stop in self._free)

    def take(self, length: int) -> int | None:
        """The first place of a stretch of `length`, or None where there is none that long."""
        for number, (start, stop) in enumerate(self._free):
            if stop - start >= length:
                self._free[number : number + 1] = [(start + length, stop)] if stop - start > length else []
                return start
        return None

    def give(self, start: int, length: int) -> None:
        """Back what `take` gave. Raises ValueError for places that are free already."""
        merged: list[tuple[int, int]] = []
        for begin, end in sorted([*self._free, (start, start + length)]):
            if merged and begin < merged[-1][1]:
                raise ValueError(f"places {start} to {start + length} were not taken")
            if merged and begin == merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
            else:
                merged.append((begin, end))
        self._free = merged


class KeyValues:
    """Room for `tokens` tokens on the device and in the number type of `model`. keys, values: a view a layer,
    (tokens, heads, head size). Raises torch.cuda.OutOfMemoryError."""

    def __init__(self, model: Any, tokens: int) -> None:
        import torch

        text, weight = model.config.text_config, model.lm_head.weight
        heads = text.num_key_value_heads
        shape = (text.num_hidden_layers, 2, tokens, heads, text.hidden_size // text.num_attention_heads)
        self._data = torch.empty(shape, dtype=weight.dtype, device=weight.device)
        self.keys, self.values = self._data[:, 0].unbind(), self._data[:, 1].unbind()
        self.regions = Regions(tokens)

    def copy(self, start: int, other: KeyValues, length: int) -> None:
        """Put the first `length` tokens of another cache at `start`, in all layers."""
        self._data[:, :, start : start + length] = other._data[:, :, :length]


def token_bytes(model: Any) -> int:
    """Bytes of one token's keys and values in all layers."""
    text, weight = model.config.text_config, model.lm_head.weight
    head = text.hidden_size // text.num_attention_heads
    return int(2 * text.num_hidden_layers * text.num_key_value_heads * head * weight.element_size())
