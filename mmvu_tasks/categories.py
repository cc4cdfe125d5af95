"""The twelve categories on three levels, and what tells the two published editions apart.

A record's id names its category: `attribute/existence/21` is on level "attribute", in category "Presence".

Sources: names, arXiv 2406.10638, supplement 1.1; pairs of v1, `MMR-benchmark.json` of
BAAI-DCAI/Multimodal-Robustness-Benchmark @b85b573; pairs of the CVPR edition, half the question counts printed in
`figure/mmr_benchmark.png` of BAAI-DCAI/MMVU @87e8079. The editions share images, but options were reshuffled between
them: numbers of one are not numbers of the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from judge.core.edition import UNKNOWN, Edition, name_edition


@dataclasses.dataclass(frozen=True, slots=True)
class Category:
    """key: the first two parts of the ids; name: as the paper's tables have it; v1, cvpr: published pairs."""

    key: str
    name: str
    v1: int
    cvpr: int

    @property
    def level(self) -> str:
        """ "character", "attribute" or "context": the first part of the ids."""
        return self.key.partition("/")[0]


CATEGORIES = (
    Category("character/character", "Character/Number", 40, 82),
    Category("attribute/existence", "Presence", 22, 83),
    Category("attribute/color&texture", "Color/Texture", 24, 62),
    Category("attribute/number", "Number", 24, 81),
    Category("attribute/shape", "Shape", 24, 72),
    Category("attribute/posture", "Posture", 24, 84),
    Category("attribute/position", "Position", 22, 71),
    Category("context/abstract", "Abstract", 22, 68),
    Category("context/concrete", "Concrete", 21, 64),
    Category("context/expert", "Expertise", 31, 65),
    Category("context/activity", "Activity", 24, 90),
    Category("context/relation", "Relationships", 22, 71),
)
NAMES = tuple(category.name for category in CATEGORIES)
LEVELS = ("character", "attribute", "context")

EDITIONS: Mapping[str, Mapping[str, int]] = {
    "v1": {category.name: category.v1 for category in CATEGORIES},  # 300 pairs, June 2024
    "CVPR": {category.name: category.cvpr for category in CATEGORIES},  # 893 pairs, August 2024
}
SIZES: Mapping[str, int] = {name: 2 * sum(pairs.values()) for name, pairs in EDITIONS.items()}
"""Questions of each edition."""
CONTENTS: Mapping[str, str] = {"v1": "9a952245c45fa5d95fd80e68bf6f96ec1f38bcdb3f6f1ce254917befb36c0f74"}
"""`mmvu_tasks.records.content` of the editions whose records have been seen: of v1, the file of `@b85b573`."""

_BY_KEY = {category.key: category for category in CATEGORIES}
# `calculation.py` of the same repository looks for this spelling.
_BY_KEY["attribute/existential"] = _BY_KEY["attribute/existence"]


def category_of(id_: str) -> Category | None:
    """The category an id names, or None."""
    return _BY_KEY.get("/".join(id_.split("/")[:2]))


def edition_of(pairs: Mapping[str, int], content: str, *, from_hub: bool) -> tuple[str, str | None]:
    """(edition, note) of records: "v1", "CVPR", or a name that begins with "unknown".

    pairs: how many there are, by category name. content: `mmvu_tasks.records.content`. from_hub: whether the records
    are a file of the benchmark's repository. note: how an edition that is not recognised by its content differs from
    the nearest one, None where there is nothing to say.
    """
    total = sum(pairs.values())
    known = [Edition(name, size, CONTENTS.get(name)) for name, size in SIZES.items()]
    edition, note = name_edition(known, 2 * total, content, from_hub=from_hub)
    if edition is not None and note is None:
        return edition, None
    sizes = {name: size // 2 for name, size in SIZES.items()}
    nearest = min(sizes, key=lambda name: abs(sizes[name] - total))
    differing = ", ".join(
        f"{name} {pairs.get(name, 0)} for {published}"
        for name, published in EDITIONS[nearest].items()
        if pairs.get(name, 0) != published
    )
    if edition is None:
        counts = ", ".join(f"{name} has {size}" for name, size in sizes.items())
        return UNKNOWN, f"{total} pairs: no published edition ({counts}); against {nearest}: {differing}"
    return edition, f"{note}; not in the same categories: {differing}" if differing else note
