"""Finished runs as a leaderboard: the rows, pairs and notes that `mmjudge table` prints and the report begins with.

    boards = leaderboards([read_run("out/llava"), read_run("out/qwen")])
    leaderboard_rows(boards[0])  ->  [["model", "date", "n", …], ["qwen2-vl", "2026-01-31", "600", …], …]

A published system stands between the runs where it was measured as they were (`judge.results.published`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from judge.core.benchmark import find
from judge.core.foreign_text import on_one_line
from judge.core.metric import Metric
from judge.io.presentation import view_of
from judge.results.cells import Rows, cell, p_value, titled
from judge.results.published import matching, read_published
from judge.results.remarks import remarks
from judge.results.run_folder import Run
from judge.results.table import Group, Standing, rank_runs

PAIRS = 15
"""So many pairs are written out in text and Markdown; JSON has all."""


@dataclasses.dataclass(frozen=True)
class Published:
    """A published system. n: questions; metrics: by our names."""

    name: str
    n: int
    metrics: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Leaderboard:
    """A group of runs, and the published systems that were measured as they were, with their source.

    metrics: the columns; refusals: why there are no published systems.
    """

    group: Group
    metrics: Sequence[Metric]
    published: Sequence[Published] = ()
    source: str | None = None
    refusals: Sequence[str] = ()

    @property
    def rows(self) -> list[tuple[Standing | Published, list[Mapping[str, Any]]]]:
        """Runs and published systems, the best first, each with an estimate for every metric; {} where it has none.

        A published value is {"value": …} without an interval.
        """
        found: list[tuple[Standing | Published, list[Mapping[str, Any]]]] = [
            (standing, [standing.run.estimate(metric.name) for metric in self.metrics])
            for standing in self.group.standings
        ]
        for system in self.published:
            values = [system.metrics.get(metric.name) for metric in self.metrics]
            found.append((system, [{} if value is None else {"value": value} for value in values]))
        return sorted(
            found, key=lambda row: [_rank(of.get("value"), m) for of, m in zip(row[1], self.metrics, strict=True)]
        )


def leaderboards(runs: Sequence[Run], names: Sequence[str] | None = None) -> list[Leaderboard]:
    """The groups of `rank_runs`, each with its published systems. Raises UserError as it does."""
    return [_with_published(group) for group in rank_runs(runs, names)]


def _with_published(group: Group) -> Leaderboard:
    """The group with the systems that were measured as its runs were, and why there are none where there are none."""
    benchmark = find(group.benchmark)
    view = view_of(benchmark)
    tables = read_published(view.published) if view.published else []
    table, refusals = matching(tables, [standing.run.results for standing in group.standings])
    beside = [
        metric
        for metric in benchmark.metrics
        if metric.beside and any(standing.run.estimate(metric.name).get("n") for standing in group.standings)
    ]
    if table is None:
        return Leaderboard(group, [*group.metrics, *beside], refusals=tuple(refusals))
    # what was published may be measured as a metric that is no headline, and is shown for the runs too then
    measured = [metric for metric in benchmark.metrics if metric.name in table.metrics.values()]
    metrics = [*group.metrics, *(metric for metric in measured if metric not in group.metrics), *beside]
    values = {metric.name: table.values(metric.name) for metric in measured}
    systems = [
        Published(
            system.name, table.answers, {name: of[system.name] for name, of in values.items() if system.name in of}
        )
        for system in table.systems
    ]
    source = f"{table.title} ({table.source}). {table.protocol}"
    return Leaderboard(group, metrics, systems, source)


def leaderboard_rows(board: Leaderboard) -> Rows:
    """One row a run or published system, the best first."""
    compared = len(board.group.standings) > 1
    head = ["model", "date", "n", "unscored", "failed", *(titled(metric) for metric in board.metrics)]
    rows = [[*head, *(["alike"] if compared else [])]]
    for of, estimates in board.rows:
        if isinstance(of, Published):
            about, letters = [of.name, "published", str(of.n), "-", "-"], "-"
        else:
            results = of.run.results
            n = f"PARTIAL {of.part}" if of.part else str(results["n"])
            about = [on_one_line(of.name), of.date or "-", n, rate(results["unscored"]), rate(of.failures)]
            letters = of.letters
        rows.append([*about, *map(cell, estimates), *([letters] if compared else [])])
    return rows


def leaderboard_records(boards: Sequence[Leaderboard]) -> list[dict[str, Any]]:
    """One record a run or published system, with all digits: {"benchmark", "group", "model", …, "RA", "RA_ci_low", …}.

    group: the number of its leaderboard, from 1. A record has only the fields that it has a value for, or might have.
    """
    records = []
    for number, board in enumerate(boards, 1):
        group: dict[str, Any] = {"benchmark": board.group.benchmark, "group": number}
        for standing in board.group.standings:
            metrics = {name: value for metric in board.metrics for name, value in _flat(metric, standing).items()}
            last = {"alike": standing.letters, "signature": standing.run.results["signature"]}
            records.append({**group, **about_run(standing), **metrics, **last})
        for system in board.published:
            about = {"model": system.name, "n": system.n, **system.metrics, "source": board.source}
            records.append({**group, **about})
    return records


def record_columns(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names that any of the records has, in order; the signature, long and for machines, last."""
    names = list(dict.fromkeys(name for record in records for name in record))
    return [name for name in names if name != "signature"] + ["signature"]


