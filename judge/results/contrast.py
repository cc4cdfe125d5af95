"""One model, the same questions, asked under several conditions: what changes, question by question.

    contrast([read_asked("out/mmvu"), read_asked("out/mmvu_blind"), read_asked("out/mmvu_swapped")])  ->  Contrast(…)

    against[0].lines     Line("RA", None, Row(first, here, Difference(Estimate(-46.0, -52.1, -40.0, 300), …)), adjusted)
                         Line("RA", "Number", …), …
    against[0].shift     Shift(same=Estimate(31.0, 27.3, 34.9, 600), kept=…, alone=None)

Every condition is set against the first. Differences and intervals are those of `judge.results.compare`, paired by the
units of each metric (MMVU's RA and MR: pairs of questions). p-values are adjusted by Holm's method, each metric on its
own: for all conditions, and by category for all conditions and categories.

Which letter would be right for a picture that was swapped in nobody knows: the question was not written for it. So an
answer is said to follow the picture where it is another one than with the question's own picture; and to follow that
picture alone where it is also another one than without any (`Shift.alone`), since an answer may change for want of its
picture. Both count what the model did, not whether it was right.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Benchmark, find
from judge.core.condition import PLAIN
from judge.core.estimate import Estimate
from judge.core.metric import Metric, headline
from judge.core.request import Picture, Text
from judge.core.signature import CONDITION
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io import files
from judge.io.presentation import Baselines, view_of
from judge.io.samples import Piece, Question, Sample, read_samples
from judge.results.compare import Comparison, Row, compare, refuse_unlike
from judge.results.component import Component, component_of
from judge.results.multiple import holm
from judge.results.repeats import FILE as REPEATS
from judge.results.repeats import folder_of_repeat
from judge.results.run_folder import Run, RunFolder, read_run
from judge.results.statistics import clustered_proportion

NAMED = 3
"""So many questions are named that not all folders have."""


@dataclasses.dataclass(frozen=True)
class Asked:
    """The questions under one condition. run: where they were asked several times, the first time; repeats: then the
    runs of all times, else (). exactly: whether its name must say which of several conditions of one name it is."""

    folder: Path
    run: Run
    samples: Mapping[Question, Sample]
    repeats: Sequence[Run] = ()
    exactly: bool = False

    @property
    def condition(self) -> str | None:
        """Name and hash of the condition, None for questions as published."""
        return self.run.signature.parts.get(CONDITION)

    @property
    def name(self) -> str:
        """See `condition_name`; with the hash, such as "json@0123abcd", where that alone tells two apart."""
        return self.condition if self.exactly and self.condition is not None else condition_name(self.run)

    @property
    def said(self) -> Mapping[str, Any]:
        """What `results.json` says of the condition: picture, contract, procedure and more."""
        found: Mapping[str, Any] = self.run.results.get("condition") or {}
        return found

    @property
    def wording(self) -> str | None:
        """Name and hash of the wording, None where it is not known."""
        return self.run.signature.parts.get("asked")

    @property
    def picture(self) -> str:
        """What was shown: "real", "none", "blank", "noise" or "swapped"."""
        return str(self.said.get("picture", "real"))


@dataclasses.dataclass(frozen=True)
class Line:
    """One metric, overall or of a category. adjusted: p after Holm's correction, None where it is undefined."""

    metric: str
    category: str | None
    row: Row
    adjusted: float | None


@dataclasses.dataclass(frozen=True)
class Shift:
    """What became of the answers, in percent of the questions that both runs have scored.

    same: the answer is the same. kept: of answers that were right, those that still are; None where there is no right
    and wrong. alone: neither the answer with the question's own picture nor the one without any; None where that was
    not asked or this is no swapped picture. named: `same` of the questions to which one run at least named an answer,
    None where that is all of them.
    """

    same: Estimate
    kept: Estimate | None = None
    alone: Estimate | None = None
    named: Estimate | None = None


@dataclasses.dataclass(frozen=True)
class Against:
    """A condition against the first. shift: None where no answers were kept to compare."""

    asked: Asked
    comparison: Comparison
    lines: Sequence[Line]
    shift: Shift | None

    def line(self, metric: str, category: str | None = None) -> Line:
        """Of a metric. Raises KeyError."""
        return {(line.metric, line.category): line for line in self.lines}[metric, category]


