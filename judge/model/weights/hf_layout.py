"""A judge folder that transformers loads by itself: what stands in it, and what its files say in the original layout.

    AutoModelForImageTextToText.from_pretrained("out/native")     InternVLForConditionalGeneration over Phi-3
    AutoProcessor.from_pretrained("out/native")                   tiles, <IMG_CONTEXT> tokens, the judge's chat template

    config.json  generation_config.json  model-0000N-of-0000M.safetensors
    tokenizer.json  tokenizer_config.json  chat_template.jinja
    processor_config.json  preprocessor_config.json  video_preprocessor_config.json
    tokenizer.model  special_tokens_map.json  added_tokens.json     unused by transformers; they lead back

Tensors have the names that `save_pretrained` writes (`language_model.model.…`, `vision_tower.…`): vLLM's map of
`InternVLForConditionalGeneration` knows them too (vllm, model_executor/models/interns1.py). Its tokenizer is
`judge.model.weights.hf_tokenizer`. No code is in the folder, and none is run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.io import files
from judge.model import conversation
from judge.model.judge_files import Fields, read_object, shown
from judge.model.weights import hf_tokenizer, original_layout

ARCHITECTURE = "InternVLForConditionalGeneration"
MAX_TILES = 12
"""Of a picture, as the official scorer cuts it; `max_dynamic_patch` in config.json is for training."""

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # ImageNet, as in judge.model.images
_BICUBIC = 3

# Prefix of a name in the model's state → the same in files, as save_pretrained has it.
_SAVED = {
    "model.language_model.": "language_model.model.",
    "lm_head.": "language_model.lm_head.",
    "model.vision_tower.": "vision_tower.",
    "model.multi_modal_projector.": "multi_modal_projector.",
}

# Fields of the original config.json that the native classes have no use for and the way back has.
_CARRIED = ("dynamic_image_size", "max_dynamic_patch", "min_dynamic_patch", "system_message", "use_thumbnail")

# Fields of a native config.json with one value that the original layout can say, and what their absence means.
_FIXED: tuple[tuple[str, Any, Any], ...] = (
    ("architectures", [ARCHITECTURE], None),
    ("tie_word_embeddings", False, True),
    ("projector_hidden_act", "gelu", "gelu"),
    ("vision_feature_layer", -1, -1),
    ("vision_feature_select_strategy", "default", "default"),
    ("vision_config.use_mean_pooling", True, True),
    ("vision_config.use_absolute_position_embeddings", True, True),
    ("vision_config.use_mask_token", False, False),
    ("text_config.model_type", "phi3", None),
    ("text_config.rope_parameters.rope_type", "longrope", None),
)


def saved_name(name: str) -> str:
    """The name in a file of a tensor of the native model's state."""
    for prefix, saved in _SAVED.items():
        if name.startswith(prefix):
            return saved + name[len(prefix) :]
    raise ValueError(f"{name} is not a tensor of {ARCHITECTURE}")


def state_name(name: str) -> str:
    """The inverse; newer files may hold the state's own names."""
    for prefix, saved in _SAVED.items():
        if name.startswith(saved):
            return prefix + name[len(saved) :]
    return name


def is_native_config(raw: Mapping[str, Any]) -> bool:
    """Whether `config.json` speaks of the native classes."""
    return bool(raw.get("architectures") == [ARCHITECTURE])


def write_native_description(source: Path, described: original_layout.Layout, folder: Path, dtype: str) -> None:
    """Write all of a native folder but the weights. dtype: what transformers loads these as, such as "bfloat16".

    Raises UserError where the tokenizer lacks a token that the processor needs.
    """
    tokenizer = conversation.read_tokenizer(source, described.text["vocab_size"])
    hf_tokenizer.require_roles(tokenizer, source)
    config = original_layout.native_config(described)
    config.architectures, config.dtype = [ARCHITECTURE], dtype
    config.text_config.architectures = ["Phi3ForCausalLM"]  # vLLM looks the language model up by it
    carried = {name: described.raw[name] for name in _CARRIED if name in described.raw}
    _write_json(folder / "config.json", {**config.to_diff_dict(), **carried})
    text = described.text
    ids = {f"{name}_token_id": text.get(f"{name}_token_id") for name in ("bos", "pad")}
    stop = tokenizer.special[conversation.STOP]
    _write_json(
        folder / "generation_config.json",
        {**{name: i for name, i in ids.items() if i is not None}, "do_sample": False, "eos_token_id": [stop]},
    )
    hf_tokenizer.write_native_tokenizer(source, tokenizer, folder)
    system = str(described.raw.get("system_message") or conversation.SYSTEM_MESSAGE)
    (folder / "chat_template.jinja").write_text(hf_tokenizer.chat_template(tokenizer, system), encoding="utf-8")
    _write_processor(described, folder)


