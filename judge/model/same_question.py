"""What prompts with one and the same question begin with alike, and which of them has it computed already.

    find_donors([running], [second, third])  ->  [(0, 3_412), (0, 3_412)]
                                                 both may take 3,412 cached tokens from the one that runs

Keys and values of a token depend on the tokens and pictures before it, and on the rope set that rotates them, and on
nothing else: what two prompts begin with alike is the same in both. (vLLM's prefix caching rests on this, too.) Ids say
nothing of what a picture shows, so what is alike ends at the first picture that the caller has not said to be the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclasses.dataclass(frozen=True, eq=False)
class Beginning:
    """A prompt that is or will be in the cache.

    images: where in ids picture tokens are; group: of prompts that begin with the same pictures, None for a prompt of
    its own; group_images: tokens of those pictures; long: the rope set that the prompt is rotated by.
    """

    ids: Sequence[int]
    images: npt.NDArray[np.int64]
    group: Hashable
    group_images: int
    long: bool

    @property
    def end(self) -> int:
        """The position of the first picture that is not the group's, else the length."""
        return int(self.images[self.group_images]) if len(self.images) > self.group_images else len(self.ids)


def find_donors(running: Sequence[Beginning], new: Sequence[Beginning]) -> list[tuple[int, int] | None]:
    """For each of `new` the position of its donor in [*running, *new] and the number of tokens to take; None for none.

    A donor is in the group and has the rope set of who takes from it, and takes from nobody among `new` itself. At
    least one token of every prompt is left to be computed.
    """
    every = [*running, *new]
    donors: dict[tuple[Hashable, bool], int] = {}
    found: list[tuple[int, int] | None] = []
    for position, own in enumerate(every):
        donor = donors.setdefault((own.group, own.long), position)
        if position < len(running):
            continue
        if own.group is None or donor == position:
            found.append(None)
            continue
        alike = common_prefix_length(every[donor].ids[: every[donor].end], own.ids[: min(own.end, len(own.ids) - 1)])
        found.append((donor, alike))
    return found


def common_prefix_length(ids: Sequence[int], others: Sequence[int]) -> int:
    """How many ids the two begin with alike."""
    pairs = enumerate(zip(ids, others, strict=False))
    return next((number for number, (ours, theirs) in pairs if ours != theirs), min(len(ids), len(others)))
