"""Rotary positions of Phi-3 long context (longrope), chosen row by row.

Longrope has two sets of frequencies: the short one for sequences up to the length of pretraining, the long one
beyond. Both the reference code and transformers choose once for a whole batch, from its largest position, so a short
prompt gets other numbers when it shares a batch with a long one. Here every row of a batch chooses by its own
positions, so that a batch equals its prompts one by one.

A sequence may cross the limit while it is being generated. What then happens to the keys already cached is a choice
that changes the text, hence a part of the signature (`rope`):

    reference  keep the short keys, rotate new ones by the long set: InternVL's `chat()`. The default.
    recompute  drop the cache and compute it again with the long set: transformers' `Phi3ForCausalLM`
    long       the long set from the first token, whatever the length: vLLM

Source: LongRoPE (arXiv 2402.13753); microsoft/Phi-3-mini-128k-instruct, `Phi3SuScaledRotaryEmbedding`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

Regime = Literal["reference", "recompute", "long"]


def inverse_frequencies(factors: Sequence[float], theta: float) -> Any:
    """Inverse frequencies, float32 (head dimension / 2,): 1 / (factor · theta^(2i/d))."""
    import torch

    exponents = torch.arange(0, 2 * len(factors), 2, dtype=torch.int64).float() / (2 * len(factors))
    return 1.0 / (torch.tensor(factors, dtype=torch.float32) * theta**exponents)


def attention_factor(window: int, original: int) -> float:
    """What cosines and sines are multiplied by, in both regimes: sqrt(1 + ln(window/original) / ln(original))."""
    return math.sqrt(1 + math.log(window / original) / math.log(original)) if window > original else 1.0


def install_rope(model: Any, regime: Regime = "reference") -> None:
    """Replace the rotary module of a native InternVL model by one that chooses per row. Stays in float32."""
    import torch

    config = model.config.text_config
    parameters = config.rope_parameters
    limit = parameters["original_max_position_embeddings"]

    class PerRowRope(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.limit = limit
            self.factor = attention_factor(config.max_position_embeddings, limit)
            device = model.lm_head.weight.device
            # plain attributes, not buffers: a later .to(bfloat16) must not round them
            self.short = inverse_frequencies(parameters["short_factor"], parameters["rope_theta"]).to(device)
            self.long = inverse_frequencies(parameters["long_factor"], parameters["rope_theta"]).to(device)

        @torch.no_grad()
        def forward(self, x: Any, position_ids: Any) -> tuple[Any, Any]:
            """position_ids (rows, tokens) → cosines and sines (rows, tokens, head dimension) in the type of x."""
            return self.rotation(x, position_ids, self.beyond(position_ids.amax(dim=-1, keepdim=True) + 1))

        def beyond(self, length: Any) -> Any:
            """Whether a sequence of this many tokens rotates by the long set; a number or a tensor of them."""
            return (length > self.limit) | (regime == "long")

        @torch.no_grad()
        def rotation(self, x: Any, positions: Any, long: Any) -> tuple[Any, Any]:
            """Cosines and sines (…, head dimension) for positions (…), each by the set that `long` (…) says."""
            chosen = torch.where(long[..., None], self.long.to(x.device), self.short.to(x.device))
            angles = positions[..., None].float() * chosen
            angles = torch.cat((angles, angles), dim=-1)
            return (angles.cos() * self.factor).to(x.dtype), (angles.sin() * self.factor).to(x.dtype)

    model.model.language_model.rotary_emb = PerRowRope()
    model.rope_regime = regime
