"""Models of transformers that draw in tokens of their own: Janus and Emu3-Gen, each as a painter.

    [painter]
    kind = "janus"
    model = "deepseek-community/Janus-Pro-7B"
    guidance = 5.0

    [painter]
    kind = "emu3"
    model = "BAAI/Emu3-Gen-hf"
    width = 720
    height = 720

Their tokens are drawn at random, from one generator for a whole batch. So pictures are drawn one at a time here, each
from its own seed: what a picture shows depends on nothing else.

**Chameleon and Anole cannot draw with transformers.** `ChameleonForConditionalGeneration` sets the logits of all image
tokens to the least number there is, and its VQVAE has no decoder (transformers 5.23, `modeling_chameleon.py`): no
picture can come out. A program of one's own can be asked instead (`kind = "pipe"`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from judge.errors import UserError
from judge.io.progress import doing
from judge.systems import JSON
from judge.systems.batches import in_batches
from judge.systems.checkpoints import find_checkpoint
from judge.systems.freeing import free_model
from judge.systems.painters import Drawn, Side, Wanted, repeatable_on
from judge.systems.writers import LocalModel

if TYPE_CHECKING:
    from PIL import Image

FIX = "try another dtype or device; the message above says what failed"


def check_model_type(model: str, kind: str) -> None:
    """Raise UserError where `model` is of another type than `kind`: most of them cannot draw at all."""
    found = find_checkpoint(model).model_type
    if found == "chameleon":
        problem = (
            "Chameleon and Anole cannot draw with transformers: image tokens never come out, and nothing decodes them"
        )
        raise UserError(problem, file=model, fix='ask a program that can (kind = "pipe"): docs/systems.md')
    if found != kind:
        raise UserError(f"is a model of type {found or 'unknown'}, not {kind}", file=model, field="kind")


class TokenSettings(LocalModel):
    """Keys of both kinds. guidance: how much more a description counts than none. temperature: of the tokens."""

    guidance: Annotated[float, Field(ge=1, le=100)]
    temperature: Annotated[float, Field(gt=0, le=10)] = 1.0


class JanusSettings(TokenSettings):
    """The keys of a painter of this kind; the size of its pictures is the model's."""

    kind: Literal["janus"] = "janus"
    guidance: Annotated[float, Field(ge=1, le=100)] = 5.0

    def open(self) -> TokenPainter:
        """The painter; nothing is loaded yet. Raises UserError for a model of another kind."""
        check_model_type(self.model, self.kind)
        return TokenPainter(self, draw_with_janus)


class Emu3Settings(TokenSettings):
    """The keys of a painter of this kind. top_k: of how many tokens the next one is drawn."""

    kind: Literal["emu3"] = "emu3"
    guidance: Annotated[float, Field(ge=1, le=100)] = 3.0
    top_k: Annotated[int, Field(ge=1)] = 2048
    width: Side = 720
    height: Side = 720
    suffix: str = " masterpiece, film grained, best quality."
    """What is put behind every description, as Emu3's authors do."""
    negative: str = (
        "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, "
        "worst quality, low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry."
    )
    """What shall not be seen: theirs, too."""

    def open(self) -> TokenPainter:
        """The painter; nothing is loaded yet. Raises UserError for a model of another kind."""
        check_model_type(self.model, self.kind)
        return TokenPainter(self, draw_with_emu3)


