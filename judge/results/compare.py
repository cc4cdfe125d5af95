"""Results folders side by side: what may be compared, and the paired differences where it may.

    compare(read_run("out/a"), read_run("out/b"))  ->  Comparison(…).to_json():

    {"first": "out/a", "second": "out/b", "unscored": [{"n": 3, "rate": 1.0, …}, {"n": 0, …}],
     "metrics": {"RA": {"first": {"value": 60.58, …}, "second": {"value": 63.49, …},
                        "difference": {"value": 2.91, "ci_low": 0.1, "ci_high": 5.8, "n": 893},
                        "p": 0.049, "wins": 98, "losses": 72, "ties": 723, "detectable": 4.1}, …},
     "categories": {"Number": {"RA": {…}}}, "only_first": [], "only_second": ["context/abstract/22 (index 404)"]}

A signature says how was measured, not whom. Two runs compare only where it agrees in every part. Units are joined by
their id; the units and metrics of a benchmark are its own (`Benchmark.tallies`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import find
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.verdicts import read_verdicts
from judge.results import results
from judge.results.paired import Difference, differences, join

VERDICTS = "verdicts.jsonl"
KINDS = {"benchmark": str, "signature": str, "metrics": dict, "categories": dict, "unscored": dict}
FIX = "write the folder again: mmjudge score … --out DIR"


@dataclasses.dataclass(frozen=True)
class Run:
    """A results folder as written by `mmjudge score`."""

    folder: Path
    results: Mapping[str, Any]
    verdicts: Sequence[Verdict]

    @property
    def signature(self) -> Signature:
        return Signature.parse(self.results["signature"])

    def estimate(self, metric: str, category: str | None = None) -> Mapping[str, Any]:
        """The published numbers {"value", "ci_low", "ci_high", "n"} of a metric; empty where there are none."""
        metrics = self.results["metrics"] if category is None else self.results["categories"].get(category, {})
        found: Mapping[str, Any] = metrics.get(metric) or {}
        return found


@dataclasses.dataclass(frozen=True)
class Row:
    """One metric: what each run published, and their paired difference."""

    first: Mapping[str, Any]
    second: Mapping[str, Any]
    paired: Difference

    def to_json(self) -> dict[str, Any]:
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

    def to_json(self) -> dict[str, Any]:
        return {
            "first": str(self.first.folder),
            "second": str(self.second.folder),
            "unscored": [run.results.get("unscored") for run in (self.first, self.second)],
            "metrics": _rows(self.metrics),
            "categories": {name: _rows(rows) for name, rows in self.categories.items()},
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
        }


def read_run(folder: str | Path) -> Run:
    """A results folder. Raises UserError where it or a file in it is missing or is not what `mmjudge score` writes."""
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError("no such results folder", file=folder, fix=FIX)
    file = folder / results.FILE
    found = results.read(folder)
    for field, kind in KINDS.items():
        if not isinstance(found.get(field), kind):
            raise UserError("missing or of another kind", file=file, field=field, fix=FIX)
    verdicts = read_verdicts(folder / VERDICTS)
    if len(verdicts) != found["n"]:
        raise UserError(
            f"{len(verdicts)} questions, but {found['n']} in {results.FILE}", file=folder / VERDICTS, fix=FIX
        )
    return Run(folder, found, verdicts)


def compare(first: Run, second: Run, *, seed: int = 0) -> Comparison:
    """Raises UserError where the signatures differ, naming every part that does."""
    refuse_unlike(first, second)
    benchmark = find(first.results["benchmark"])
    metrics: dict[str, Row] = {}
    categories: dict[str, dict[str, Row]] = {}
    for ours, theirs in zip(benchmark.tallies(first.verdicts), benchmark.tallies(second.verdicts), strict=True):
        overall, by_category = differences(join(ours, theirs), ours.metrics, seed=seed)
        metrics |= {name: Row(first.estimate(name), second.estimate(name), row) for name, row in overall.items()}
        for category, rows in by_category.items():
            categories.setdefault(category, {}).update(
                {
                    name: Row(first.estimate(name, category), second.estimate(name, category), row)
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
    )


def refuse_unlike(first: Run, second: Run) -> None:
    """Raises UserError unless both runs were measured in the same way."""
    differing = first.signature.differences(second.signature)
    if differing:
        parts = "; ".join(
            f"{name}: {_part(ours)} in {first.folder}, {_part(theirs)} in {second.folder}"
            for name, (ours, theirs) in differing.items()
        )
        raise UserError(
            f"these results may not be compared, they were measured differently — {parts}",
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
