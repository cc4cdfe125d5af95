"""The estimates of a benchmark's metrics: values with intervals, from verdicts.

    estimates(MMVU.metrics, verdicts)          ->  {"RA": Estimate(60.6, 57.3, 63.7, 893), "MR": …, …}
    estimates(MMIE.metrics, verdicts)["mean"]  ->  Estimate(3.93, 3.91, 3.95, 20103)

How an interval is computed follows from the metric's ratio and units (`judge.core.metric`):

a proportion                 Wilson's score interval
a proportion, with clusters  Wilson's at the effective number of units
a mean of scores             the score interval with two made-up scores (`mean_score`)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from judge.core.estimate import Estimate
from judge.core.metric import Metric, Ratio, Unit, by_units
from judge.core.verdict import Verdict
from judge.results.statistics import clustered_proportion, mean_score, proportion


def estimates(metrics: Iterable[Metric], verdicts: Sequence[Verdict]) -> dict[str, Estimate]:
    """Every metric by its name."""
    metrics = list(metrics)
    units = {of: of(verdicts) for of in by_units(metrics)}
    return {metric.name: _estimate(metric.ratio, units[metric.units]) for metric in metrics}


def estimate(metric: Metric, verdicts: Sequence[Verdict]) -> Estimate:
    """One metric; see `estimates`."""
    return estimates([metric], verdicts)[metric.name]


def _estimate(ratio: Ratio, units: Sequence[Unit]) -> Estimate:
    if not ratio.is_proportion:
        return mean_score(_histogram(ratio, units), scale=ratio.scale)
    clusters: dict[str | None, list[float]] = {}
    for unit in units:
        if unit.outcome is not None and ratio.denominator[unit.outcome]:
            clusters.setdefault(unit.cluster, []).append(ratio.numerator[unit.outcome])
    right, asked = [int(sum(hits)) for hits in clusters.values()], [len(hits) for hits in clusters.values()]
    if clusters.keys() <= {None}:
        return proportion(sum(right), sum(asked), scale=ratio.scale)
    return clustered_proportion(right, asked, scale=ratio.scale)


def _histogram(ratio: Ratio, units: Sequence[Unit]) -> list[int]:
    """How often each outcome occurs. Raises ValueError for a ratio that is not the mean of outcomes 0, 1, 2, …"""
    if ratio.numerator != tuple(range(len(ratio.numerator))) or set(ratio.denominator) != {1}:
        raise ValueError(f"no interval is known for {ratio}: neither a proportion nor a mean of scores")
    counts = [0] * len(ratio.numerator)
    for unit in units:
        if unit.outcome is not None:
            counts[unit.outcome] += 1
    return counts
