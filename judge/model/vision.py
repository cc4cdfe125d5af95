"""Tiles of several prompts through the vision tower together.

tile_features(model, [tiles_of_one, tiles_of_another], counters)     # (T, tokens of a tile, hidden size)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from judge.model import images
from judge.model.counters import Counters
from judge.model.precision import exact_float32

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


def vision_features(model: Any, tiles: npt.NDArray[np.uint8]) -> Any:
    """What the language model sees of uint8 tiles (T, side, side, 3): (T, tokens of a tile, hidden size)."""
    import torch

    with torch.inference_mode(), exact_float32():
        return tile_features(model, [tiles], Counters())


def image_positions(model: Any, ids: Sequence[int], tiles: npt.NDArray[np.uint8] | None) -> npt.NDArray[np.int64]:
    """Where in the ids of a prompt its pictures go. Raises ValueError where their number is not that of the tiles."""
    import numpy as np

    positions = np.flatnonzero(np.asarray(ids) == model.config.image_token_id)
    features = 0 if tiles is None else len(tiles) * model.config.image_seq_length
    if tiles is None and len(positions):
        raise ValueError("image tokens without images")
    if len(positions) != features:
        raise ValueError(f"{len(positions)} image tokens for {features} image features")
    return positions
