"""The questions of one benchmark as rows, and what every run made of them.

    tables = make_tables(runs)          one a benchmark, in order of appearance
    tables[0].keys[4]                   ("PBL-2896694", None): the fifth question
    tables[0].scores[1][4]              its score in the second run, None where it has none there

Rows stand in the order of the questions as they were asked; what other runs were asked besides comes after them.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.benchmark import Benchmark
from judge.core.failure import MODEL, UNSCORED
from judge.core.signature import CONDITION, FEEDBACK
from judge.io.presentation import View, view_of
from judge.io.samples import Question
from judge.results.run_folder import Run
from judge.results.table import name_runs
from judge.view.runs import ViewedRun

MOST_VALUES = 60
"""So many values may a detail have to be a filter."""


@dataclasses.dataclass(frozen=True)
class Facet:
    """A detail by which answers can be filtered. values: (as it stands in the verdicts, in words), in order."""

    name: str
    label: str
    values: Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """positions: by run and row, where in the run's `decided` the verdict stands; None where the run was not asked.

    categories: by row. scores, entropies: by run and row; None where there is none.
    """

    benchmark: Benchmark
    view: View
    runs: Sequence[ViewedRun]
    keys: Sequence[Question]
    positions: Sequence[Sequence[int | None]]
    categories: Sequence[str]
    scores: Sequence[Sequence[int | None]]
    entropies: Sequence[Sequence[float | None]]

    @functools.cached_property
    def decided_rows(self) -> Sequence[Sequence[int]]:
        """By run and place in its `decided`: the row."""
        return [[self.rows[key] for key in run.decided.keys] for run in self.runs]

    @functools.cache  # noqa: B019 - a table lives as long as its server
    def said_rows(self, run: int) -> Sequence[int | None]:
        """By place in what a run's samples say: the row, None for what no verdict is about. Waits for the texts."""
        return [self.rows.get(key) for key in self.runs[run].said().keys]

    @functools.cached_property
    def rows(self) -> Mapping[Question, int]:
        """Where a question stands."""
        return {key: row for row, key in enumerate(self.keys)}

    def reason(self, run: int, row: int) -> str | None:
        """What went wrong with an answer, if anything."""
        place = self.positions[run][row]
        return None if place is None else self.runs[run].decided.reasons[place]

    def detail(self, run: int, row: int, name: str) -> str | None:
        """A short detail of a verdict as it stands there."""
        place = self.positions[run][row]
        column = self.runs[run].decided.details.get(name)
        return None if place is None or column is None else column[place]

    @functools.cached_property
    def facets(self) -> Sequence[Facet]:
        """Details that tell answers apart, those of the benchmark's own view and those that results are given by."""
        named = dict.fromkeys(
            [*(name for run in self.runs for name in run.results.get("groups", {})), *self.view.details]
        )
        made = []
        for name in named:
            values = {value for run in self.runs for value in run.decided.details.get(name, ()) if value is not None}
            if 1 < len(values) <= MOST_VALUES:
                label = self.view.details.get(name, name)
                made.append(
                    Facet(name, label, [(value, self.view.words.get(value, value)) for value in sorted(values)])
                )
        return made

    @functools.cached_property
    def reasons(self) -> Mapping[str, str]:
        """Code → meaning of what went wrong with some answer."""
        found = {reason for run in self.runs for reason in run.decided.reasons}
        return {code: meaning for code, meaning in {**UNSCORED, **MODEL}.items() if code in found}

    @property
    def conditions(self) -> Sequence[str]:
        """Of every run, "" where the questions were asked plainly."""
        return [run.signature.parts.get(CONDITION, "") for run in self.runs]

    def describe(self) -> dict[str, Any]:
        """What the page must know before it asks for rows."""
        return {
            "name": self.benchmark.name,
            "title": self.benchmark.title,
            "rows": len(self.keys),
            "lowest": self.benchmark.scale.lowest,
            "highest": self.benchmark.scale.highest,
            "judged": self.benchmark.judged,
            "categories": [name for name in self.benchmark.categories if name in set(self.categories)],
            "facets": [dataclasses.asdict(facet) for facet in self.facets],
            "reasons": self.reasons,
            "entropy": any(value is not None for of in self.entropies for value in of),
            "runs": [
                {"name": run.name, "condition": condition, **_counts(run)}
                for run, condition in zip(self.runs, self.conditions, strict=True)
            ],
            "cautions": self.cautions,
        }

    @functools.cached_property
    def cautions(self) -> Sequence[str]:
        """What a reader must know of the runs, a line each: which are partial, and which were measured otherwise."""
        lines = []
        first = self.runs[0]
        for run in self.runs:
            parts = run.signature.parts
            if part := parts.get("part"):
                lines.append(f"{run.name} is partial: {part} questions were asked.")
            if FEEDBACK in parts:
                lines.append(f"{run.name} replays recorded feedback; nothing says which judge wrote it.")
            differing = first.signature.all_differences(run.signature)
            said = [
                f"{name} {there or 'absent'} there, {here or 'absent'} here"
                for name, (there, here) in differing.items()
                if name not in ("part", FEEDBACK)
            ]
            if said:
                lines.append(f"{run.name} was measured otherwise than {first.name}: {'; '.join(said)}.")
            if not run.samples:
                lines.append(f"{run.name} has no questions and answers to read; score again to have them.")
        known = [set(run.decided.keys) for run in self.runs]
        common = len(set.intersection(*known))
        if any(len(keys) != common for keys in known):
            lines.append(
                f"The runs do not have the same questions: {common:,} of {len(self.keys):,} are in all of them."
            )
        return lines


