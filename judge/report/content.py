"""A section of the report for every benchmark: sentences, tables, charts, answers to read.

    section(MMVU, view, [Entry("A", run, samples), Entry("B", …)], album)  ->  Section(lead=…, charts=[Chart(…), …], …)

The sentences are made in `findings`, the drawings in `charts`; here they get their order and their data.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.benchmark import Benchmark
from judge.core.failure import MODEL, UNSCORED
from judge.core.request import Picture, Text
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.presentation import Metric, View
from judge.io.samples import Drawn, Piece, Question, Sample
from judge.report import charts, conditions, findings
from judge.report.browser import clip
from judge.report.findings import Fragments
from judge.report.pictures import Album
from judge.results import published
from judge.results.cells import Rows
from judge.results.compare import Comparison, compare
from judge.results.contrast import Asked, Contrast
from judge.results.criteria import judged_without_criteria
from judge.results.run_folder import Run

CARD_TEXT = 1000
"""Characters of a text among the answers that are singled out."""
FIRST_CARDS = 3
"""Cards of a group that are seen without a click."""
NO_SAMPLES = "questions and answers are not in the results folder; score again with this version to have them"


@dataclasses.dataclass(frozen=True)
class Entry:
    """A run under the name it has in the report. samples: empty where its folder has none."""

    name: str
    run: Run
    samples: Mapping[Question, Sample]

    @property
    def result(self) -> Mapping[str, Any]:
        """What its `results.json` holds."""
        return self.run.results


@dataclasses.dataclass(frozen=True)
class Chart:
    """A drawing and the sentence under its title."""

    title: str
    text: str
    svg: str


@dataclasses.dataclass(frozen=True)
class Section:
    """What the template shows of one benchmark. order: positions of `entries`, the best run first."""

    benchmark: Benchmark
    view: View
    entries: Sequence[Entry]
    order: Sequence[int]
    lead: Sequence[Fragments]
    cautions: Sequence[str]
    comparisons: Sequence[tuple[str, str, Comparison]]
    charts: Sequence[Chart]
    groups: Sequence[tuple[str, list[dict[str, Any]]]]
    reference: Mapping[str, Any]
    contrast: Contrast | None = None

    @property
    def headline(self) -> list[tuple[str, Metric]]:
        """(name, what it means) of the metrics that the benchmark is known by."""
        return [(name, self.view.metric(name)) for name in self.benchmark.headline]

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
        """As `unscored`: answers that count as the worst because the model failed."""
        found = [entry.result.get("failures", {}).get("model", {}) for entry in self.entries]
        return _counted(MODEL, [failed.get("reasons", {}) for failed in found])

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
    def without_criteria(self) -> list[str]:
        """The runs whose judge gave a score alone."""
        return [entry.name for entry in self.entries if judged_without_criteria(entry.result)]

    @property
    def notes(self) -> list[str]:
        """What results carry for their reader; one that all runs share is said once."""
        every = [(entry.name, note) for entry in self.entries for note in entry.result.get("notes", ())]
        shared = {note for _, note in every if sum(other == note for _, other in every) == len(self.entries)}
        return [
            note if note in shared else f"{name}: {note}"
            for name, note in dict.fromkeys(every)
            if note not in shared or name == self.entries[0].name
        ]

    @property
    def signatures(self) -> list[tuple[str, str]]:
        """(names of the runs, signature)."""
        names: dict[str, list[str]] = {}
        for entry in self.entries:
            names.setdefault(entry.result["signature"], []).append(entry.name)
        return [(", ".join(of), signature) for signature, of in names.items()]


def _who_failed(sample: Sample) -> tuple[str, str] | None:
    failed = sample.failed
    return None if failed is None else (failed.get("by", "system"), failed.get("reason", ""))


def _counted(reasons: Mapping[str, str], counts: Sequence[Mapping[str, int]]) -> list[tuple[str, str, list[int]]]:
    """(code, meaning, how many in every run) of the reasons that occur in one."""
    return [
        (reason, meaning, [int(count.get(reason, 0)) for count in counts])
        for reason, meaning in reasons.items()
        if any(count.get(reason) for count in counts)
    ]


def section(benchmark: Benchmark, view: View, entries: Sequence[Entry], album: Album) -> Section:
    """What the report says of one benchmark. entries: at least one, all of this benchmark.

    Runs that were not measured alike are shown, and not ranked; runs of one model under several conditions are set
    against the first of them, or the one without a condition.
    """
    found = conditions.contrast_of([Asked(entry.run.folder, entry.run, entry.samples) for entry in entries])
    if found is not None:
        return _contrasted(found, view, entries, album)
    main = benchmark.headline[0]
    metric = view.metric(main)
    order = sorted(range(len(entries)), key=lambda number: _rank(entries[number], main, metric))
    chance: Mapping[str, float] = entries[0].result.get("chance", {})
    cautions = [line for entry in entries for line in findings.cautions(entry.name, entry.result)]
    comparisons: list[tuple[str, str, Comparison]] = []
    try:
        best = entries[order[0]]
        for number in order[1:]:
            comparisons.append((best.name, entries[number].name, compare(entries[number].run, best.run)))
    except UserError as error:
        comparisons.clear()
        cautions.insert(0, f"No ranking: {error.problem}.")
    if comparisons:
        names = [entries[number].name for number in order]
        lead = [findings.ranked(benchmark.title, names, comparisons[0][2], main, metric)]
    else:
        lead = [
            findings.alone(benchmark.title, e.name, metric, e.result["metrics"].get(main, {}), chance.get(main))
            for e in entries
        ]
    table, refusals = published.matching(
        published.read_published(view.published) if view.published else [], [entry.result for entry in entries]
    )
    return Section(
        benchmark,
        view,
        entries,
        order,
        lead,
        cautions,
        comparisons,
        [*_charts(benchmark, view, entries, table, chance), *_ranking(view, entries, table, chance)],
        [(entry.name, _groups(view, entry, album)) for entry in entries],
        {"table": table, "refusals": refusals},
    )


def _contrasted(found: Contrast, view: View, entries: Sequence[Entry], album: Album) -> Section:
    """The section of one model under several conditions."""
    by_run = {id(entry.run): number for number, entry in enumerate(entries)}
    order = [by_run[id(asked.run)] for asked in found.all]
    ordered = [entries[number] for number in order]
    chance: Mapping[str, float] = ordered[0].result.get("chance", {})
    tables = published.read_published(view.published) if view.published else []
    beside = {asked.name: published.matching(tables, [asked.run.results]) for asked in found.all}
    table = next((table for table, _ in beside.values() if table is not None), None)
    return Section(
        found.benchmark,
        view,
        entries,
        order,
        conditions.lead(found),
        [line for entry in entries for line in findings.cautions(entry.name, entry.result)],
        [
            (entry.name, ordered[0].name, other.comparison)
            for entry, other in zip(ordered[1:], found.against, strict=True)
        ],
        _charts(found.benchmark, view, entries, None, chance, side_by_side=True),
        [(entry.name, _groups(view, entry, album)) for entry in entries],
        {"table": table, "refusals": [] if table else beside[found.first.name][1]},
        found,
    )


def _rank(entry: Entry, name: str, metric: Metric) -> tuple[bool, float]:
    value = entry.result["metrics"].get(name, {}).get("value")
    return value is None, 0.0 if value is None else (-value if metric.higher_is_better else value)


def _charts(
    benchmark: Benchmark,
    view: View,
    entries: Sequence[Entry],
    table: published.Table | None,
    chance: Mapping[str, float],
    *,
    side_by_side: bool = False,
) -> list[Chart]:
    """side_by_side: whether the runs are of one model under several conditions."""
    made = []
    categories = [name for name in benchmark.categories if any(name in entry.result["categories"] for entry in entries)]
    if view.plane is not None:
        made.append(_plane(view, entries, table, chance))
    if view.contrast is not None:
        first, second = view.contrast
        labels = (view.metric(first).label, view.metric(second).label)
        pairs = [(_of(entry, first), _of(entry, second)) for entry in entries]
        draw, mark = (charts.bars, "pale") if side_by_side else (charts.contrast, "open")
        text = f"What the leading question costs: {labels[0]} (filled) and {labels[1]} ({mark})."
        svg = draw([entry.name for entry in entries], pairs, (first, second), chance.get(first))
        made.append(Chart(f"{first} and {second}", text, svg))
    for name in view.by_category if categories else ():
        metric = view.metric(name)
        runs = [[_of(entry, name, category) for category in categories] for entry in entries]
        better = "further right is better" if metric.higher_is_better else "further left is better"
        text = f"{metric.label.capitalize()} in every category with its 95% interval; {better}."
        spread = {category: table.spread(name, category) for category in categories} if table else None
        if spread and any(spread.values()):
            text += " Pale bars span the published systems."
        if name in chance:
            text += " Dashed: guessing."
        svg = charts.by_category(
            categories, runs, metric.top, _axis(name, metric), chance=chance.get(name), published=spread
        )
        made.append(Chart(f"{name} by category", text, svg))
    if benchmark.judged:
        for category in categories:
            found = [[v.score for v in entry.run.verdicts if v.category == category] for entry in entries]
            counts = [benchmark.scale.histogram(scores) for scores in found]
            if any(map(sum, counts)):
                text = "How often each score was given."
                made.append(Chart(f"Scores in {category}", text, charts.histogram(counts)))
    return made


def _plane(view: View, entries: Sequence[Entry], table: published.Table | None, chance: Mapping[str, float]) -> Chart:
    """Published systems are measured their way, so runs beside them are too."""
    assert view.plane is not None
    x, y = view.plane
    text = f"{view.metric(y).label.capitalize()} against {view.metric(x).label}, with 95% intervals."
    systems: dict[str, tuple[float, float]] = {}
    ours = {name: name for name in view.plane}
    if table is not None:
        ours = {name: table.metrics.get(name, name) for name in view.plane}
        across, up = (table.values(ours[name]) for name in view.plane)
        systems = {name: (across[name], up[name]) for name in across if name in up}
        text += f" Grey: published systems, {table.title}. {table.protocol}"
    points = [(_of(entry, ours[x]), _of(entry, ours[y])) for entry in entries]
    guess = (chance[x], chance[y]) if x in chance and y in chance else None
    better = "↖ better" if not view.metric(x).higher_is_better else "↗ better"
    svg = charts.plane(
        points, _axis(x, view.metric(x)), _axis(y, view.metric(y)), better=better, published=systems, chance=guess
    )
    return Chart(f"{y} against {x}", text, svg)


def _ranking(
    view: View, entries: Sequence[Entry], table: published.Table | None, chance: Mapping[str, float]
) -> list[Chart]:
    if table is None:
        return []
    made = []
    for theirs, ours in table.metrics.items():
        metric = view.metric(theirs)
        text = f"{metric.label.capitalize()} among published systems. {table.protocol}"
        svg = charts.ranking(
            [(entry.name, _of(entry, ours)) for entry in entries],
            table.values(ours),
            _axis(theirs, metric),
            higher_is_better=metric.higher_is_better,
            chance=chance.get(theirs),
        )
        made.append(Chart(f"{theirs} among published systems", text, svg))
    return made


def _axis(name: str, metric: Metric) -> str:
    arrow = "→" if metric.higher_is_better else "←"
    return f"{name} ({'percent' if metric.top == 100 else 'points'}), better {arrow}"


def _of(entry: Entry, metric: str, category: str | None = None) -> Mapping[str, Any]:
    return entry.run.estimate(metric, category)


def _groups(view: View, entry: Entry, album: Album) -> list[dict[str, Any]]:
    verdicts = {(verdict.id, verdict.index): verdict for verdict in entry.run.verdicts}
    made = []
    for group in view.singled_out(entry.run.verdicts):
        cards = [_item([(verdicts[key], entry.samples.get(key)) for key in item], view, album) for item in group.items]
        made.append(
            {
                "title": group.title,
                "meaning": group.meaning,
                "shown": len(cards),
                "total": group.total,
                "first": cards[:FIRST_CARDS],
                "rest": cards[FIRST_CARDS:],
                "note": "" if entry.samples or not cards else NO_SAMPLES,
            }
        )
    return made


def _item(found: Sequence[tuple[Verdict, Sample | None]], view: View, album: Album) -> dict[str, Any]:
    """Questions shown together; a picture that all of them are about is shown once."""
    asked = [() if sample is None else sample.question for _, sample in found]
    common = [
        piece
        for piece in asked[0]
        if len(asked) > 1 and not isinstance(piece, Text) and all(piece in question for question in asked)
    ]
    return {
        "id": found[0][0].id,
        "category": found[0][0].category or "",
        "common": [_shown(piece, album) for piece in common],
        "halves": [_card(verdict, sample, common, view, album) for verdict, sample in found],
    }


def _card(verdict: Verdict, sample: Sample | None, common: Sequence[Piece], view: View, album: Album) -> dict[str, Any]:
    found = [(label, view.detail(verdict, name)) for name, label in view.details.items()]
    return {
        "verdict": verdict,
        "question": [_shown(p, album) for p in sample.question if p not in common] if sample else [],
        "answer": [_shown(piece, album) for piece in sample.answer] if sample else [],
        "truth": sample.truth if sample else None,
        "feedback": _text(verdict.feedback) if verdict.feedback else None,
        "details": [(label, value) for label, value in found if value],
    }


def _shown(piece: Piece, album: Album) -> dict[str, Any]:
    if isinstance(piece, Text):
        return _text(piece.text)
    if isinstance(piece, Picture):
        copy = album.embedded(piece)
        address = album.addresses[album.number(piece)]
        return {"src": copy or address, "address": address}
    if isinstance(piece, Drawn):
        return {"drawn": str(piece)[:CARD_TEXT]}
    return {"missing": piece.name[:80]}


def _text(text: str) -> dict[str, Any]:
    clipped = clip(text, CARD_TEXT)
    return {"text": clipped} if isinstance(clipped, str) else {"text": clipped["t"], "cut": clipped["c"]}
