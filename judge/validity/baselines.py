"""What a judge is compared with on the same answers: numbers that need no judging, and other judges.

    expected     the expectation of the judge's own score, where every verdict has its probabilities
    base, …      another judge's verdicts, above all those of the base that a judge was tuned from
    constant     people's mean for every answer: no other constant has a lower squared error
    words        count_words(answer)                                     41
    clipscore    ClipScore("openai/clip-vit-base-patch32")(answer)       73.9

CLIPScore: Hessel et al., EMNLP 2021, arXiv:2104.08718: 2.5 times the cosine of picture and text in CLIP's space, at
least 0, here times 100. An interleaved answer has several pictures. Each is compared with the text nearest to it (its
part's, else the nearest before it, else the first after it), and the mean is taken. CLIP reads the first 77 tokens of
a text.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from judge.core.benchmark import Answer
from judge.errors import UserError
from judge.io.image_paths import ImageRefused, below
from judge.io.progress import doing
from judge.model.weights.source import fetch_repository, local_folder, split_repository
from judge.validity.pairing import AnswerKey, JoinedScores, JudgeVerdicts, Pair

CLIPSCORE_WEIGHT = 2.5
OWN_NAMES = ("expected", "constant", "words", "clipscore")
"""Names that another judge cannot have."""


@dataclasses.dataclass(frozen=True)
class Baseline:
    """Scores of the same answers by something else. scale "other": not 0 to 6, so only association means anything.

    about: what it is, in words. signature: of another judge's verdicts, where it is known.
    """

    about: str
    values: Mapping[AnswerKey, float]
    scale: Literal["score", "other"] = "score"
    signature: str | None = None


def collect_baselines(
    joined: JoinedScores, others: Mapping[str, JudgeVerdicts], clip: ClipScore | None = None
) -> dict[str, Baseline]:
    """Every baseline that can be had, by name, in the order of tables. others: further judges by name.

    None at all where no answer has both scores. Raises UserError for a judge that has one
    of `OWN_NAMES`, and where CLIPScore is defined for none of the answers.
    """
    for name in others:
        if name in OWN_NAMES:
            raise UserError(
                f"no other judge can be called {name}, which is the name of a row of its own", fix="give another name"
            )
    if not joined.pairs:
        return {}
    found: dict[str, Baseline] = {}
    expected = {pair.key: pair.expected for pair in joined.pairs if pair.expected is not None}
    if len(expected) == len(joined.pairs):
        found["expected"] = Baseline("the expectation of the judge's score, from its probabilities", expected)
    for name, other in others.items():
        signature = None if other.signature is None else str(other.signature)
        found[name] = Baseline("another judge's verdicts", other.scores, signature=signature)
    found["constant"] = constant_baseline(joined.pairs)
    if counted := _values(joined.pairs, count_words):
        found["words"] = Baseline("length of the answer in words", counted, "other")
    if clip is not None:
        scored = _values(joined.pairs, clip)
        if not scored:
            raise UserError("--clip: no answer in HUMANS has both a picture that can be read and text")
        found["clipscore"] = Baseline(f"CLIPScore by {Path(clip.name).name}", scored, "other")
    return found


def constant_baseline(pairs: Sequence[Pair]) -> Baseline:
    """The mean of the human scores, in points, for every answer. pairs: at least one."""
    mean = math.fsum(pair.human for pair in pairs) / len(pairs)
    return Baseline(f"every answer scored {mean:.2f}, people's mean", {pair.key: mean for pair in pairs})


def _values(pairs: Sequence[Pair], measure: Callable[[Answer], float | None]) -> dict[AnswerKey, float]:
    """The measure of every answer that the human scores hold and that has one."""
    values = {pair.key: measure(pair.answer) for pair in pairs if pair.answer is not None}
    return {key: value for key, value in values.items() if value is not None}


def count_words(answer: Answer) -> int:
    """Words of an answer's text, split at white space; pictures have none."""
    return sum(len(text.split()) for text, _ in _parts(answer))


def count_pictures(answer: Answer) -> int:
    """Pictures that an answer names, whether or not they are there."""
    return sum(image is not None for _, image in _parts(answer))


def captioned_pictures(answer: Answer) -> list[tuple[str, Path]]:
    """(text, file) of every picture of an answer, with the text nearest to it; none where there is no text at all.

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
        if local_folder(model) is None:
            fetch_repository(*split_repository(model), ("config.json",))  # what is not there is said at once
        try:
            from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel
        except ImportError as error:
            raise UserError(f"--clip needs {error.name}", fix="pip install 'mmjudge[hf]'") from error
        try:
            # safetensors only: nothing that is loaded can run code
            with doing(f"loading CLIP, {model}"):
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
        from judge.model.images import decode_image

        try:
            shown = [(text, decode_image(path)) for text, path in captioned_pictures(answer)]
        except ImageRefused:
            return None
        if not shown:
            return None
        cosines = self._cosines([text for text, _ in shown], [picture for _, picture in shown])
        return 100 * sum(max(CLIPSCORE_WEIGHT * cosine, 0.0) for cosine in cosines) / len(cosines)

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
