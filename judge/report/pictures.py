"""Pictures of a report: small copies inside the file for the answers it singles out, the way to the others.

    album = Album(Path("out"), budget=6_000_000)
    album.number(picture)   ->  0          album.addresses  ->  ["demo/mmie/images/9f2c07d1e4a85b36.jpg"]
    album.embedded(picture) ->  "data:image/jpeg;base64,…"

Addresses are relative to the report: they are found where the results folder lies where it lay. What the picture shows
is decoded and encoded anew, so nothing of its file but pixels gets into the page.
"""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from urllib.parse import quote

from judge.core.request import Picture
from judge.io.image_paths import ImageRefused
from judge.model.images import decode_image

SIDE = 384
"""Pixels of the longer side of a small copy."""
QUALITY = 78


class Album:
    """beside: the folder of the report. budget: characters that all small copies together may take.

    addresses: of every picture; travelling: the names of those of which a copy was handed out.
    """

    def __init__(self, beside: Path, budget: int) -> None:
        self._beside, self._left = beside, budget
        self._numbers: dict[str, int] = {}
        self._copies: dict[str, str | None] = {}
        self.addresses: list[str] = []
        self.travelling: set[str] = set()

    def number(self, picture: Picture) -> int:
        """The picture's index in `addresses`. One that several results folders hold is one."""
        if picture.name not in self._numbers:
            self._numbers[picture.name] = len(self.addresses)
            self.addresses.append(quote(Path(os.path.relpath(picture.path, self._beside)).as_posix()))
        return self._numbers[picture.name]

    def embedded(self, picture: Picture) -> str | None:
        """A small copy as a data address; None where the file is no picture or the budget is spent."""
        if picture.name not in self._copies:
            self._copies[picture.name] = _small(picture.path)
        copy = self._copies[picture.name]
        if copy is None or len(copy) > self._left:
            return None
        self._left -= len(copy)
        self.travelling.add(picture.name)
        return copy


def _small(path: Path) -> str | None:
    try:
        image = decode_image(path, scaled=True)
    except ImageRefused:
        return None
    image.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode('ascii')}"
