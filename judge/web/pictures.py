"""What of an image file gets to the browser: its pixels, as a PNG of bounded size, under a name that says nothing.

    album = Album()
    album.name(picture)             ->  "5f0c…": drawn at random, no path in it, other at every start
    album.png("5f0c…")              ->  bytes; None for a name that was not given out

Files are decoded here, within the limits of the judge's own reading, and encoded anew: a hostile file meets Pillow, as
it does in scoring, and never the browser.
"""

from __future__ import annotations

import io
import secrets
import threading
from http import HTTPStatus
from pathlib import Path

from PIL import Image

from judge.core.request import Picture
from judge.model.images import decode_image
from judge.web.pages import Call, Refused, Reply

SIDE = 1600
"""Pixels of the longer side, at most."""
KEPT = 32
"""Pictures that stay in memory, each at most SIDE * SIDE * 3 bytes."""


class Album:
    """The pictures that may be asked for. Threads may share it."""

    def __init__(self) -> None:
        self._names: dict[Path, str] = {}
        self._paths: dict[str, Path] = {}
        self._made: dict[str, bytes] = {}
        self._one_at_a_time = threading.Lock()

    def name(self, picture: Picture) -> str:
        """The picture's name here, the same as long as the album lives."""
        name = self._names.get(picture.path)
        if name is None:
            name = secrets.token_hex(16)
            self._paths[name] = picture.path
            name = self._names.setdefault(picture.path, name)
        return name

    def png(self, name: str) -> bytes | None:
        """The picture called `name`. Raises ImageRefused where its file is not a picture within the limits."""
        path = self._paths.get(name)
        if path is None:
            return None
        with self._one_at_a_time:  # one huge picture in memory, not one a connection
            if name not in self._made:
                image = decode_image(path, scaled=True)
                image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
                image.info.clear()  # a colour profile would be written, too
                out = io.BytesIO()
                image.save(out, "PNG", compress_level=1)
                while len(self._made) >= KEPT:
                    del self._made[next(iter(self._made))]
                self._made[name] = out.getvalue()
            return self._made[name]

    def reply(self, call: Call) -> Reply:
        """The picture called `call.path["name"]`, for a site. Raises Refused, ImageRefused."""
        data = self.png(call.path["name"])
        if data is None:
            raise Refused("nothing here", HTTPStatus.NOT_FOUND)
        return Reply(data, "image/png")
