"""Six criteria give a point each, a seventh can only take one off."""

import pytest

from judge.annotate.criteria import find_criteria
from judge.core.criteria import Criterion, are_valid
from judge.core.rubric import Rubric
from mmie_tasks.benchmark import BENCHMARK

RUBRIC = BENCHMARK.rubric("mmjudge")
TWO = [Criterion("Text quality", "clear", 1), Criterion("Emotional impact", "take off one point where …", -1)]


@pytest.mark.parametrize("category", BENCHMARK.categories)
def test_our_rubrics(category):
    found = find_criteria(RUBRIC, category)
    assert [criterion.name for criterion in found] == RUBRIC.criteria(category)
    assert sum(criterion.points == 1 for criterion in found) == 6
    assert [criterion.name for criterion in found if criterion.points == -1] == (
        [] if category == "MSR" else ["Emotional impact"]
    )
    for number, criterion in enumerate(found, 1):
        line = f"\n{number}. {criterion.name}"
        rest = RUBRIC.templates[category].partition(line)[2].partition("\n")[0]
        assert rest.lstrip(":, ") == criterion.text != ""


def test_what_takes_off_is_known_by_its_words_not_its_position():
    found = find_criteria(RUBRIC.without("Innovation"), "SA")
    assert [(c.name, c.points) for c in found][-2:] == [("Style and correspondence", 1), ("Emotional impact", -1)]


def test_a_wording_without_numbers_has_no_criteria():
    assert find_criteria(Rubric("other", {"T": "Give 0 to 6.\n{question}\n1. Not: this\n{answer}"}), "T") == []


@pytest.mark.parametrize(
    ("marks", "is_valid"),
    [
        ({"Text quality": 1, "Emotional impact": 0}, True),
        ({"Text quality": 0, "Emotional impact": -1}, True),
        ({"Text quality": 1, "Emotional impact": 1}, False),  # never adds one
        ({"Text quality": -1, "Emotional impact": 0}, False),
        ({"Text quality": 2, "Emotional impact": 0}, False),
        ({"Text quality": True, "Emotional impact": 0}, False),
        ({"Text quality": 1.0, "Emotional impact": 0}, False),
        ({"Text quality": 1}, False),
        ({"Text quality": 1, "Emotional impact": 0, "Other": 1}, False),
        ({}, False),
    ],
)
def test_valid(marks, is_valid):
    assert are_valid(marks, TWO) is is_valid
