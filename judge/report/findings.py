"""The sentences of a report: what was measured, which is better, by how much, how sure.

    lead([("A", a), ("B", b)], …)  ->
        On MMVU, **B** is better than **A**: robustness accuracy 63.5% against 60.6%, a lead of 2.9 points
        (95% interval 0.1 to 5.8, p = 0.049, 893 pairs).

Runs are ranked by a paired comparison only, and only where they were measured alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from judge.results.compare import Comparison
from judge.view import Metric

Fragments = list[tuple[str, bool]]
"""Text in order; True stands out."""
ALPHA = 0.05
MANY_UNSCORED = 0.05


def number(value: float | None, metric: Metric) -> str:
    """ "63.5%" or "3.82"."""
    if value is None:
        return "no value"
    return f"{value:.1f}%" if metric.top == 100 else f"{value:.2f}"


def interval(estimate: Mapping[str, Any]) -> str:
    """ "27.9 to 64.9", "" where there is none."""
    if estimate.get("value") is None:
        return ""
    return f"{estimate['ci_low']:.1f} to {estimate['ci_high']:.1f}"


def chance_of(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def alone(title: str, name: str, metric: Metric, estimate: Mapping[str, Any], chance: float | None) -> Fragments:
    """One run, or runs that may not be ranked."""
    if estimate.get("value") is None:
        return [(f"On {title}, ", False), (name, True), (" has no scored answer.", False)]
    said: Fragments = [
        (f"On {title}, ", False),
        (name, True),
        (" reaches ", False),
        (f"{number(estimate['value'], metric)} {metric.label}", True),
        (f" (95% interval {interval(estimate)}, {estimate['n']:,} {metric.unit})", False),
    ]
    if chance is not None:
        inside = estimate["ci_low"] <= chance <= estimate["ci_high"]
        said.append((f"; guessing gets {number(chance, metric)}" + (", which cannot be told apart" * inside), False))
    return [*said, (".", False)]


def ranked(title: str, names: Sequence[str], comparison: Comparison, metric_name: str, metric: Metric) -> Fragments:
    """names: all runs, the best first; comparison: the runner-up against it."""
    best, second = names[:2]
    row = comparison.metrics[metric_name]
    difference, p = row.paired.difference, row.paired.p
    if difference.value is None or p is None:
        return [(f"On {title}, ", False), (best, True), (" and ", False), (second, True), (" share no pairs.", False)]
    values = f"{number(row.second.get('value'), metric)} against {number(row.first.get('value'), metric)}"
    sign = 1 if metric.higher_is_better else -1
    bounds = sorted((sign * float(difference.ci_low or 0), sign * float(difference.ci_high or 0)))
    spread = (
        f"95% interval {_signed(bounds[0])} to {_signed(bounds[1])}, {chance_of(p)}, {difference.n:,} {metric.unit}"
    )
    lead = sign * difference.value
    if p < ALPHA and lead > 0:
        first = (" is better than " if len(names) == 2 else f" comes first of {len(names)}, before ", False)
        return [
            (f"On {title}, ", False), (best, True), first, (second, True),
            (f": {metric.label} {values}, a lead of {lead:.1f} points ({spread}).", False),
        ]  # fmt: skip
    least = row.paired.detectable
    hint = f" Only a difference of about {least:.1f} points would show in so few {metric.unit}." if least else ""
    others = "" if len(names) == 2 else f", the first two of {len(names)},"
    return [
        (f"On {title}, ", False), (best, True), (" and ", False), (second, True),
        (f"{others} cannot be told apart: {metric.label} {values} ({spread}).{hint}", False),
    ]  # fmt: skip


def cautions(name: str, result: Mapping[str, Any]) -> list[str]:
    """What a reader must know before believing a number."""
    said = []
    unscored = result["unscored"]
    if (unscored.get("rate") or 0) > MANY_UNSCORED:
        said.append(
            f"{name}: {unscored['n']:,} of {result['n']:,} answers ({100 * unscored['rate']:.0f}%) have no score; "
            "the numbers are about the others."
        )
    return said


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
