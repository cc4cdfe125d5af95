"""A local vision-language model for VLMEvalKit, on any device: whatever `AutoModelForImageTextToText` loads.

    {"model": {"mine": {"class": "MMJudgeHF", "model_path": "DIR"}}, "data": {"MMIE": {"class": "MMIE", …}}}

VLMEvalKit's own wrappers ask for a GPU and many of them keep one image of a question; this one keeps all, in order.
By name (`--model mmjudge-hf`) the folder or repository is taken from $MMJUDGE_VLMEVAL_MODEL.
"""

from __future__ import annotations

import os
from typing import Any

from PIL import Image
from vlmeval.vlm.base import BaseModel

from judge.engines.devices import default_device
from judge.errors import UserError

VARIABLE = "MMJUDGE_VLMEVAL_MODEL"


class MMJudgeHF(BaseModel):
    """See the module. Greedy decoding; the model's own chat template."""

    INTERLEAVE = True

    def __init__(self, model_path: str | None = None, device: str | None = None, max_new_tokens: int = 1024) -> None:
        super().__init__()
        from transformers import AutoModelForImageTextToText, AutoProcessor

        path = model_path or os.environ.get(VARIABLE)
        if not path:
            raise UserError("no model named", field="model_path", fix=f"set {VARIABLE} to a folder or repository")
        self.device = default_device(device)
        self.processor = AutoProcessor.from_pretrained(path)
        self.model = AutoModelForImageTextToText.from_pretrained(path, dtype="auto").to(self.device).eval()
        self.max_new_tokens = max_new_tokens

    def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
        """The answer to one message, {"type", "value"} in order; greedy, without special tokens."""
        import torch

        content: list[dict[str, Any]] = []
        images = []
        for part in message:
            if part["type"] == "image":
                images.append(Image.open(part["value"]).convert("RGB"))
                content.append({"type": "image"})
            else:
                content.append({"type": "text", "text": part["value"]})
        prompt = self.processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = self.processor(text=prompt, images=images or None, return_tensors="pt").to(self.device)
        with torch.inference_mode():
            output = self.model.generate(**inputs, do_sample=False, max_new_tokens=self.max_new_tokens)
        text: str = self.processor.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)[0]
        return text.strip()
