"""Writers: models that answer with text, to what is asked in text and pictures.

    writer = TransformersSettings(model="llava-hf/llava-1.5-7b-hf", batch_size=8).open()
    for position, text in writer.write_texts([(Text("Describe it."), Picture(…)), (Text("And then?"),)]):
        ...     # "A cat on a sofa.", or Failed("call_failed", "RuntimeError: …", by="writer")

`judge.systems.transformers_writer`, `judge.systems.endpoint_writer`, and in `judge.harness.lmms_eval.chat_writer` any
chat class of lmms-eval.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Literal, Protocol

from pydantic import Field

from judge.core.request import Segment, Text
from judge.engines.devices import OTHERS, check_device, default_device
from judge.systems import JSON, Failed
from judge.systems.checkpoints import find_checkpoint
from judge.systems.settings import SPEED, Count, Given, Table

Prompt = tuple[Segment, ...]
"""What is asked: texts and pictures in order, of one user."""


class Writer(Protocol):
    """A model that writes. Nothing is loaded or asked before the first text is wanted."""

    @property
    def identity(self) -> Mapping[str, JSON]:
        """All that fixes its texts. Raises UserError for a model that is not to be had."""
        ...

    @property
    def packages(self) -> tuple[str, ...]:
        """The distributions whose versions belong into the record."""
        ...

    def write_texts(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, str | Failed]]:
        """(position, text) of every prompt, as they come. Raises UserError where no prompt can be answered."""
        ...

    def close(self) -> None:
        """Give back the device; the writer can be used again. Nothing happens where nothing is held."""
        ...


class LocalModel(Table):
    """Keys of a model in this process. model: a folder or a repository[@revision]. device: None for a GPU where there
    is one. dtype: "auto" is that of the weights. batch_size: how many at once."""

    model: Given
    device: Annotated[str | None, Field(exclude=True)] = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: Annotated[Count, SPEED] = 1

    @property
    def on(self) -> str:
        """The device: "cuda:1". Raises UserError for one that is not here."""
        check_device(self.device, "device =", OTHERS)
        return default_device(self.device)

    @property
    def identity(self) -> dict[str, JSON]:
        """Its keys, with the revision of the model and the kind of device. Raises UserError."""
        found = {"model": str(find_checkpoint(self.model)), "device": self.on.partition(":")[0]}
        return {**self.to_json(), **found}


class Decoding(Table):
    """Keys of a writer. temperature: 0 takes the likeliest token each time. top_p: None for all tokens."""

    max_new_tokens: Count = 2048
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.0
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None


def text_of(prompt: Prompt) -> str:
    """The texts of a prompt alone."""
    return "".join(part.text for part in prompt if isinstance(part, Text))


def joined(parts: Iterable[Segment]) -> Prompt:
    """Parts as a prompt: texts in a row are one, for model classes differ in what they put between two."""
    prompt: list[Segment] = []
    for part in parts:
        if isinstance(part, Text) and prompt and isinstance(before := prompt[-1], Text):
            prompt[-1] = Text(before.text + part.text)
        else:
            prompt.append(part)
    return tuple(prompt)
