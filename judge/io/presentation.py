"""How a benchmark wants to be read: which charts say it best, and which answers to look at first.

    View(about="Does a model that sees the answer stand by it when the question misleads?",
         metrics=METRICS, plane=("MR", "RA"), contrast=("POS", "NEG"), samples=…, singled_out=…)

A benchmark may have such a `view`; without one it is read with the plain defaults. Reports are made from it, and
`mmjudge score` takes from it what to keep for them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from judge.core.benchmark import Answer, Benchmark, Dataset
from judge.core.estimate import Estimate
from judge.core.metric import Metric
from judge.core.verdict import Verdict
from judge.io import samples
from judge.io.samples import Question, Sample


@dataclasses.dataclass(frozen=True)
class Group:
    """Answers to look at. items: questions that are shown together, such as the two of a pair; total: how many there
    are in all, of which `items` are a choice."""

    title: str
    meaning: str
    items: Sequence[tuple[Question, ...]]
    total: int


def _nothing(verdicts: Sequence[Verdict]) -> Sequence[Group]:
    return ()


Baselines = Mapping[str, Mapping[str, Estimate]]


def _no_baselines(verdicts: Sequence[Verdict], samples: Mapping[Question, Sample]) -> Baselines:
    return {}


def _no_samples(answers: Sequence[Answer], dataset: Dataset | None) -> Sequence[Sample]:
    return ()


@dataclasses.dataclass(frozen=True)
class View:
    """about: what the benchmark asks, one sentence. metrics: the benchmark's own. plane: two metrics
    (across, up) that belong together. contrast: two that are told apart. details: what is shown of `Verdict.details`,
    key → label; words: values of theirs in plain words.
    samples: questions and answers for reading, one an answer; never raises for a picture. singled_out: depends on the
    verdicts alone, so that what `mmjudge score` keeps is what a report shows. published: tables of published systems,
    see `judge.results.published`. answer: the one of `Verdict.details` that says what was answered, None where the
    whole text does. baselines: what answers without a look at picture and question get, name → metric → estimate, from
    verdicts and the samples of their questions; {} where the samples do not say enough.
    """

    about: str = ""
    metrics: Sequence[Metric] = ()
    plane: tuple[str, str] | None = None
    contrast: tuple[str, str] | None = None
    details: Mapping[str, str] = dataclasses.field(default_factory=dict)
    words: Mapping[str, str] = dataclasses.field(default_factory=dict)
    samples: Callable[[Sequence[Answer], Dataset | None], Sequence[Sample]] = _no_samples
    singled_out: Callable[[Sequence[Verdict]], Sequence[Group]] = _nothing
    published: Path | None = None
    answer: str | None = None
    baselines: Callable[[Sequence[Verdict], Mapping[Question, Sample]], Baselines] = _no_baselines

    def detail(self, verdict: Verdict, name: str) -> str | None:
        """One of `details` of a verdict, for reading; of a contract whether it is kept, or the problem."""
        value = verdict.details.get(name)
        if value is None or isinstance(value, str):
            return None if value is None else self.words.get(value, value)
        if isinstance(value, Mapping) and "problem" in value:
            return str(value["problem"] or "kept")
        if isinstance(value, Mapping):
            return ", ".join(f"{key} {inner}" for key, inner in value.items())
        return self.words.get(str(value), str(value))

    def metric(self, name: str) -> Metric:
        """The metric called `name`. Raises KeyError."""
        return {metric.name: metric for metric in self.metrics}[name]

    @property
    def by_category(self) -> Sequence[str]:
        """Names of the metrics that are charted by category."""
        return [metric.name for metric in self.metrics if metric.by_category]


def view_of(benchmark: Benchmark) -> View:
    """The benchmark's `view`, or a plain one of its metrics."""
    found = getattr(benchmark, "view", None)
    return found if isinstance(found, View) else View(metrics=benchmark.metrics)


def keep_samples(
    folder: Path,
    benchmark: Benchmark,
    answers: Sequence[Answer],
    dataset: Dataset | None,
    verdicts: Sequence[Verdict],
    *,
    keep_images: bool = False,
) -> None:
    """Write `samples.jsonl` and its pictures beside the verdicts on `answers`, for reports; no file for no samples.

    Raises UserError.
    """
    view = view_of(benchmark)
    singled_out = {key for group in view.singled_out(verdicts) for item in group.items for key in item}
    if made := view.samples(answers, dataset):
        samples.write_samples(folder, made, singled_out, keep_images=keep_images)
