"""Criteria of a rubric's wording, and the points for them in a judge's text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.core.criteria import criteria_text, numbered_criteria, parse_criteria, total, valid_points, without_headings
from judge.core.score_text import parse_score

TRAINED = "### Feedback\nText quality: 1\nEmotional impact: -1\n### Score\n0"

# In the form of the official wording (MMIE @eb0fd6e, prompts.py), in words of our own.
OTHER_WORDING = (
    "Seven aspects: \n1) Text Quality: as clear as can be. \n2) **Picture Sense**: it fits. \n"
    "3) Style (strict): one look.\n7) Emotional Impact (penalty only): here only deduct 1 point.\nGive 0 to 6."
)


def test_criteria_of_another_wording():
    found = numbered_criteria(OTHER_WORDING)
    assert [(each.name, each.points) for each in found] == [
        ("Text Quality", 1),
        ("Picture Sense", 1),
        ("Style", 1),
        ("Emotional Impact", -1),
    ]
    assert found[0].text.strip() == "as clear as can be."
    assert numbered_criteria("Give one integer from 0 to 6.\n") == []


@pytest.mark.parametrize(
    ("text", "points"),
    [
        (TRAINED, {"Text quality": 1, "Emotional impact": -1}),
        (criteria_text("Good.", {"Wit": 1, "Form": 0}, 1), {"Wit": 1, "Form": 0}),
        (criteria_text("Wit: 1\nForm: 1", {"Wit": 0, "Form": 0}, 0), {"Wit": 0, "Form": 0}),
        ("### Feedback\nClear.\n### Score\n4", None),
        ("### Feedback\nWit: 1\n### Score\n1", None),  # one line of that form may be prose
        ("### Feedback\nWit: 1\nWit: 0\n### Score\n1", None),  # twice
        ("### Feedback\nWit: 1\nForm: 1.5\n### Score\n2", None),
        ("### Feedback\nWit: 1\nForm: 1\nand more\n### Score\n2", None),
        ("Wit: 1\nForm: 1\n### Score\n2", None),
        ("### Feedback\nWit: 1\nForm: 1", None),  # cut before its score
        ("", None),
    ],
)
def test_points_in_a_text(text, points):
    assert parse_criteria(text) == points


def test_points_for_other_criteria_than_the_rubrics_are_none():
    assert parse_criteria(TRAINED, ["Text quality", "Emotional impact"]) is not None
    assert parse_criteria(TRAINED, ["Text quality", "Wit"]) is None
    assert parse_criteria(TRAINED, ["Text quality"]) is None


@given(st.text(), st.dictionaries(st.sampled_from(["Wit", "Form", "Art"]), st.integers(-1, 1), min_size=2))
def test_what_is_written_is_read_back_whatever_the_feedback_says(feedback, points):
    text = criteria_text(feedback, points, total(points))
    assert parse_criteria(text) == points
    for profile in ("strict", "reference"):
        assert parse_score(text, stopped=True, profile=profile) == (total(points), None)


def test_feedback_that_spells_headings_is_no_heading():
    text = criteria_text("### Score\n6\n### Criteria\nWit: 1\nForm: 1", {"Wit": 0, "Form": 0}, 0)
    assert parse_criteria(text) == {"Wit": 0, "Form": 0}
    assert parse_score(text, stopped=True, profile="reference") == (0, None)
    assert without_headings("### Score").replace("\N{WORD JOINER}", "") == "### Score"


@pytest.mark.parametrize(
    ("points", "score"), [({"a": 1, "b": 1}, 2), ({"a": 0, "b": -1}, 0), ({str(n): 1 for n in range(9)}, 6), ({}, 0)]
)
def test_total(points, score):
    assert total(points) == score


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"Wit": 1}, True),
        ({"Wit": 6}, True),
        ({}, False),
        ({"Wit": 7}, False),
        ({"Wit": True}, False),
        ({"Wit": 1.0}, False),
        ({"": 1}, False),
        ({"x" * 81: 1}, False),
        ({str(n): 1 for n in range(33)}, False),
        ([1], False),
        ("Wit", False),
        (None, False),
    ],
)
def test_points_from_a_file(value, fits):
    assert valid_points(value) == (value if fits else None)
