"""Published systems as reference points, where they were measured as a run was, and the word where they were not.

A benchmark's `published.json` (figures with their source):

    {"categories": ["SA", "PBL", "MSR"],
     "tables": [{"title": "MMIE, 20,103 questions", "source": "arXiv 2410.10139; …", "answers": 20103,
                 "requires": {"edition": "full", "profile": "reference", "rubric": "official", …},
                 "metrics": {"score": "score"}, "protocol": "…", "remarks": ["…"],
                 "systems": {"GPT-4o + SD-XL": {"metrics": {"score": 65.47},
                                                "categories": {"score": [56.12, 73.25, 53.67]}}, …}}]}

`requires` are parts of a run's signature (a part may go on after "@"); `answers` is how many the run must have;
`metrics` says which of our metrics is measured as each published one. A table whose systems were asked under a
condition (`judge.core.condition`) has it among its requirements, and only runs under the same have a place beside it.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.signature import CONDITION, Signature


@dataclasses.dataclass(frozen=True)
class System:
    """metrics: published name → value; categories: published name → category → value."""

    name: str
    metrics: Mapping[str, float]
    categories: Mapping[str, Mapping[str, float]]


@dataclasses.dataclass(frozen=True)
class Table:
    """Systems that were measured in one way; the fields are those of the file (see above)."""

    title: str
    source: str
    requires: Mapping[str, str]
    answers: int
    metrics: Mapping[str, str]
    protocol: str
    remarks: Sequence[str]
    systems: Sequence[System]

    def values(self, metric: str) -> dict[str, float]:
        """System → value of our `metric`; empty where this table has none that is measured so."""
        names = [published for published, ours in self.metrics.items() if ours == metric]
        return {
            system.name: system.metrics[name] for name in names for system in self.systems if name in system.metrics
        }

    def spread(self, metric: str, category: str) -> list[float]:
        """All published values of our `metric` in a category, ascending."""
        names = [published for published, ours in self.metrics.items() if ours == metric]
        found = [system.categories.get(name, {}).get(category) for name in names for system in self.systems]
        return sorted(value for value in found if value is not None)

    def differences(self, parts: Mapping[str, str]) -> dict[str, tuple[str, str | None]]:
        """Parts of a run's signature that are not as here, name → (here, in the run); None where the run lacks it."""
        found = {name: parts.get(name) for name in self.requires}
        return {
            name: (wanted, found[name])
            for name, wanted in self.requires.items()
            if found[name] != wanted and not str(found[name]).startswith(f"{wanted}@")
        }

    def against(self, result: Mapping[str, Any]) -> list[str]:
        """What keeps these systems from being compared with a run, one phrase each; [] where nothing does."""
        differing = self.differences(Signature.parse(result["signature"]).parts)
        reasons = [
            f"{name} is {wanted} there, {'unknown' if found is None else found} here"
            for name, (wanted, found) in differing.items()
        ]
        if not reasons and result["n"] != self.answers:
            reasons.append(f"{self.answers:,} questions were answered there, {result['n']:,} here")
        return reasons

    def asked_as(self, result: Mapping[str, Any]) -> bool:
        """Whether a run was asked under the condition of these systems, mostly none."""
        found = Signature.parse(result["signature"]).parts.get(CONDITION, "")
        return found.partition("@")[0] == self.requires.get(CONDITION, "")


def read_published(file: Path) -> list[Table]:
    """The tables in a benchmark's `published.json`, which is part of the package. Raises OSError, KeyError."""
    content = json.loads(file.read_text(encoding="utf-8"))
    names = content["categories"]
    return [
        Table(
            row["title"], row["source"], row["requires"], row["answers"], row["metrics"], row["protocol"],
            row["remarks"], [_system(name, found, names) for name, found in row["systems"].items()],
        )
        for row in content["tables"]
    ]  # fmt: skip


def matching(tables: Sequence[Table], results: Sequence[Mapping[str, Any]]) -> tuple[Table | None, list[str]]:
    """The table measured as every one of the runs, and sentences about those that were not.

    Of tables of other conditions than the runs' nothing is said but that there are no others.
    """
    said = []
    alike = [table for table in tables if all(table.asked_as(result) for result in results)]
    if tables and not alike:
        return None, ["None were asked under the condition of these runs."]
    for table in alike:
        reasons = list(dict.fromkeys(reason for result in results for reason in table.against(result)))
        if not reasons:
            return table, []
        said.append(f"{table.title}: {'; '.join(reasons)}.")
    return None, said


def _system(name: str, row: Mapping[str, Any], categories: Sequence[str]) -> System:
    by_category = {metric: dict(zip(categories, values, strict=True)) for metric, values in row["categories"].items()}
    return System(name, row["metrics"], by_category)
