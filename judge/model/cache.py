"""The key-value cache: one slot a token, and for every sequence contiguous slots that are never moved.

    cache = KeyValueCache(model, tokens=135_000)
    start = cache.slots.allocate(4_096)                      # for a prompt and all the tokens it may generate
    cache.keys[layer][start : start + 9]                     # (9, heads, head size), a view
    cache.slots.release(start, 4_096)                        # the next prompt may have them

Because its slots are contiguous, attention reads a sequence through a view: no block table, no gathering, no padding.
They are allocated for the prompt and the most it may generate, so that a sequence once admitted can always be finished.
Prompts come longest first, hence what one releases is large enough for the next, and there is hardly any
fragmentation.
"""

from __future__ import annotations

from typing import Any


class SlotAllocator:
    """Contiguous stretches of `size` slots, first fit; neighbouring free stretches are one."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._free = [(0, size)] if size else []

    @property
    def num_free(self) -> int:
        """Slots that are not allocated, contiguous or not."""
        return sum(stop - start for start, stop in self._free)

    def allocate(self, length: int) -> int | None:
        """The first slot of a free stretch of `length`, which is allocated by that; None where there is none."""
        for number, (start, stop) in enumerate(self._free):
            if stop - start >= length:
                self._free[number : number + 1] = [(start + length, stop)] if stop - start > length else []
                return start
        return None

    def release(self, start: int, length: int) -> None:
        """Free what `allocate` gave. Raises ValueError for slots that are free already."""
        merged: list[tuple[int, int]] = []
        for begin, end in sorted([*self._free, (start, start + length)]):
            if merged and begin < merged[-1][1]:
                raise ValueError(f"slots {start} to {start + length} are not allocated")
            if merged and begin == merged[-1][1]:
                merged[-1] = (merged[-1][0], end)
            else:
                merged.append((begin, end))
        self._free = merged


class KeyValueCache:
    """Keys and values of `tokens` tokens on the device and in the number type of `model`.

    keys, values: for each layer a view (tokens, heads, head size). slots: which of them are whose. Raises
    torch.cuda.OutOfMemoryError.
    """

    def __init__(self, model: Any, tokens: int) -> None:
        import torch

        text, weight = model.config.text_config, model.lm_head.weight
        heads = text.num_key_value_heads
        shape = (text.num_hidden_layers, 2, tokens, heads, text.hidden_size // text.num_attention_heads)
        self._data = torch.empty(shape, dtype=weight.dtype, device=weight.device)
        self.keys, self.values = self._data[:, 0].unbind(), self._data[:, 1].unbind()
        self.slots = SlotAllocator(tokens)

    def copy_from(self, other: KeyValueCache, length: int, start: int) -> None:
        """Copy the first `length` tokens of another cache into the slots from `start` on, in all layers."""
        self._data[:, :, start : start + length] = other._data[:, :, :length]

    def copy_within(self, source: int, length: int, start: int) -> None:
        """Copy `length` tokens from the slots from `source` on into those from `start` on, in all layers."""
        self._data[:, :, start : start + length] = self._data[:, :, source : source + length]


def bytes_per_token(model: Any) -> int:
    """Bytes of one token's keys and values in all layers."""
    text, weight = model.config.text_config, model.lm_head.weight
    head = text.hidden_size // text.num_attention_heads
    return int(2 * text.num_hidden_layers * text.num_key_value_heads * head * weight.element_size())
