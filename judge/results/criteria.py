"""Points for single criteria, summarised and compared: for judges that give them.

    summarise_criteria(verdicts, ["SA", "PBL"])
    ->  {"all": {"Text quality": Estimate(0.83, 0.66, 0.93, n=30), …}, "SA": {…}, "PBL": {…}}

A value is the mean of the points that were given: from 0 to 1, from -1 to 0 for a criterion that takes off. Its
interval is Wilson's where the run's answers were given one of two neighbouring numbers of points, else that of a mean
of scores (`judge.results.statistics`). A criterion that got 0 every time may be one that gives or one that takes off:
its interval lies to both sides. Answers without points, such as those that the judge never saw, are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.criteria import Points, valid_points
from judge.core.estimate import EMPTY, Estimate
from judge.core.metric import Ratio, Unit
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.results.paired import Difference, differences, join_units
from judge.results.statistics import mean_score, proportion, wilson

ALL = "all"
NONE_GIVEN = "this judge gives a score and no points for single criteria"
"""What is said, once, where results of a judged benchmark have none."""

Criteria = dict[str, dict[str, Estimate]]


def points_of(verdict: Verdict) -> Points | None:
    """The points for single criteria in a verdict that has a score, None where there are none."""
    return None if verdict.score is None else valid_points(verdict.details.get("criteria"))


def summarise_criteria(verdicts: Sequence[Verdict], categories: Sequence[str]) -> Criteria:
    """Every criterion over all answers, and by category, in the order of first appearance; {} where there are none."""
    given = [(verdict.category, points) for verdict in verdicts if (points := points_of(verdict)) is not None]
    if not given:
        return {}
    groups = {ALL: [points for _, points in given]}
    groups |= {name: [points for category, points in given if category == name] for name in categories}
    values = {name: _by_name(members) for name, members in groups.items()}
    # whether a criterion gives or takes off shows in any category of those that have it
    scales = {name: (min(points), max(points)) for name, points in values[ALL].items()}
    return {
        group: {name: mean_points(points, scales[name]) for name, points in found.items()}
        for group, found in values.items()
    }


def _by_name(members: Sequence[Points]) -> dict[str, list[int]]:
    """The points of every criterion, in the order of first appearance."""
    values: dict[str, list[int]] = {}
    for points in members:
        for name, value in points.items():
            values.setdefault(name, []).append(value)
    return values


def mean_points(values: Sequence[int], scale: tuple[int, int] = (0, 0)) -> Estimate:
    """The mean of whole numbers of points with its 95% interval; EMPTY where there are none.

    scale: points that are known to be given for the criterion, the least and the most.
    """
    if not values:
        return EMPTY
    lowest, highest = min(0, *scale, *values), max(0, *scale, *values)
    if lowest == highest:
        _, most = wilson(0, len(values))
        return Estimate(0.0, -most, most, len(values))
    if highest - lowest == 1:
        share = proportion(sum(value != lowest for value in values), len(values), scale=1.0)
    else:
        share = mean_score([values.count(value) for value in range(lowest, highest + 1)])
    if share.value is None or share.ci_low is None or share.ci_high is None:
        return EMPTY
    return Estimate(share.value + lowest, share.ci_low + lowest, share.ci_high + lowest, share.n)


def judged_without_criteria(results: Mapping[str, Any]) -> bool:
    """Whether a judge gave the scores in `results.json`, as its signature says, and no points for single criteria."""
    judged = "judge" in Signature.parse(results["signature"]).parts
    return judged and results["n"] > 0 and not results.get("criteria")


def compare_criteria(first: Sequence[Verdict], second: Sequence[Verdict]) -> dict[str, Difference]:
    """Every criterion that both runs have, second minus first, paired by answer (`judge.results.paired`)."""
    given = [{verdict.id: points for verdict in run if (points := points_of(verdict))} for run in (first, second)]
    ours, theirs = (dict.fromkeys(name for points in run.values() for name in points) for run in given)
    found = {}
    for name in (name for name in ours if name in theirs):
        values = [points[name] for run in given for points in run.values() if name in points]
        lowest, highest = min(0, *values), max(1 + min(0, *values), *values)
        one, other = (
            [
                Unit(verdict.id, verdict.category or "", run[verdict.id][name] - lowest, position)
                for position, verdict in enumerate(verdicts)
                if name in run.get(verdict.id, {})
            ]
            for run, verdicts in zip(given, (first, second), strict=True)
        )
        outcomes = highest - lowest + 1  # counted from the lowest: differences do not change
        ratio = Ratio(tuple(range(outcomes)), (1,) * outcomes, scale=1.0)
        overall, _ = differences(join_units(one, other, outcomes), {name: ratio})
        found[name] = overall[name]
    return found
