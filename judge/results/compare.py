"""Results folders side by side: what may be compared, and the paired differences where it may.

    compare(read_run("out/a"), read_run("out/b"))  ->  Comparison(…).to_json():

    {"first": "out/a", "second": "out/b", "same": false, "asked": null,
     "unscored": [{"n": 3, "rate": 1.0, …}, {"n": 0, …}],
     "metrics": {"RA": {"first": {"value": 60.58, …}, "second": {"value": 63.49, …},
                        "difference": {"value": 2.91, "ci_low": 0.1, "ci_high": 5.8, "n": 893},
                        "p": 0.049, "wins": 98, "losses": 72, "ties": 723, "detectable": 4.1}, …},
     "categories": {"Number": {"RA": {…}}}, "only_first": [], "only_second": ["context/abstract/22 (index 404)"]}

A signature says how was measured, not whom. Two runs compare only where it agrees in every part but `asked`, how the
models were asked: where that differs, the comparison says so. Units are joined by their id; what is counted is the
benchmark's own (`Benchmark.metrics`). Other conditions (`judge.core.condition`) are for `judge.results.contrast`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.benchmark import find
from judge.core.metric import by_units
from judge.core.signature import CONDITION, FEEDBACK
from judge.errors import UserError
from judge.results.criteria import ALL, compare_criteria
from judge.results.paired import Difference, differences, join_units
from judge.results.run_folder import Run


@dataclasses.dataclass(frozen=True)
class Row:
    """One metric: what each run published, and their paired difference."""

    first: Mapping[str, Any]
    second: Mapping[str, Any]
    paired: Difference

    def to_json(self) -> dict[str, Any]:
        """{"first", "second": as published; then the fields of `Difference`}."""
        return {"first": self.first, "second": self.second, **self.paired.to_json()}


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Second run against first. only_first, only_second: questions that the other run does not have."""

    first: Run
    second: Run
    metrics: Mapping[str, Row]
    categories: Mapping[str, Mapping[str, Row]]
    only_first: Sequence[str]
    only_second: Sequence[str]
    criteria: Mapping[str, Row] = dataclasses.field(default_factory=dict)
    """Of judges that give points for single criteria: mean points, over all answers."""
    same: bool = False
    """Whether both are one and the same run (`same_run`): then every difference is exactly 0."""

    @property
    def asked(self) -> tuple[str, str] | None:
        """How the model of each run was asked, where that differs or is known of one alone."""
        first, second = (run.signature.parts.get("asked", "unknown") for run in (self.first, self.second))
        return None if first == second else (first, second)

    def to_json(self) -> dict[str, Any]:
        """As `mmjudge compare --json` writes it; see the module."""
        return {
            "first": str(self.first.folder),
            "second": str(self.second.folder),
            "same": self.same,
            "asked": None if self.asked is None else list(self.asked),
            "unscored": [run.results.get("unscored") for run in (self.first, self.second)],
            "metrics": _rows(self.metrics),
            "categories": {name: _rows(rows) for name, rows in self.categories.items()},
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            **({"criteria": _rows(self.criteria)} if self.criteria else {}),
        }


def compare(first: Run, second: Run, *, conditions: bool = False) -> Comparison:
    """Raises UserError where the signatures differ, naming every part that does.

    conditions: whether the questions may have been asked under different ones.
    """
    refuse_unlike(first, second, conditions=conditions)
    same = same_run(first, second)
    benchmark = find(first.results["benchmark"])
    metrics: dict[str, Row] = {}
    categories: dict[str, dict[str, Row]] = {}
    for units, counted in by_units(benchmark.metrics).items():
        ratios = {metric.name: metric.ratio for metric in counted}
        outcomes = len(counted[0].ratio.numerator)
        joint = join_units(units(first.verdicts), units(second.verdicts), outcomes)
        overall, by_category = differences(joint, ratios)
        metrics |= {
            name: Row(first.estimate(name), second.estimate(name), row.of_one_run() if same else row)
            for name, row in overall.items()
        }
        for category, rows in by_category.items():
            categories.setdefault(category, {}).update(
                {
                    name: Row(
                        first.estimate(name, category),
                        second.estimate(name, category),
                        row.of_one_run() if same else row,
                    )
                    for name, row in rows.items()
                }
            )
    order = [name for name in first.results["categories"] if name in categories]  # the published one
    return Comparison(
        first,
        second,
        metrics,
        {name: categories[name] for name in dict.fromkeys([*order, *categories])},
        only_first=_only(first, second),
        only_second=_only(second, first),
        criteria=_criteria(first, second, same),
        same=same,
    )


def same_run(first: Run, second: Run) -> bool:
    """Whether both hold the same answers: asked, measured and, question by question, decided alike.

    Equal verdicts on answers that are known to differ, by their hashes in `results.json`, are no same run.
    """
    differing = first.signature.all_differences(second.signature)
    if differing.keys() - {FEEDBACK}:
        return False
    hashes = [((run.results.get("run") or {}).get("answers") or {}).get("sha256") for run in (first, second)]
    if None not in hashes and hashes[0] != hashes[1]:
        return False
    # the key of a verdict depends on the whole signature
    ours, theirs = (
        {
            (verdict.id, verdict.index): dataclasses.replace(verdict, key=None) if differing else verdict
            for verdict in run.verdicts
        }
        for run in (first, second)
    )
    return ours == theirs


def _criteria(first: Run, second: Run, same: bool) -> dict[str, Row]:
    ours, theirs = (run.results.get("criteria", {}).get(ALL, {}) for run in (first, second))
    found = compare_criteria(first.verdicts, second.verdicts)
    order = [name for name in ours if name in found]  # as published: verdicts lie in the order they were decided in
    return {
        name: Row(ours[name], theirs.get(name, {}), found[name].of_one_run() if same else found[name]) for name in order
    }


def refuse_unlike(first: Run, second: Run, *, conditions: bool = False) -> None:
    """Raises UserError unless both runs were measured in the same way; under other conditions only if `conditions`."""
    differing = first.signature.differences(second.signature)
    if conditions:
        differing.pop(CONDITION, None)
    elif list(differing) == [CONDITION]:
        runs = zip(differing[CONDITION], (first, second), strict=True)
        names = " and ".join(f"{_part(name)} in {run.folder}" for name, run in runs)
        raise UserError(
            f"these results may not be compared, the questions were asked under different conditions — {names}",
            fix=f"mmjudge contrast {first.folder} {second.folder}",
        )
    if differing:
        parts = ";\n".join(
            f"  {name}: {_part(ours)} in {first.folder}, {_part(theirs)} in {second.folder}"
            for name, (ours, theirs) in differing.items()
        )
        raise UserError(
            f"these results may not be compared, they were measured differently:\n{parts}",
            fix="score both sets of responses with the same command and version",
        )


def _part(value: str | None) -> str:
    return "absent" if value is None else value


def _only(run: Run, other: Run) -> list[str]:
    """Names of questions that the other run does not have."""
    known = {(verdict.id, verdict.index) for verdict in other.verdicts}
    return [
        verdict.id if verdict.index is None else f"{verdict.id} (index {verdict.index})"
        for verdict in run.verdicts
        if (verdict.id, verdict.index) not in known
    ]


def _rows(rows: Mapping[str, Row]) -> dict[str, Any]:
    return {name: row.to_json() for name, row in rows.items()}
