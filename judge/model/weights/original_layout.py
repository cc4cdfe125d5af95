"""What a judge folder says about itself, and the same said in the words of the native transformers classes.

The original layout is that of OpenGVLab/InternVL2-4B (`internvl_chat`): a ViT, a pixel shuffle, a projector and Phi-3,
in one `config.json` with two nested parts. Its own code (`auto_map`) is never run; every field that changes a logit is
carried over by hand or refused:

    {"architectures": ["InternVLChatModel"], "downsample_ratio": 0.5, "force_image_size": 448, "ps_version": "v2",
     "select_layer": -1, "template": "phi3-chat",
     "vision_config": {"hidden_size": 1024, "qkv_bias": true, "qk_normalization": false, ...},
     "llm_config": {"hidden_size": 3072, "rope_scaling": {"type": "su", "short_factor": [...], "long_factor": [...]},
                    "original_max_position_embeddings": 4096, "max_position_embeddings": 131072, ...}}

Source of the map: transformers' `convert_internvl_weights_to_hf.py` and OpenGVLab/InternVL, `internvl_custom2hf.py`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.errors import UserError

IMAGE_TOKEN = "<IMG_CONTEXT>"

# Fields with one value this loader can honour: a dotted path, that value, and what happens where the field is absent.
_FIXED: tuple[tuple[str, Any, bool], ...] = (
    ("architectures", ["InternVLChatModel"], True),
    ("template", "phi3-chat", True),
    # v1 orders the shuffled pixels differently: every picture would be read transposed
    ("ps_version", "v2", True),
    ("select_layer", -1, True),
    ("vision_config.hidden_act", "gelu", True),
    ("vision_config.norm_type", "layer_norm", True),
    ("vision_config.num_channels", 3, False),
    ("llm_config.model_type", "phi3", True),
    ("llm_config.hidden_act", "silu", True),
    ("llm_config.tie_word_embeddings", False, False),
    ("llm_config.partial_rotary_factor", 1.0, False),
)

# Fields without which the model cannot be built as it was trained; the native classes would take their own defaults.
_NUMBERS = (
    *("downsample_ratio", "vision_config.hidden_size"),
    *("vision_config.num_hidden_layers", "vision_config.num_attention_heads", "vision_config.intermediate_size"),
    *("vision_config.layer_norm_eps", "vision_config.image_size", "vision_config.patch_size"),
    *("llm_config.hidden_size", "llm_config.num_hidden_layers", "llm_config.num_attention_heads"),
    *("llm_config.intermediate_size", "llm_config.vocab_size", "llm_config.rms_norm_eps", "llm_config.rope_theta"),
    *("llm_config.max_position_embeddings", "llm_config.original_max_position_embeddings"),
)
_FLAGS = ("vision_config.qkv_bias", "vision_config.qk_normalization")
_ROPE = ("llm_config.rope_scaling.type", "llm_config.rope_scaling.short_factor", "llm_config.rope_scaling.long_factor")


@dataclasses.dataclass(frozen=True)
class Layout:
    """A checked `config.json`. `window` is the longest sequence, in tokens; `tile_size` is in pixels."""

    raw: Mapping[str, Any]
    image_token: int
    tile_size: int
    tokens_per_tile: int
    window: int

    @property
    def text(self) -> Mapping[str, Any]:
        """`llm_config`: the language model's shape."""
        part: Mapping[str, Any] = self.raw["llm_config"]
        return part

    @property
    def vision(self) -> Mapping[str, Any]:
        """`vision_config`: the vision tower's shape."""
        part: Mapping[str, Any] = self.raw["vision_config"]
        return part


