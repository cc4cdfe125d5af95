"""Names and shapes of the tensors that a config asks for, in the original layout, by arithmetic: no model is built.

    original_shapes(described)["vision_model.encoder.layers.0.attn.qkv.weight"]     (3072, 1024)
    count_parameters(described)                                                     4_146_855_936

A folder is compared with it before anything of the config's size is made. Source: OpenGVLab/InternVL,
`modeling_intern_vit.py` and `modeling_internvl_chat.py`; microsoft/Phi-3-mini, `modeling_phi3.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from judge.model.weights.original_layout import Layout

Shapes = Mapping[str, tuple[int, ...]]

VISION_LAYERS, TEXT_LAYERS = "vision_model.encoder.layers.", "language_model.model.layers."
"""What names of tensors of a layer begin with; its number follows."""


def original_shapes(described: Layout) -> dict[str, tuple[int, ...]]:
    """Original name → shape of every tensor the config asks for."""
    found = dict(_outside_layers(described))
    for prefix, layers, shapes in _layers(described):
        for number in range(layers):
            found |= {f"{prefix}{number}.{name}": shape for name, shape in shapes.items()}
    return found


def count_parameters(described: Layout) -> int:
    """Number of parameters the config asks for; as quick for a million layers as for one."""
    parts = [(1, _outside_layers(described)), *((layers, shapes) for _, layers, shapes in _layers(described))]
    return sum(times * math.prod(shape) for times, shapes in parts for shape in shapes.values())


def _layers(described: Layout) -> tuple[tuple[str, int, Shapes], ...]:
    """(prefix of names, number of layers, name → shape in one of them) of both stacks."""
    return (
        (VISION_LAYERS, described.vision["num_hidden_layers"], _vision_layer(described)),
        (TEXT_LAYERS, described.text["num_hidden_layers"], _text_layer(described)),
    )


def _outside_layers(described: Layout) -> Shapes:
    vision, text = described.vision, described.text
    width, patch, rows = vision["hidden_size"], vision["patch_size"], text["vocab_size"]
    patches = (vision["image_size"] // patch) ** 2
    joined = width * patches // described.tokens_per_tile  # of the patches that one picture feature is made of
    return {
        "vision_model.embeddings.class_embedding": (1, 1, width),
        "vision_model.embeddings.position_embedding": (1, patches + 1, width),
        "vision_model.embeddings.patch_embedding.weight": (width, 3, patch, patch),
        "vision_model.embeddings.patch_embedding.bias": (width,),
        "mlp1.0.weight": (joined,),
        "mlp1.0.bias": (joined,),
        **_linear("mlp1.1", joined, text["hidden_size"]),
        **_linear("mlp1.3", text["hidden_size"], text["hidden_size"]),
        "language_model.model.embed_tokens.weight": (rows, text["hidden_size"]),
        "language_model.model.norm.weight": (text["hidden_size"],),
        "language_model.lm_head.weight": (rows, text["hidden_size"]),
    }


def _vision_layer(described: Layout) -> Shapes:
    vision = described.vision
    width, inner = vision["hidden_size"], vision["intermediate_size"]
    vectors = ["ls1", "ls2", *(f"{norm}.{kind}" for norm in ("norm1", "norm2") for kind in ("weight", "bias"))]
    if vision["qk_normalization"]:
        vectors += ["attn.q_norm.weight", "attn.k_norm.weight"]
    return {
        **dict.fromkeys(vectors, (width,)),
        **_linear("attn.qkv", width, 3 * width, bias=vision["qkv_bias"]),
        **_linear("attn.proj", width, width),
        **_linear("mlp.fc1", width, inner),
        **_linear("mlp.fc2", inner, width),
    }


def _text_layer(described: Layout) -> Shapes:
    text = described.text
    width, inner, heads = text["hidden_size"], text["intermediate_size"], text["num_attention_heads"]
    pairs = text.get("num_key_value_heads") or heads
    return {
        **_linear("self_attn.qkv_proj", width, width // heads * (heads + 2 * pairs), bias=False),
        **_linear("self_attn.o_proj", width, width, bias=False),
        **_linear("mlp.gate_up_proj", width, 2 * inner, bias=False),
        **_linear("mlp.down_proj", inner, width, bias=False),
        "input_layernorm.weight": (width,),
        "post_attention_layernorm.weight": (width,),
    }


def _linear(name: str, inputs: int, outputs: int, *, bias: bool = True) -> Shapes:
    return {f"{name}.weight": (outputs, inputs), **({f"{name}.bias": (outputs,)} if bias else {})}
