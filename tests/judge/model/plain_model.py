"""InternVL2-4B written out once more, in a page of plain torch over the original tensor names: an oracle.

No cache, no batch, no transformers; float64. Written from the
reference's modeling files (OpenGVLab/InternVL @2410d1d: intern_vit, internvl_chat, phi3), independent of `judge.model`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch.nn.functional import gelu, layer_norm, linear, silu, softmax

Tensors = Mapping[str, torch.Tensor]


def read(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a folder, float64."""
    tensors: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        tensors |= {name: tensor.double() for name, tensor in load_file(str(file)).items()}
    return tensors


def step_logits(
    config: Mapping[str, Any],
    tensors: Tensors,
    prompt: Sequence[int],
    new: Sequence[int],
    pixels: torch.Tensor | None,
    *,
    image_token: int,
    rope: str = "reference",
) -> torch.Tensor:
    """Logits (len(new), vocabulary) that each new token should have been chosen from, given those before it."""
    limit = config["llm_config"]["original_max_position_embeddings"]
    sequence = [*prompt, *new[:-1]]
    places = range(len(prompt), len(sequence) + 1)  # tokens read when a step is decided
    if rope == "long":
        regimes = {True: [True] * len(sequence)}
    elif rope == "recompute":
        regimes = {long: [long] * len(sequence) for long in {place > limit for place in places}}
    else:  # a token rotates by the set in force when it was first read
        regimes = {False: [max(len(prompt), position + 1) > limit for position in range(len(sequence))]}
    seen = None if pixels is None else features(config, tensors, pixels).flatten(0, 1)
    passes = {
        long: language(config, tensors, sequence, len(prompt), seen, image_token, tokens)
        for long, tokens in regimes.items()
    }
    chosen = [passes[place > limit] if len(passes) > 1 else next(iter(passes.values())) for place in places]
    return torch.stack([logits[place - 1] for logits, place in zip(chosen, places, strict=True)])


def features(config: Mapping[str, Any], t: Tensors, pixels: torch.Tensor) -> torch.Tensor:
    """(tiles, 3, side, side) → (tiles, tokens, hidden size of the language model)."""
    vision = config["vision_config"]
    width, heads, eps = vision["hidden_size"], vision["num_attention_heads"], vision["layer_norm_eps"]
    e = "vision_model.embeddings."
    patch = vision["patch_size"]
    x = torch.nn.functional.conv2d(
        pixels.double(), t[e + "patch_embedding.weight"], t[e + "patch_embedding.bias"], stride=patch
    )
    side = x.shape[-1]
    x = torch.cat([t[e + "class_embedding"].expand(len(x), 1, width), x.flatten(2).transpose(1, 2)], 1)
    x = x + t[e + "position_embedding"]
    for number in range(vision["num_hidden_layers"]):
        p = f"vision_model.encoder.layers.{number}."
        h = layer_norm(x, (width,), t[p + "norm1.weight"], t[p + "norm1.bias"], eps)
        q, k, v = linear(h, t[p + "attn.qkv.weight"], t.get(p + "attn.qkv.bias")).chunk(3, -1)
        if vision["qk_normalization"]:
            q, k = (rms(y, t[f"{p}attn.{name}_norm.weight"], eps) for y, name in ((q, "q"), (k, "k")))
        q, k, v = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (q, k, v))
        weights = softmax(q @ k.transpose(2, 3) / math.sqrt(width // heads), -1)
        h = linear((weights @ v).transpose(1, 2).flatten(2), t[p + "attn.proj.weight"], t[p + "attn.proj.bias"])
        x = x + h * t[p + "ls1"]
        h = layer_norm(x, (width,), t[p + "norm2.weight"], t[p + "norm2.bias"], eps)
        h = gelu(linear(h, t[p + "mlp.fc1.weight"], t[p + "mlp.fc1.bias"]))
        x = x + linear(h, t[p + "mlp.fc2.weight"], t[p + "mlp.fc2.bias"]) * t[p + "ls2"]
    # pixel shuffle, ps_version v2: a token holds a 2 x 2 block of patches, in reading order
    n = round(1 / config["downsample_ratio"])
    x = (
        x[:, 1:]
        .reshape(len(x), side // n, n, side // n, n, width)
        .permute(0, 1, 3, 2, 4, 5)
        .reshape(len(x), -1, n * n * width)
    )
    x = layer_norm(x, x.shape[-1:], t["mlp1.0.weight"], t["mlp1.0.bias"], 1e-5)
    x = gelu(linear(x, t["mlp1.1.weight"], t["mlp1.1.bias"]))
    return linear(x, t["mlp1.3.weight"], t["mlp1.3.bias"])


def language(
    config: Mapping[str, Any],
    t: Tensors,
    sequence: Sequence[int],
    prompt: int,
    seen: torch.Tensor | None,
    image_token: int,
    long: Sequence[bool],
) -> torch.Tensor:
    """Logits (tokens, vocabulary). prompt: only image tokens before it stand for pictures. long: by token."""
    text = config["llm_config"]
    heads, groups, eps = text["num_attention_heads"], text["num_key_value_heads"], text["rms_norm_eps"]
    size = text["hidden_size"] // heads
    x = t["language_model.model.embed_tokens.weight"][torch.tensor(sequence)]
    if seen is not None:
        x = x.clone()
        x[[i for i, token in enumerate(sequence[:prompt]) if token == image_token]] = seen
    cos, sin = rotation(text, long)
    mask = torch.full((len(x), len(x)), -math.inf, dtype=x.dtype).triu(1)
    for number in range(text["num_hidden_layers"]):
        p = f"language_model.model.layers.{number}."
        h = rms(x, t[p + "input_layernorm.weight"], eps)
        q, k, v = linear(h, t[p + "self_attn.qkv_proj.weight"]).split([heads * size, groups * size, groups * size], -1)
        q, k, v = (y.unflatten(-1, (-1, size)).transpose(0, 1) for y in (q, k, v))
        q, k = (y * cos + torch.cat([-y[..., size // 2 :], y[..., : size // 2]], -1) * sin for y in (q, k))
        k, v = (y.repeat_interleave(heads // groups, 0) for y in (k, v))
        h = (softmax(q @ k.transpose(1, 2) / math.sqrt(size) + mask, -1) @ v).transpose(0, 1).flatten(1)
        x = x + linear(h, t[p + "self_attn.o_proj.weight"])
        gate, up = linear(
            rms(x, t[p + "post_attention_layernorm.weight"], eps), t[p + "mlp.gate_up_proj.weight"]
        ).chunk(2, -1)
        x = x + linear(up * silu(gate), t[p + "mlp.down_proj.weight"])
    return linear(rms(x, t["language_model.model.norm.weight"], eps), t["language_model.lm_head.weight"])


def rotation(text: Mapping[str, Any], long: Sequence[bool]) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines (tokens, head size); long: whether a token rotates by the long set."""
    limit, window = text["original_max_position_embeddings"], text["max_position_embeddings"]
    size = text["hidden_size"] // text["num_attention_heads"]
    scale = math.sqrt(1 + math.log(window / limit) / math.log(limit))
    angles = []
    for position, is_long in enumerate(long):
        factors = text["rope_scaling"]["long_factor" if is_long else "short_factor"]
        row = [position / (factor * text["rope_theta"] ** (2 * i / size)) for i, factor in enumerate(factors)]
        angles.append(row * 2)
    table = torch.tensor(angles, dtype=torch.float64)
    return table.cos() * scale, table.sin() * scale


def rms(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * weight
