"""Pictures of a results folder on their way out: the bytes of their files, if these can be decoded.

    load_picture(Picture(Path("out/a/images/9f2c07d1e4a85b36.png"), …))  ->  Loaded(b"\x89PNG…", "image/png")
    load_picture(…).data_address                                         ->  "data:image/png;base64,iVBOR…"

What every browser shows leaves as it is; any other format leaves as PNG. What cannot be decoded, or is no picture at
all whatever its name says, stays.
"""

from __future__ import annotations

import base64
import dataclasses
import io
from collections import Counter
from collections.abc import Iterable

from PIL import Image

from judge.core.request import Picture, Text
from judge.io.files import read_bytes
from judge.io.image_paths import ImageRefused
from judge.io.samples import Drawn, Missing, Piece
from judge.model.images import decode_image

TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif"}
"""What leaves as it is, by the name that Pillow gives the format."""

GONE = "not in the results folder"


@dataclasses.dataclass(frozen=True)
class Loaded:
    """The bytes of a picture and their media type, one of `TYPES`."""

    data: bytes
    media_type: str

    @property
    def data_address(self) -> str:
        """The picture as an address that holds it."""
        return f"data:{self.media_type};base64,{base64.b64encode(self.data).decode('ascii')}"


def load_picture(picture: Picture) -> Loaded | None:
    """The picture, or None where it is gone or cannot be decoded within the limits of `judge.model.images`."""
    try:
        decoded = decode_image(picture.path, scaled=True)
        data = read_bytes(picture.path)
        with Image.open(io.BytesIO(data)) as opened:
            media_type = TYPES.get(opened.format or "")
    except (ImageRefused, OSError):
        return None
    if media_type is not None:
        return Loaded(data, media_type)
    out = io.BytesIO()
    decoded.save(out, "PNG")
    return Loaded(out.getvalue(), "image/png")


class Pictures:
    """Pictures of the answers that are written, counted. wanted: whether any shall leave.

    written, bytes: how many left, and of what size. lost: pictures that are not to be had, by why.
    """

    def __init__(self, *, wanted: bool) -> None:
        self.wanted, self.written, self.bytes = wanted, 0, 0
        self.lost: Counter[str] = Counter()

    def load(self, pieces: Iterable[Piece]) -> list[tuple[Piece, Loaded | None]]:
        """Each piece with its picture; one that is not to be had becomes `Missing`. What pictures were drawn from is
        left out."""
        found: list[tuple[Piece, Loaded | None]] = []
        for piece in pieces:
            if isinstance(piece, Text):
                found.append((piece, None))
            elif isinstance(piece, Picture) and self.wanted:
                found.append(self._loaded(piece))
            elif isinstance(piece, Picture):
                found.append((Missing(piece.name), None))
            elif not isinstance(piece, Drawn):
                self.lost[GONE] += self.wanted
                found.append((piece, None))
        return found

    def _loaded(self, piece: Picture) -> tuple[Piece, Loaded | None]:
        loaded = load_picture(piece)
        if loaded is None:
            self.lost["no picture that can be decoded" if piece.path.exists() else GONE] += 1
            return Missing(piece.name), None
        self.written += 1
        self.bytes += len(loaded.data)
        return piece, loaded
