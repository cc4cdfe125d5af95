"""Checkpoints of a few hundred kilobytes with random weights, one for each family that lmms-eval has a class for.

    build("qwen2_vl", folder)     writes config, weights, tokenizer and processor, to be loaded offline

Their answers are noise. What they are good for is what stands before the answer: the prompt that a class of lmms-eval
makes, and the pictures it passes on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

TEXT = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
GROUPED = {**TEXT, "num_key_value_heads": 1}
ROPE = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 10000.0}

Builder = Callable[[Path], None]
FAMILIES: dict[str, Builder] = {}


def build(family: str, folder: Path) -> Path:
    """Write the checkpoint. Raises KeyError for an unknown family and whatever transformers raises."""
    import torch

    torch.manual_seed(0)
    FAMILIES[family](folder)
    return folder


def _family(name: str) -> Callable[[Builder], Builder]:
    def register(builder: Builder) -> Builder:
        FAMILIES[name] = builder
        return builder

    return register


def _template(mark: str, start: str = "", end: str = "") -> str:
    return (
        "{% for message in messages %}{{ '" + start + "' }}"
        "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
        "{% for part in message['content'] %}{% if part['type'] == 'text' %}{{ part['text'] }}"
        "{% else %}" + mark + "{% endif %}{% endfor %}{% endif %}{{ '" + end + "' }}{% endfor %}"
    )


def _tokenizer(*special: str, **named: Any) -> tuple[Any, dict[str, int]]:
    """A tokenizer of bytes that knows `special` tokens. named: tokens that processors ask for by attribute."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    known = dict.fromkeys(["<pad>", "<s>", "</s>", *special, *named.values()])
    tokens = {token: number for number, token in enumerate([*known, *letters])}
    tokenizer = Tokenizer(models.BPE(tokens, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>",
        additional_special_tokens=list(known)[3:], **({"extra_special_tokens": named} if named else {}),
    )  # fmt: skip
    return fast, tokens


@_family("llava")
def _llava(folder: Path) -> None:
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer, tokens = _tokenizer("<image>")
    LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28}),
        tokenizer=tokenizer, patch_size=14, vision_feature_select_strategy="default",
        chat_template=_template("<image>"), num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**TEXT, image_size=28, patch_size=14, projection_dim=32),
        text_config=LlamaConfig(**TEXT, vocab_size=len(tokens), max_position_embeddings=8192),
        image_token_index=tokens["<image>"],
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)


QWEN = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>", "<|im_start|>", "<|im_end|>")


def _qwen_ids(tokens: dict[str, int]) -> dict[str, int]:
    return {
        "image_token_id": tokens["<|image_pad|>"], "video_token_id": tokens["<|video_pad|>"],
        "vision_start_token_id": tokens["<|vision_start|>"], "vision_end_token_id": tokens["<|vision_end|>"],
    }  # fmt: skip


QWEN_TEMPLATE = _template("<|vision_start|><|image_pad|><|vision_end|>", "<|im_start|>", "<|im_end|>")


@_family("qwen2_vl")
def _qwen2_vl(folder: Path) -> None:
    from transformers import (
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessor,
        Qwen2VLProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer, tokens = _tokenizer(*QWEN)
    Qwen2VLProcessor(Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor(), QWEN_TEMPLATE).save_pretrained(folder)
    config = Qwen2VLConfig(
        text_config={**GROUPED, "vocab_size": len(tokens), "rope_parameters": ROPE, "rope_scaling": ROPE},
        vision_config={"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 2, "mlp_ratio": 1},
        **_qwen_ids(tokens),
    )
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)


@_family("qwen2_5_vl")
def _qwen2_5_vl(folder: Path) -> None:
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer, tokens = _tokenizer(*QWEN)
    Qwen2_5_VLProcessor(Qwen2VLImageProcessor(), tokenizer, Qwen2VLVideoProcessor(), QWEN_TEMPLATE).save_pretrained(
        folder
    )
    config = Qwen2_5_VLConfig(
        text_config={**GROUPED, "vocab_size": len(tokens), "rope_parameters": ROPE, "rope_scaling": ROPE},
        vision_config={
            "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32,
            "fullatt_block_indexes": [0],
        },
        **_qwen_ids(tokens),
    )  # fmt: skip
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)


@_family("qwen3_vl")
def _qwen3_vl(folder: Path) -> None:
    from transformers import (
        Qwen2VLImageProcessor,
        Qwen3VLConfig,
        Qwen3VLForConditionalGeneration,
        Qwen3VLProcessor,
        Qwen3VLVideoProcessor,
    )

    tokenizer, tokens = _tokenizer(*QWEN)
    Qwen3VLProcessor(
        Qwen2VLImageProcessor(patch_size=16), tokenizer, Qwen3VLVideoProcessor(), QWEN_TEMPLATE
    ).save_pretrained(folder)
    config = Qwen3VLConfig(
        text_config={**GROUPED, "vocab_size": len(tokens), "head_dim": 16, "rope_parameters": ROPE},
        vision_config={
            "depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32,
            "deepstack_visual_indexes": [0], "num_position_embeddings": 64,
        },
        **_qwen_ids(tokens),
    )  # fmt: skip
    Qwen3VLForConditionalGeneration(config).save_pretrained(folder)


