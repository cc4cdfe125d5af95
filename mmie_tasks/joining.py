"""Which question an answer belongs to: by id, by position in the data, or by the record it brings along.

join([Answer("PBL-2896694", None, "Step 2: …", root)], dataset)  ->  [("PBL-2896694", Record(…))]
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from judge.core.benchmark import Answer, Dataset
from judge.errors import UserError
from mmie_tasks import records
from mmie_tasks.records import Part, Record
from mmie_tasks.responses import Response, parse_response

_SHOWN = 3
_SAME_DATA = "score the answers with the data they were made from"


def answered(answer: Answer, id_: str) -> Response:
    """The parts of a response; in an official to-eval file they stand as they are."""
    if answer.record is None:
        return parse_response(answer.response)
    if isinstance(answer.response, str):
        return Response((Part(answer.response, None),))
    return Response(records.parts(answer.response or [], answer.where, id_, "answer", "see the to-eval layout"))


def join(answers: Sequence[Answer], dataset: Dataset | None) -> list[tuple[str, Record | None]]:
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
