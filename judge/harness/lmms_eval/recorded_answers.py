"""Which recorded answer belongs to which question.

A line of answers says an id, an index (0-based position in the published file), or both. The two questions of an MMVU
pair share their id, so the id alone does not tell them apart; samples of lmms-eval say the index alone. Where a line
says both, both must fit.

    lines = by_question(read("responses.jsonl"), "responses.jsonl")
    find(lines, Ids(["a/1", "a/1", "b/7"]), 2, "responses.jsonl")  ->  Answer(id="b/7", index=None, …)
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping

from judge.core.benchmark import Answer
from judge.errors import UserError

Lines = Mapping[str | None, Mapping[int | None, Answer]]
"""Answers by id and index, each None where the file does not say."""


class Ids:
    """names: the questions' ids in published order; shared: those of several questions."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)
        self.shared = {name for name, count in collections.Counter(self.names).items() if count > 1}


def by_question(answers: Iterable[Answer], file: str) -> Lines:
    """Answers by id and index. Raises UserError where two lines belong to one question."""
    lines: dict[str | None, dict[int | None, Answer]] = collections.defaultdict(dict)
    for answer in answers:
        if (other := lines[answer.id].setdefault(answer.index, answer)) is not answer:
            raise UserError(
                f"answered twice: {other.where} and {answer.where}",
                file=file,
                record=answer.id or f"at index {answer.index}",
                fix='keep one line a question; the questions of an MMVU pair are told apart by "index"',
            )
    return dict(lines)


def find(lines: Lines, ids: Ids, index: int, file: str) -> Answer | None:
    """The answer to question `index` of a task whose questions have `ids`, or None.

    Raises UserError where a line's index and id disagree with the data.
    """
    mine = lines.get(ids.names[index], {})
    found = mine.get(index) or mine.get(None) or lines.get(None, {}).get(index)
    if found is None:
        for other in mine:
            if other is not None and (other >= len(ids.names) or ids.names[other] != ids.names[index]):
                raise UserError(
                    f"index {other} in the file, but {index} in the data",
                    file=file,
                    record=ids.names[index],
                    field="index",
                    fix="count from 0 in the order of the published file",
                )
    elif found.index is None and found.id is not None and found.id in ids.shared:
        raise UserError(
            "several questions have this id", file=file, record=found.id, field="index", fix="add it to every line"
        )
    return found
