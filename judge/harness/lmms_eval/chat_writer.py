"""A chat class of lmms-eval as a writer of a system under test (`judge.systems.plugged`).

A chat class asks for its messages itself: an `Instance` names a document, and `doc_to_messages(task_dict[task][split]
[doc_id])` turns it into messages. So the documents here are the prompts, and that function makes messages of them:

    task_dict = {"mmjudge": {"test": [prompt, …]}}
    arguments = ("", doc_to_messages, {"max_new_tokens": 2048, "temperature": 0.0, …}, 0, "mmjudge", "test")

lmms-eval 0.7.3, `api/task.py` (`ConfigurableMessagesTask.construct_requests`) and `models/chat/*.py`. Texts come in
portions, since a class gives nothing before all it was asked is answered.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from judge.core.failure import failed_call
from judge.core.foreign_text import described
from judge.core.request import Text
from judge.engines.messages import JOINER, SPECIAL
from judge.errors import UserError
from judge.model.images import decode_image
from judge.systems import JSON, Failed
from judge.systems.batches import in_batches
from judge.systems.freeing import free_model
from judge.systems.plugged import LmmsEvalSettings
from judge.systems.writers import Prompt

TASK, SPLIT = "mmjudge", "test"
PORTION = 8
"""Batches that are asked for together: what a kill can cost, and how often a class starts anew."""


class ChatWriter:
    """See the module. Raises UserError for what is no chat class."""

    packages = ("lmms-eval", "transformers", "torch", "pillow")

    def __init__(self, settings: LmmsEvalSettings) -> None:
        if importlib.util.find_spec("lmms_eval") is None:
            raise UserError("lmms-eval is not installed", fix="pip install 'mmjudge[lmms-eval]'")
        self.settings = settings
        self._model: Any = None

    @property
    def identity(self) -> Mapping[str, JSON]:
        return self.settings.to_json()

    def write_texts(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, str | Failed]]:
        if not prompts:
            return
        self._load()
        fix = f"see whether `lmms-eval --model {self.settings.model} --tasks …` runs with these model_args"
        size = self.settings.batch_size * PORTION
        for position, text, _ in in_batches(prompts, size, self._texts, by="writer", fix=fix):
            yield position, text

    def close(self) -> None:
        free_model(self._model)
        self._model = None

    def _load(self) -> None:
        if self._model is not None:
            return
        from lmms_eval.models import get_model

        settings = self.settings
        try:
            cls = get_model(settings.model)
        except ValueError as error:
            raise UserError(
                str(error).splitlines()[0][:300], field="model", fix="as after `lmms-eval --model`"
            ) from None
        if cls.is_simple:
            raise UserError(
                f"{settings.model} has no chat class", field="model", fix="take one of lmms_eval/models/chat"
            )
        more = {"batch_size": settings.batch_size, "device": settings.device}
        try:
            self._model = cls.create_from_arg_string(settings.model_args, more)
        except Exception as error:
            fix = "the words are the class's own; model_args go to it as they are"
            raise UserError(f"cannot be loaded: {described(error)}", file=settings.model, fix=fix) from error

    def _texts(self, prompts: Sequence[Prompt]) -> list[str | Failed]:
        from lmms_eval.api.instance import Instance, unwrap_generation_output

        self._model.task_dict[TASK] = {SPLIT: list(prompts)}
        settings = self.settings
        requests = [
            Instance(
                request_type="generate_until",
                arguments=("", _messages, _generation(settings), number, TASK, SPLIT),
                idx=0,
                metadata={"task": TASK, "doc_id": number, "repeats": 1},
            )
            for number in range(len(prompts))
        ]
        texts = [unwrap_generation_output(each)[0] for each in self._model.generate_until(requests)]
        return [_checked(text) for text in texts]


def _generation(settings: LmmsEvalSettings) -> dict[str, Any]:
    """Arguments of a generation: of each request its own, since classes add to them."""
    return {
        "max_new_tokens": settings.max_new_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "do_sample": settings.temperature > 0,
        "num_beams": 1,
        "until": [],
    }


def _messages(prompt: Prompt) -> list[dict[str, Any]]:
    content = [
        {"type": "text", "text": SPECIAL.sub(lambda match: f"{match[0][0]}{JOINER}{match[0][1:]}", part.text)}
        if isinstance(part, Text)
        else {"type": "image", "url": decode_image(part)}
        for part in prompt
    ]
    return [{"role": "user", "content": content}]


def _checked(text: Any) -> str | Failed:
    if (reason := failed_call(text)) is not None:
        return Failed(reason, str(text)[:300], "writer")
    if not isinstance(text, str):
        return Failed("call_failed", f"the class returned no text, but {type(text).__name__}", "writer")
    return text