@_family("gemma3")
def _gemma3(folder: Path) -> None:
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration, Gemma3ImageProcessor, Gemma3Processor

    named = {"boi_token": "<start_of_image>", "eoi_token": "<end_of_image>", "image_token": "<image_soft_token>"}
    tokenizer, tokens = _tokenizer(**named)
    size = {"height": 28, "width": 28}
    Gemma3Processor(
        Gemma3ImageProcessor(size=size), tokenizer, chat_template=_template("<start_of_image>"), image_seq_length=4
    ).save_pretrained(folder)
    config = Gemma3Config(
        text_config={**GROUPED, "vocab_size": len(tokens), "head_dim": 16},
        vision_config={**TEXT, "image_size": 28, "patch_size": 14},
        mm_tokens_per_image=4, boi_token_index=tokens["<start_of_image>"], eoi_token_index=tokens["<end_of_image>"],
        image_token_index=tokens["<image_soft_token>"],
    )  # fmt: skip
    Gemma3ForConditionalGeneration(config).save_pretrained(folder)


@_family("internvl")
def _internvl(folder: Path) -> None:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    named = {
        "start_image_token": "<img>", "end_image_token": "</img>", "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }  # fmt: skip
    tokenizer, tokens = _tokenizer(**named)
    size = {"height": 28, "width": 28}
    InternVLProcessor(
        GotOcr2ImageProcessor(size=size), tokenizer, InternVLVideoProcessor(size=size), image_seq_length=1,
        chat_template=_template("<IMG_CONTEXT>\n"),
    ).save_pretrained(folder)  # fmt: skip
    config = InternVLConfig(
        text_config={"model_type": "qwen2", **GROUPED, "vocab_size": len(tokens)},
        vision_config={**TEXT, "image_size": [28, 28], "patch_size": [14, 14]},
        image_token_id=tokens["<IMG_CONTEXT>"], image_seq_length=1,
    )  # fmt: skip
    InternVLForConditionalGeneration(config).save_pretrained(folder)


@_family("idefics2")
def _idefics2(folder: Path) -> None:
    from transformers import Idefics2Config, Idefics2ForConditionalGeneration, Idefics2ImageProcessor, Idefics2Processor

    tokenizer, tokens = _tokenizer("<image>", "<fake_token_around_image>", "<end_of_utterance>")
    size = {"shortest_edge": 28, "longest_edge": 56}
    Idefics2Processor(
        Idefics2ImageProcessor(size=size, do_image_splitting=False), tokenizer, image_seq_len=4,
        chat_template=_template("<image>"),
    ).save_pretrained(folder)  # fmt: skip
    config = Idefics2Config(
        text_config={"model_type": "mistral", **GROUPED, "vocab_size": len(tokens), "pad_token_id": 0},
        vision_config={**TEXT, "image_size": 56, "patch_size": 14},
        perceiver_config={
            "hidden_size": 32, "resampler_n_latents": 4, "resampler_depth": 1, "resampler_n_heads": 2,
            "resampler_head_dim": 16, "num_key_value_heads": 1,
        },
        image_token_id=tokens["<image>"],
    )  # fmt: skip
    Idefics2ForConditionalGeneration(config).save_pretrained(folder)


@_family("mllama")
def _mllama(folder: Path) -> None:
    from transformers import MllamaConfig, MllamaForConditionalGeneration, MllamaImageProcessor, MllamaProcessor

    tokenizer, tokens = _tokenizer("<|image|>")
    size = {"height": 28, "width": 28}
    MllamaProcessor(
        MllamaImageProcessor(size=size, max_image_tiles=1), tokenizer, chat_template=_template("<|image|>")
    ).save_pretrained(folder)
    config = MllamaConfig(
        text_config={**GROUPED, "vocab_size": len(tokens), "cross_attention_layers": [1], "pad_token_id": 0},
        vision_config={
            "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_global_layers": 1,
            "attention_heads": 2, "image_size": 28, "patch_size": 14, "max_num_tiles": 1, "vision_output_dim": 64,
            "intermediate_layers_indices": [0], "supported_aspect_ratios": [[1, 1]],
        },
        image_token_index=tokens["<|image|>"],
    )  # fmt: skip
    MllamaForConditionalGeneration(config).save_pretrained(folder)


@_family("mistral3")
def _mistral3(folder: Path) -> None:
    from transformers import Mistral3Config, Mistral3ForConditionalGeneration, PixtralImageProcessor, PixtralProcessor

    tokenizer, tokens = _tokenizer("[IMG]", "[IMG_BREAK]", "[IMG_END]", "[INST]", "[/INST]")
    PixtralProcessor(
        PixtralImageProcessor(size={"longest_edge": 56}, patch_size=14), tokenizer, patch_size=14, spatial_merge_size=2,
        chat_template=_template("[IMG]"),
    ).save_pretrained(folder)  # fmt: skip
    config = Mistral3Config(
        text_config={"model_type": "mistral", **GROUPED, "vocab_size": len(tokens), "head_dim": 16},
        vision_config={"model_type": "pixtral", **TEXT, "image_size": 56, "patch_size": 14, "head_dim": 16},
        image_token_index=tokens["[IMG]"], spatial_merge_size=2,
    )  # fmt: skip
    Mistral3ForConditionalGeneration(config).save_pretrained(folder)
