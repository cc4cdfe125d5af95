"""Any text-to-image model of diffusers as a painter: SDXL, SD 3, Flux, Openjourney, whatever
`AutoPipelineForText2Image` loads.

    [painter]
    kind = "diffusers"
    model = "black-forest-labs/FLUX.1-dev"     # a folder, or repository[@revision]
    steps = 28
    guidance = 3.5
    width = 1024
    height = 1024
    batch_size = 4

    painter.identity   {"kind": "diffusers", "model": "black-forest-labs/FLUX.1-dev@0ef5…", "dtype": "bfloat16",
                        "device": "cuda", "steps": 28, "guidance": 3.5, "width": 1024, "height": 1024, "negative": null}

Every picture has a random generator of its own, on the CPU, so that its noise depends neither on the device nor on what
else is in its batch. In float32 on a CPU the pixels do not, either; elsewhere kernels may round differently.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from judge.errors import UserError
from judge.io.progress import doing
from judge.systems import JSON, Failed
from judge.systems.batches import in_batches
from judge.systems.checkpoints import find_checkpoint
from judge.systems.freeing import free_model
from judge.systems.painters import Drawn, Side, Wanted, repeatable_on
from judge.systems.settings import SPEED
from judge.systems.writers import LocalModel

if TYPE_CHECKING:
    from PIL import Image

FIX = "try it with batch_size = 1, a smaller width and height, another dtype or device, or offload = true"
BLOCKED = "the model's safety checker blocked the picture"


class DiffusersSettings(LocalModel):
    """The keys of a painter of this kind. None: what the pipeline does by itself. negative: what shall not be seen.
    offload: parts of the model wait in the main memory until their turn, for a GPU that cannot hold all of it."""

    kind: Literal["diffusers"] = "diffusers"
    steps: Annotated[int | None, Field(ge=1, le=1000)] = None
    guidance: Annotated[float | None, Field(ge=0, le=100)] = None
    width: Side | None = None
    height: Side | None = None
    negative: str | None = None
    offload: Annotated[bool, SPEED] = False

    def open(self) -> DiffusersPainter:
        """The painter; nothing is loaded yet."""
        return DiffusersPainter(self)

    @property
    def arguments(self) -> dict[str, Any]:
        """What the pipeline is called with, by its names."""
        values = {
            "num_inference_steps": self.steps,
            "guidance_scale": self.guidance,
            "width": self.width,
            "height": self.height,
        }
        return {name: value for name, value in values.items() if value is not None}


class DiffusersPainter:
    """See the module."""

    packages = ("diffusers", "transformers", "torch", "pillow")

    def __init__(self, settings: DiffusersSettings) -> None:
        self.settings = settings
        self._pipeline: Any = None

    @property
    def identity(self) -> Mapping[str, JSON]:
        return {**self.settings.identity, "dtype": self._dtype}

    @property
    def repeatable(self) -> str:
        return repeatable_on(self.settings.on.partition(":")[0], self._dtype)

    @property
    def _dtype(self) -> str:
        """diffusers takes float32 for "auto", whatever the weights are in; half of that does on a GPU."""
        if self.settings.dtype != "auto":
            return self.settings.dtype
        return "float32" if self.settings.on == "cpu" else "bfloat16"

    def draw_pictures(self, wanted: Sequence[Wanted]) -> Drawn:
        if wanted:
            self._load()
            yield from in_batches(wanted, self.settings.batch_size, self._pictures, by="painter", fix=FIX)

    def close(self) -> None:
        if self._pipeline is not None:
            free_model(list(self._pipeline.components.values()))
        self._pipeline = None

    def _load(self) -> None:
        if self._pipeline is not None:
            return
        with doing(f"loading the painter {self.settings.model} on {self.settings.on}"):
            pipeline = self._new_pipeline()
        pipeline.set_progress_bar_config(disable=True)
        self._pipeline = pipeline

    def _new_pipeline(self) -> Any:
        try:
            import torch
            from diffusers import AutoPipelineForText2Image
        except ImportError as error:
            raise UserError(f"needs diffusers ({error})", fix="pip install 'mmjudge[systems]'") from error
        source = find_checkpoint(self.settings.model).source
        source["pretrained_model_or_path"] = source.pop("pretrained_model_name_or_path")
        try:
            with warnings.catch_warnings():  # the word is `dtype` in new versions, and unknown to old ones
                warnings.filterwarnings("ignore", message=".*torch_dtype.*", category=FutureWarning)
                pipeline = AutoPipelineForText2Image.from_pretrained(**source, torch_dtype=getattr(torch, self._dtype))
            if self.settings.offload:
                pipeline.enable_model_cpu_offload(device=self.settings.on)
            else:
                pipeline.to(self.settings.on)
        except (OSError, ValueError, RuntimeError, ImportError, AttributeError) as error:
            fix = "a painter of this kind is a text-to-image model of diffusers; see docs/systems.md"
            raise UserError(f"cannot be loaded: {error}", file=self.settings.model, fix=fix) from error
        return pipeline

    def _pictures(self, wanted: Sequence[Wanted]) -> list[Image.Image | Failed]:
        import torch

        arguments = self.settings.arguments
        if self.settings.negative is not None:
            arguments["negative_prompt"] = [self.settings.negative] * len(wanted)
        with torch.inference_mode():
            output = self._pipeline(
                prompt=[each.prompt for each in wanted],
                generator=[torch.Generator("cpu").manual_seed(each.seed) for each in wanted],
                output_type="pil",
                **arguments,
            )
        blocked = getattr(output, "nsfw_content_detected", None) or [False] * len(wanted)
        return [
            Failed("empty_answer", BLOCKED, "painter") if bad else image
            for image, bad in zip(output.images, blocked, strict=True)
        ]
