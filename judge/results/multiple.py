"""Many comparisons at once: p-values that stay honest, and letters that say which runs cannot be told apart.

    holm([0.01, 0.04, 0.03])         ->  [0.03, 0.06, 0.06]
    compact_letters(3, {(0, 2)})     ->  ["a", "ab", "b"]      first and last differ, the one between from neither

Sources: Holm, Scand. J. Statist. 6 (1979) 65-70; Piepho, J. Comput. Graph. Statist. 13 (2004) 456-466.
"""

from __future__ import annotations

import string
from collections.abc import Collection, Sequence


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p-values adjusted by Holm's step-down method, in their order; None, an undefined one, stays and counts not.

    Each rejected at 5% as it is then, the chance of any wrong rejection among all of them is at most 5%.
    """
    known = sorted((p, number) for number, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    least = 0.0
    for rank, (p, number) in enumerate(known):
        least = max(least, min(1.0, (len(known) - rank) * p))
        adjusted[number] = least
    return adjusted


def compact_letters(count: int, differing: Collection[tuple[int, int]]) -> list[str]:
    """Letters of items 0 … count - 1: two share one exactly where their pair is not in `differing`.

    Piepho's insert and absorb: a letter is a set of items; a pair that differs splits every letter that holds both,
    and a letter within another goes. Letters are given in the order of the items: the first has "a".
    """
    letters = [frozenset(range(count))] if count else []
    for one, other in sorted(differing):
        split = [
            part
            for letter in letters
            for part in ((letter - {one}, letter - {other}) if {one, other} <= letter else (letter,))
        ]
        unlike = list(dict.fromkeys(split))
        letters = [letter for letter in unlike if not any(letter < wider for wider in unlike)]
    letters.sort(key=sorted)
    return [
        "".join(_letter(number) for number, letter in enumerate(letters) if item in letter) for item in range(count)
    ]


def _letter(number: int) -> str:
    """a … z, A … Z, then (53), (54), …"""
    return string.ascii_letters[number] if number < len(string.ascii_letters) else f"({number + 1})"
