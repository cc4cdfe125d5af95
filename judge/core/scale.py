"""The whole numbers that a score may be.

    scale = Scale(0, 6)
    list(scale), len(scale)     ->  [0, 1, 2, 3, 4, 5, 6], 7
    4 in scale, 4.5 in scale    ->  True, False
    f"from {scale}"             ->  "from 0 to 6"
    scale.histogram([4, 4, 0])  ->  [1, 0, 0, 0, 2, 0, 0]

A benchmark says which scale its verdicts are on (`Benchmark.scale`). `JUDGE_SCALE` is the one that judges write, and
that people score on to train and to measure judges.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator


@dataclasses.dataclass(frozen=True)
class Scale:
    """The whole numbers from `lowest` to `highest`, both included."""

    lowest: int
    highest: int

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.lowest, self.highest + 1))

    def __len__(self) -> int:
        return self.span + 1

    def __contains__(self, score: object) -> bool:
        """Whether `score` is one of these numbers; 4.0 is 4, and 4.5 is none of them."""
        return score in range(self.lowest, self.highest + 1)

    def __str__(self) -> str:
        return f"{self.lowest} to {self.highest}"

    def covers(self, value: float) -> bool:
        """Whether `value`, such as the mean of several scores, lies between the ends or on one of them."""
        return self.lowest <= value <= self.highest

    @property
    def span(self) -> int:
        """How far the ends lie apart, in points."""
        return self.highest - self.lowest

    @property
    def middle(self) -> float:
        """The point halfway between the ends."""
        return (self.lowest + self.highest) / 2

    @property
    def percent(self) -> float:
        """What one point is, in percent of the span."""
        return 100 / self.span

    def histogram(self, scores: Iterable[int | None]) -> list[int]:
        """How often each number was given, from the lowest up; None, an unscored answer, is counted nowhere.

        Raises ValueError for a score that is not on the scale.
        """
        counts = [0] * len(self)
        for score in scores:
            if score is None:
                continue
            if score not in self:
                raise ValueError(f"{score} is not a whole number from {self}")
            counts[score - self.lowest] += 1
        return counts


JUDGE_SCALE = Scale(0, 6)
"""What judges are told to write and what people give: the points of MMIE's rubric (arXiv 2410.10139)."""
