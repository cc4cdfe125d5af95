"""Visual attention refinement (VAR): the picture, brighter where the model did not attend, to be asked about again.

    refined = refine_picture(model, processor, picture, messages)
    refined.picture        the picture to ask about, of the same size
    VAR.identity           "var1-layer-1-mean-mean-invert-minmax-bicubic-gauss5-grey-0.85-0.15", for the signature

Algorithm 1 of the supplement to Liu et al., Unveiling the Ignorance of MLLMs (arXiv 2406.10638):

    1  A, the attention of the final layer          2  M, question tokens (rows) to visual tokens (columns)
    4  M_inv = 1 - M                                 5  normalise and filter     6  I' = 0.85 · I + 0.15 · M_filtered

What it leaves open, and what is done here: M is the mean over heads and over the tokens of the question's text; it is
taken of the base view, where a family also cuts tiles. Normalising is min-max over the grid, and a grid that does not
vary becomes 0 everywhere. It is then scaled to the pixels that the grid covers (Pillow's bicubic, kept within 0 and 1)
and filtered by a Gaussian of 5 × 5 pixels (σ 1.1, borders mirrored), as in a sibling script of the authors. The map is
grey: 0 to 255 in all three channels. Pixels that the model never sees, at the sides of a picture that a processor cuts
to a square, stay as they are. Step 3 of the paper (identify regions of high value) names no operation.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from judge.attention.families import Grid
from judge.attention.probe import AttentionProbe
from judge.attention.prompt import Message, encode_prompt
from judge.io.files import cannot_write, make_folder, write_bytes

Map = npt.NDArray[np.floating[Any]]


@dataclasses.dataclass(frozen=True)
class Refinement:
    """The choices of the method. picture and attention: the coefficients of the blend; layer: whose attention, -1 the
    last; kernel: side of the Gaussian in pixels, odd."""

    picture: float = 0.85
    attention: float = 0.15
    layer: int = -1
    kernel: int = 5

    @property
    def identity(self) -> str:
        """All choices, for a signature."""
        return (
            f"var1-layer{self.layer}-mean-mean-invert-minmax-bicubic-gauss{self.kernel}-grey"
            f"-{self.picture:g}-{self.attention:g}"
        )


VAR = Refinement()
"""As published."""


@dataclasses.dataclass(frozen=True)
class Refined:
    """picture: RGB, of the size of the given one; attention [rows, columns]: M; grid: which tokens these are."""

    picture: Image.Image
    attention: Map
    grid: Grid


def refine_picture(
    model: Any,
    processor: Any,
    picture: Image.Image,
    messages: Sequence[Message],
    *,
    question: str | None = None,
    method: Refinement = VAR,
) -> Refined:
    """The refined picture for a question about it: one forward pass of the model.

    model, processor: of a family in `judge.attention.families`, as transformers loads them, on any device and with any
    of the implementations "sdpa", "eager" and the flash ones. messages: the conversation, with one part of type
    "image"; `picture` is put there. question: the text whose tokens are the rows, None for the last text of the last
    message. Raises UserError for models, processors and messages this cannot be done with.
    """
    import torch

    prompt = encode_prompt(model, processor, messages, [picture], question)
    with torch.no_grad(), AttentionProbe(model, [method.layer], range(*prompt.question)) as probe:
        model(**prompt.inputs, use_cache=False, logits_to_keep=1)
    (grid,) = prompt.grids
    attention = grid_attention(probe.rows(method.layer), grid)
    return Refined(blend(picture, attention, grid, method), attention, grid)


def grid_attention(rows: Map, grid: Grid) -> Map:
    """M [rows, columns] of a grid: the mean over `rows` [tokens, prompt] of the columns that are its tokens."""
    return np.asarray(rows, dtype=np.float64).mean(axis=0)[grid.positions].reshape(grid.rows, grid.columns)


def blend(picture: Image.Image, attention: Map, grid: Grid, method: Refinement = VAR) -> Image.Image:
    """I' for attention [rows, columns] of a grid: RGB, of the picture's size, rounded to whole levels."""
    values = blend_values(np.asarray(picture.convert("RGB"), dtype=np.float64), attention, grid, method)
    return Image.fromarray(np.floor(values + 0.5).clip(0, 255).astype(np.uint8))


def blend_values(picture: Map, attention: Map, grid: Grid, method: Refinement = VAR) -> Map:
    """The same before rounding: picture [height, width, 3] with levels from 0 to 255."""
    left, top, right, bottom = (round(edge) for edge in grid.box)
    width, height = max(1, right - left), max(1, bottom - top)
    weights = filtered(attention, (width, height), method)
    # a box beyond the picture: only what lies within
    down = slice(max(0, top), min(picture.shape[0], top + height))
    across = slice(max(0, left), min(picture.shape[1], left + width))
    inside = weights[down.start - top : down.stop - top, across.start - left : across.stop - left, None]
    blended = picture.copy()
    blended[down, across] = method.picture * picture[down, across] + method.attention * 255 * inside
    return blended


def filtered(attention: Map, size: tuple[int, int], method: Refinement = VAR) -> Map:
    """M_filtered [height, width] from 0 to 1, of M [rows, columns]; size: (width, height)."""
    inverted = 1 - np.asarray(attention, dtype=np.float64)
    low, high = inverted.min(), inverted.max()
    normal = (inverted - low) / (high - low) if high > low else np.zeros_like(inverted)
    scaled = Image.fromarray(normal.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    return _gaussian(np.asarray(scaled, dtype=np.float64).clip(0, 1), method.kernel)


def _gaussian(values: Map, side: int) -> Map:
    """A Gaussian filter, σ as OpenCV has it for a kernel of this side; borders mirrored without the edge itself."""
    half = side // 2
    if half == 0:
        return values
    sigma = 0.3 * ((side - 1) * 0.5 - 1) + 0.8
    kernel = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * sigma**2))
    kernel /= kernel.sum()
    for axis in (0, 1):
        length = values.shape[axis]
        margins = [(half, half) if axis == of else (0, 0) for of in (0, 1)]
        padded = np.pad(values, margins, mode="reflect" if length > 1 else "edge")
        shifted = [padded.take(range(number, number + length), axis=axis) for number in range(side)]
        values = np.tensordot(kernel, np.stack(shifted), axes=1)
    return values


def keep_picture(picture: Image.Image, folder: Path) -> str:
    """Write a picture into `folder` as PNG under the name of its content, and return that name: "1f3a….png".

    The same picture is written once. Raises UserError where it cannot be.
    """
    data = io.BytesIO()
    picture.save(data, format="PNG")
    name = f"{hashlib.sha256(data.getvalue()).hexdigest()[:16]}.png"
    file = make_folder(folder) / name
    try:
        if not file.exists():
            write_bytes(file, data.getvalue())
    except OSError as error:
        raise cannot_write(file, error) from error
    return name
