"""Tiles of several prompts through the vision tower together.

tile_features(model, [tiles_of_one, tiles_of_another], counters)     # (T, tokens of a tile, hidden size)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from judge.model import images
from judge.model.counters import Counters

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

TILES_AT_ONCE = 32
"""Tiles in one pass of the vision tower."""


def tile_features(model: Any, tiles: Sequence[npt.NDArray[np.uint8]], counters: Counters) -> Any:
    """(T, tokens of a tile, hidden size) for the tiles of several prompts, `TILES_AT_ONCE` in a pass."""
    import torch

    weight = model.lm_head.weight
    # pixels become numbers on the device: a byte each is moved there, and a table is exact on any of them
    table = torch.from_numpy(images.NORMALISED.T.copy()).to(weight.device, weight.dtype)
    together = torch.cat([torch.from_numpy(some).to(weight.device) for some in tiles])
    parts = []
    for some in together.split(TILES_AT_ONCE):
        pixels = torch.stack([table[channel][some[..., channel].int()] for channel in range(3)], dim=1)
        parts.append(model.get_image_features(pixels).pooler_output)
    counters.tiles += len(together)
    counters.tile_batches += len(parts)
    return torch.cat(parts)
