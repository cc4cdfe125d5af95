"""Finished runs as a leaderboard: ranked where they were measured alike, every pair compared.

    rank_runs([read_run("out/llava"), read_run("out/qwen")])  ->  [Group(…)]:

    standings   Standing("qwen2-vl", run, letters="a"), Standing("llava-1.6", run, letters="b")
    pairs       Pair("qwen2-vl", "llava-1.6", Difference(Estimate(6.7, 2.1, 11.3, 300), …), adjusted=0.006)

A group has one benchmark, and one signature but for `RUN_PARTS`: a partial run, another judge, rubric or profile has a
group of its own, which names the parts that differ from the first group of its benchmark. The first headline metric
ranks and is compared, by `judge.results.compare`; p-values are adjusted for the pairs of the group.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.benchmark import find
from judge.core.metric import Metric, headline
from judge.core.signature import FEEDBACK
from judge.errors import UserError
from judge.results.compare import Comparison, compare
from judge.results.criteria import ALL
from judge.results.multiple import compact_letters, holm
from judge.results.paired import Difference
from judge.results.run_folder import Run

LEVEL = 0.05
"""An adjusted p-value below this is significant."""
CATEGORY, CRITERION = "category", "criterion"


@dataclasses.dataclass(frozen=True)
class Standing:
    """A run in its group. letters: shared with every run that it is not significantly apart from."""

    name: str
    run: Run
    letters: str

    @property
    def date(self) -> str | None:
        """The day it ended, None where it is not recorded."""
        return str((self.run.results.get("run") or {}).get("date") or "")[:10] or None

    @property
    def part(self) -> str | None:
        """Of a partial run "20 of 48"."""
        return self.run.signature.parts.get("part")

    @property
    def failures(self) -> Mapping[str, Any]:
        """Failures of the model under test: {"n", "rate"}; {} where they were not counted."""
        found: Mapping[str, Any] = self.run.results.get("failures", {}).get("model", {})
        return found


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two runs by name, the better ranked first. difference: first minus second in the first headline metric.

    adjusted: its p-value after Holm's correction for all pairs of the group; None where it is undefined. comparison:
    all metrics, the better run as its second.
    """

    first: str
    second: str
    difference: Difference
    adjusted: float | None
    comparison: Comparison

    def to_json(self) -> dict[str, Any]:
        """{"first", "second", "p_holm", and the fields of `Difference`}."""
        return {"first": self.first, "second": self.second, "p_holm": self.adjusted, **self.difference.to_json()}


@dataclasses.dataclass(frozen=True)
class Group:
    """Runs that were measured alike, best first.

    metrics: the headline metrics of the benchmark, the first of which ranks. differing: parts of the signature that
    are not as in the first group of the benchmark, name → (there, here). same_questions: whether all have the same.
    """

    benchmark: str
    title: str
    metrics: Sequence[Metric]
    standings: Sequence[Standing]
    pairs: Sequence[Pair]
    differing: Mapping[str, tuple[str | None, str | None]]
    same_questions: bool

    @property
    def main(self) -> Metric:
        """The metric that ranks."""
        return self.metrics[0]

    @property
    def signature(self) -> str:
        """Of the first run; the others' differ from it in `RUN_PARTS` at most."""
        return str(self.standings[0].run.results["signature"])

    @property
    def replayed(self) -> bool:
        """Whether recorded feedback was replayed: nothing says which judge wrote it."""
        return any(FEEDBACK in standing.run.signature.parts for standing in self.standings)

    @property
    def fields(self) -> list[str]:
        """What `members` takes: "category", those of results' `groups`, and "criterion"; such that a run has."""
        return list(dict.fromkeys(name for one in self.standings for name in self._fields(one.run)))

    def members(self, field: str) -> dict[str, list[Mapping[str, Any]]]:
        """The main metric by "category" or by a field of results' `groups`, or the points by "criterion": member → an
        estimate for each standing.

        An estimate is {} where the run has none. Raises UserError for a field that no run of the group has.
        """
        fields = [self._fields(standing.run) for standing in self.standings]
        if field not in self.fields:
            fix = f"--by {' | '.join(self.fields)}"
            raise UserError(f"results of {self.title} are not given by {field!r}", fix=fix)
        names = dict.fromkeys(name for found in fields for name in found.get(field, {}))
        return {
            name: [found.get(field, {}).get(name, {}).get(self.measured(field), {}) for found in fields]
            for name in names
        }

    def measured(self, field: str) -> str:
        """What `members` gives: the main metric, or the points for every criterion."""
        return "points" if field == CRITERION else self.main.name

    def _fields(self, run: Run) -> dict[str, Mapping[str, Any]]:
        fields = {CATEGORY: run.results["categories"], **run.results.get("groups", {})}
        points = run.results.get("criteria", {}).get(ALL, {})
        return fields | ({CRITERION: {name: {"points": of} for name, of in points.items()}} if points else {})


def name_runs(runs: Sequence[Run]) -> list[str]:
    """A name for every run: its model's, else its folder's; with the folder where two of a benchmark share one."""
    names = [str((run.results.get("run") or {}).get("model") or run.folder.absolute().name) for run in runs]
    times = Counter((run.results["benchmark"], name) for run, name in zip(runs, names, strict=True))
    return [
        f"{name} ({run.folder})" if times[run.results["benchmark"], name] > 1 else name
        for run, name in zip(runs, names, strict=True)
    ]


def rank_runs(runs: Sequence[Run], names: Sequence[str] | None = None) -> list[Group]:
    """The groups of all runs, by benchmark and in order of appearance.

    names: of the runs, those of `name_runs` where None.

    Raises UserError for a benchmark that is not installed.
    """
    groups: dict[str, list[list[tuple[str, Run]]]] = {}
    for name, run in zip(name_runs(runs) if names is None else names, runs, strict=True):
        found = groups.setdefault(run.results["benchmark"], [])
        alike = [group for group in found if not group[0][1].signature.differences(run.signature)]
        if alike:
            alike[0].append((name, run))
        else:
            found.append([(name, run)])
    return [_ranked(group, found[0][0][1]) for found in groups.values() for group in found]


def _ranked(members: Sequence[tuple[str, Run]], reference: Run) -> Group:
    benchmark = find(reference.results["benchmark"])
    shown = headline(benchmark.metrics)
    metrics = [metric for metric in benchmark.metrics if metric.name in shown]
    main = metrics[0]

    def rank(member: tuple[str, Run]) -> tuple[bool, float]:
        value = member[1].estimate(main.name).get("value")
        return value is None, 0.0 if value is None else (-value if main.higher_is_better else value)

    order = sorted(members, key=rank)
    numbers = [(one, other) for one in range(len(order)) for other in range(one + 1, len(order))]
    # second minus first, so the better is given as the second
    compared = [compare(order[other][1], order[one][1]) for one, other in numbers]
    differences = [comparison.metrics[main.name].paired for comparison in compared]
    adjusted = holm([difference.p for difference in differences])
    differing = {pair for pair, p in zip(numbers, adjusted, strict=True) if p is not None and p < LEVEL}
    letters = compact_letters(len(order), differing)
    return Group(
        reference.results["benchmark"],
        benchmark.title,
        metrics,
        [Standing(name, run, letter) for (name, run), letter in zip(order, letters, strict=True)],
        [
            Pair(order[one][0], order[other][0], difference, p, comparison)
            for (one, other), difference, p, comparison in zip(numbers, differences, adjusted, compared, strict=True)
        ],
        reference.signature.differences(order[0][1].signature),
        not any(comparison.only_first or comparison.only_second for comparison in compared),
    )