@dataclasses.dataclass(frozen=True)
class Contrast:
    """metrics: the headline metrics. baselines: see `judge.io.presentation.View`. components: what a system gets, by
    name of condition; those only of which there is something to say."""

    benchmark: Benchmark
    metrics: Sequence[Metric]
    first: Asked
    against: Sequence[Against]
    baselines: Baselines
    components: Mapping[str, Component]

    @property
    def all(self) -> Sequence[Asked]:
        """Every condition, the first first."""
        return [self.first, *(other.asked for other in self.against)]

    @property
    def model(self) -> str | None:
        """The model's name, where one of the folders knows it."""
        return next((name for asked in self.all if (name := model_of(asked.run))), None)


def read_asked(folder: str | Path) -> Asked:
    """A results folder, or one with a `repeats.json` and a results folder a time. Raises UserError."""
    where = Path(folder)
    repeats = [] if RunFolder(where).results.exists() else _repeats(where)
    run = repeats[0] if repeats else read_run(where)
    for other in repeats[1:]:
        refuse_unlike(run, other)
    return Asked(where, run, {sample.key: sample for sample in read_samples(run.folder)}, repeats)


def condition_name(run: Run) -> str:
    """The name of the condition that a run's questions were asked under, "plain" where there is none."""
    return run.signature.parts.get(CONDITION, PLAIN.name).partition("@")[0]


def model_of(run: Run) -> str | None:
    """The name of the model that answered, as `results.json` has it."""
    name = (run.results.get("run") or {}).get("model")
    return str(name) if name else None


def contrast(asked: Sequence[Asked]) -> Contrast:
    """Every condition against the first.

    Raises UserError for fewer than two, for the same condition twice, and for runs of other questions, benchmarks,
    editions or models.
    """
    _refuse_unfit(asked)
    times = Counter(each.name for each in asked)
    asked = [dataclasses.replace(each, exactly=times[each.name] > 1) for each in asked]
    first, *others = asked
    benchmark = find(first.run.results["benchmark"])
    names = headline(benchmark.metrics)
    comparisons = [compare(first.run, other.run, conditions=True) for other in others]
    lines: list[list[Line]] = [[] for _ in others]
    for name in names:
        for number, line in _adjusted(name, comparisons):
            lines[number].append(line)
    blind = next((other for other in asked if other.picture == "none"), None)
    components = {each.name: found for each in asked if (found := component_of(benchmark, each.run, each.repeats))}
    return Contrast(
        benchmark,
        [metric for metric in benchmark.metrics if metric.name in names],
        first,
        [
            Against(other, one, of, _shift(benchmark, first, other, blind))
            for other, one, of in zip(others, comparisons, lines, strict=True)
        ],
        next((known for each in asked if (known := _baselines(benchmark, each))), {}),
        components,
    )


def _adjusted(name: str, comparisons: Sequence[Comparison]) -> Iterator[tuple[int, Line]]:
    """The lines of a metric, each with the number of its comparison: overall, then by category, two families."""
    overall = [(number, None, found.metrics[name]) for number, found in enumerate(comparisons)]
    by_category = [
        (number, category, rows[name])
        for number, found in enumerate(comparisons)
        for category, rows in found.categories.items()
        if name in rows
    ]
    for family in (overall, by_category):
        adjusted = holm([row.paired.p for *_, row in family])
        for (number, category, row), p in zip(family, adjusted, strict=True):
            yield number, Line(name, category, row, p)


def _repeats(folder: Path) -> list[Run]:
    """The runs of a folder with `repeats.json`, [] where there is none. Raises UserError."""
    file = folder / REPEATS
    try:
        count = json.loads(files.read_bytes(file))["repeats"]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=file) from error
    except (ValueError, TypeError, KeyError, RecursionError):
        count = None
    if type(count) is not int or count < 2:
        raise UserError("is not what mmjudge writes", file=file, field="repeats", fix="ask again, or give one repeat")
    return [read_run(folder / folder_of_repeat(number)) for number in range(1, count + 1)]


