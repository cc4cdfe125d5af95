"""Pictures told apart: by their bytes, and by what they look like.

    seen = see_picture(root, "coco/7.jpg")    Seen(exact="4c…", perceptual=0x8f3c…)
    nearest(seen.perceptual, hashes)          (7, 4): hash 7 differs in 4 of 64 bits

The perceptual hash is `imagehash.phash` (64 bits, from the low frequencies of a cosine transform): scaling,
recompressing and small changes of colour leave it within a few bits. Two pictures are near where at most `NEAR` bits
differ.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import numpy.typing as npt

from judge.errors import UserError
from judge.io.files import sha256
from judge.io.image_paths import below
from judge.model.images import decode_image

NEAR = 6
"""Bits of 64."""


@dataclasses.dataclass(frozen=True)
class Seen:
    """A picture. exact: SHA-256, hex, of its file. perceptual: 64 bits."""

    exact: str
    perceptual: int


def see_picture(root: Path, name: str) -> Seen:
    """The picture `name` below `root`. Raises ImageRefused, and UserError without imagehash."""
    try:
        import imagehash
    except ModuleNotFoundError:
        raise UserError("imagehash is not installed", fix="pip install 'mmjudge[train]'") from None
    path = below(root, name)
    bits = imagehash.phash(decode_image(path)).hash
    return Seen(sha256(path), int.from_bytes(np.packbits(bits.flatten()).tobytes(), "big"))


def nearest(perceptual: int, hashes: npt.NDArray[np.uint64]) -> tuple[int, int]:
    """(position, bits that differ) of the hash nearest to one, among (n,) of them, n at least 1."""
    differing = np.bitwise_xor(hashes, np.uint64(perceptual))
    bits = np.unpackbits(differing.view(np.uint8).reshape(len(hashes), 8), axis=1).sum(axis=1)
    position = int(bits.argmin())
    return position, int(bits[position])
