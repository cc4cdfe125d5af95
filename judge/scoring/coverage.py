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
from judge.core.request import Request
from judge.core.verdict import Verdict
from judge.errors import UserError


@dataclasses.dataclass(frozen=True)
class Part:
    """Some of the questions: `answered` of `questions`."""

    answered: int
    questions: int

    def __str__(self) -> str:
        return f"{self.answered} of {self.questions}"


def within_subset(answers: Sequence[Answer], whole: Dataset, subset: Dataset) -> tuple[Sequence[Answer], Dataset]:
    """The answers to questions of the subset, and the subset, whose source notes how many others were left out.

    Answers are joined by id; one that has a position only, as in lmms-eval's samples, is of the subset's own task, and
    its position is one in the subset. Raises UserError for an answer to no question at all, for a position outside the
    subset, and where no answer is left.
    """
    here, everywhere = ({record.id for record in dataset.records} for dataset in (subset, whole))
    kept: list[Answer] = []
    for answer in answers:
        if answer.id is None:
            if answer.index is not None and answer.index >= len(subset.records):
                raise UserError(
                    f"position {answer.index} is outside the {len(subset.records)} questions of the subset: these "
                    "answers are to all questions", file=answer.where or None,
                    fix="leave out --subset, or give answers with ids",
                )  # fmt: skip
            kept.append(answer)
        elif answer.id not in everywhere:
            problem = "not in the data"
            raise UserError(problem, file=answer.where or None, record=answer.id, field="id")
        elif answer.id in here:
            kept.append(dataclasses.replace(answer, index=None))
    if not kept:
        raise UserError("no answer is to a question of the subset", file=answers[0].where or None)
    left = len(answers) - len(kept)
    if not left:
        return kept, subset
    said = f"{left} answers to questions outside the subset were left out"
    note = "; ".join(filter(None, (subset.source.note, said)))
    return kept, dataclasses.replace(subset, source=dataclasses.replace(subset.source, note=note))


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


def missing_pictures(answers: Sequence[Answer], assessed: Sequence[Request | Verdict]) -> str | None:
    """What to say before anything is judged of answers whose pictures are not there; None where all are.

    assessed: what `Benchmark.assess` made of the answers, and of questions that have none.
    """
    missing = [
        item for item in assessed
        if item.details.get("images_skipped") or (isinstance(item, Verdict) and item.unscored == "image_missing")
    ]  # fmt: skip
    if not missing or not answers:
        return None
    first = missing[0]
    what = first.details.get("note") or first.details.get("images_skipped")
    return (
        f"{len(missing)} of {len(assessed)} answers have pictures that were not found under {answers[0].image_root}; "
        f"the first, {first.id}: {what}\n→ --image-root DIR (in a harness MMJUDGE_IMAGE_ROOT) names their folder"
    )
