"""MMIE as a benchmark of `mmjudge`: 20,103 interleaved questions, judged on a scale from 0 to 6.

Peng Xia et al., MMIE: Massive Multimodal Interleaved Comprehension Benchmark for Large Vision-Language Models,
arXiv 2410.10139 (ICLR 2025); code github.com/Lillianwei-h/MMIE, data and judge huggingface.co/MMIE.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from judge.benchmark import Answer, Dataset, Profile, Summary
from judge.errors import UserError
from judge.request import Request
from judge.results.tally import Tally, tally_scores
from judge.rubric import Rubric
from judge.verdict import Verdict
from mmie_tasks import judging, location, metrics, records, responses, rubrics
from mmie_tasks.records import Part, Record

_SHOWN = 3
_SAME_DATA = "score the answers with the data they were made from"


class MMIE:
    """See `judge.benchmark.Benchmark`."""

    name = "mmie"
    title = "MMIE"
    repo = location.REPO
    license = "MIT"
    citation = "Xia et al., MMIE, ICLR 2025, arXiv:2410.10139"
    categories: Sequence[str] = records.CATEGORIES
    headline: Sequence[str] = metrics.HEADLINE
    judged = True
    task_dir = Path(__file__).parent / "lmms_eval"

    def load(self, data: Path | None = None, *, images: bool = False) -> Dataset:
        return location.load(data, images=images)

    def assess(
        self, answers: Sequence[Answer], dataset: Dataset | None, profile: Profile, *, bare: bool = False
    ) -> list[Request | Verdict]:
        """A request for every answer that can be judged; pictures are fetched and unpacked if they are not there yet.

        An answer that brings its own record (official to-eval file) is taken as it stands, `data.json` unseen; there
        and nowhere else "answer" is not looked through for JSON or reasoning tags.
        """
        own = [answer.record is not None for answer in answers]
        if dataset is None and not bare and not all(own):
            raise UserError(
                "these answers need the questions", file=answers[own.index(False)].where or None,
                fix=f"set {location.VARIABLE} or give --data",
            )  # fmt: skip
        joined = _join(answers, dataset)
        if dataset is not None and not bare and not all(own):
            location.ensure_images(dataset)
        return [
            self._one(answer, id_, record, dataset, profile, bare)
            for answer, (id_, record) in zip(answers, joined, strict=True)
        ]

    def _one(
        self, answer: Answer, id_: str, record: Record | None, dataset: Dataset | None, profile: Profile, bare: bool
    ) -> Request | Verdict:
        parts = _parts(answer, id_)
        if not bare:
            assert record is not None  # `assess` and `_join` see to it
            asked = dataset.image_root if answer.record is None and dataset is not None else None
            root = answer.image_root if asked is None else asked
            return judging.build(record, parts, profile, root=root, answer_root=answer.image_root)
        category = record.category if record else records.category_of_id(id_)
        if category is None:
            raise UserError("names no category (SA, PBL, MSR)", record=id_, field="id", fix="give --data")
        return judging.bare(id_, category, parts, profile, record.field if record else None)

    def rubric(self, name: str) -> Rubric:
        return rubrics.rubric(name)

    def signature_parts(self, profile: Profile) -> Mapping[str, str]:
        return {"responses": "1"}

    def summarise(self, verdicts: Sequence[Verdict], dataset: Dataset | None) -> Summary:
        return metrics.summarise(verdicts, dataset)

    def tallies(self, verdicts: Sequence[Verdict]) -> list[Tally]:
        return [tally_scores(verdicts, metrics.OF_SCORES)]


BENCHMARK = MMIE()


def _parts(answer: Answer, id_: str) -> tuple[Part, ...]:
    if answer.record is None:
        return responses.parse(answer.response)
    if isinstance(answer.response, str):
        return (Part(answer.response, None),)
    return records.parts(answer.response or [], answer.where, id_, "answer", "see the to-eval layout")


def _join(answers: Sequence[Answer], dataset: Dataset | None) -> list[tuple[str, Record | None]]:
    """(id, record) for every answer. Raises UserError for ids missing, unknown, double or at odds with the index."""
    asked = {answer.id for answer in answers}  # a harness asks for a few answers at a time
    known = {} if dataset is None else {record.id: record for record in dataset.records if record.id in asked}
    joined: list[tuple[str, Record | None]] = []
    for answer in answers:
        if answer.record is not None:
            record = records.from_to_eval(answer.record, answer.where)
            joined.append((record.id, record))
            continue
        if answer.index is not None and dataset is not None:
            record = _record_at(answer, answer.index, dataset)
            joined.append((record.id, record))
            continue
        if answer.id is None:
            raise UserError("missing", file=answer.where or None, field="id", fix="give every answer its question's id")
        joined.append((answer.id, known.get(answer.id)))
    if dataset is not None:
        unknown = [n for n, (_, record) in enumerate(joined) if record is None]
        _refuse(unknown, joined, answers, "not in the data", _SAME_DATA)
    times = Counter(id_ for id_, _ in joined)
    twice = {id_: n for n, (id_, _) in enumerate(joined) if times[id_] > 1}
    _refuse(list(twice.values()), joined, answers, "answered more than once", "keep one answer per id")
    return joined


def _record_at(answer: Answer, index: int, dataset: Dataset) -> Record:
    if not 0 <= index < len(dataset.records):
        problem = f"index {index} is outside the {len(dataset.records)} records"
    else:
        record: Record = dataset.records[index]
        if answer.id in (None, record.id):
            return record
        problem = f"index {index} is {record.id} in the data"
    raise UserError(problem, file=answer.where or None, record=answer.id, field="index", fix=_SAME_DATA)


def _refuse(
    which: list[int], joined: list[tuple[str, Record | None]], answers: Sequence[Answer], problem: str, fix: str
) -> None:
    """Raise UserError naming the first few of the answers at the positions `which`, if there are any."""
    if which:
        shown = ", ".join(joined[n][0] for n in which[:_SHOWN])
        more = f" and {len(which) - _SHOWN} more" if len(which) > _SHOWN else ""
        raise UserError(
            f"{len(which)} {problem}: {shown}{more}", file=answers[which[0]].where or None, field="id", fix=fix
        )
