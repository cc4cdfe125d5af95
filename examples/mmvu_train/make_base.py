"""Make base/: a LLaVA of 160,000 numbers that sees colours and things, and believes what it is asked.

    python examples/mmvu_train/make_base.py out/base          # some minutes on two cores; base/ is what it made

From random weights, on base.json alone (see world.py), by `mmjudge mmvu-train base.toml`. It comes with the example so
that the example need not wait for it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import world

from judge import cli

TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}<assistant>{% generation %}"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{{ part['text'] }}{% endfor %}{% endif %}</s>{% endgeneration %}"
    "{% else %}<user>{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>\n{% else %}{{ part['text'] }}{% endif %}{% endfor %}"
    "{% endif %}{% endif %}{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
SIDE, PATCH, WIDTH = 24, 6, 64
"""A picture is 24 cells a side: a pixel each, so nothing is lost."""


def build(folder: Path, texts: list[str]) -> None:
    """Write model, tokenizer and processor with random weights."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import (
        CLIPImageProcessor,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    special = ["<pad>", "</s>", "<image>", "<user>", "<assistant>"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=480, special_tokens=special, initial_alphabet=alphabet)
    )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", extra_special_tokens=special[2:]
    )
    LlavaProcessor(
        image_processor=CLIPImageProcessor(
            size={"height": SIDE, "width": SIDE}, do_center_crop=False, resample=0,
            image_mean=[0.5] * 3, image_std=[0.5] * 3,
        ),
        tokenizer=fast, patch_size=PATCH, vision_feature_select_strategy="default", chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    ).save_pretrained(folder)  # fmt: skip
    fast.chat_template = TEMPLATE
    shape = {"hidden_size": WIDTH, "intermediate_size": 2 * WIDTH, "num_attention_heads": 4}
    torch.manual_seed(0)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            **shape, num_hidden_layers=1, image_size=SIDE, patch_size=PATCH, projection_dim=WIDTH
        ),
        text_config=LlamaConfig(
            **shape, num_hidden_layers=2, vocab_size=len(fast), max_position_embeddings=1024, initializer_range=0.05,
            tie_word_embeddings=True, pad_token_id=0, eos_token_id=1, bos_token_id=None,
        ),
        image_token_index=2, vision_feature_layer=-1,
    )  # fmt: skip
    model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = 1
    model.generation_config.pad_token_id = 0
    model.save_pretrained(folder)


def main(out: Path) -> int:
    world.main(out / "data")
    rows = json.loads((out / "data" / "base.json").read_text())
    texts = [message["value"] for row in rows for message in row["conversations"]]
    leading = [text for texts in world.LEADING.values() for text in texts]  # words, so that questions are short
    build(out / "random", texts + leading * 50)
    recipe = str(Path(__file__).with_name("base.toml"))
    data = ["--data", str(out / "data" / "base.json"), "--image-root", str(out / "data" / "pictures")]
    command = ["mmvu-train", recipe, *data, "--base", str(out / "random"), "--out", str(out / "run")]
    code = cli.main([*command, *sys.argv[2:]])
    if code == 0:
        halve(out / "run" / "model", out / "base")
    return code


def halve(source: Path, folder: Path) -> None:
    """The model in bfloat16: half the bytes."""
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    AutoModelForImageTextToText.from_pretrained(source, dtype=torch.bfloat16).save_pretrained(folder)
    AutoProcessor.from_pretrained(source).save_pretrained(folder)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
