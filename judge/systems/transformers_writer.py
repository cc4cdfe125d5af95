"""Any image-text-to-text model of transformers as a writer: in batches, greedy, with its own chat template.

    [writer]
    kind = "transformers"
    model = "Qwen/Qwen2.5-VL-7B-Instruct"      # a folder, or repository[@revision]
    dtype = "bfloat16"
    batch_size = 8

    writer.identity   {"kind": "transformers", "model": "Qwen/Qwen2.5-VL-7B-Instruct@cc59…", "dtype": "bfloat16",
                       "device": "cuda", "max_new_tokens": 2048, "temperature": 0.0, "top_p": null}

Only native classes are loaded, no code of a repository. A batch holds prompts with pictures or prompts without, since
many processors take no mixture. What a text spells of the tokenizer's special tokens is broken up with U+2060, as it is
for a judge behind an address (`judge.engines.messages`), so that a question cannot become structure.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from judge.core.request import Picture, Text
from judge.engines.messages import JOINER
from judge.errors import UserError
from judge.io.progress import doing
from judge.model.images import decode_image
from judge.systems import JSON, Failed
from judge.systems.batches import in_batches
from judge.systems.checkpoints import find_checkpoint
from judge.systems.freeing import free_model
from judge.systems.writers import Decoding, LocalModel, Prompt

FIX = (
    "try it with batch_size = 1, a smaller max_new_tokens, another dtype or device; the message above says what failed"
)


class TransformersSettings(LocalModel, Decoding):
    """The keys of a writer of this kind."""

    kind: Literal["transformers"] = "transformers"

    def open(self) -> TransformersWriter:
        """The writer; nothing is loaded yet."""
        return TransformersWriter(self)


class TransformersWriter:
    """See the module. Raises UserError where the model is not to be had or has no chat template."""

    packages = ("transformers", "torch", "pillow")

    def __init__(self, settings: TransformersSettings) -> None:
        self.settings = settings
        self._model: Any = None
        self._processor: Any = None

    @property
    def identity(self) -> Mapping[str, JSON]:
        return self.settings.identity

    def write_texts(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, str | Failed]]:
        if not prompts:
            return
        self.load_model()
        # with pictures first: they need most memory, and what does not fit shows at once
        order = sorted(range(len(prompts)), key=lambda n: not any(isinstance(part, Picture) for part in prompts[n]))
        pictured = sum(any(isinstance(part, Picture) for part in prompt) for prompt in prompts)
        for some in (order[:pictured], order[pictured:]):
            work = in_batches([prompts[n] for n in some], self.settings.batch_size, self._texts, by="writer", fix=FIX)
            for position, result, _ in work:
                yield some[position], result

    def close(self) -> None:
        free_model([self._model])
        self._model = self._processor = None

    def load_model(self) -> tuple[Any, Any]:
        """(model, processor), loaded once. Raises UserError."""
        if self._model is None:
            source = find_checkpoint(self.settings.model).source
            try:
                with doing(f"loading the writer {self.settings.model} on {self.settings.on}"):
                    from transformers import AutoModelForImageTextToText, AutoProcessor

                    processor = AutoProcessor.from_pretrained(**source)
                    model = AutoModelForImageTextToText.from_pretrained(**source, dtype=self.settings.dtype)
                    self._model = model.to(self.settings.on).eval()
            except (OSError, ValueError, RuntimeError, ImportError) as error:
                fix = "a writer of this kind is an image-text-to-text model of transformers; see docs/systems.md"
                raise UserError(f"cannot be loaded: {error}", file=self.settings.model, fix=fix) from error
            if getattr(processor, "chat_template", None) is None:
                fix = "take the model's chat (instruct) version"
                raise UserError("has no chat template", file=self.settings.model, fix=fix)
            processor.tokenizer.padding_side = "left"
            if processor.tokenizer.pad_token is None:
                processor.tokenizer.pad_token = processor.tokenizer.eos_token
            self._processor, self._special = processor, _spellings(processor)
        return self._model, self._processor

    def _texts(self, prompts: Sequence[Prompt]) -> list[str]:
        import torch

        model, processor = self._model, self._processor
        texts = [
            processor.apply_chat_template(self._messages(prompt), add_generation_prompt=True, tokenize=False)
            for prompt in prompts
        ]
        pictures = [[decode_image(part) for part in prompt if isinstance(part, Picture)] for prompt in prompts]
        inputs = processor(
            text=texts, images=pictures if any(pictures) else None, padding=True, return_tensors="pt"
        ).to(model.device, model.dtype)
        choice: dict[str, Any] = {"do_sample": False}
        if self.settings.temperature:
            choice = {"do_sample": True, "temperature": self.settings.temperature, "top_p": self.settings.top_p or 1.0}
        with torch.inference_mode():
            output = model.generate(**inputs, max_new_tokens=self.settings.max_new_tokens, **choice)
        written: list[str] = processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return written

    def _messages(self, prompt: Prompt) -> list[dict[str, Any]]:
        content = [
            {"type": "text", "text": self._special.sub(_broken, part.text)}
            if isinstance(part, Text)
            else {"type": "image"}
            for part in prompt
        ]
        return [{"role": "user", "content": content}]


def _spellings(processor: Any) -> re.Pattern[str]:
    """Every special token that a text could spell, image placeholders included."""
    tokenizer = processor.tokenizer
    special = {*tokenizer.all_special_tokens, *tokenizer.get_added_vocab(), getattr(processor, "image_token", None)}
    words = sorted((token for token in special if isinstance(token, str) and len(token) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, words)) or "(?!)")


def _broken(match: re.Match[str]) -> str:
    return f"{match[0][0]}{JOINER}{match[0][1:]}"
