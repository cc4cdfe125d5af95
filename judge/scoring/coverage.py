"""Whether every question was answered: one rule for every way in.

    complete(answers, dataset, partial=False)  ->  answers, one "not answered" for every other question
    complete(answers, dataset, partial=True)   ->  answers as they are, Part(answered=20, questions=48)

A question without an answer counts as one without a score (`not_answered`), unless somebody says that only these were
asked. Then the results say so, in their signature too (`part:20 of 48`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from judge.core.benchmark import Answer, Dataset
from judge.core.failure import NOT_ANSWERED


@dataclasses.dataclass(frozen=True)
class Part:
    """Some of the questions: `answered` of `questions`."""

    answered: int
    questions: int

    def __str__(self) -> str:
        return f"{self.answered} of {self.questions}"


def complete(
    answers: Sequence[Answer], dataset: Dataset | None, *, partial: bool
) -> tuple[Sequence[Answer], Part | None]:
    """Answers to every question of the dataset, and which part was answered where it is to stay one.

    dataset None: nobody knows how many questions there are, and the answers are taken for all.
    """
    if dataset is None:
        return answers, None
    missing = unanswered(answers, dataset)
    if not missing:
        return answers, None
    if partial:
        total = len(dataset.records)
        return answers, Part(total - len(missing), total)
    root = answers[0].image_root
    return [*answers, *(Answer(dataset.records[i].id, i, NOT_ANSWERED, root) for i in missing)], None


def unanswered(answers: Sequence[Answer], dataset: Dataset) -> list[int]:
    """Positions of the questions that no answer is to, in order."""
    positions = {record.id: position for position, record in enumerate(dataset.records)}
    answered = {positions.get(answer.id or "") if answer.index is None else answer.index for answer in answers}
    return [position for position in range(len(dataset.records)) if position not in answered]
