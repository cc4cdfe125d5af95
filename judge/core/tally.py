"""What a comparison counts: every unit of a run has one of a few outcomes, and a metric is a ratio of outcome counts.

    MMVU, a unit is a pair:      outcomes PP, PN, NP, NN      RA = PP / all       MR = PN / (PP + PN)
    MMIE, a unit is a question:  outcomes 0, 1, 2, 3, 4, 5, 6 score = (0·n0 + 1·n1 + … + 6·n6) / all, times 100/6

    Tally(units={"attribute/color/07": Unit("Color", 1), …},
          metrics={"RA": Ratio((1, 0, 0, 0), (1, 1, 1, 1)),
                   "MR": Ratio((0, 1, 0, 0), (1, 1, 0, 0), higher_is_better=False)})

A benchmark says so once (`Benchmark.tallies`); intervals, tests and wins of a paired comparison follow for any of them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

import numpy as np

from judge.core.verdict import Verdict


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A metric of outcome counts c: scale · (numerator · c) / (denominator · c).

    numerator, denominator: one weight an outcome. scale: 100 for percent of a numerator that is at most 1.
    """

    numerator: tuple[float, ...]
    denominator: tuple[float, ...]
    scale: float = 100.0
    higher_is_better: bool = True

    def of(self, counts: np.ndarray) -> np.ndarray:
        """Values [...] from counts [..., outcomes]; NaN where the denominator is 0."""
        above, below = counts @ np.array(self.numerator), counts @ np.array(self.denominator)
        with np.errstate(invalid="ignore", divide="ignore"):
            values: np.ndarray = self.scale * np.where(below > 0, above / below, np.nan)
        return values

    @property
    def counts_all(self) -> bool:
        """Every unit counts alike in the denominator: a mean over all units."""
        return len(set(self.denominator)) == 1

    @property
    def is_share(self) -> bool:
        """A share of all units: each counts as 0 or 1."""
        return set(self.denominator) == {1} and set(self.numerator) <= {0, 1}


@dataclasses.dataclass(frozen=True)
class Unit:
    """What is compared: a question, or a pair of them. outcome: its number, or None where it is unscored."""

    category: str
    outcome: int | None


@dataclasses.dataclass(frozen=True)
class Tally:
    """Units of one run by id, and the metrics to be read off their outcomes, the main one first."""

    units: Mapping[str, Unit]
    metrics: Mapping[str, Ratio]

    @property
    def outcomes(self) -> int:
        """How many outcomes a unit may have."""
        return len(next(iter(self.metrics.values())).numerator)


def tally_scores(verdicts: Iterable[Verdict], metrics: Mapping[str, Ratio]) -> Tally:
    """One unit a verdict, its score the outcome."""
    return Tally({verdict.id: Unit(verdict.category or "", verdict.score) for verdict in verdicts}, metrics)
