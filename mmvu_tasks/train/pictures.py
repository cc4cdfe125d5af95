"""Pictures told apart: by their bytes, and by what they look like.

    seen = see_picture(root, "coco/7.jpg")    Seen(exact="4c…", perceptual=(0x8f3c…, 0x71e0…))
    nearest(seen.perceptual, hashes)          (7, 4): of picture 7 one of the hashes differs in 4 of 64 bits

The perceptual hashes are `phash` and `dhash` of imagehash, 64 bits each: the low frequencies of a cosine transform,
and which of two neighbouring areas is the brighter one. Scaling, recompressing and small changes of colour leave them
within a few bits: phash does so for photographs, while JPEG turns many of its bits in drawings, where dhash stays. Two
pictures are near where either hash differs in at most `NEAR` bits. Cropped, mirrored or rotated ones are not found.
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
    """A picture. exact: SHA-256, hex, of its file. perceptual: phash and dhash, 64 bits each."""

    exact: str
    perceptual: tuple[int, int]


def see_picture(root: Path, name: str) -> Seen:
    """The picture `name` below `root`. Raises ImageRefused, and UserError without imagehash."""
    try:
        import imagehash
    except ModuleNotFoundError:
        raise UserError("imagehash is not installed", fix="pip install 'mmjudge[train]'") from None
    path = below(root, name)
    picture = decode_image(path)
    return Seen(sha256(path), (int(str(imagehash.phash(picture)), 16), int(str(imagehash.dhash(picture)), 16)))


def nearest(perceptual: tuple[int, int], hashes: npt.NDArray[np.uint64]) -> tuple[int, int]:
    """(position, bits that differ) of the picture nearest to one, among (n, 2) hashes, n at least 1."""
    differing = np.bitwise_xor(hashes, np.array(perceptual, np.uint64))
    bits = np.unpackbits(differing.view(np.uint8).reshape(len(hashes), 2, 8), axis=2).sum(axis=2).min(axis=1)
    position = int(bits.argmin())
    return position, int(bits[position])