class TokenPainter:
    """See the module. draw: one picture from its prompt, with a model and its processor, the seed set already."""

    packages = ("transformers", "torch", "pillow")

    def __init__(
        self, settings: TokenSettings, draw: Callable[[Any, Any, str, Any], Image.Image], loaded: Any = None
    ) -> None:
        """loaded: (model, processor) of whoever has them already, and who frees them."""
        self.settings, self._draw = settings, draw
        self._loaded: Any = loaded
        self._ours = loaded is None

    @property
    def identity(self) -> Mapping[str, JSON]:
        return self.settings.identity

    @property
    def repeatable(self) -> str:
        return repeatable_on("cpu", "float32")  # one at a time: there is no other batch

    def draw_pictures(self, wanted: Sequence[Wanted]) -> Drawn:
        if wanted:
            self._load()
            yield from in_batches(wanted, 1, self._pictures, by="painter", fix=FIX)

    def close(self) -> None:
        if self._ours:
            free_model(self._loaded)
            self._loaded = None

    def _load(self) -> None:
        if self._loaded is not None:
            return
        source = find_checkpoint(self.settings.model).source
        try:
            with doing(f"loading the painter {self.settings.model} on {self.settings.on}"):
                from transformers import AutoModelForImageTextToText, AutoProcessor

                processor = AutoProcessor.from_pretrained(**source)
                model = AutoModelForImageTextToText.from_pretrained(**source, dtype=self.settings.dtype)
                self._loaded = model.to(self.settings.on).eval(), processor
        except (OSError, ValueError, RuntimeError, ImportError) as error:
            raise UserError(f"cannot be loaded: {error}", file=self.settings.model) from error

    def _pictures(self, wanted: Sequence[Wanted]) -> list[Image.Image]:
        import torch

        (one,) = wanted
        model, processor = self._loaded
        gpus = [model.device] if model.device.type == "cuda" else []
        with torch.random.fork_rng(gpus), torch.inference_mode():
            torch.manual_seed(one.seed)
            return [self._draw(model, processor, one.prompt, self.settings)]


def draw_with_janus(model: Any, processor: Any, prompt: str, settings: Any) -> Image.Image:
    """One picture, from tokens drawn with classifier-free guidance (transformers, docs of Janus)."""
    messages = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    inputs = processor(text=[text], generation_mode="image", return_tensors="pt").to(model.device)
    tokens = model.generate(
        **inputs,
        generation_mode="image",
        do_sample=True,
        temperature=settings.temperature,
        guidance_scale=settings.guidance,
        use_cache=True,
    )
    return _image(processor, model.decode_image_tokens(tokens)[0])


def draw_with_emu3(model: Any, processor: Any, prompt: str, settings: Any) -> Image.Image:
    """One picture of the wanted size; ends of rows and of the picture are forced (transformers, docs of Emu3)."""
    ratio, area = f"{settings.width}:{settings.height}", settings.width * settings.height
    size = {"ratio": ratio, "image_area": area}
    inputs = processor(text=[prompt + settings.suffix], return_for_image_generation=True, return_tensors="pt", **size)
    against = processor(text=[settings.negative], return_tensors="pt")
    height, width = map(int, inputs.pop("image_sizes")[0])
    inputs, against = inputs.to(model.device), against.to(model.device)
    start, visual = inputs["input_ids"].shape[1], model.vocabulary_mapping.image_tokens
    tokenizer, row, body = processor.tokenizer, width + 1, height * (width + 1)
    ends = {body: tokenizer.eof_token_id, body + 1: tokenizer.eoi_token_id, body + 2: tokenizer.eos_token_id}

    def allowed(batch: int, ids: Any) -> list[int]:
        position = ids.shape[0] - start
        if position >= body:
            return [ends[position]]
        return [model.vocabulary_mapping.eol_token_id] if position % row == width else visual

    tokens = model.generate(
        **inputs,
        negative_prompt_ids=against["input_ids"],
        negative_prompt_attention_mask=against["attention_mask"],
        guidance_scale=settings.guidance,
        prefix_allowed_tokens_fn=allowed,
        do_sample=True,
        temperature=settings.temperature,
        top_k=settings.top_k,
        max_new_tokens=body + len(ends),
    )
    values = model.decode_image_tokens(image_tokens=tokens[:, start:], height=height, width=width)
    return _image(processor, values[0].permute(1, 2, 0))


def _image(processor: Any, values: Any) -> Image.Image:
    """(height, width, 3) of values as the model sees pixels, made pixels again.

    Not by the processor's `postprocess`: that of Janus fails at every picture in transformers 5.23.
    """
    import torch
    from PIL import Image

    mean, std = (
        values.new_tensor(part) for part in (processor.image_processor.image_mean, processor.image_processor.image_std)
    )
    levels = ((values * std + mean).float().clamp(0, 1) * 255).to(torch.uint8)
    return Image.fromarray(levels.cpu().numpy())
