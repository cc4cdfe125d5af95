"""What a construction will cost, before a call is made and while it runs.

    estimate_tokens(due, construction text, root)   ->  Estimate(calls=24_000, prompt=51_600_000, new=40_800_000)
    Prices(2.5, 10.0).of(51_600_000, 40_800_000)    ->  537.0

Tokens are estimated: four characters a token of text; a picture as GPT-4o counts it in high detail, 85 and 170 for each
tile of 512 pixels after it is fitted into 2,048 x 2,048 with a short side of at most 768. A reply counts what replies
had so far, else `NEW_TOKENS`: 8.5 pairs of two questions at about 100 tokens with four options, half of that without.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from judge.io.image_paths import ImageRefused, below
from judge.model.images import read_image_size
from mmvu_tasks.train.prompts import Version
from mmvu_tasks.train.samples import Sample

CHARACTERS = 4
NEW_TOKENS: Mapping[str, int] = {"v0": 425, "v1": 400, "v2": 850, "v3": 1700}


@dataclasses.dataclass(frozen=True)
class Prices:
    """Dollars for a million tokens of prompts and of replies."""

    prompt: float
    new: float

    def of(self, prompt: float, new: float) -> float:
        """Dollars for so many tokens."""
        return (prompt * self.prompt + new * self.new) / 1e6


@dataclasses.dataclass(frozen=True)
class Estimate:
    """calls: where every first reply can be used. missing: pictures that are not there or broken in their header."""

    calls: int
    prompt: int
    new: int
    missing: int


def estimate_tokens(
    due: Iterable[Sample], version: Version, root: Path, so_far: Sequence[float] | None = None
) -> Estimate:
    """Calls and tokens of one attempt for every sample. so_far: mean tokens of prompts and replies, where known."""
    calls = prompt = missing = 0
    for sample in due:
        try:
            width, height = read_image_size(below(root, sample.image))
        except ImageRefused:
            missing += 1
            continue
        calls += 1
        prompt += len(version.text(sample.about)) // CHARACTERS + picture_tokens(width, height)
    if so_far is not None:
        return Estimate(calls, round(calls * so_far[0]), round(calls * so_far[1]), missing)
    return Estimate(calls, prompt, calls * NEW_TOKENS[version.name], missing)


def picture_tokens(width: int, height: int) -> int:
    """Tokens of a picture of so many pixels; see the module."""
    scale = min(1.0, 2048 / max(width, height))
    scale = min(scale, 768 / min(width, height))
    return 85 + 170 * math.ceil(width * scale / 512) * math.ceil(height * scale / 512)
