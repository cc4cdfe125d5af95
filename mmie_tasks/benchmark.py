"""MMIE as a benchmark of `mmjudge`: 20,103 interleaved questions, judged on a scale from 0 to 6.

Peng Xia et al., MMIE: Massive Multimodal Interleaved Comprehension Benchmark for Large Vision-Language Models,
arXiv 2410.10139 (ICLR 2025); code github.com/Lillianwei-h/MMIE, data and judge huggingface.co/MMIE.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from judge.core.benchmark import Answer, Dataset, Profile, Summary
from judge.core.condition import PLAIN, Condition
from judge.core.failure import failed_call
from judge.core.metric import Metric, headline
from judge.core.question import Question
from judge.core.request import Request
from judge.core.rubric import Rubric
from judge.core.scale import Scale
from judge.core.verdict import Verdict
from judge.errors import UserError
from mmie_tasks import exact, judging, location, prompts, records, rubrics
from mmie_tasks.conditions import CONDITIONS
from mmie_tasks.demo import demo_dir
from mmie_tasks.joining import answered, join
from mmie_tasks.metrics import METRICS, SCALE, summarise
from mmie_tasks.presentation import VIEW
from mmie_tasks.records import Part, Record
from mmie_tasks.responses import Response
from mmie_tasks.subset import SUBSETS, take_subset
from mmie_tasks.to_eval import to_eval_items


class MMIE:
    """See `judge.core.benchmark.Benchmark`."""

    name = "mmie"
    title = "MMIE"
    hub = location.HUB
    repo = location.HUB.repo
    license = "MIT"
    citation = "Xia et al., MMIE, ICLR 2025, arXiv:2410.10139"
    categories: Sequence[str] = records.CATEGORIES
    editions: Mapping[str, int] = records.EDITIONS
    subsets: Mapping[str, int] = SUBSETS
    metrics: Sequence[Metric] = METRICS
    headline: Sequence[str] = headline(METRICS)
    scale: Scale = SCALE
    judged = True
    task_dir = Path(__file__).parent / "lmms_eval"
    conditions: Mapping[str, Condition] = CONDITIONS
    view = VIEW
    rubric_address = rubrics.URL
    to_eval_items = staticmethod(to_eval_items)

    @property
    def asked(self) -> str:
        return prompts.ASKED

    def load(self, data: Path | None = None, *, images: bool = False) -> Dataset:
        return location.load_dataset(data, images=images)

    def take_subset(self, dataset: Dataset, name: str) -> Dataset:
        return take_subset(dataset, name)

    def questions(
        self, dataset: Dataset, indices: Iterable[int] | None = None, condition: Condition = PLAIN
    ) -> list[Question]:
        asked = range(len(dataset.records)) if indices is None else indices
        return [prompts.question(dataset, index, condition) for index in asked]

    def assess(
        self,
        answers: Sequence[Answer],
        dataset: Dataset | None,
        profile: Profile,
        *,
        bare: bool = False,
        condition: Condition = PLAIN,
    ) -> list[Request | Verdict]:
        """A request for every answer that can be judged; pictures are fetched and unpacked if they are not there yet.

        An answer that brings its own record (official to-eval file) is taken as it stands, `data.json` unseen; there
        and nowhere else "answer" is not looked through for JSON or reasoning tags.
        """
        own = [answer.record is not None for answer in answers]
        if dataset is None and not bare and not all(own):
            raise UserError(
                "these answers need the questions", file=answers[own.index(False)].where or None,
                fix=f"set {location.HUB.variable} or give --data",
            )  # fmt: skip
        joined = join(answers, dataset)
        if dataset is not None and not bare and not all(own):
            location.ensure_images(dataset)
        return [
            self._one(answer, id_, record, dataset, profile, bare)
            for answer, (id_, record) in zip(answers, joined, strict=True)
        ]

    def _one(
        self, answer: Answer, id_: str, record: Record | None, dataset: Dataset | None, profile: Profile, bare: bool
    ) -> Request | Verdict:
        unscored = failed_call(answer.response)
        if unscored == "call_failed" and profile == "reference":
            unscored = None  # an answer like any other to the official scorer
        response = Response(()) if unscored else answered(answer, id_)
        parts = response.parts
        if unscored and record is not None:
            return judging.undecided(record, unscored, judging.known_details(record))
        if not bare:
            assert record is not None  # `assess` and `join` see to it
            data = dataset.image_root if answer.record is None and dataset is not None else None
            root = answer.image_root if data is None else data
            made = judging.build_request(
                record, parts, profile, root=root, answer_root=answer.image_root, data_root=data
            )
            return self._with_exact(judging.noted(made, response), record, parts)
        category = record.category if record else records.category_of_id(id_)
        if category is None:
            raise UserError("names no category (SA, PBL, MSR)", record=id_, field="id", fix="give --data")
        if unscored:
            return Verdict(id_, "judge", None, unscored, category)
        made = judging.bare(id_, category, parts, profile, record.field if record else None)
        return self._with_exact(judging.noted(made, response), record, parts)

    def _with_exact(self, made: Request | Verdict, record: Record | None, parts: Sequence[Part]) -> Request | Verdict:
        """`made` with what a rule says of the answer, where the question is known and one of reasoning."""
        if record is None or record.category != "MSR":
            return made
        found = exact.check_exact(record, exact.text_of(parts)).details()
        return dataclasses.replace(made, details={**made.details, **found})

    def rubric(self, name: str) -> Rubric:
        return rubrics.rubric(name)

    def signature_parts(self, profile: Profile) -> Mapping[str, str]:
        return {"responses": "3", "exact": exact.VERSION}

    def check_verdict(self, verdict: Verdict) -> None:
        if verdict.category not in self.categories:
            raise ValueError(f"category must be one of {', '.join(self.categories)}")

    def summarise(self, verdicts: Sequence[Verdict], dataset: Dataset | None) -> Summary:
        return summarise(verdicts, dataset)

    def stability(self, repeats: Sequence[Sequence[Verdict]]) -> Mapping[str, object]:
        return {}

    def references(self, data: Path | None, n: int) -> list[Request]:
        """The first n questions of each category, answered by their references. data: None for the bundled demo."""
        dataset = self.load(demo_dir() if data is None else data)
        answers: list[Answer] = []
        for category in self.categories:
            some = [record for record in dataset.records if record.category == category and record.answer][:n]
            for record in some:
                parts = [part.to_json() for part in record.answer]
                answers.append(Answer(record.id, None, parts, dataset.image_root or Path(), where="references"))
        return [item for item in self.assess(answers, dataset, "strict") if isinstance(item, Request)]


BENCHMARK = MMIE()