def _counts(run: ViewedRun) -> dict[str, int]:
    decided = run.decided
    return {
        "n": len(decided.keys),
        "unscored": sum(score is None for score in decided.scores),
        "failed": sum(decided.failed),
    }


def make_tables(runs: Sequence[ViewedRun]) -> list[Table]:
    """The tables of all runs, which get their names here: at most one a benchmark, in order of appearance."""
    for run, name in zip(runs, name_runs([Run(run.folder, run.results, ()) for run in runs]), strict=True):
        run.name = name
    by_benchmark: dict[str, list[ViewedRun]] = {}
    for run in runs:
        by_benchmark.setdefault(run.benchmark.name, []).append(run)
    return [_table(of) for of in by_benchmark.values()]


def _table(runs: Sequence[ViewedRun]) -> Table:
    _name_conditions(runs)
    found = [{key: place for place, key in enumerate(run.decided.keys)} for run in runs]
    keys: dict[Question, None] = {}
    for run, positions in zip(runs, found, strict=True):  # samples are in the order of the answers, verdicts of judging
        keys |= dict.fromkeys(key for key in run.samples if key in positions)
    for positions in found:
        keys |= dict.fromkeys(positions)
    order = list(keys)
    at = [[positions.get(key) for key in order] for positions in found]
    categories = [""] * len(order)
    for run, of in zip(reversed(runs), reversed(at), strict=True):
        for row, place in enumerate(of):
            if place is not None:
                categories[row] = run.decided.categories[place]
    return Table(
        benchmark=runs[0].benchmark,
        view=view_of(runs[0].benchmark),
        runs=runs,
        keys=order,
        positions=at,
        categories=categories,
        scores=[
            [None if place is None else run.decided.scores[place] for place in of]
            for run, of in zip(runs, at, strict=True)
        ],
        entropies=[
            [None if place is None else run.decided.entropies[place] for place in of]
            for run, of in zip(runs, at, strict=True)
        ],
    )


def _name_conditions(runs: Sequence[ViewedRun]) -> None:
    """Runs of one name under several conditions are told apart by these, where that does it."""
    conditions = [run.signature.parts.get(CONDITION, "plain").partition("@")[0] for run in runs]
    if len(set(conditions)) > 1:
        models = [str((run.results.get("run") or {}).get("model") or run.name) for run in runs]
        names = [f"{model}, {condition}" for model, condition in zip(models, conditions, strict=True)]
        if max(Counter(names).values()) == 1:
            for run, name in zip(runs, names, strict=True):
                run.name = name
