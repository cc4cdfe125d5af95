"""The tiny judge's outside: its tokenizer, trained here, and the description files of the InternVL2-4B layout.

The files are those of OpenGVLab/InternVL2-4B, in small: a SentencePiece BPE model with byte fallback, the added tokens
of Phi-3 and InternVL with their flags, and `config.json` with `vision_config` and `llm_config` (longrope under its old
name "su"). See `judge.model.weights.original_layout` for what each field does.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from judge.io import files

PIECES = 1024
TILE, PATCH = 112, 28  # 4 tokens a tile; a 120-pixel picture is one tile
WINDOW, PRETRAINED_WINDOW = 8192, 1024

# Field 3 of the serialised model, NormalizerSpec, with add_dummy_prefix = true: repeated fields merge. Training goes
# without the prefix, so that words at line starts become pieces; at run time a llama tokenizer has it.
_DUMMY_PREFIX = b"\x1a\x02\x18\x01"

_CHAT = ("<|assistant|>", "<|placeholder1|>", "<|placeholder2|>", "<|placeholder3|>", "<|placeholder4|>",
         "<|system|>", "<|end|>", "<|placeholder5|>", "<|placeholder6|>", "<|user|>")  # fmt: skip
_VISION = ("<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>")


def write_tokenizer(folder: Path, lines: Iterable[str]) -> None:
    """tokenizer.model trained on `lines`, and the three JSON files around it."""
    import sentencepiece

    sentencepiece.set_min_log_level(2)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=model,
        model_type="bpe",
        vocab_size=PIECES,
        character_coverage=1.0,
        byte_fallback=True,
        split_digits=False,  # sums have two figures at most, and a number is compared as one piece
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        num_threads=1,
    )
    (folder / "tokenizer.model").write_bytes(model.getvalue() + _DUMMY_PREFIX)
    added = {content: PIECES + offset for offset, content in enumerate(("<|endoftext|>", *_CHAT, *_VISION))}
    ids = {"<unk>": 0, "<s>": 1, "</s>": 2, **added}
    decoder = {
        str(i): {
            "content": content,
            "lstrip": False,
            "normalized": False,
            "rstrip": content in (*_CHAT, "</s>"),
            "single_word": False,
            "special": content != "</s>",
        }
        for content, i in ids.items()
    }
    named = {"bos_token": "<s>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<unk>"}
    _write(folder / "added_tokens.json", dict(sorted(added.items())))
    _write(folder / "special_tokens_map.json", {"additional_special_tokens": list(_VISION), **named})
    _write(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": True,
            "add_eos_token": False,
            "added_tokens_decoder": decoder,
            "additional_special_tokens": list(_VISION),
            "clean_up_tokenization_spaces": False,
            **named,
            "legacy": False,
            "model_max_length": WINDOW,
            "sp_model_kwargs": {},
            "tokenizer_class": "LlamaTokenizer",
        },
    )


def config() -> dict[str, Any]:
    """`config.json` in the original layout. The model has some 1.2 million parameters."""
    return {
        "architectures": ["InternVLChatModel"],
        "downsample_ratio": 0.5,
        "dynamic_image_size": True,
        "force_image_size": TILE,
        "llm_config": _llm_config(),
        "max_dynamic_patch": 12,
        "min_dynamic_patch": 1,
        "model_type": "internvl_chat",
        "ps_version": "v2",
        "select_layer": -1,
        "template": "phi3-chat",
        "torch_dtype": "bfloat16",
        "use_thumbnail": True,
        "vision_config": _vision_config(),
    }


def _llm_config() -> dict[str, Any]:
    half = 16  # of a head
    return {
        "architectures": ["Phi3ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 1,
        "embd_pdrop": 0.0,
        "eos_token_id": PIECES,
        "hidden_act": "silu",
        "hidden_size": 128,
        "initializer_range": 0.02,
        "intermediate_size": 352,
        "max_position_embeddings": WINDOW,
        "model_type": "phi3",
        "num_attention_heads": 4,
        "num_hidden_layers": 4,
        "num_key_value_heads": 4,
        "original_max_position_embeddings": PRETRAINED_WINDOW,
        "pad_token_id": PIECES,
        "resid_pdrop": 0.0,
        "rms_norm_eps": 1e-05,
        "rope_scaling": {
            "type": "su",
            "short_factor": [1.0] * half,
            # as in Phi-3: fast rotations keep their speed, the slowest stretch to the whole window
            "long_factor": [round((WINDOW / PRETRAINED_WINDOW) ** (i / (half - 1)), 4) for i in range(half)],
        },
        "rope_theta": 10000.0,
        "sliding_window": 262144,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": PIECES + 1 + len(_CHAT) + len(_VISION),
    }


def _vision_config() -> dict[str, Any]:
    return {
        "architectures": ["InternVisionModel"],
        "attention_dropout": 0.0,
        "drop_path_rate": 0.0,
        "dropout": 0.0,
        "hidden_act": "gelu",
        "hidden_size": 64,
        "image_size": TILE,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "intermediate_size": 192,
        "layer_norm_eps": 1e-06,
        "model_type": "intern_vit_6b",
        "norm_type": "layer_norm",
        "num_attention_heads": 2,
        "num_channels": 3,
        "num_hidden_layers": 2,
        "patch_size": PATCH,
        "qk_normalization": False,
        "qkv_bias": True,
        "torch_dtype": "bfloat16",
    }


def write_config(folder: Path) -> None:
    """config.json, generation_config.json and preprocessor_config.json."""
    _write(folder / "config.json", config())
    _write(folder / "generation_config.json", {"eos_token_id": [2, PIECES, PIECES + 1 + _CHAT.index("<|end|>")]})
    _write(
        folder / "preprocessor_config.json",
        {
            "crop_size": TILE,
            "do_center_crop": True,
            "do_normalize": True,
            "do_resize": True,
            "feature_extractor_type": "CLIPFeatureExtractor",
            "image_mean": [0.485, 0.456, 0.406],
            "image_std": [0.229, 0.224, 0.225],
            "resample": 3,
            "size": TILE,
        },
    )


def _write(file: Path, value: dict[str, Any]) -> None:
    files.write_json(file, value, indent=2)