def original_config(folder: Path) -> dict[str, Any]:
    """`config.json` in the original layout that says what a native folder says.

    Raises UserError for what that layout has no words for. Fields of training (`auto_map`, `use_llm_lora`, …) are not
    invented.
    """
    file = folder / "config.json"
    fields = Fields(read_object(file), file)
    for path, expected, absent in _FIXED:
        found = fields.value(path)
        found = absent if found is None else found
        if found != expected:
            raise UserError(
                f"is {shown(found)}, and the original layout only has {json.dumps(expected)}",
                file=file,
                field=path,
            )
    try:
        return _original(fields.raw)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise UserError(f"is not the config of a native InternVL model: {error!r}", file=file) from None


def write_original_description(source: Path, folder: Path) -> None:
    """Write all of an original folder but the weights, from a native one that `write_native_description` wrote.

    Raises UserError for a native folder without the SentencePiece tokenizer that the original layout has.
    """
    raw = original_config(source)
    _write_json(folder / "config.json", raw)
    hf_tokenizer.write_original_tokenizer(source, folder)
    rows = original_layout.read_layout(folder).text["vocab_size"]
    stop = conversation.read_tokenizer(folder, rows).special[conversation.STOP]
    _write_json(folder / "generation_config.json", {"eos_token_id": [stop]})
    size = raw["force_image_size"]
    _write_json(
        folder / "preprocessor_config.json",
        {
            "crop_size": size,
            "size": size,
            "resample": _BICUBIC,
            "image_mean": MEAN,
            "image_std": STD,
            "do_center_crop": True,
            "do_normalize": True,
            "do_resize": True,
            "feature_extractor_type": "CLIPFeatureExtractor",
        },
    )


def _original(raw: Mapping[str, Any]) -> dict[str, Any]:
    vision, text = raw["vision_config"], raw["text_config"]
    rope = text["rope_parameters"]
    size, patch = _side(vision["image_size"]), _side(vision["patch_size"])
    dtype = raw.get("dtype") or raw.get("torch_dtype") or "bfloat16"
    same = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act")
    llm = ("vocab_size", "rms_norm_eps", "num_key_value_heads", "max_position_embeddings", "initializer_range")
    named = ("bos_token_id", "eos_token_id", "pad_token_id", "sliding_window")
    return {
        "architectures": ["InternVLChatModel"],
        "downsample_ratio": raw["downsample_ratio"],
        "force_image_size": size,
        "llm_config": {
            "architectures": ["Phi3ForCausalLM"],
            "model_type": "phi3",
            **{name: text[name] for name in (*same, *llm)},
            **{name: text.get(name) for name in named},
            "original_max_position_embeddings": rope["original_max_position_embeddings"],
            "partial_rotary_factor": rope.get("partial_rotary_factor", 1.0),
            "rope_scaling": {"type": "su", "short_factor": rope["short_factor"], "long_factor": rope["long_factor"]},
            "rope_theta": rope["rope_theta"],
            "tie_word_embeddings": False,
            "torch_dtype": dtype,
        },
        "model_type": "internvl_chat",
        "ps_version": "v2",
        "select_layer": -1,
        "template": "phi3-chat",
        "torch_dtype": dtype,
        "vision_config": {
            "architectures": ["InternVisionModel"],
            "model_type": "intern_vit_6b",
            **{name: vision[name] for name in (*same, "norm_type", "layer_norm_eps")},
            "image_size": size,
            "patch_size": patch,
            "num_channels": vision.get("num_channels", 3),
            "initializer_factor": vision["layer_scale_init_value"],
            "initializer_range": vision["initializer_range"],
            "qk_normalization": vision["use_qk_norm"],
            "qkv_bias": vision["attention_bias"],
        },
        **{name: raw[name] for name in _CARRIED if name in raw},
    }


def _side(size: Any) -> int:
    """56 of [56, 56]. Raises ValueError for another shape."""
    sides = [size] if isinstance(size, int) else list(size)
    if len(set(sides)) != 1:
        raise ValueError(f"{size} is not a square")
    return int(sides[0])


def _write_processor(described: original_layout.Layout, folder: Path) -> None:
    """The three files of transformers' InternVLProcessor, in the form that versions 4 and 5 read."""
    size = {"height": described.tile_size, "width": described.tile_size}
    pictures = {
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": MEAN,
        "image_std": STD,
        "rescale_factor": 1 / 255,
        "resample": _BICUBIC,
        "size": size,
        "processor_class": "InternVLProcessor",
    }
    _write_json(
        folder / "preprocessor_config.json",
        {
            **pictures,
            "crop_to_patches": True,
            "image_processor_type": "GotOcr2ImageProcessorFast",
            "max_patches": MAX_TILES,
            "min_patches": 1,
        },
    )
    _write_json(
        folder / "video_preprocessor_config.json", {**pictures, "video_processor_type": "InternVLVideoProcessor"}
    )
    _write_json(
        folder / "processor_config.json",
        {"image_seq_length": described.tokens_per_tile, "processor_class": "InternVLProcessor"},
    )


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    files.write_json(file, content, indent=2)
