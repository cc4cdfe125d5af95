"""Painters: models that draw a picture from a description; and the pictures of an output folder, each drawn once.

    wanted = Wanted("a red cup on a table", seed=1_790_343_219)
    for position, image, seconds in painter.draw_pictures([wanted]):
        ...     # a PIL image, or Failed("call_failed", "RuntimeError: …", by="painter")

A picture's file is named by what fixes it, `sha256(settings | seed | prompt).png`, and has that name only when it is
whole. So a run that goes on draws what is not there, and a picture that was deleted is drawn again under its name.
Its seed is `sha256(seed | id | index | k)` for picture k of a question: it depends on no other question.

`judge.systems.diffusers_painter`, `judge.systems.endpoint_painter`, `judge.systems.token_painters` (Janus, Emu3).
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from pydantic import Field

from judge.core.question import Question
from judge.io import files
from judge.systems import JSON, Failed

if TYPE_CHECKING:
    from PIL import Image


@dataclasses.dataclass(frozen=True)
class Wanted:
    """A picture to be drawn. seed: below 2**31, so that every kind of generator takes it."""

    prompt: str
    seed: int


Drawn = Iterator["tuple[int, Image.Image | Failed, float]"]
"""What a painter gives."""


class Painter(Protocol):
    """A model that draws. Nothing is loaded or asked before the first picture is wanted."""

    @property
    def identity(self) -> Mapping[str, JSON]:
        """All that fixes its pictures, batch size excluded. Raises UserError for a model that is not to be had."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """The distributions whose versions belong into the record."""
        ...

    @property
    def repeatable(self) -> str:
        """ "same bytes" where a picture drawn again, in whatever batch, has the same bytes; else why it may not."""
        ...

    def draw_pictures(self, wanted: Sequence[Wanted]) -> Drawn:
        """(position, picture, seconds) of everything wanted, as they come.

        seconds: of a batch's time its share. Raises UserError where nothing can be drawn.
        """
        ...

    def close(self) -> None:
        """Give back the device; the painter can be used again. Nothing happens where nothing is held."""
        ...


SAME_BYTES = "same bytes"


def repeatable_on(device: str, dtype: str) -> str:
    """`Painter.repeatable` of a model in this process."""
    if (device, dtype) == ("cpu", "float32"):
        return SAME_BYTES
    return f"a picture drawn again in another batch may differ in some bytes ({dtype} on {device})"


Side = Annotated[int, Field(ge=8, le=4096, multiple_of=8)]
"""Pixels that may be asked for."""


def picture_seed(seed: int, question: Question, number: int) -> int:
    """Of picture `number` (from 0) of a question."""
    digest = hashlib.sha256(f"{seed}|{question.id}|{question.index}|{number}".encode("utf-8", "backslashreplace"))
    return int.from_bytes(digest.digest()[:4], "big") >> 1


def picture_file(settings: Mapping[str, JSON], wanted: Wanted) -> str:
    """The name of a picture's file. settings: the painter's identity."""
    fixed = json.dumps(settings, sort_keys=True)
    return hashlib.sha256(f"{fixed}|{wanted.seed}|{wanted.prompt}".encode("utf-8", "backslashreplace")).hexdigest() + (
        ".png"
    )


def write_picture(path: Path, image: Image.Image) -> None:
    """`image` as PNG, RGB, without any metadata, whole or not at all. Raises OSError."""
    buffer = io.BytesIO()
    plain: Any = image.convert("RGB")
    plain.info.clear()
    plain.save(buffer, "PNG")
    files.write_bytes(path, buffer.getvalue())
