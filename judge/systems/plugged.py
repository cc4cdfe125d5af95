"""Writers and painters that this package does not know: of a harness, of the demo, of one's own package.

    [writer]
    kind = "lmms-eval"                         # any chat class, built as `lmms-eval --model NAME --model_args …` does
    model = "qwen2_5_vl"
    model_args = "pretrained=Qwen/Qwen2.5-VL-7B-Instruct,attn_implementation=sdpa"
    batch_size = 4

    [painter]
    kind = "plugged"                           # what a package registered under this name
    name = "mine"
    options = {style = "ink"}

A package registers a class under the entry-point group `mmjudge.writers` or `mmjudge.painters`. It is called with the
options (for "lmms-eval" with the keys) and follows `judge.systems.writers.Writer` or `judge.systems.painters.Painter`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Annotated, Any, Literal

from pydantic import Field

from judge.errors import UserError
from judge.systems.painters import Painter
from judge.systems.settings import SPEED, Count, Given, Table
from judge.systems.writers import Decoding, Writer

WRITERS, PAINTERS = "mmjudge.writers", "mmjudge.painters"


class LmmsEvalSettings(Decoding):
    """The keys of a writer of this kind. model_args: as lmms-eval takes them. device: None for the class's own."""

    kind: Literal["lmms-eval"] = "lmms-eval"
    model: Given
    model_args: str = ""
    device: Annotated[str | None, Field(exclude=True)] = None
    batch_size: Annotated[Count, SPEED] = 1

    def open(self) -> Writer:
        """The writer; nothing is loaded yet. Raises UserError where the harness is not installed."""
        writer: Writer = _registered(WRITERS, self.kind)(self)
        return writer


class PluggedSettings(Table):
    """Keys of what somebody registered. options: what it is called with."""

    kind: Literal["plugged"] = "plugged"
    name: Given
    options: dict[str, Any] = Field(default_factory=dict)


class PluggedWriterSettings(PluggedSettings):
    """The keys of a writer of this kind."""

    def open(self) -> Writer:
        """The writer. Raises UserError where none has this name."""
        writer: Writer = _registered(WRITERS, self.name)(self.options)
        return writer


class PluggedPainterSettings(PluggedSettings):
    """The keys of a painter of this kind."""

    def open(self) -> Painter:
        """The painter. Raises UserError where none has this name."""
        painter: Painter = _registered(PAINTERS, self.name)(self.options)
        return painter


def _registered(group: str, name: str) -> Any:
    for point in entry_points(group=group, name=name):
        return point.load()
    known = ", ".join(sorted(point.name for point in entry_points(group=group))) or "none"
    raise UserError(f"no {name!r} is registered under {group}", fix=f"install what brings it; known here: {known}")
