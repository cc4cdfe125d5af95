"""A question and its picture as a model reads them, and what each token is.

    prompt = encode_prompt(model, processor, messages, pictures=[image])
    prompt.inputs              what `model(**prompt.inputs)` takes
    prompt.question            (581, 640): the tokens of the question's text
    prompt.segments            {"system": (0, 5), "picture": (5, 581), "question": (581, 640), "answer": (640, 645)}

Segments follow the order of the prompt, as the published scripts cut it: what stands before the picture; the picture,
from its first visual token to its last; up to the end of the question's text; the rest, which the chat template puts
before the answer. The question's text is found in the rendered template, and its tokens are counted from the end of the
prompt: what stands before may grow when the picture is put in.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from judge.attention.families import Grid, Pictured, grids
from judge.errors import UserError

Message = Mapping[str, Any]
Span = tuple[int, int]
SEGMENTS = ("system", "picture", "question", "answer")


@dataclasses.dataclass(frozen=True)
class Prompt:
    """One conversation, ready for the model. inputs: tensors on its device; ids [tokens]; question: positions of the
    first token of its text and behind the last; grids: of every picture."""

    inputs: Mapping[str, Any]
    ids: np.ndarray
    question: Span
    grids: Sequence[Grid]

    @property
    def segments(self) -> dict[str, Span]:
        """(first token, behind the last) of every part of `SEGMENTS`; a part may be empty."""
        first, last = self.grids[0].span[0], self.grids[-1].span[1]
        edges = (0, first, last, self.question[1], len(self.ids))
        return dict(zip(SEGMENTS, itertools.pairwise(edges), strict=True))


def encode_prompt(
    model: Any,
    processor: Any,
    messages: Sequence[Message],
    pictures: Sequence[Image.Image],
    question: str | None = None,
) -> Prompt:
    """The prompt of a conversation in the form of chat templates, the answer's start included.

    messages: [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Is it round? …"}]}]; the
    pictures are put into its parts of type "image", in order, whatever stands there. question: the text whose tokens
    are wanted, None for the last text of the last message; it must stand in that text, behind the pictures. Raises
    UserError where the processor cannot say which tokens these are.
    """
    filled, said = _with_pictures(messages, pictures)
    wanted = (said if question is None else question).strip()
    if not wanted:
        raise UserError("the last message has no text", fix='give it a part {"type": "text", "text": …}')
    if not pictures:
        raise UserError("the messages have no picture", fix='give them a part {"type": "image"}')
    try:
        text = processor.apply_chat_template(filled, add_generation_prompt=True, tokenize=False)
        inputs = processor.apply_chat_template(
            filled, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
        )
    except (AttributeError, ImportError, ValueError, TypeError) as error:
        raise UserError(
            f"the processor makes no prompt of the messages: {error}",
            fix="use a processor with a chat template, as instruction-tuned models have it",
        ) from error
    ids = inputs["input_ids"][0].numpy()
    found = grids(Pictured(ids, inputs, model.config, processor, [picture.size for picture in pictures]))
    span = _tokens_of(wanted, text, processor.tokenizer, ids)
    if span[0] < found[-1].span[1]:
        raise UserError("the question stands before its picture", fix="put the picture first: later tokens see it")
    return Prompt(inputs.to(model.device, dtype=model.dtype), ids, span, found)


def _with_pictures(messages: Sequence[Message], pictures: Sequence[Image.Image]) -> tuple[list[dict[str, Any]], str]:
    """(messages that hold the pictures, the last text of the last message)."""
    left, filled, text = list(pictures), [], ""
    for message in messages:
        parts, text = [], ""
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "image":
                if not left:
                    raise UserError(f"the messages have more than {len(pictures)} pictures", fix="give one for each")
                parts.append({"type": "image", "image": left.pop(0)})
            else:
                parts.append(dict(part))
                text = str(part.get("text", text))
        filled.append({**message, "content": parts})
    if left:
        raise UserError(f"{len(left)} of {len(pictures)} pictures have no part in the messages")
    return filled, text


def _tokens_of(wanted: str, text: str, tokenizer: Any, ids: np.ndarray) -> Span:
    """Positions in `ids` of the tokens that `wanted` became; text: the rendered template, pictures not yet put in."""
    first = text.rfind(wanted)
    if first < 0:
        raise UserError("the chat template changes the text of the question, so its tokens cannot be found")
    try:
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    except NotImplementedError:
        raise UserError(
            f"{type(tokenizer).__name__} cannot say which characters a token is",
            fix="load the fast tokenizer (AutoProcessor.from_pretrained(…, use_fast=True))",
        ) from None
    last = first + len(wanted)
    inside = [
        position
        for position, (start, end) in enumerate(encoded["offset_mapping"])
        if start < last and end > first and end > start
    ]
    behind = len(encoded["input_ids"]) - inside[0]
    if list(ids[-behind:]) != list(encoded["input_ids"][-behind:]):
        raise UserError(
            "the processor makes other tokens of the question than its tokenizer does",
            fix="put the question behind its picture, or use the processor that was published with the model",
        )
    return len(ids) - behind, len(ids) - behind + len(inside)


def encode_answer_letters(tokenizer: Any, letters: Sequence[str]) -> list[int]:
    """The token of each letter: the last one of its encoding, as the published scripts take it. Raises UserError."""
    ids = [int(tokenizer(letter, add_special_tokens=False)["input_ids"][-1]) for letter in letters]
    if len(set(ids)) != len(ids):
        raise UserError(f"{type(tokenizer).__name__} has no token of its own for each of {', '.join(letters)}")
    return ids
