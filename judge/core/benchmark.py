"""What a benchmark brings: its data, how an answer becomes a verdict or a request, and its metrics.

Benchmarks register under the entry-point group `mmjudge.benchmarks`; `judge/` knows none of them by name.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from judge.core.condition import PLAIN, Condition
from judge.core.estimate import Estimate
from judge.core.metric import Metric
from judge.core.question import Question
from judge.core.request import Request
from judge.core.rubric import Rubric
from judge.core.scale import Scale
from judge.core.subset import Subset
from judge.core.verdict import Verdict
from judge.errors import UserError

Profile = Literal["reference", "strict"]
GROUP = "mmjudge.benchmarks"


@dataclasses.dataclass(frozen=True)
class Source:
    """Where the questions came from. revision: resolved Hub commit, or "local:<first 12 of the file's SHA-256>".

    subset: which of the edition's questions these are, None for all.
    """

    repo: str
    revision: str
    edition: str
    note: str | None = None
    subset: Subset | None = None


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Records of one benchmark in published order; `records[i]` is what lmms-eval calls doc i."""

    source: Source
    records: Sequence[Any]
    image_root: Path | None


@dataclasses.dataclass(frozen=True)
class Answer:
    """One response as read from a file (see `judge.io.responses`).

    response: text, a list of parts, {"text", "image"} or in another layout that the benchmark reads, or None where the
    model gave nothing.
    record: the question that came with the answer (official to-eval files), else None.
    image_root: the folder below which images of the response may lie.
    failed: {"reason", "by", "note"} where a system under test says who of it failed; for reading only.
    """

    id: str | None
    index: int | None
    response: str | list[Any] | None
    image_root: Path
    record: Mapping[str, Any] | None = None
    where: str = ""
    failed: Mapping[str, Any] | None = None


@dataclasses.dataclass(frozen=True)
class Summary:
    """Metrics of a set of verdicts. Percent metrics are 0-100; see the benchmark for names.

    metrics: headline name → estimate; categories: category → name → estimate; groups: further breakdowns,
    e.g. {"level": {"attribute": {...}}} or {"field": {"Health": {...}}}; notes: what a reader must know.
    """

    metrics: Mapping[str, Estimate]
    categories: Mapping[str, Mapping[str, Estimate]]
    groups: Mapping[str, Mapping[str, Mapping[str, Estimate]]] = dataclasses.field(default_factory=dict)
    extra: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    notes: Sequence[str] = ()


class Benchmark(Protocol):
    name: str
    title: str
    repo: str
    license: str
    citation: str
    categories: Sequence[str]
    editions: Mapping[str, int]
    """Published editions, name → how many questions; a result of another, or of a part, is not published."""
    subsets: Mapping[str, int]
    """Fixed parts of the questions that stand for all, name → how many questions; {} for none."""
    metrics: Sequence[Metric]
    """Each defined once, in the order of tables; the main one first."""
    headline: Sequence[str]
    """Names of those that are printed and published: `judge.core.metric.headline(metrics)`."""
    scale: Scale
    """The scores that its verdicts may have."""
    judged: bool
    """Whether answers go to the judge (MMIE) or a rule decides (MMVU)."""
    task_dir: Path
    """Folder of lmms-eval task files."""
    conditions: Mapping[str, Condition]
    """Other conditions that the same questions can be asked under, by name; {} for none."""

    @property
    def asked(self) -> str:
        """The wording of `questions`, by name and hash: the part `asked` of a signature of answers to them."""
        ...

    def load(self, data: Path | None = None, *, images: bool = False) -> Dataset:
        """Records from `data`, else from the benchmark's environment variable, else from the Hub. Raises UserError.

        images: pictures as well, fetched and unpacked where they are not there yet.
        """
        ...

    def take_subset(self, dataset: Dataset, name: str) -> Dataset:
        """The questions of the subset `name`, in published order; its source says so. dataset: all questions.

        Raises UserError for a name that is not among `subsets`, and for data that is smaller than it.
        """
        ...

    def questions(
        self, dataset: Dataset, indices: Iterable[int] | None = None, condition: Condition = PLAIN
    ) -> list[Question]:
        """What a model is asked, in the one wording that every way in sends; of the records at `indices`, else of all.

        Pictures are looked for below `dataset.image_root`; where that is None nobody will open them, and a path is the
        name in the record. Raises UserError where a question cannot be asked.
        """
        ...

    def assess(
        self,
        answers: Sequence[Answer],
        dataset: Dataset | None,
        profile: Profile,
        *,
        bare: bool = False,
        condition: Condition = PLAIN,
    ) -> list[Request | Verdict]:
        """One verdict (a rule decided, or nothing to judge) or one request for every answer, in order.

        dataset None: only where answers bring their own record, or `bare` is set. bare: do not look at questions or
        images (an engine that replays needs none). condition: what the questions were asked under. Raises UserError
        for duplicate, unknown or disagreeing ids.
        """
        ...

    def rubric(self, name: str) -> Rubric:
        """The rubric called `name` ("mmjudge" or "official"). Raises UserError where it cannot be had."""
        ...

    def signature_parts(self, profile: Profile) -> Mapping[str, str]:
        """Parts this benchmark adds to the signature, e.g. {"extraction": "careful-3"}."""
        ...

    def check_verdict(self, verdict: Verdict) -> None:
        """Raise ValueError where `verdict`, read from a file, lacks what `metrics` and `summarise` count it by.

        The message ends the sentence "line 3 is not a verdict: …".
        """
        ...

    def summarise(self, verdicts: Sequence[Verdict], dataset: Dataset | None) -> Summary:
        """The estimates of `metrics`, over all verdicts and in groups. dataset: None where nobody looked at it.

        Raises ValueError for verdicts that do not go together.
        """
        ...

    def stability(self, repeats: Sequence[Sequence[Verdict]]) -> Mapping[str, Any]:
        """How alike the answers to the same questions are, asked twice or more; {} for nothing to say."""
        ...


def names() -> list[str]:
    """Names of the benchmarks that are installed, sorted."""
    return sorted(point.name for point in importlib.metadata.entry_points(group=GROUP))


def find(name: str) -> Benchmark:
    """The benchmark registered under `name`. Raises UserError with the known names."""
    for point in importlib.metadata.entry_points(group=GROUP):
        if point.name == name:
            benchmark: Benchmark = point.load()
            return benchmark
    known = ", ".join(names()) or "none"
    raise UserError(f"no benchmark called {name!r}; installed: {known}", fix="pip install mmjudge")
