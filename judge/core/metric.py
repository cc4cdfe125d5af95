"""A metric of a benchmark, defined once: its name and meaning, what it counts, and how it follows from the counts.

    Metric("MR", "misleading rate", "pairs", "pairs lost to the leading question, of those whose plain question …",
           units=pairs, ratio=Ratio((0, 1, 0, 0), (1, 1, 0, 0), higher_is_better=False), chance=75.0)

`units` makes of verdicts what is counted. A unit has one of a few outcomes, and the metric is a ratio of their counts:

    MMVU, a unit is a pair:      outcomes PP, PN, NP, NN      RA = PP / all       MR = PN / (PP + PN)
    MMIE, a unit is a question:  outcomes 0, 1, 2, 3, 4, 5, 6 score = (0·n0 + 1·n1 + … + 6·n6) / all, times 100/6

All that is made of a metric follows from its entry in `Benchmark.metrics`: estimates with their intervals
(`judge.results.estimates`), paired comparisons (`judge.results.compare`), rows of lmms-eval's table
(`judge.harness.lmms_eval.tasks`) and the report's words and charts (`judge.report`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from judge.core.verdict import Verdict


@dataclasses.dataclass(frozen=True)
class Ratio:
    """A ratio of outcome counts c: scale · (numerator · c) / (denominator · c).

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
    def top(self) -> float:
        """The greatest value it can have."""
        return self.scale * max(self.numerator)

    @property
    def counts_all(self) -> bool:
        """Whether every unit counts alike in the denominator: a mean over all units."""
        return len(set(self.denominator)) == 1

    @property
    def is_proportion(self) -> bool:
        """Whether each unit that the denominator counts is a hit or none."""
        return {*self.numerator, *self.denominator} <= {0, 1}

    @property
    def is_share(self) -> bool:
        """Whether it is a proportion of all units."""
        return self.is_proportion and set(self.denominator) == {1}


@dataclasses.dataclass(frozen=True, slots=True)
class Unit:
    """What is counted: an answer, or the pair of them.

    name: the same in every run, by which two runs are joined. outcome: its number, None where the unit is unscored.
    position: of its verdict, or of the first of its verdicts, among those it was made from. cluster: units of one
    cluster are about the same thing, such as a picture, and vary together; None where all units are independent.
    """

    name: str
    category: str
    outcome: int | None
    position: int
    cluster: str | None = None


Units = Callable[[Sequence[Verdict]], Sequence[Unit]]


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric. name: its key in `results.json`; label: its name in a sentence; unit: what its n counts, a plural;
    meaning: what is counted, as a phrase.

    units: the units of verdicts; metrics that share this function are compared on the same units. chance: the value
    that guessing gets, None where there is none. headline: whether it is printed, charted and published; the others
    only stand in `results.json` and lmms-eval's table. beside: whether tables of runs show it behind the headline,
    where a run has a value. by_category: whether it is also shown for each category.
    concerns: whether a record of the dataset can add to it.
    """

    name: str
    label: str
    unit: str
    meaning: str
    units: Units
    ratio: Ratio
    chance: float | None = None
    headline: bool = True
    beside: bool = False
    by_category: bool = False
    concerns: Callable[[Any], bool] = lambda record: True

    @property
    def higher_is_better(self) -> bool:
        """Which way is better; see `Ratio`."""
        return self.ratio.higher_is_better

    @property
    def top(self) -> float:
        """The end of its scale, which starts at 0."""
        return self.ratio.top

    def values(self, verdicts: Sequence[Verdict]) -> dict[int, float]:
        """Position of a verdict → the value of its unit, on the metric's scale; their mean is the metric.

        Units without a score, or that the denominator does not count, are left out.
        """
        above, below = self.ratio.numerator, self.ratio.denominator
        return {
            unit.position: self.ratio.scale * above[unit.outcome] / below[unit.outcome]
            for unit in self.units(verdicts)
            if unit.outcome is not None and below[unit.outcome]
        }


def scores(verdicts: Sequence[Verdict]) -> list[Unit]:
    """One unit a verdict, its score the outcome."""
    return [Unit(verdict.id, verdict.category or "", verdict.score, n) for n, verdict in enumerate(verdicts)]


def headline(metrics: Iterable[Metric]) -> tuple[str, ...]:
    """Names of the metrics that are printed and published, in order."""
    return tuple(metric.name for metric in metrics if metric.headline)


def by_units(metrics: Iterable[Metric]) -> Mapping[Units, list[Metric]]:
    """Metrics by what they count, in order of appearance."""
    found: dict[Units, list[Metric]] = {}
    for metric in metrics:
        found.setdefault(metric.units, []).append(metric)
    return found


def _unscored(verdicts: Sequence[Verdict]) -> list[Unit]:
    return [Unit(v.id, v.category or "", int(v.score is None), n) for n, v in enumerate(verdicts)]


UNSCORED = Metric(
    "unscored", "unscored rate", "answers", "answers without a score", _unscored,
    Ratio((0, 1), (1, 1), higher_is_better=False),
)  # fmt: skip
"""The share of answers without a score, which every benchmark has."""
