"""Pictures that say nothing: a blank or noise of the size of a real one (`judge.core.condition`).

    open_shown(Picture(path, "a.jpg"))                       the picture, RGB
    open_shown(Altered(path, "a.jpg", how="noise", seed="context/expert/01"))
    keep_shown(that, folder)                                 a PNG file of it, for harnesses that take paths

Blank: every pixel is grey, `GREY` in all channels. Noise: SHAKE-256 of the seed, byte by byte, row by row, so that it
is the same on every machine and for both questions of a pair.
"""

from __future__ import annotations

import hashlib
import io
import os
from pathlib import Path

from PIL import Image

from judge.core.condition import GREY, Altered
from judge.core.request import Picture
from judge.io.files import cannot_write, make_folder, write_bytes
from judge.model.images import decode_image, read_image_size


def picture_cache() -> Path:
    """The folder for pictures that are made: `~/.cache/mmjudge/pictures`, or below $XDG_CACHE_HOME."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mmjudge" / "pictures"


def open_shown(picture: Picture) -> Image.Image:
    """What is shown for a picture of a question, RGB. Raises ImageRefused."""
    if not isinstance(picture, Altered):
        return decode_image(picture.path)
    size = read_image_size(picture.path)
    if picture.how == "blank":
        return Image.new("RGB", size, (GREY, GREY, GREY))
    levels = hashlib.shake_256(picture.seed.encode()).digest(3 * size[0] * size[1])
    return Image.frombytes("RGB", size, levels)


def keep_shown(picture: Picture, folder: Path) -> Path:
    """The file of what is shown: the picture's own, or a PNG in `folder`, written once. Raises ImageRefused, and
    UserError where it cannot be written."""
    if not isinstance(picture, Altered):
        return picture.path
    size = read_image_size(picture.path)
    named = f"{picture.how} {size} {picture.seed if picture.how == 'noise' else ''}"
    file = folder / f"{picture.how}-{hashlib.sha256(named.encode()).hexdigest()[:16]}.png"
    if file.is_file():
        return file
    data = io.BytesIO()
    open_shown(picture).save(data, format="PNG")
    make_folder(folder)
    try:
        write_bytes(file, data.getvalue())
    except OSError as error:
        raise cannot_write(file, error) from error
    return file
