"""native: one model of transformers that writes and draws. Janus today.

    kind = "native"
    most_pictures = 2

    [model]
    kind = "janus"
    model = "deepseek-community/Janus-Pro-7B"
    dtype = "bfloat16"
    guidance = 5.0

Janus answers in text or draws, one or the other in a call, so it is asked as a writer and then as a painter: the phases
are those of `judge.systems.describe`, with one model on the device. The description of a picture is its own.

Not here: Emu3, whose writer (Emu3-Chat) and painter (Emu3-Gen) are two checkpoints: `kind = "describe"` takes both.
Chameleon and Anole cannot draw with transformers (`judge.systems.token_painters` says why): `kind = "pipe"`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from judge.systems import JSON, Failed, Workspace
from judge.systems.describe import Describe, Describing
from judge.systems.painters import Drawn, Wanted
from judge.systems.token_painters import JanusSettings, TokenPainter, check_model_type, draw_with_janus
from judge.systems.transformers_writer import TransformersSettings, TransformersWriter
from judge.systems.writers import Decoding, Prompt


class NativeModel(JanusSettings, Decoding):
    """The keys of `[model]`: those of a painter, and how it writes. batch_size: of texts."""


class NativeSettings(Describing):
    """The keys of a SYSTEM.toml of this kind."""

    kind: Literal["native"]
    model: NativeModel

    def open(self, workspace: Workspace) -> Describe:
        """The system; the model is not loaded yet. Raises UserError where it is not to be had."""
        check_model_type(self.model.model, self.model.kind)
        both = Both(self.model)
        return Describe(self, both, both, workspace)


class Both:
    """A writer and a painter that share one loaded model; closed when both are done with it."""

    packages = ("transformers", "torch", "pillow")

    def __init__(self, settings: NativeModel) -> None:
        self.settings = settings
        keys = {name: getattr(settings, name) for name in TransformersSettings.model_fields if name != "kind"}
        self._writer = TransformersWriter(TransformersSettings(**keys))
        self.repeatable = TokenPainter(settings, draw_with_janus).repeatable

    @property
    def identity(self) -> Mapping[str, JSON]:
        return self.settings.identity

    def write_texts(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, str | Failed]]:
        return self._writer.write_texts(prompts)

    def draw_pictures(self, wanted: Sequence[Wanted]) -> Drawn:
        if not wanted:
            return iter(())
        return TokenPainter(self.settings, draw_with_janus, self._writer.load_model()).draw_pictures(wanted)

    def close(self) -> None:
        self._writer.close()
