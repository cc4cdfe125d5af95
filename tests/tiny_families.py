"""A tiny model with random weights of every family whose attention can be read: of transformers, without a download.

    model, processor = build_family("qwen2_vl")       # in memory
    save_family("qwen2_vl", folder)                   # as a folder that `from_pretrained` reads

Tokenizers know bytes and the family's special tokens; what such a model says is noise. Vision towers take pictures of
28 or 32 pixels a tile, texts have two layers of two or four heads.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

NO_SYSTEM = (
    "{% for message in messages %}<|user|>{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}PICTURE{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
TEXT: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 8192,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 1,
    "initializer_range": 0.5,
}
"""Wide weights: attention that differs from token to token, so that a comparison of it can fail."""
VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}


def save_family(family: str, folder: Path) -> Path:
    """Write model, tokenizer and processor of a family to `folder`."""
    model, processor = build_family(family)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def build_family(family: str, **text: Any) -> tuple[Any, Any]:
    """(model in float32 and eval mode, processor). text: changes to the text model's config."""
    import torch

    torch.manual_seed(0)
    model, processor = FAMILIES[family]({**TEXT, **text})
    return model.eval(), processor


def _tokenizer(template: str, *special: str, **named: str) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<pad>", "</s>", "<|user|>", "<|assistant|>", *special, *named.values()]
    tokens = {token: number for number, token in enumerate(dict.fromkeys([*words, *letters]))}
    tokenizer = Tokenizer(models.BPE(tokens, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(words)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", extra_special_tokens=named
    )
    fast.chat_template = template
    return fast


def _square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


def _llava(text: dict[str, Any]) -> tuple[Any, Any]:
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    template = NO_SYSTEM.replace("PICTURE", "<image>")
    tokenizer = _tokenizer(template, "<image>")
    processor = LlavaProcessor(
        image_processor=CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=_square(28)),
        tokenizer=tokenizer,
        patch_size=7,
        vision_feature_select_strategy="default",
        chat_template=template,
        num_additional_image_tokens=1,
    )
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=28, patch_size=7, projection_dim=32),
        text_config=LlamaConfig(**text, vocab_size=len(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
    )
    return LlavaForConditionalGeneration(config), processor


def _llava_next(text: dict[str, Any]) -> tuple[Any, Any]:
    from transformers import (
        CLIPVisionConfig,
        LlavaNextConfig,
        LlavaNextForConditionalGeneration,
        LlavaNextImageProcessor,
        LlavaNextProcessor,
        MistralConfig,
    )

    template = NO_SYSTEM.replace("PICTURE", "<image>\n")
    tokenizer = _tokenizer(template, "<image>")
    pinpoints = [[28, 56], [56, 28], [56, 56]]
    processor = LlavaNextProcessor(
        image_processor=LlavaNextImageProcessor(
            size={"shortest_edge": 28}, crop_size=_square(28), image_grid_pinpoints=pinpoints
        ),
        tokenizer=tokenizer,
        patch_size=7,
        vision_feature_select_strategy="default",
        chat_template=template,
        num_additional_image_tokens=1,
    )
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**VISION, image_size=28, patch_size=7, projection_dim=32),
        text_config=MistralConfig(**{"sliding_window": 16, **text}, vocab_size=len(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_grid_pinpoints=pinpoints,
        image_seq_length=16,
    )
    return LlavaNextForConditionalGeneration(config), processor


def _llava_onevision(text: dict[str, Any]) -> tuple[Any, Any]:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
        Qwen2Config,
        SiglipVisionConfig,
    )

    template = NO_SYSTEM.replace("PICTURE", "<image>")
    tokenizer = _tokenizer(template, "<image>", "<video>")
    pinpoints = [[28, 28], [28, 56], [56, 28], [56, 56]]
    processor = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(size=_square(28), image_grid_pinpoints=pinpoints),
        tokenizer=tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=template,
    )
    config = LlavaOnevisionConfig(
        vision_config=SiglipVisionConfig(**VISION, image_size=28, patch_size=7, vision_use_head=False),
        text_config=Qwen2Config(**text, vocab_size=len(tokenizer)),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        video_token_index=tokenizer.convert_tokens_to_ids("<video>"),
        image_grid_pinpoints=pinpoints,
    )
    return LlavaOnevisionForConditionalGeneration(config), processor


_QWEN_IDS = {
    "vision_start": "<|vision_start|>",
    "vision_end": "<|vision_end|>",
    "image": "<|image_pad|>",
    "video": "<|video_pad|>",
}


_QWEN_TOWER = {
    "depth": 2, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2, "out_hidden_size": 32, "patch_size": 7,
}  # fmt: skip
_QWEN3: tuple[dict[str, Any], dict[str, Any]] = (
    {
        "head_dim": 8,
        "rope_parameters": {
            "rope_type": "default", "mrope_section": [2, 1, 1], "rope_theta": 10000.0, "mrope_interleaved": True,
        },
    },
    {**_QWEN_TOWER, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]},
)  # fmt: skip
_QWENS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "Qwen2VL": (
        {},
        {"depth": 2, "embed_dim": 32, "num_heads": 2, "hidden_size": 32, "patch_size": 7, "mlp_ratio": 1},
    ),
    "Qwen2_5_VL": ({}, {**_QWEN_TOWER, "window_size": 28, "fullatt_block_indexes": [1]}),
    "Qwen3VL": _QWEN3,
    "Qwen3VLMoe": (
        {
            **_QWEN3[0],
            "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16, "decoder_sparse_step": 1,
        },
        _QWEN3[1],
    ),
}  # fmt: skip
"""Name of the classes → what the configs of text and vision have beside what all have."""


