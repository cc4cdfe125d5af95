"""A fixed part of a benchmark's questions that stands for all of them, the same on every machine and Python.

    choose_by_hash([("PBL-7", ("PBL", "Art")), ("SA-2", ("SA", "Literature")), …], 1000)  ->  [4, 31, 57, …]

Every stratum, such as category and field, has its share of the questions: by largest remainders in whole numbers, one
at least. Within a stratum those come first whose id has the smallest SHA-256 behind a fixed word: no random state, no
order of the file, no rounding. What a subset is depends on the ids and strata of all questions and on nothing else.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

Stratum = tuple[str, str]
"""Category and field; "" for a field that a question has not."""

WORD = "mmjudge subset 1"
"""Stands before every id that is hashed. Another word gives another subset of the same kind."""


@dataclasses.dataclass(frozen=True)
class Subset:
    """Which questions were asked. digest: 8 hex digits of a hash over their ids; size: how many; of: how many questions
    of the whole benchmark each stratum has."""

    name: str
    digest: str
    size: int
    of: Mapping[Stratum, int]

    def __str__(self) -> str:
        """As in the signature: "1k@5f0c9a1e"."""
        return f"{self.name}@{self.digest}"

    @property
    def total(self) -> int:
        """How many questions the whole benchmark has."""
        return sum(self.of.values())


def choose_by_hash(questions: Sequence[tuple[str, Stratum]], size: int, word: str = WORD) -> list[int]:
    """Positions of `size` questions, ascending; all of them where there are no more. questions: (id, stratum) of all.

    word: what is hashed before the id. Raises ValueError for a size below 1.
    """
    return choose_ranked(
        [stratum for _, stratum in questions], rank_by_hash([name for name, _ in questions], word), size
    )


def rank_by_hash(ids: Sequence[str], word: str = WORD) -> list[int]:
    """Positions in the order in which they are taken into a subset."""
    return sorted(range(len(ids)), key=lambda position: _rank(ids[position], word))


def choose_ranked(strata: Sequence[Stratum], ranked: Sequence[int], size: int) -> list[int]:
    """As `choose_by_hash`, of questions that `rank_by_hash` has put in order."""
    if size < 1:
        raise ValueError(f"a subset of {size} questions is none")
    if size >= len(strata):
        return list(range(len(strata)))
    left = share_out(Counter(strata), size)
    chosen = []
    for position in ranked:
        if left[strata[position]]:
            left[strata[position]] -= 1
            chosen.append(position)
    return sorted(chosen)


def share_out(counts: Mapping[Stratum, int], size: int) -> dict[Stratum, int]:
    """How many of `size` each stratum has: its share of all, by largest remainders, ties by the stratum's name.

    One at least where there are no more strata than that; never more than the stratum has. size: less than all.
    """
    total = sum(counts.values())
    least = 1 if size >= len(counts) else 0
    shares = {stratum: max(size * counts[stratum] // total, least) for stratum in sorted(counts)}

    def lacking(stratum: Stratum) -> int:
        return size * counts[stratum] - shares[stratum] * total

    while (missing := size - sum(shares.values())) > 0:
        open_ones = [stratum for stratum in shares if shares[stratum] < counts[stratum]]
        for stratum in sorted(open_ones, key=lambda one: (-lacking(one), one))[:missing]:
            shares[stratum] += 1
    while sum(shares.values()) > size:
        richest = min((one for one in shares if shares[one] > least), key=lambda one: (lacking(one), one))
        shares[richest] -= 1
    return shares


def digest_of(ids: Sequence[str]) -> str:
    """8 hex digits that tell one set of ids from others, in whatever order they are."""
    whole = "\n".join(sorted(ids)).encode("utf-8", "surrogatepass")
    return hashlib.sha256(whole).hexdigest()[:8]


def _rank(name: str, word: str) -> tuple[bytes, str]:
    return hashlib.sha256(f"{word}:{name}".encode("utf-8", "surrogatepass")).digest(), name
