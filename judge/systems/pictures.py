"""Pictures that systems send as bytes become files of the output folder.

    keep_picture(data, workspace.pictures)  ->  Kept(path=…/pictures/3f9a….png, problem=None)

Bytes of others are untrusted. They are bounded before they are written, the name is their hash, and they are decoded
once by what the judge decodes with, so that a picture that will count as a failure of the model is known at once. It is
kept as it came all the same: scoring says that it cannot be decoded, and people may want to see why.
"""

from __future__ import annotations

import binascii
import dataclasses
import hashlib
import re
from pathlib import Path

from judge.io.files import cannot_write, write_bytes
from judge.io.image_paths import ImageRefused
from judge.model.images import decode_image

MOST_PICTURE_BYTES = 32 << 20
"""Of one picture: 100 times a usual one; 2,048 × 2,048 pixels without compression are 12 MiB."""

_SUFFIXES = (
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"GIF8", ".gif"),
    (b"RIFF", ".webp"),
    (b"BM", ".bmp"),
)


@dataclasses.dataclass(frozen=True)
class Kept:
    """problem: why the file is no picture that a judge can see, else None."""

    path: Path
    problem: str | None


class TooLarge(Exception):  # noqa: N818 - an answer that is no picture, not a fault
    """More bytes than a picture may have; nothing is written."""


def keep_picture(data: bytes, folder: Path, most: int = MOST_PICTURE_BYTES) -> Kept:
    """Write bytes that are said to be a picture into `folder`, under their hash.

    Raises TooLarge, and UserError where the folder cannot be written.
    """
    if len(data) > most:
        raise TooLarge(f"a picture of {len(data):,} bytes; at most {most:,} are kept")
    suffix = next((suffix for start, suffix in _SUFFIXES if data.startswith(start)), ".bin")
    path = folder / f"{hashlib.sha256(data).hexdigest()[:32]}{suffix}"
    try:
        if not path.is_file() or path.stat().st_size != len(data):
            write_bytes(path, data)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        decode_image(path)
    except ImageRefused as refused:
        return Kept(path, refused.message)
    return Kept(path, None)


def decode_base64(text: str, most: int = MOST_PICTURE_BYTES) -> bytes:
    """The bytes that a base64 text stands for, line ends and a missing end allowed; b"" for what is no base64.

    Raises TooLarge before anything is decoded.
    """
    if len(text) > most // 3 * 4 + 4096:
        raise TooLarge(f"a picture of about {len(text) // 4 * 3:,} bytes; at most {most:,} are kept")
    packed = re.sub(r"\s+", "", text).rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(packed + "=" * (-len(packed) % 4))
    except (binascii.Error, ValueError):
        return b""
