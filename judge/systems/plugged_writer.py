"""Writers that live in a harness: any chat class of lmms-eval, built as `lmms-eval --model NAME --model_args …` does.

    [writer]
    kind = "lmms-eval"
    model = "qwen2_5_vl"                       # as after --model
    model_args = "pretrained=Qwen/Qwen2.5-VL-7B-Instruct,attn_implementation=sdpa"
    batch_size = 4

This package knows no harness. Who brings one registers a function under the entry-point group `mmjudge.writers`, by the
kind's name: it takes these keys and returns a `judge.systems.writers.Writer`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

from pydantic import Field

from judge.errors import UserError
from judge.systems.settings import SPEED, Count, Given
from judge.systems.writers import Decoding, Writer

GROUP = "mmjudge.writers"


class LmmsEvalSettings(Decoding):
    """The keys of a writer of this kind. model_args: as lmms-eval takes them. device: None for the class's own."""

    kind: Literal["lmms-eval"] = "lmms-eval"
    model: Given
    model_args: str = ""
    device: Annotated[str | None, Field(exclude=True)] = None
    batch_size: Annotated[Count, SPEED] = 1

    def open(self) -> Writer:
        """The writer; nothing is loaded yet. Raises UserError where the harness is not installed."""
        (point, *_) = [*entry_points(group=GROUP, name=self.kind), None]
        if point is None:
            raise UserError(f"no writer {self.kind!r} is registered", fix="pip install 'mmjudge[lmms-eval]'")
        make: Any = point.load()
        writer: Writer = make(self)
        return writer
