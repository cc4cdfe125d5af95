"""MMIE under its conditions: the words stay, what is shown is another picture or none."""

from __future__ import annotations

import dataclasses

import pytest

from judge.core.condition import Altered
from judge.errors import UserError
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.conditions import CONDITIONS
from mmie_tasks.demo import demo_dir


def test_what_is_shown_under_every_condition() -> None:
    dataset = BENCHMARK.load(demo_dir())
    category = {name: record.category for record in dataset.records for name in record.images}
    plain = BENCHMARK.questions(dataset)
    for name, condition in CONDITIONS.items():
        for question, usual in zip(BENCHMARK.questions(dataset, None, condition), plain, strict=True):
            if name == "blind":
                assert question.pictures == ()
                assert question.text().split() == usual.text("\n").split()
                continue
            assert question.text() == usual.text()
            shown = question.pictures
            if name == "swapped":
                assert all(category[picture.name] != question.category for picture in shown)
            else:
                assert all(isinstance(picture, Altered) and picture.how == name for picture in shown)
                assert [picture.name for picture in shown] == [picture.name for picture in usual.pictures]
    assert set(CONDITIONS) == {"blind", "blank", "noise", "swapped"}


def test_a_picture_that_two_categories_share_is_not_swapped_for_itself() -> None:
    dataset = BENCHMARK.load(demo_dir())
    first = next(record for record in dataset.records if record.images)
    shared = first.images[0]
    others = [record for record in dataset.records if record.images and record.category != first.category]
    # of all that could be shown instead, all but the last have the question's own picture
    same = [
        dataclasses.replace(
            record, question=tuple(dataclasses.replace(p, image=p.image and shared) for p in record.question)
        )
        for record in others
    ]
    records = [first, *same[:-1], others[-1]]
    question, *_ = BENCHMARK.questions(dataclasses.replace(dataset, records=records), [0], CONDITIONS["swapped"])
    assert {picture.name for picture in question.pictures} == {others[-1].images[0]}
    with pytest.raises(UserError, match="no picture of another category"):
        BENCHMARK.questions(dataclasses.replace(dataset, records=[first, *same]), [0], CONDITIONS["swapped"])
