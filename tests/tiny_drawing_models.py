"""Janus and Emu3 of some 100 kB on disk with random weights: models of transformers that draw in tokens.

Their tokenizers know bytes and the special tokens that their processors need; their pictures are noise of their own for
every prompt and seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

TEMPLATE = (
    "{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] }}{% else %}<image>{% endif %}"
    "{% endfor %}{% endfor %}"
)
SHAPE = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}


def _tokenizer(named: Mapping[str, str], more: Sequence[str] = ()) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ["<pad>", "<s>", "</s>", *named.values(), *more, *letters]
    tokenizer = Tokenizer(models.BPE({word: number for number, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=dict(named),
        additional_special_tokens=list(more),
    )


def _with_opinions(head: Any) -> None:
    """Random weights give every token about the same chance, whatever the prompt; larger ones do not."""
    import torch

    with torch.no_grad():
        for parameter in head.parameters():
            parameter.mul_(4)


def build_janus(folder: Path) -> Path:
    """Write model and processor to `folder`: pictures of 16 x 16 pixels in 4 tokens."""
    import torch
    from transformers import (
        GenerationConfig,
        JanusConfig,
        JanusForConditionalGeneration,
        JanusImageProcessor,
        JanusProcessor,
        JanusVisionConfig,
        JanusVQVAEConfig,
        LlamaConfig,
    )

    named = {"image_token": "<image>", "boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"}
    tokenizer = _tokenizer(named)
    torch.manual_seed(0)
    vision = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 16, "patch_size": 8}
    config = JanusConfig(
        text_config=LlamaConfig(**SHAPE, vocab_size=len(tokenizer), max_position_embeddings=4096, pad_token_id=0),
        vision_config=JanusVisionConfig(**vision, mlp_ratio=1.0, projection_dim=32, depth=1, num_image_tokens=4),
        vq_config=JanusVQVAEConfig(
            embed_dim=8,
            num_embeddings=32,
            num_patches=2,
            base_channels=32,
            channel_multiplier=[1, 1, 1, 1],
            num_res_blocks=1,
            projection_dim=32,
            image_token_embed_dim=32,
            num_hidden_layers=1,
        ),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
    )
    model = JanusForConditionalGeneration(config)
    _with_opinions(model.model.generation_head)
    boi = tokenizer.convert_tokens_to_ids("<begin_of_image>")
    model.generation_config = GenerationConfig(
        bos_token_id=1, eos_token_id=2, pad_token_id=0, generation_kwargs={"boi_token_id": boi}
    )
    model.save_pretrained(folder)
    side = {"height": 16, "width": 16}
    JanusProcessor(
        image_processor=JanusImageProcessor(size=side, min_size=2),
        tokenizer=tokenizer,
        chat_template=TEMPLATE,
        num_image_tokens=4,
    ).save_pretrained(folder)
    return folder


def build_emu3(folder: Path) -> Path:
    """Write model and processor to `folder`: pictures of any size, 8 x 8 pixels a token."""
    import torch
    from transformers import (
        Emu3Config,
        Emu3ForConditionalGeneration,
        Emu3ImageProcessor,
        Emu3Processor,
        Emu3TextConfig,
        Emu3VQVAEConfig,
    )

    named = {
        "image_token": "<image>",
        "boi_token": "<|image start|>",
        "eoi_token": "<|image end|>",
        "image_wrapper_token": "<|image token|>",
        "eof_token": "<|extra_201|>",
    }
    tokenizer = _tokenizer(named, ["<|extra_200|>", *(f"<|visual token {number:06d}|>" for number in range(32))])
    torch.manual_seed(0)
    config = Emu3Config(
        text_config=Emu3TextConfig(
            **SHAPE,
            num_key_value_heads=2,
            vocab_size=len(tokenizer),
            max_position_embeddings=4096,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        ),
        vq_config=Emu3VQVAEConfig(
            codebook_size=32,
            base_channels=32,
            channel_multiplier=[1, 1, 1, 1],
            num_res_blocks=1,
            hidden_size=32,
            attn_resolutions=[],
            temporal_downsample_factor=1,
        ),
        vocabulary_map=tokenizer.get_vocab(),
    )
    model = Emu3ForConditionalGeneration(config)
    _with_opinions(model.lm_head)
    model.save_pretrained(folder)
    Emu3Processor(
        image_processor=Emu3ImageProcessor(min_pixels=64, max_pixels=4096), tokenizer=tokenizer, chat_template=TEMPLATE
    ).save_pretrained(folder)
    return folder