def about_run(standing: Standing) -> dict[str, Any]:
    """What is known of a run beside its metrics."""
    results = standing.run.results
    return {
        "model": standing.name,
        "folder": str(standing.run.folder),
        "date": standing.date,
        "n": results["n"],
        "part": standing.part,
        "unscored": results["unscored"]["n"],
        "unscored_rate": results["unscored"].get("rate"),
        "failed": standing.failures.get("n"),
        "failed_rate": standing.failures.get("rate"),
    }


def _flat(metric: Metric, standing: Standing) -> dict[str, Any]:
    found = standing.run.estimate(metric.name)
    fields = (("", "value"), ("_ci_low", "ci_low"), ("_ci_high", "ci_high"), ("_n", "n"))
    return {f"{metric.name}{ending}": found.get(field) for ending, field in fields}


def _rank(value: float | None, metric: Metric) -> tuple[bool, float]:
    return value is None, 0.0 if value is None else (-value if metric.higher_is_better else value)


def member_rows(board: Leaderboard, field: str) -> Rows:
    """One row a category or member of `field`, one column a run."""
    names = [on_one_line(standing.name) for standing in board.group.standings]
    members = board.group.members(field)
    return [
        [f"{board.group.measured(field)} by {field}", *names],
        *([on_one_line(name), *map(_cell_with_n, found)] for name, found in members.items()),
    ]


def pair_rows(group: Group) -> Rows:
    """One row a pair: the difference in the first metric, its interval, p as it is and adjusted."""
    rows = [[f"difference in {group.main.name}", "95% interval", "n", "p", "p (Holm)"]]
    for pair in group.pairs:
        difference = pair.difference.difference
        value = "-" if difference.value is None else f"{difference.value:+.2f}"
        interval = "-"
        if difference.ci_low is not None and difference.ci_high is not None:
            interval = f"[{difference.ci_low:+.2f}, {difference.ci_high:+.2f}]"
        first, second = on_one_line(pair.first), on_one_line(pair.second)
        p, adjusted = p_value(pair.difference.p), p_value(pair.adjusted)
        cells = [f"{first} − {second}: {value}", interval, str(difference.n), p, adjusted]
        rows.append(cells)
    return rows


def cautions(board: Leaderboard, *, categories: bool = False) -> Iterator[str]:
    """What a reader must know before believing the ranking, a sentence each. categories: whether numbers by category
    are shown, too."""
    group = board.group
    if group.differing:
        first = f"Measured differently from the first table of {group.title}, not to be ranked with it."
        yield f"{first} {differing(group)}."
    runs = [(on_one_line(standing.name), standing.run) for standing in group.standings]
    yield from remarks(runs, categories=categories)
    if not group.same_questions:
        yield "Not all runs have the same questions; a pair is compared on those that both have."


def differing(group: Group) -> str:
    """The parts of the signature that are not as in the first group of the benchmark."""
    return "; ".join(
        f"{name}: {there or 'absent'} there, {here or 'absent'} here" for name, (there, here) in group.differing.items()
    )


def explanations(board: Leaderboard) -> Iterator[str]:
    """How the table is to be read, a sentence each."""
    group = board.group
    if len(group.standings) > 1:
        yield (
            f"alike: runs that share a letter do not differ significantly in {group.main.name} (5%, paired on the same "
            f"questions, Holm's correction for {len(group.pairs)} pair{'s' if len(group.pairs) > 1 else ''})."
        )
    for metric in (metric for metric in board.metrics if metric.beside):
        counted = ", ".join(f"{on_one_line(one.name)} {_coverage(one)}" for one in group.standings)
        yield f"{metric.name}: {metric.meaning}. How many those are: {counted}."
    if board.source:
        yield f"published: {board.source}"
        yield "Published systems have no intervals and are in no comparison."
    if board.refusals:
        yield f"No published systems beside them: {' '.join(board.refusals)}"


def _coverage(standing: Standing) -> str:
    """How many answers a rule can tell, of how many."""
    found = standing.run.results.get("by_rule")
    if not found:
        return "none"
    return f"{found['ruled']} of {found['questions']} ({found['coverage']:.1f}%)"


def title_of(group: Group) -> str:
    """ "MMIE, edition v1, subset 1k"."""
    dataset = group.standings[0].run.results.get("dataset", {})
    title = f"{group.title}, edition {dataset['edition']}" if dataset.get("edition") else group.title
    return f"{title}, subset {dataset['subset']}" if dataset.get("subset") else title


def _cell_with_n(estimate: Mapping[str, Any]) -> str:
    return f"{cell(estimate)} n={estimate['n']}" if estimate.get("value") is not None else "-"


def rate(counted: Mapping[str, Any]) -> str:
    """ "3 (1.5%)", "-" where nothing was counted."""
    share = counted.get("rate")
    return "-" if "n" not in counted else f"{counted['n']}" + ("" if share is None else f" ({100 * share:.1f}%)")
