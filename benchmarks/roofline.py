"""What judging costs on a machine that did nothing else: floating-point operations and bytes, from shapes alone.

    shape = Shape.of_layout(described)                          # a judge's layout
    shape.seconds(Work(tiles=30, tokens=8_586, new=200), Ceilings(780e12, 4.3e12), together=36)

A sample of T tiles, S prompt tokens and n written ones, B of them side by side (`together`):

    vision tower and projector   T · 0.735 TF
    prompt, products             S · 7.248 GF + the head for the last token
    prompt, attention            S² · 196,608
    decode, cache read           393,216 · (n·S + n(n-1)/2) bytes
    decode, weights read         7.44 GB · n / B

(numbers of the real shape in bfloat16). "Serial" is operations over the machine's rate plus bytes over its bandwidth:
prefill and decode take turns, as in the engine. Decode never computes for longer than it reads.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from judge.model.weights.original_layout import Layout


@dataclasses.dataclass(frozen=True)
class Ceilings:
    """flops: operations a second of matrix products; bandwidth: bytes a second from the device's memory."""

    flops: float
    bandwidth: float


@dataclasses.dataclass(frozen=True)
class Work:
    """A sample: tiles of its pictures, tokens of its prompt, tokens written."""

    tiles: int
    tokens: int
    new: int


@dataclasses.dataclass(frozen=True)
class Shape:
    """Costs of one judge. Operations: of a tile, of a prompt token (products), of a squared prompt length (attention),
    of the head for one token. Bytes: of a token in the cache, of the weights that writing a token reads."""

    tile_flops: float
    token_flops: float
    square_flops: float
    head_flops: float
    token_bytes: int
    weight_bytes: int

    @classmethod
    def of_layout(cls, described: Layout, item_bytes: int = 2) -> Shape:
        """Of a judge's layout, in numbers of `item_bytes`."""
        text, vision = described.text, described.vision
        h, inner, layers = text["hidden_size"], text["intermediate_size"], text["num_hidden_layers"]
        head = h // text["num_attention_heads"]
        kv = text["num_key_value_heads"] * head
        products = layers * (h * (h + 2 * kv) + h * h + h * 2 * inner + inner * h)
        v, v_inner, v_layers = vision["hidden_size"], vision["intermediate_size"], vision["num_hidden_layers"]
        patch = vision["patch_size"]
        patches = (vision["image_size"] // patch) ** 2
        tower = 2 * (patches + 1) * v_layers * (4 * v * v + 2 * v * v_inner) + 4 * v_layers * (patches + 1) ** 2 * v
        projector = 2 * described.tokens_per_tile * (v * patches // described.tokens_per_tile * h + h * h)
        vocabulary = text["vocab_size"] * h
        return cls(
            tile_flops=tower + 2 * patches * 3 * patch * patch * v + projector,
            token_flops=2 * products,
            square_flops=2 * layers * h,
            head_flops=2 * vocabulary,
            token_bytes=2 * layers * kv * item_bytes,
            weight_bytes=(products + vocabulary) * item_bytes,
        )

    def prefill_flops(self, work: Work) -> float:
        """Operations until the first token is known."""
        prompt = work.tokens * self.token_flops + work.tokens**2 * self.square_flops + self.head_flops
        return work.tiles * self.tile_flops + prompt

    def cache_bytes(self, work: Work) -> float:
        """Of the cache, read while the answer is decoded."""
        return self.token_bytes * (work.new * work.tokens + work.new * (work.new - 1) / 2)

    def decode_bytes(self, work: Work, together: float) -> float:
        """Of cache and weights, read while the answer is decoded with `together` sequences a step."""
        return self.cache_bytes(work) + self.weight_bytes * work.new / together

    def seconds(self, work: Work, ceilings: Ceilings, together: float) -> float:
        """The serial roofline of one sample, `together` of which are written side by side."""
        prefill = self.prefill_flops(work) / ceilings.flops
        return prefill + self.decode_bytes(work, max(1.0, together)) / ceilings.bandwidth