def _refuse_unfit(asked: Sequence[Asked]) -> None:
    if len(asked) < 2:
        raise UserError("give two or more results folders", fix="mmjudge contrast results/mmvu results/mmvu_blind")
    first = asked[0]
    known: dict[str | None, Asked] = {}
    for other in asked:
        _refuse_other_model(first, other)
        if (twin := known.setdefault(other.condition, other)) is not other:
            raise UserError(
                f"the same condition twice: {other.name} in {twin.folder} and {other.folder}",
                fix=f"mmjudge compare {twin.folder} {other.folder}, or leave one out",
            )
        refuse_unlike(first.run, other.run, conditions=True)
        _refuse_other_questions(first, other)


def _refuse_other_model(first: Asked, other: Asked) -> None:
    ours, theirs = (run.results["benchmark"] for run in (first.run, other.run))
    if ours != theirs:
        raise UserError(
            f"results of different benchmarks: {ours} in {first.folder}, {theirs} in {other.folder}",
            fix="one command for each benchmark",
        )
    names = (model_of(first.run), model_of(other.run))
    if None not in names and names[0] != names[1]:
        raise UserError(
            f"results of different models: {names[0]!r} in {first.folder}, {names[1]!r} in {other.folder}",
            fix="contrast is for one model under several conditions; models: mmjudge table, mmjudge compare",
        )


def _refuse_other_questions(first: Asked, other: Asked) -> None:
    ours, theirs = ([_key(verdict) for verdict in each.run.verdicts] for each in (first, other))
    for here, there, mine, others in ((first, other, ours, set(theirs)), (other, first, theirs, set(ours))):
        if missing := [_question(key) for key in mine if key not in others]:
            more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
            raise UserError(
                f"results of different questions: {here.folder} has {', '.join(missing[:NAMED])}{more}, "
                f"{there.folder} does not",
                fix="ask the same questions of the same data under both conditions",
            )


def _question(key: Question) -> str:
    return key[0] if key[1] is None else f"{key[0]} (index {key[1]})"


def _baselines(benchmark: Benchmark, asked: Asked) -> Baselines:
    return view_of(benchmark).baselines(asked.run.verdicts, asked.samples)


def _shift(benchmark: Benchmark, first: Asked, other: Asked, blind: Asked | None) -> Shift | None:
    there, here = (_answers(benchmark, each) for each in (first, other))
    both = [verdict for verdict in first.run.verdicts if _key(verdict) in there and _key(verdict) in here]
    if not both:
        return None
    kept = alone = None
    named = [verdict for verdict in both if there[_key(verdict)] or here[_key(verdict)]]

    def stays(key: Question) -> bool:
        return there[key] == here[key]

    if not benchmark.judged:
        scores = {_key(verdict): verdict.score for verdict in other.run.verdicts}
        kept = _share([v for v in both if v.score], lambda key: bool(scores[key]))
    if other.picture == "swapped" and first.picture == "real" and blind is not None:
        without = _answers(benchmark, blind)
        known = [verdict for verdict in both if _key(verdict) in without]
        alone = _share(known, lambda key: here[key] not in (there[key], without[key]))
    return Shift(_share(both, stays), kept, alone, None if len(named) == len(both) else _share(named, stays))


def _answers(benchmark: Benchmark, asked: Asked) -> Mapping[Question, Hashable]:
    """What was answered to every question that is scored: the detail that the benchmark names, else the whole answer.

    An answer that names nothing is one of its own.
    """
    scored = [verdict for verdict in asked.run.verdicts if verdict.score is not None]
    detail = view_of(benchmark).answer
    if detail is not None:
        return {_key(verdict): verdict.details.get(detail) for verdict in scored}
    return {_key(v): tuple(map(_part, asked.samples[_key(v)].answer)) for v in scored if _key(v) in asked.samples}


def _part(piece: Piece) -> Hashable:
    """A picture is known by the name it is kept under, a hash of its content."""
    return piece.text if isinstance(piece, Text) else piece.name if isinstance(piece, Picture) else str(piece)


def _share(verdicts: Sequence[Verdict], holds: Callable[[Question], bool]) -> Estimate:
    """The share of questions for which something holds; those of one id are about one picture and vary together."""
    asked, right = Counter[str](), Counter[str]()
    for verdict in verdicts:
        asked[verdict.id] += 1
        right[verdict.id] += holds(_key(verdict))
    return clustered_proportion([right[id_] for id_ in asked], list(asked.values()))


def _key(verdict: Verdict) -> Question:
    return verdict.id, verdict.index