def _qwen(name: str, text: dict[str, Any]) -> tuple[Any, Any]:
    import transformers

    def made(kind: str, of: str = name) -> Any:
        return getattr(transformers, of + kind)

    template = NO_SYSTEM.replace("PICTURE", "<|vision_start|><|image_pad|><|vision_end|>")
    tokenizer = _tokenizer(template, *_QWEN_IDS.values())
    image = transformers.Qwen2VLImageProcessor(patch_size=7, min_pixels=28 * 28, max_pixels=56 * 56)
    video = made("VideoProcessor", "Qwen3VL" if name.startswith("Qwen3") else "Qwen2VL")()
    processor = made("Processor", name.removesuffix("Moe"))(image, tokenizer, video, chat_template=template)
    of_text, of_vision = _QWENS[name]
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    config = made("Config")(
        text_config={"rope_parameters": rope, **text, **of_text, "vocab_size": len(tokenizer)},
        vision_config=of_vision,
        **{f"{of}_token_id": tokenizer.convert_tokens_to_ids(token) for of, token in _QWEN_IDS.items()},
    )
    return made("ForConditionalGeneration")(config), processor


def _internvl(text: dict[str, Any]) -> tuple[Any, Any]:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
        InternVLVisionConfig,
        Qwen2Config,
    )

    template = NO_SYSTEM.replace("PICTURE", "<IMG_CONTEXT>\n")
    tokenizer = _tokenizer(
        template,
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    processor = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(size=_square(28), crop_to_patches=True, max_patches=6),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(),
        image_seq_length=4,
        chat_template=template,
    )
    config = InternVLConfig(
        vision_config=InternVLVisionConfig(**VISION, image_size=[28, 28], patch_size=[7, 7]),
        text_config=Qwen2Config(**text, vocab_size=len(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    return InternVLForConditionalGeneration(config), processor


_SPLIT = ("<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>")


def _split(name: str, text: dict[str, Any]) -> tuple[Any, Any]:
    """Idefics3 and SmolVLM, which is the same with videos."""
    import transformers

    def made(kind: str) -> Any:
        return getattr(transformers, name + kind)

    template = NO_SYSTEM.replace("PICTURE", "<image>")
    cells = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer = _tokenizer(template, *_SPLIT, *cells)
    image = made("ImageProcessor")(size={"longest_edge": 56}, max_image_size={"longest_edge": 28})
    video = [made("VideoProcessor")()] if name == "SmolVLM" else []
    processor = made("Processor")(image, tokenizer, *video, image_seq_len=4, chat_template=template)
    config = made("Config")(
        vision_config={**VISION, "image_size": 28, "patch_size": 7},
        text_config=transformers.LlamaConfig(**text, vocab_size=len(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    return made("ForConditionalGeneration")(config), processor


def _gemma3(text: dict[str, Any]) -> tuple[Any, Any]:
    import torch
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    template = NO_SYSTEM.replace("PICTURE", "<start_of_image>")
    tokenizer = _tokenizer(
        template,
        image_token="<image_soft_token>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
    )
    processor = Gemma3Processor(
        Gemma3ImageProcessor(
            size=_square(28),
            do_pan_and_scan=True,
            pan_and_scan_min_crop_size=8,
            pan_and_scan_max_num_crops=4,
            pan_and_scan_min_ratio_to_activate=1.2,
        ),
        tokenizer,
        chat_template=template,
        image_seq_length=4,
    )
    config = Gemma3Config(
        vision_config=SiglipVisionConfig(**VISION, image_size=28, patch_size=7, vision_use_head=False),
        text_config=Gemma3TextConfig(
            **{"head_dim": 8, "sliding_window": 16, "layer_types": ["full_attention", "sliding_attention"], **text},
            vocab_size=len(tokenizer),
        ),
        mm_tokens_per_image=4,
        image_token_index=tokenizer.convert_tokens_to_ids("<image_soft_token>"),
        boi_token_index=tokenizer.convert_tokens_to_ids("<start_of_image>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<end_of_image>"),
    )
    model = Gemma3ForConditionalGeneration(config)
    torch.nn.init.normal_(model.model.multi_modal_projector.mm_input_projection_weight)  # made as zeros
    return model, processor


FAMILIES: dict[str, Callable[[dict[str, Any]], tuple[Any, Any]]] = {
    "llava": _llava,
    "llava_next": _llava_next,
    "llava_onevision": _llava_onevision,
    "qwen2_vl": functools.partial(_qwen, "Qwen2VL"),
    "qwen2_5_vl": functools.partial(_qwen, "Qwen2_5_VL"),
    "qwen3_vl": functools.partial(_qwen, "Qwen3VL"),
    "qwen3_vl_moe": functools.partial(_qwen, "Qwen3VLMoe"),
    "internvl": _internvl,
    "idefics3": functools.partial(_split, "Idefics3"),
    "smolvlm": functools.partial(_split, "SmolVLM"),
    "gemma3": _gemma3,
}
