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
from judge.model.judge_files import Fields, read_object, shown
from judge.model.tokenizer import read_added

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
# Whole numbers with the largest that is believed: far above any judge, and small enough that nothing of that size, such
# as a tile, can hold up a process before the weights have shown that it is true.
_WHOLE: tuple[tuple[str, int], ...] = (
    *((f"vision_config.{name}", 2**17) for name in ("hidden_size", "intermediate_size")),
    *((f"llm_config.{name}", 2**17) for name in ("hidden_size", "intermediate_size")),
    *((f"{part}.num_hidden_layers", 1000) for part in ("vision_config", "llm_config")),
    *((f"{part}.num_attention_heads", 2**12) for part in ("vision_config", "llm_config")),
    *((f"vision_config.{name}", 2**12) for name in ("image_size", "patch_size")),
    ("llm_config.vocab_size", 2**24),
    *((f"llm_config.{name}", 2**30) for name in ("max_position_embeddings", "original_max_position_embeddings")),
)
_POSITIVE = ("downsample_ratio", "vision_config.layer_norm_eps", "llm_config.rms_norm_eps", "llm_config.rope_theta")
_FLAGS = ("vision_config.qkv_bias", "vision_config.qk_normalization")
_ABSENT_OR_POSITIVE = (
    *("vision_config.initializer_factor", "vision_config.initializer_range", "llm_config.initializer_range"),
)
_ROPE = ("llm_config.rope_scaling.short_factor", "llm_config.rope_scaling.long_factor")
_DTYPES = ("bfloat16", "float16", "float32", "float64")


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
    fields = Fields(read_object(file), file)
    for path, expected, required in _FIXED:
        found = fields.value(path)
        if found is None and not required:
            continue
        # true would be 1
        if found != expected or isinstance(found, bool) != isinstance(expected, bool):
            raise UserError(
                f"is {shown(found)}, and only {json.dumps(expected)} is supported",
                file=file,
                field=path,
                fix="give a judge in the original layout of OpenGVLab/InternVL2-4B, such as MMIE/MMIE-Score; "
                "`mmjudge convert` makes one of a native folder",
            )
    _check_kinds(fields)
    side = _check_vision(fields)
    _check_language(fields)
    return Layout(
        raw=fields.raw,
        image_token=image_token(folder),
        tile_size=fields.value("vision_config.image_size"),
        tokens_per_tile=side * side,
        window=fields.value("llm_config.max_position_embeddings"),
    )


def _check_kinds(fields: Fields) -> None:
    """Raise UserError for a field that is missing or of another kind, whatever the others say."""
    for path, most in _WHOLE:
        fields.whole(path, most)
    for path in _POSITIVE:
        fields.positive(path)
    for path in _ABSENT_OR_POSITIVE:
        if fields.value(path) is not None:
            fields.positive(path)
    for path in _FLAGS:
        fields.flag(path)
    fields.text("system_message")
    for path in ("torch_dtype", "llm_config.torch_dtype"):
        if fields.value(path) not in (None, *_DTYPES):
            raise fields.error(path, f"one of {', '.join(_DTYPES)}")


def _check_vision(fields: Fields) -> int:
    """Picture features along one side of a tile. Raises UserError for sizes that do not go together."""
    _require_multiple(fields, "vision_config.hidden_size", "vision_config.num_attention_heads")
    size, patch = (fields.whole(f"vision_config.{name}", 2**12) for name in ("image_size", "patch_size"))
    if fields.value("force_image_size") not in (None, size):
        # the position table would have to be interpolated, which the reference does once, before training
        tile = shown(fields.value("force_image_size"))
        raise UserError(f"is {tile}, but image_size is {size}", file=fields.file, field="force_image_size")
    ratio = fields.positive("downsample_ratio")
    factor, patches = round(1 / ratio), size // patch
    if factor < 1 or abs(1 / factor - ratio) > 1e-6 or not patches or patches % factor:
        raise fields.error("downsample_ratio", f"1 over a number that divides {patches}, the patches of a tile's side")
    return patches // factor


def _check_language(fields: Fields) -> None:
    """Raise UserError for numbers of the language model that do not go together."""
    _require_multiple(fields, "llm_config.hidden_size", "llm_config.num_attention_heads")
    heads = fields.value("llm_config.num_attention_heads")
    if fields.value("llm_config.num_key_value_heads") is not None:
        fields.whole("llm_config.num_key_value_heads", heads)
        _require_multiple(fields, "llm_config.num_attention_heads", "llm_config.num_key_value_heads")
    for name in ("bos_token_id", "pad_token_id", "eos_token_id"):
        if fields.value(f"llm_config.{name}") is not None:
            fields.whole(f"llm_config.{name}", fields.value("llm_config.vocab_size") - 1, least=0)
    if fields.value("llm_config.sliding_window") is not None:
        fields.whole("llm_config.sliding_window", 2**62)
    fields.whole("llm_config.original_max_position_embeddings", 2**30, least=2)
    if fields.value("llm_config.rope_scaling.type") not in ("su", "longrope"):
        raise fields.error("llm_config.rope_scaling.type", "one of su, longrope")
    pairs, odd = divmod(fields.value("llm_config.hidden_size") // heads, 2)
    for path in _ROPE:
        factors = fields.value(path)
        if odd or not isinstance(factors, list) or len(factors) != pairs:
            raise fields.error(path, f"a list of {pairs} numbers, one for two rows of a head")
        for number, factor in enumerate(factors):
            if type(factor) not in (int, float) or not 1e-6 < factor < 1e6:
                raise UserError(f"is {shown(factor)}, not a number above 0", file=fields.file, field=f"{path}.{number}")


def _require_multiple(fields: Fields, path: str, divisor: str) -> None:
    """Raise UserError unless one whole number is a multiple of the other."""
    if fields.value(path) % fields.value(divisor):
        raise fields.error(path, f"a multiple of {divisor.partition('.')[2]}, {fields.value(divisor)}")


def image_token(folder: Path) -> int:
    """Id of the token that stands for one picture feature. Raises UserError where the tokenizer has none."""
    file, added = read_added(folder)
    for token in added:
        if token.content == IMAGE_TOKEN:
            return token.id
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
