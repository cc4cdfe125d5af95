"""Image files to tiles and pixel values, as the reference sees them, within limits.

    image = decode_image(Path("step-1.jpg"))        # 640 x 480, RGB
    cut_tiles(image).shape                        # (13, 448, 448, 3): a grid of 4 x 3 and the thumbnail
    pixel_values(cut_tiles(image)).shape          # (13, 3, 448, 448), float32

    count_tiles(*read_image_size(Path("step-1.jpg")))   # 13, from the header alone

Tiling and normalisation: MMIE @eb0fd6e, main.py (`dynamic_preprocess`, `load_image`), which follows InternVL. Decoding
is `Image.open(…).convert("RGB")` there: alpha is dropped, EXIF rotation is not applied, of an animation the first frame
is taken, 16-bit greyscale saturates at 255 (profile `strict` asks for it scaled). Pillow and numpy only.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import os
import stat
import struct
import threading
import zlib
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from judge.core.foreign_text import described, on_one_line
from judge.core.request import Picture
from judge.io.image_paths import MAX_BYTES, ImageRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = 4096
"""Bytes of a file that most headers end in."""

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "ICO", "JPEG2000", "MPO", "PPM", "TIFF")
"""What is decoded, told by content; tried in this order. Not EPS: Pillow hands it to Ghostscript."""

# ImageNet, float32 (InternVL, internvl_chat/internvl/train/constants.py)
_MEAN = np.array((0.485, 0.456, 0.406), dtype=np.float32)
_STD = np.array((0.229, 0.224, 0.225), dtype=np.float32)
NORMALISED = (np.arange(256, dtype=np.float32)[:, None] / np.float32(255) - _MEAN) / _STD
"""(256, 3) float32: what a level becomes in each channel. A device may look tiles up in it, rounded to its own type."""


@dataclasses.dataclass(frozen=True)
class Limits:
    """bytes of the file, pixels of the first frame (Pillow's own warning mark), pixels of a side.

    The side bounds the first pass of a resize, which keeps the height. No frame but the first is ever decoded.
    """

    bytes: int = MAX_BYTES
    pixels: int = 89_478_485
    side: int = 65_535


LIMITS = Limits()


def decode_image(source: Path | Picture, limits: Limits = LIMITS, *, scaled: bool = False) -> Image.Image:
    """The picture in a file as RGB. Raises ImageRefused ("image_missing" or "image_refused") and nothing else.

    scaled: grey levels of more than 8 bits are scaled to 8; else they are clipped, as in the reference. The message of
    a refusal names a `Picture` as its record does, and a path by its last part: it goes into verdicts.
    """
    with _naming(source) as path, _opened(limits, io.BytesIO(_bytes(path, limits))) as image:
        deep = scaled and image.mode.startswith(("I", "F"))
        return (_scaled_to_8_bits(image) if deep else image).convert("RGB")


def _scaled_to_8_bits(image: Image.Image) -> Image.Image:
    """A picture of mode I;16, I or F as L.

    16 bits: 65,535 is white. Whole numbers of 32 bits and floats name no white: levels that fit 8 bits stay, floats up
    to 1 count as shares, and anything else is stretched from 0, or the lowest below it, to the highest.
    """
    levels = np.asarray(image)
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")):  # I in older Pillow
        # a table, not arithmetic: no copy of a large picture in a wider type
        table = ((np.arange(65_536) * 255 + 32_767) // 65_535).astype(np.uint8)
        return Image.fromarray(table[np.clip(levels, 0, 65_535)])
    finite = levels[np.isfinite(levels)]
    lowest, highest = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if lowest >= 0:
        lowest = 0.0
        if highest <= 1 and image.mode == "F":
            highest = 1.0
        elif highest <= 255:
            highest = 255.0
    shares = np.nan_to_num((levels.astype(np.float64) - lowest) / (highest - lowest or 1.0), nan=0.0)
    return Image.fromarray(np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8))


def read_image_size(source: Path | Picture, limits: Limits = LIMITS) -> tuple[int, int]:
    """(width, height) in pixels from the header, the rest unread. Raises ImageRefused for what the header shows."""
    with _naming(source) as path:
        size = _size(_start(path, limits))
        if size is not None:
            _check(size, limits)
            return size
        with _file(path, limits) as file, _opened(limits, file) as image:
            return image.size


def tile_grid(width: int, height: int, size: int = 448, min_num: int = 1, max_num: int = 12) -> tuple[int, int]:
    """(columns, rows) of tiles for an image: the nearest aspect ratio, and the larger grid for images of some area."""
    best, best_difference = (1, 1), float("inf")
    aspect, area = width / height, width * height
    for ratio, enough, shape in _grids(size, min_num, max_num):
        difference = abs(aspect - ratio)
        if difference < best_difference or (difference == best_difference and area > enough):
            best, best_difference = shape, difference
    return best


@functools.lru_cache
def _grids(size: int, min_num: int, max_num: int) -> tuple[tuple[float, float, tuple[int, int]], ...]:
    """(aspect ratio, pixels from which it is preferred to a smaller one, (columns, rows)), the fewest tiles first."""
    sides = range(1, max_num + 1)
    shapes = [(columns, rows) for columns in sides for rows in sides if min_num <= columns * rows <= max_num]
    shapes.sort(key=lambda shape: shape[0] * shape[1])
    return tuple((columns / rows, 0.5 * size * size * columns * rows, (columns, rows)) for columns, rows in shapes)


@functools.lru_cache
def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that the installed Pillow knows."""
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def count_tiles(
    width: int, height: int, size: int = 448, min_num: int = 1, max_num: int = 12, use_thumbnail: bool = True
) -> int:
    """Tiles of an image, thumbnail included."""
    columns, rows = tile_grid(width, height, size, min_num, max_num)
    return columns * rows + (use_thumbnail and columns * rows > 1)


def cut_tiles(
    image: Image.Image,
    size: int = 448,
    min_num: int = 1,
    max_num: int = 12,
    use_thumbnail: bool = True,
    pillow: int = 10,
) -> npt.NDArray[np.uint8]:
    """(T, size, size, 3) uint8: tiles row by row, then the thumbnail where there is more than one.

    pillow: the bytes of which major version, on any: 10 is the reference judge's (10.4), 13 that of recordings made
    with Pillow 13, whose `meta.reference.pillow` says so.
    """
    columns, rows = tile_grid(*image.size, size, min_num, max_num)
    thumbnail = use_thumbnail and columns * rows > 1
    cut = np.empty((columns * rows + thumbnail, size, size, 3), dtype=np.uint8)
    whole = np.asarray(_resized(image, columns * size, rows * size, pillow))
    # one copy, straight into place: at 13 tiles it is 8 MB
    cut[: columns * rows].reshape(rows, columns, size, size, 3)[:] = whole.reshape(
        rows, size, columns, size, 3
    ).swapaxes(1, 2)
    if thumbnail:
        cut[-1] = np.asarray(_resized(image, size, size, pillow))
    return cut


def pixel_values(tiles: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """(T, 3, size, size) float32: (x / 255 - mean) / std, for tiles of shape (T, size, size, 3)."""
    values = np.empty((len(tiles), 3, *tiles.shape[1:3]), dtype=np.float32)
    for tile, planes in zip(tiles, values, strict=True):  # a plane fits the cache of a core; arithmetic beats a table
        for channel, plane in enumerate(planes):
            plane[:] = tile[..., channel]
            plane /= np.float32(255)
            plane -= _MEAN[channel]
            plane /= _STD[channel]
    return values


def _resized(image: Image.Image, width: int, height: int, pillow: int) -> Image.Image:
    """Bicubic, in two calls: one call leaves the order of its passes, and so the rounding, to the installed Pillow.

    Up to 12 the horizontal pass comes first. From 13 on (python-pillow/Pillow#9549) the vertical one does where the
    height shrinks, and by more than twice what the width shrinks; measured against 13.0 on 2,600 random shapes.
    """
    shrinks = image.height - height
    if pillow >= 13 and shrinks > max(0, 2 * (image.width - width)):
        return image.resize((image.width, height)).resize((width, height))
    return image.resize((width, image.height)).resize((width, height))


@contextlib.contextmanager
def _naming(source: Path | Picture) -> Iterator[Path]:
    """The path of a picture; a refusal inside the block gets its name."""
    try:
        yield source.path if isinstance(source, Picture) else source
    except ImageRefused as refused:
        name = PurePath(source.name)
        shown = on_one_line(name.name if name.is_absolute() else source.name)
        raise ImageRefused(refused.reason, f"{shown}: {refused.message}") from None


def _bytes(path: Path, limits: Limits) -> bytes:
    try:
        with _file(path, limits) as file:
            data = file.read(limits.bytes + 1)
    except OSError as error:
        raise ImageRefused("image_refused", f"cannot be read ({described(error)})") from None
    if not data or len(data) > limits.bytes:  # it changed since its size was looked at
        raise ImageRefused("image_refused", f"{len(data)} bytes, must be 1 to {limits.bytes}")
    return data


@contextlib.contextmanager
def _file(path: Path, limits: Limits) -> Iterator[IO[bytes]]:
    """The regular file `path`, of a size within the limits, open. What fails inside the block is the caller's."""
    descriptor = _descriptor(path, limits)
    try:
        with open(descriptor, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(descriptor)


def _start(path: Path, limits: Limits) -> bytes:
    """The first bytes of the file. Without a file object: a plan looks at 60,000."""
    descriptor = _descriptor(path, limits)
    try:
        return os.read(descriptor, HEADER)
    except OSError as error:
        raise ImageRefused("image_refused", f"cannot be read ({described(error)})") from None
    finally:
        os.close(descriptor)


def _descriptor(path: Path, limits: Limits) -> int:
    try:
        # a FIFO would block without O_NONBLOCK
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError):
        raise ImageRefused("image_missing", "no such file") from None
    except (OSError, ValueError) as error:
        raise ImageRefused("image_refused", f"cannot be read ({described(error)})") from None
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        problem = "not a regular file"
    elif not 0 < status.st_size <= limits.bytes:
        problem = f"{status.st_size} bytes, must be 1 to {limits.bytes}"
    else:
        return descriptor
    os.close(descriptor)
    raise ImageRefused("image_refused", problem)


@contextlib.contextmanager
def _opened(limits: Limits, file: IO[bytes]) -> Iterator[Image.Image]:
    """The image in `file`, header read; failures of the decoder become ImageRefused."""
    try:
        with Image.open(file, formats=_formats()) as image:
            _check(image.size, limits)
            with _WHOLE_IMAGES_ONLY:
                yield image
    except ImageRefused:
        raise
    except Exception as error:  # decoders raise anything on hostile bytes
        raise ImageRefused("image_refused", f"cannot be decoded ({described(error)})") from None


def _check(size: tuple[int, int], limits: Limits) -> None:
    width, height = size
    if width * height > limits.pixels or max(width, height) > limits.side:
        raise ImageRefused("image_refused", f"{width} x {height} pixels is over the limit")


def _size(start: bytes) -> tuple[int, int] | None:
    """(width, height) of a sound PNG or JPEG that begins so; None where Pillow has to look. A plan asks 60,000 times.

    PNG: the first chunk (W3C PNG, 11.2.1). JPEG: the frame header (ITU-T T.81, B.2.2), whose marker is C0 to CF but
    for the tables C4, C8 and CC.
    """
    if start[:16] == b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR" and len(start) >= 33:
        width, height = struct.unpack_from(">II", start, 16)
        sound = zlib.crc32(start[12:29]) == int.from_bytes(start[29:33], "big")
        return (width, height) if sound and width and height else None
    place = 2
    while start[:2] == b"\xff\xd8" and place + 9 <= len(start):
        mark, kind, length = struct.unpack_from(">BBH", start, place)
        if mark != 0xFF or not 0xC0 <= kind < 0xFF or 0xD0 <= kind <= 0xDA or length < 2:
            return None
        if kind < 0xD0 and kind not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack_from(">HH", start, place + 5)
            return (width, height) if width and height else None
        place += 2 + length
    return None


class _WholeImagesOnly:
    """While any thread is inside, a truncated file fails; afterwards Pillow's switch is as it was.

    lmms-eval turns grey filling on for the whole process (api/task.py): verdicts would depend on the harness.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._before = threading.Lock(), 0, False

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                ImageFile.LOAD_TRUNCATED_IMAGES = self._before


_WHOLE_IMAGES_ONLY = _WholeImagesOnly()
