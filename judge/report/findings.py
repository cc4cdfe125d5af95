"""The sentences of a report: what was measured, which is better, by how much, how sure.

    ranked("MMVU", ["B", "A"], pair, RA)  ->
        On MMVU, **B** is better than **A**: robustness accuracy 63.5% against 60.6%. On the 893 pairs that both have
        scored it leads by 2.9 points (95% interval +0.1 to +5.8, p = 0.049).

Runs are ranked by a paired comparison only, and only where they were measured alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from judge.io.presentation import Metric
from judge.results.table import LEVEL, Pair

Fragments = list[tuple[str, bool]]
"""Text in order; True stands out."""
MANY_UNSCORED = 0.05


def number(value: float | None, metric: Metric) -> str:
    """ "63.5%" or "3.82"."""
    if value is None:
        return "no value"
    return f"{value:.1f}%" if metric.top == 100 else f"{value:.2f}"


def interval(estimate: Mapping[str, Any], metric: Metric) -> str:
    """ "27.9 to 64.9", "" where there is none."""
    if estimate.get("value") is None:
        return ""
    digits = 1 if metric.top == 100 else 2
    return f"{estimate['ci_low']:.{digits}f} to {estimate['ci_high']:.{digits}f}"


def p_value(p: float | None) -> str:
    """ "0.049", "< 0.001"."""
    if p is None:
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def signed(value: float, digits: int = 1) -> str:
    """ "+2.9", "−0.4"."""
    return f"{value:+.{digits}f}".replace("-", "−")


def alone(title: str, name: str, metric: Metric, estimate: Mapping[str, Any], chance: float | None) -> Fragments:
    """One run, or runs that may not be ranked."""
    if estimate.get("value") is None:
        return [(f"On {title}, ", False), (name, True), (" has no scored answer.", False)]
    said: Fragments = [
        (f"On {title}, ", False),
        (name, True),
        (f" has a {metric.label} of ", False),
        (number(estimate["value"], metric), True),
        (f" (95% interval {interval(estimate, metric)}, {estimate['n']:,} {metric.unit})", False),
    ]
    if chance is not None:
        inside = estimate["ci_low"] <= chance <= estimate["ci_high"]
        caution = ", which these answers cannot be told from" if inside else ""
        said.append((f"; guessing gets {chance:g}{'%' if metric.top == 100 else ''}{caution}", False))
    return [*said, (".", False)]


def ranked(title: str, names: Sequence[str], pair: Pair, metric: Metric) -> Fragments:
    """names: all runs that were measured alike, the best first; pair: the first two of them.

    Whether they differ is decided by the p-value that is adjusted for all pairs, as in the table.
    """
    best, second = names[:2]
    row = pair.comparison.metrics[metric.name]
    difference, p = row.paired.difference, pair.adjusted
    if difference.value is None or p is None:
        return [(f"On {title}, ", False), (best, True), (" and ", False), (second, True), (" share no pairs.", False)]
    values = f"{number(row.second.get('value'), metric)} against {number(row.first.get('value'), metric)}"
    sign = 1 if metric.higher_is_better else -1
    low, high = sorted((sign * float(difference.ci_low or 0), sign * float(difference.ci_high or 0)))
    lead = sign * difference.value
    behind = p < LEVEL and lead < 0  # the best of all has other questions unscored than the second
    if behind:
        low, high = -high, -low
    spread = f"95% interval {signed(low)} to {signed(high)}, p {p_value(p)}"
    if len(names) > 2:
        spread += f" adjusted for {len(names) * (len(names) - 1) // 2} pairs of runs"
    where = f" On the {difference.n:,} {metric.unit} that both have scored"
    if p < LEVEL and lead > 0:
        before = " is better than " if len(names) == 2 else f" comes first of {len(names)}, before "
        return [
            (f"On {title}, ", False), (best, True), (before, False), (second, True),
            (f": {metric.label} {values}.{where} it leads by ", False),
            (f"{lead:.1f} points", True), (f" ({spread}).", False),
        ]  # fmt: skip
    if behind:
        return [
            (f"On {title}, ", False), (best, True), (" comes before ", False), (second, True),
            (f" only by what one of them alone has scored: {metric.label} {values}.{where} ", False), (second, True),
            (" leads by ", False), (f"{-lead:.1f} points", True), (f" ({spread}).", False),
        ]  # fmt: skip
    least = row.paired.detectable
    hint = f" So many {metric.unit} show a difference of {least:.1f} points four times in five." if least else ""
    others = "" if len(names) == 2 else f", the first two of {len(names)},"
    return [
        (f"On {title}, ", False), (best, True), (" and ", False), (second, True), (others, False),
        (" cannot be told apart", True),
        (f": {metric.label} {values}.{where} they are {abs(lead):.1f} points apart ({spread}).{hint}", False),
    ]  # fmt: skip


def cautions(result: Mapping[str, Any]) -> list[str]:
    """What a reader must know of one run before believing a number."""
    said = []
    edition = (result.get("dataset") or {}).get("edition") or "unknown"
    if edition.startswith("unknown"):
        said.append(
            "these questions are not known to be a published edition of the benchmark; the numbers stand for "
            "themselves only."
        )
    unscored = result["unscored"]
    if (unscored.get("rate") or 0) > MANY_UNSCORED:
        said.append(
            f"{unscored['n']:,} of {result['n']:,} answers ({100 * unscored['rate']:.0f}%) have no score; "
            "the numbers are about the others."
        )
    return said
