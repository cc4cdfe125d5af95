"""A question in the two forms lmms-eval's model classes take it: messages with their pictures, or text and pictures
apart. What is sent of a picture is what its condition shows (`judge.model.altered`).
"""

from __future__ import annotations

from typing import Any

from judge.core.question import Question
from judge.core.request import Picture, Text
from judge.harness.lmms_eval.model_classes import simple_text
from judge.harness.lmms_eval.run import Refusal, Run
from judge.io.image_paths import ImageRefused
from judge.model.altered import open_shown


def as_messages(question: Question, run: Run) -> list[dict[str, Any]]:
    """For chat classes: one user turn, text and pictures in their order; with a blank picture for a class that fails at
    a question without any."""
    content: list[dict[str, Any]] = [
        {"type": "text", "text": part.text} if isinstance(part, Text) else {"type": "image", "url": _opened(part)}
        for part in question.parts
    ]
    if not question.pictures and run.needs_picture:
        content.insert(0, {"type": "image", "url": _blank()})
    return [{"role": "user", "content": content}]


def as_text(question: Question, run: Run) -> str:
    """For simple classes, which take text and pictures apart: the pictures are those of `as_visuals`, in order."""
    return simple_text(question, run.asked.interleaving, numbered=run.numbered)


def as_visuals(question: Question, run: Run) -> list[Any]:
    """The opened pictures of the question, RGB; a blank one for a class that fails at a question without any."""
    pictures = [_opened(picture) for picture in question.pictures]
    return pictures or ([_blank()] if run.needs_picture else [])


def _opened(picture: Picture) -> Any:
    try:
        return open_shown(picture)
    except ImageRefused as refused:
        raise Refusal(f"a picture of the data cannot be read: {refused.message}") from None


def _blank() -> Any:
    from PIL import Image

    return Image.new("RGB", (64, 64), "white")