def read_layout(folder: Path) -> Layout:
    """The layout of a judge folder. Raises UserError for a field that is missing or cannot be honoured."""
    file = folder / "config.json"
    raw = read_json(file)
    for path, expected, required in _FIXED:
        found = value_at(raw, path)
        if found is None and not required:
            continue
        if found != expected:
            raise UserError(
                f"is {json.dumps(found)}, and only {json.dumps(expected)} is supported",
                file=file,
                field=path,
                fix="give a judge in the original layout of OpenGVLab/InternVL2-4B, such as MMIE/MMIE-Score; "
                "`mmjudge convert` makes one of a native folder",
            )
    for path in (*_NUMBERS, *_FLAGS, *_ROPE):
        value = value_at(raw, path)
        if value is None:
            raise UserError("is missing", file=file, field=path)
        if path in _NUMBERS and not (type(value) in (int, float) and value > 0):
            raise UserError(f"is {json.dumps(value)}, not a number above 0", file=file, field=path)
    size: int = raw["vision_config"]["image_size"]
    tile_size: int = raw.get("force_image_size") or size
    if raw["llm_config"]["rope_scaling"]["type"] not in ("su", "longrope"):
        raise UserError('only "su" and "longrope" are supported', file=file, field="llm_config.rope_scaling.type")
    if tile_size != size:
        # the position table would have to be interpolated, which the reference does once, before training
        raise UserError(f"is {tile_size}, but image_size is {size}", file=file, field="force_image_size")
    side = int(tile_size // raw["vision_config"]["patch_size"] * raw["downsample_ratio"])
    return Layout(
        raw=raw,
        image_token=image_token(folder),
        tile_size=tile_size,
        tokens_per_tile=side * side,
        window=raw["llm_config"]["max_position_embeddings"],
    )


def image_token(folder: Path) -> int:
    """Id of the token that stands for one picture feature. Raises UserError where the tokenizer has none."""
    file = folder / "tokenizer_config.json"
    decoder = read_json(file).get("added_tokens_decoder")
    if decoder is None:
        file = folder / "added_tokens.json"
        decoder = {number: {"content": content} for content, number in read_json(file).items()}
    for number, token in decoder.items():
        if token["content"] == IMAGE_TOKEN:
            return int(number)
    raise UserError("is missing", file=file, field=IMAGE_TOKEN)


def native_config(layout: Layout) -> Any:
    """The `InternVLConfig` that computes the same function."""
    from transformers import InternVLConfig, InternVLVisionConfig, Phi3Config

    vision, text, raw = layout.vision, layout.text, layout.raw
    same = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act")
    vision_config = InternVLVisionConfig(
        **{name: vision[name] for name in (*same, "norm_type", "layer_norm_eps", "image_size", "patch_size")},
        attention_bias=vision["qkv_bias"],  # the native default is False, and biases would be dropped
        use_qk_norm=vision["qk_normalization"],
        layer_scale_init_value=vision.get("initializer_factor", 1.0),
        initializer_range=vision.get("initializer_range", 0.02),
        use_mean_pooling=True,  # False would add a final LayerNorm the original does not have
    )
    lengths = ("max_position_embeddings", "original_max_position_embeddings")
    text_config = Phi3Config(
        **{name: text[name] for name in (*same, "vocab_size", "rms_norm_eps", *lengths)},
        num_key_value_heads=text.get("num_key_value_heads") or text["num_attention_heads"],
        initializer_range=text.get("initializer_range", 0.02),
        bos_token_id=text.get("bos_token_id"),
        eos_token_id=text.get("eos_token_id"),
        pad_token_id=text.get("pad_token_id"),
        sliding_window=sliding_window(text),
        tie_word_embeddings=False,
        # Phi3Config(**llm_config) fails on type "su", so the standard form is given from the start
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": float(text["rope_theta"]),
            "short_factor": list(text["rope_scaling"]["short_factor"]),
            "long_factor": list(text["rope_scaling"]["long_factor"]),
            "original_max_position_embeddings": text["original_max_position_embeddings"],
            "factor": text["max_position_embeddings"] / text["original_max_position_embeddings"],
        },
    )
    return InternVLConfig(
        text_config=text_config,
        vision_config=vision_config,
        image_token_id=layout.image_token,
        image_seq_length=layout.tokens_per_tile,
        downsample_ratio=raw["downsample_ratio"],
        vision_feature_layer=-1,
        vision_feature_select_strategy="default",  # drops the class token
        tie_word_embeddings=False,  # the native default is True and would overwrite the head in silence
    )


def sliding_window(text: Mapping[str, Any]) -> int | None:
    """The attention window in tokens, or None where it can never be reached."""
    window: int | None = text.get("sliding_window")
    return None if window is None or window >= text["max_position_embeddings"] else window


def read_json(file: Path) -> dict[str, Any]:
    """The JSON object in a file of a judge folder. Raises UserError that names the file."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            "is missing from the judge folder", file=file, fix="download the whole judge folder again"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"cannot be read as JSON: {error}", file=file, fix="download the whole judge folder again"
        ) from None
    if not isinstance(content, dict):
        raise UserError("must hold one JSON object", file=file)
    return content


def value_at(raw: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    value: Any = raw
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
