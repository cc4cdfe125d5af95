"""What a judge must beat: numbers that are to be had of an answer without judging it.

    words(answer)                              41
    ClipScore("openai/clip-vit-base-patch32")(answer)      73.9

CLIPScore: Hessel et al., EMNLP 2021, arXiv:2104.08718: 2.5 times the cosine of picture and text in CLIP's space, at
least 0, here times 100. An interleaved answer has several pictures. Each is held against the text it stands beside
(its part's, else the nearest before it, else the first after it), and the mean is taken. CLIP reads the first 77
tokens of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Answer
from judge.errors import UserError
from judge.io.image_paths import ImageRefused, below

WEIGHT = 2.5


def words(answer: Answer) -> int:
    """Words of an answer's text, split at white space; pictures have none."""
    return sum(len(text.split()) for text, _ in _parts(answer))


def illustrated(answer: Answer) -> list[tuple[str, Path]]:
    """Every picture of an answer with the text it stands beside; none where there is no text at all.

    Raises ImageRefused for a picture that is not below the answer's root.
    """
    parts = _parts(answer)
    found: list[tuple[str, Path]] = []
    for number, (_, image) in enumerate(parts):
        if image is None:
            continue
        near = [text for text, _ in (*parts[number::-1], *parts[number + 1 :]) if text.strip()]
        if near:
            found.append((near[0], below(answer.image_root, image)))
    return found


class ClipScore:
    """CLIPScore of answers by a CLIP model of transformers: a local folder, or `ORG/NAME` on the Hub.

    Raises UserError where transformers is missing or the model cannot be loaded.
    """

    def __init__(self, model: str) -> None:
        try:
            from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel
        except ImportError as error:
            raise UserError(f"--clip needs {error.name}", fix="pip install 'mmjudge[hf]'") from error
        try:
            # safetensors only: nothing that is loaded can run code
            self._model = CLIPModel.from_pretrained(model, use_safetensors=True).eval()
            self._tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=False)
            self._images = CLIPImageProcessor.from_pretrained(model)
        except (OSError, ValueError) as error:
            problem = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise UserError(
                f"{model}: no CLIP model could be loaded ({problem})", fix="give --clip FOLDER or ORG/NAME"
            ) from error
        self.name = model

    def __call__(self, answer: Answer) -> float | None:
        """0 to 250; None for an answer without a picture, without text, or with a picture that cannot be read."""
        from judge.model.images import decode

        try:
            shown = [(text, decode(path)) for text, path in illustrated(answer)]
        except ImageRefused:
            return None
        if not shown:
            return None
        cosines = self._cosines([text for text, _ in shown], [picture for _, picture in shown])
        return 100 * sum(max(WEIGHT * cosine, 0.0) for cosine in cosines) / len(cosines)

    def _cosines(self, texts: Sequence[str], pictures: Sequence[Any]) -> list[float]:
        import torch

        longest = self._model.config.text_config.max_position_embeddings
        tokens = self._tokenizer(texts, padding=True, truncation=True, max_length=longest, return_tensors="pt")
        pixels = self._images(images=list(pictures), return_tensors="pt")
        with torch.inference_mode():
            found = self._model(input_ids=tokens.input_ids, attention_mask=tokens.attention_mask, **pixels)
        # the model returns both embeddings at length 1
        cosines: list[float] = (found.text_embeds * found.image_embeds).sum(dim=-1).tolist()
        return cosines


def _parts(answer: Answer) -> list[tuple[str, str | None]]:
    if isinstance(answer.response, str):
        return [(answer.response, None)]
    return [(part.get("text") or "", part.get("image")) for part in answer.response or []]
