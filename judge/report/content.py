"""What the report says of one benchmark below its leaderboard: sentences, tables, charts, answers to read.

    section_of(head, album)  ->  Section(head, MMVU, view, lead=…, figures=[Figure(…), …], …)

The sentences are made in `findings`, the drawings in `figures`, the cards in `cards`; here they get their order and
their data.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from judge.core.benchmark import Benchmark, find
from judge.core.failure import MODEL, UNSCORED
from judge.core.metric import Metric
from judge.io.presentation import View, view_of
from judge.io.samples import Missing, Sample
from judge.report import conditions, findings
from judge.report.cards import Group, singled_out
from judge.report.entries import Entry
from judge.report.figures import Figure, Material, figures_of
from judge.report.findings import Fragments
from judge.report.head import Head
from judge.report.pictures import Album
from judge.results import published
from judge.results.cells import Rows, cell
from judge.results.compare import Comparison
from judge.results.contrast import Contrast
from judge.results.contrast_words import other_wordings
from judge.results.criteria import NONE_GIVEN, judged_without_criteria
from judge.results.terminal import by_rule_sentence

NO_SAMPLES = "questions and answers are not in the results folder; score again with this version to have them."
NO_OPTION = "no_option"


@dataclasses.dataclass(frozen=True)
class Section:
    """What the template shows of one benchmark.

    comparisons: (better, other, comparison), of every part of the table its first run with the others. not_contrasted:
    why runs under several conditions are only set side by side, None where they are not or need no contrast.
    """

    head: Head
    benchmark: Benchmark
    view: View
    lead: Sequence[Fragments]
    comparisons: Sequence[tuple[str, str, Comparison]]
    figures: Sequence[Figure]
    groups: Sequence[Group]
    reference: published.Table | None
    contrast: Contrast | None = None
    not_contrasted: str | None = None

    @property
    def entries(self) -> Sequence[Entry]:
        """The runs, in the order of their marks."""
        return self.head.entries

    @property
    def headline(self) -> list[Metric]:
        """The metrics that the benchmark is known by."""
        return [self.view.metric(name) for name in self.benchmark.headline]

    @property
    def chance(self) -> Mapping[str, float]:
        """What guessing gets, by metric."""
        found: Mapping[str, float] = self.entries[0].result.get("chance", {})
        return found

    @property
    def tables(self) -> list[Rows]:
        """Of runs under several conditions: what became of the answers, what a system gets, what needs no look."""
        return [] if self.contrast is None else conditions.tables(self.contrast)

    @property
    def unscored(self) -> list[tuple[str, str, list[int]]]:
        """(code, meaning, how many in every run), reasons that occur only."""
        return _counted(UNSCORED, [entry.result["unscored"].get("reasons", {}) for entry in self.entries])

    @property
    def failures(self) -> list[tuple[str, str, list[int]]]:
        """As `unscored`: answers that count as the worst because the model failed, or named no option."""
        found = [
            {
                **entry.result.get("failures", {}).get("model", {}).get("reasons", {}),
                NO_OPTION: entry.result.get(NO_OPTION, {}).get("n", 0),
            }
            for entry in self.entries
        ]
        return _counted({**MODEL, NO_OPTION: "the answer names no option, and counts as wrong"}, found)

    @property
    def failures_within(self) -> list[tuple[str, str, list[int]]]:
        """(who of a system failed, reason, how many in every run), as its answers say: the writer apart from the
        painter."""
        found = [Counter(map(_who_failed, entry.samples.values())) for entry in self.entries]
        every = dict.fromkeys(key for counts in found for key in counts if key is not None)
        return [(*key, [counts[key] for counts in found]) for key in every]

    @property
    def criteria(self) -> list[tuple[str, str, list[Mapping[str, Any]]]]:
        """(category or "all", criterion, mean points in every run), of judges that give points for single criteria."""
        found: list[Mapping[str, Any]] = [entry.result.get("criteria", {}) for entry in self.entries]
        keys = dict.fromkeys((of, name) for run in found for of, named in run.items() for name in named)
        return [(of, name, [run.get(of, {}).get(name, {}) for run in found]) for of, name in keys]

    @property
    def by_rule(self) -> list[tuple[str, str]]:
        """(run, what rules say beside the judge), where they say anything."""
        found = [(entry.name, entry.result.get("by_rule")) for entry in self.entries]
        return [(name, by_rule_sentence(of)) for name, of in found if of]

    @property
    def repeated(self) -> Rows:
        """The headline metrics over all times, of runs whose questions were asked several times; [] without any."""
        rows = [
            [entry.name, str(len(entry.repeats)), name, *_spread(entry.spread[name])]
            for entry in self.entries
            for name in self.benchmark.headline
            if name in entry.spread
        ]
        return [["run", "times", "metric", "mean", "sd", "values"], *rows] if rows else []

    @property
    def whole(self) -> Rows:
        """What runs of a subset say of all questions; [] where none is one."""
        rows = [
            [entry.name, f"{of['n']:,} of {of['of']:,}", *(cell(of["estimates"][name]) for name in of["estimates"])]
            for entry in self.entries
            if (of := entry.result.get("subset"))
        ]
        if not rows:
            return []
        names = next(list(entry.result["subset"]["estimates"]) for entry in self.entries if entry.result.get("subset"))
        return [["run", "scored, of all questions", *(f"{name} of all, estimated" for name in names)], *rows]

    @property
    def signatures(self) -> list[tuple[str, str]]:
        """(names of the runs, signature)."""
        names: dict[str, list[str]] = {}
        for entry in self.entries:
            names.setdefault(entry.result["signature"], []).append(entry.name)
        return [(", ".join(of), signature) for signature, of in names.items()]

    @property
    def missing(self) -> int:
        """How many pictures of questions and answers are not in the results folders."""
        return len(
            {
                (number if piece in sample.answer else -1, key, piece.name)
                for number, entry in enumerate(self.entries)
                for key, sample in entry.samples.items()
                for piece in (*sample.question, *sample.answer)
                if isinstance(piece, Missing)
            }
        )

    @property
    def cautions(self) -> Iterator[tuple[str, str, str]]:
        """(benchmark, run or "", sentence): what to know beyond what the leaderboard says."""
        if self.not_contrasted:
            yield self.head.name, "", f"the conditions are not contrasted: {self.not_contrasted}."
        if self.contrast is not None:
            for sentence in other_wordings(self.contrast):
                yield self.head.name, "", sentence
        for entry in self.entries:
            # what guessing gets stands beside the metrics
            notes = [note for note in entry.result.get("notes", ()) if not note.startswith("chance with")]
            said = [*findings.cautions(entry.result), *notes]
            if not entry.samples:
                said.append(NO_SAMPLES)
            if entry.repeats:
                said.append(f"asked {len(entry.repeats)} times; the first time is shown and compared.")
            if judged_without_criteria(entry.result) and self.criteria:
                said.append(f"{NONE_GIVEN}.")
            for sentence in said:
                yield self.head.name, entry.name, sentence


def _who_failed(sample: Sample) -> tuple[str, str] | None:
    failed = sample.failed
    return None if failed is None else (failed.get("by", "system"), failed.get("reason", ""))


def _spread(of: Mapping[str, Any]) -> list[str]:
    values = ", ".join("-" if value is None else f"{value:.2f}" for value in of["values"])
    return [*("-" if of[name] is None else f"{of[name]:.2f}" for name in ("mean", "sd")), values]


def _counted(reasons: Mapping[str, str], counts: Sequence[Mapping[str, int]]) -> list[tuple[str, str, list[int]]]:
    """(code, meaning, how many in every run) of the reasons that occur in one."""
    return [
        (reason, meaning, [int(count.get(reason, 0)) for count in counts])
        for reason, meaning in reasons.items()
        if any(count.get(reason) for count in counts)
    ]


def section_of(head: Head, album: Album) -> Section:
    """What the report says of one benchmark.

    Runs that were not measured alike are shown, and not ranked; runs of one model under several conditions are set
    against the first of them, or the one without a condition.
    """
    benchmark = find(head.name)
    view = view_of(benchmark)
    found, why = conditions.contrast_of([entry.asked for entry in head.entries])
    table, drawn = _published(head.entries, view, found)
    chance = head.entries[0].result.get("chance", {})
    material = Material(benchmark, view, head.entries, drawn, chance, conditions=found is not None)
    return Section(
        head,
        benchmark,
        view,
        _ranked(head, view) if found is None else conditions.lead(found),
        _firsts(head) if found is None else _conditions(head, found),
        figures_of(material),
        singled_out(view, head.entries, album),
        table,
        found,
        why,
    )


def _published(
    entries: Sequence[Entry], view: View, found: Contrast | None
) -> tuple[published.Table | None, published.Table | None]:
    """The published systems that are shown, and those that are drawn in: none beside several conditions."""
    tables = published.read_published(view.published) if view.published else []
    if found is None:
        table, _ = published.matching(tables, [entry.result for entry in entries])
        return table, table
    beside = [published.matching(tables, [asked.run.results])[0] for asked in found.all]
    return next((table for table in beside if table is not None), None), None


def _ranked(head: Head, view: View) -> list[Fragments]:
    """A sentence for every part of the table: the first two runs of it, or its only one."""
    said = []
    for board in head.boards:
        group, metric = board.group, view.metric(board.group.main.name)
        if group.pairs:
            names = [standing.name for standing in group.standings]
            said.append(findings.ranked(group.title, names, group.pairs[0], metric))
            continue
        only = group.standings[0]
        chance = only.run.results.get("chance", {}).get(metric.name)
        said.append(findings.alone(group.title, only.name, metric, only.run.estimate(metric.name), chance))
    return said


def _firsts(head: Head) -> list[tuple[str, str, Comparison]]:
    return [
        (pair.first, pair.second, pair.comparison)
        for board in head.boards
        for pair in board.group.pairs
        if pair.first == board.group.standings[0].name
    ]


def _conditions(head: Head, found: Contrast) -> list[tuple[str, str, Comparison]]:
    names = {id(entry.run): entry.name for entry in head.entries}
    first = names[id(found.first.run)]
    return [(names[id(other.asked.run)], first, other.comparison) for other in found.against]
