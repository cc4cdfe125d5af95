"""MMIE under its conditions: the words stay, what is shown is another picture or none."""

from __future__ import annotations

from judge.core.condition import Altered
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
