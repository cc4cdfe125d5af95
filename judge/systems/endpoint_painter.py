"""`/v1/images/generations` of an endpoint as a painter: vLLM-Omni, SGLang, LocalAI, OpenAI.

    [painter]
    kind = "endpoint"
    address = "http://localhost:8000/v1"
    model = "Qwen/Qwen-Image"
    width = 1024
    height = 1024
    extra = {response_format = "b64_json"}    # the default; "" leaves a field out: OpenAI's gpt-image wants neither
                                              # `response_format` nor `seed`

What comes back is kept as its pixels, in PNG. An address in the place of a picture is not fetched.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from judge.io.image_paths import ImageRefused
from judge.model.images import decode_image
from judge.systems import JSON, Failed
from judge.systems.endpoint_writer import EndpointKeys
from judge.systems.painters import Drawn, Side, Wanted
from judge.systems.pictures import TooLarge, decode_base64
from judge.systems.posting import Api, NoAnswer, at_the_same_time, only_address

if TYPE_CHECKING:
    from PIL import Image


class EndpointPainterSettings(EndpointKeys):
    """The keys of a painter of this kind."""

    kind: Literal["endpoint"] = "endpoint"
    width: Side = 1024
    height: Side = 1024

    def open(self) -> EndpointPainter:
        """The painter; nothing is asked yet."""
        return EndpointPainter(self)


class EndpointPainter:
    """See the module."""

    packages = ("pillow",)
    repeatable = "a picture asked for again is another one, where the endpoint does not keep to the seed"

    def __init__(self, settings: EndpointPainterSettings) -> None:
        self.settings = settings
        only_address(settings.address)

    @property
    def identity(self) -> Mapping[str, JSON]:
        return self.settings.to_json()

    def draw_pictures(self, wanted: Sequence[Wanted]) -> Drawn:
        api = self.settings.connect()
        try:
            yield from at_the_same_time(wanted, self.settings.at_once, lambda each: self._picture(api, each))
        finally:
            api.close()

    def close(self) -> None:
        """Nothing is held between calls."""

    def _picture(self, api: Api, wanted: Wanted) -> Image.Image | Failed:
        body: dict[str, Any] = {
            "model": self.settings.model,
            "prompt": wanted.prompt,
            "n": 1,
            "size": f"{self.settings.width}x{self.settings.height}",
            "seed": wanted.seed,
            "response_format": "b64_json",
            **self.settings.extra,
        }
        try:
            reply = api.post_json("images/generations", {name: value for name, value in body.items() if value != ""})
            (picture, *_) = reply["data"]
            packed = picture.get("b64_json")
            if packed is None and str(picture.get("url", "")).startswith("data:"):
                packed = picture["url"].partition(",")[2]
        except NoAnswer as none:
            return Failed(none.reason, str(none), "painter")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Failed("call_failed", f"not a list of pictures ({error!r})", "painter")
        if not isinstance(packed, str):
            note = 'the reply holds no picture itself: set extra = {response_format = "b64_json"}, or ""'
            return Failed("call_failed", note, "painter")
        try:
            return _decoded(decode_base64(packed))
        except (TooLarge, ImageRefused) as error:
            return Failed("image_undecodable", str(error), "painter")


def _decoded(data: bytes) -> Image.Image:
    """Bytes of others as pixels, by what the judge decodes with. Raises ImageRefused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture"
        path.write_bytes(data)
        return decode_image(path)
