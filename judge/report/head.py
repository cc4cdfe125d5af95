"""The head of a report: the leaderboard of every benchmark, what to know before believing it, and what is cut.

    heads([entry, …])   ->  [Head("MMVU, edition v1", metrics, groups, pairs, members)]
    cautions(heads, …)  ->  [("llava and qwen", "these questions are not known to be a published edition …"), …]

Rows, pairs and remarks are those of `mmjudge table` (`judge.results.leaderboard`); runs that were not measured alike
are in one table here, in parts of their own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from judge.core.metric import Metric
from judge.core.signature import CONDITION
from judge.report.entries import Entry
from judge.results.leaderboard import Leaderboard, Published, cautions, differing, explanations, leaderboards, title_of
from judge.results.remarks import listed
from judge.results.table import CRITERION, Pair, Standing

Estimate = Mapping[str, Any]
Caution = tuple[str, str]
"""Whom it is about, "" for all there is, and the sentence."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A run or, where `number` is None, a published system. number: of the run's mark; estimates: of every metric."""

    number: int | None
    of: Standing | Published
    estimates: Sequence[Estimate]


@dataclasses.dataclass(frozen=True)
class Part:
    """Runs that were measured alike. about: how they differ from the first part, or the condition they were asked
    under; "" for the first part. ranked_apart: whether they differ in more than their condition."""

    about: str
    ranked_apart: bool
    rows: Sequence[Row]
    compared: bool


@dataclasses.dataclass(frozen=True)
class Members:
    """The main metric by a field: of every member that has a value an estimate a run, {} where the run has none."""

    field: str
    metric: str
    rows: Sequence[tuple[str, Sequence[Estimate]]]


@dataclasses.dataclass(frozen=True)
class Head:
    """The leaderboard of a benchmark. entries: its runs in the order of the table, by which their marks are numbered;
    pairs: all that were compared; notes: how it is to be read."""

    name: str
    title: str
    entries: Sequence[Entry]
    boards: Sequence[Leaderboard]
    metrics: Sequence[Metric]
    parts: Sequence[Part]
    pairs: Sequence[Pair]
    members: Sequence[Members]
    notes: Sequence[str]


def heads_of(entries: Sequence[Entry]) -> list[Head]:
    """One a benchmark, in order of appearance. Raises UserError for a benchmark that is not installed."""
    boards: dict[str, list[Leaderboard]] = {}
    for board in leaderboards([entry.run for entry in entries], [entry.name for entry in entries]):
        boards.setdefault(board.group.benchmark, []).append(board)
    by_run = {id(entry.run): entry for entry in entries}
    return [_head(name, of, by_run) for name, of in boards.items()]


def _head(name: str, boards: Sequence[Leaderboard], by_run: Mapping[int, Entry]) -> Head:
    ordered = [by_run[id(one.run)] for board in boards for one in board.group.standings]
    numbers = {id(entry.run): number for number, entry in enumerate(ordered)}
    metrics = list({metric.name: metric for board in boards for metric in board.metrics}.values())
    conditions = any(list(board.group.differing) == [CONDITION] for board in boards)
    parts = []
    for board in boards:
        rows = [
            Row(
                None if isinstance(of, Published) else numbers[id(of.run)],
                of,
                [_estimate(of, metric) for metric in metrics],
            )
            for of, _ in board.rows
        ]
        differing_in = set(board.group.differing)
        about = _asked_under(board) if conditions and differing_in <= {CONDITION} else _about(board)
        parts.append(Part(about, not differing_in <= {CONDITION}, rows, len(board.group.standings) > 1))
    return Head(
        name,
        title_of(boards[0].group),
        ordered,
        boards,
        metrics,
        parts,
        [pair for board in boards for pair in board.group.pairs],
        _members(boards),
        list(dict.fromkeys(note for board in boards for note in explanations(board))),
    )


def _estimate(of: Standing | Published, metric: Metric) -> Estimate:
    if isinstance(of, Standing):
        return of.run.estimate(metric.name)
    value = of.metrics.get(metric.name)
    return {} if value is None else {"value": value}


def _about(board: Leaderboard) -> str:
    if not board.group.differing:
        return ""
    return f"measured differently, not ranked with those above: {differing(board.group)}"


def _asked_under(board: Leaderboard) -> str:
    condition = board.group.standings[0].run.signature.parts.get(CONDITION)
    return f"asked under the condition {condition}" if condition else "asked as published"


def _members(boards: Sequence[Leaderboard]) -> list[Members]:
    """By category and by what else results are given by; criteria have a table of their own."""
    fields = dict.fromkeys(field for board in boards for field in board.group.fields if field != CRITERION)
    found = []
    for field in fields:
        rows: dict[str, list[Estimate]] = {}
        before = 0
        for board in boards:
            count = len(board.group.standings)
            given = board.group.members(field) if field in board.group.fields else {}
            for name, estimates in given.items():
                row = rows.setdefault(name, [{}] * before)
                row += estimates
            before += count
            for row in rows.values():
                row += [{}] * (before - len(row))
        having = [(name, row) for name, row in rows.items() if any(of.get("value") is not None for of in row)]
        if having:
            found.append(Members(field, boards[0].group.main.name, having))
    return found


def cautions_of(heads: Sequence[Head], more: Iterable[tuple[str, str, str]]) -> list[Caution]:
    """All that a reader must know before believing a number, each sentence once with those that it is about.

    more: (benchmark, run or "", sentence) beyond what the leaderboards say.
    """
    about: dict[str, list[tuple[str, str]]] = {}
    for benchmark, run, sentence in (*_of_boards(heads), *more):
        known = about.setdefault(sentence, [])
        if (benchmark, run) not in known:
            known.append((benchmark, run))
    return [(_subject(heads, found), sentence) for sentence, found in about.items()]


def _of_boards(heads: Sequence[Head]) -> Iterator[tuple[str, str, str]]:
    for head in heads:
        for board in head.boards:
            # how parts of a table differ stands in the table
            plain = dataclasses.replace(board, group=dataclasses.replace(board.group, differing={}))
            for sentence in cautions(plain, categories=True):
                yield head.name, "", sentence


def _subject(heads: Sequence[Head], found: Sequence[tuple[str, str]]) -> str:
    """ "llava and qwen", "MMVU", "MMVU: llava; MMIE", "" where it is about all of a report on one benchmark."""
    said = []
    for head in heads:
        runs = [run for benchmark, run in found if benchmark == head.name]
        if not runs:
            continue
        title = head.boards[0].group.title if len(heads) > 1 else ""
        every = "" in runs or (len(head.entries) > 1 and {entry.name for entry in head.entries} <= set(runs))
        names = "all runs" if every and "" not in runs else "" if every else listed(runs)
        said.append(": ".join(part for part in (title, names) if part))
    return "; ".join(part for part in said if part)
