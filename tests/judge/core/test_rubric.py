"""A rubric that names its criteria, and does without one of them."""

import pytest

from judge.core.rubric import Rubric
from mmie_tasks.rubrics import rubric

TEMPLATE = """Grade it.
Weigh in turn:
1. Text quality: clear.
2. Image quality: whole: no artefacts.
3. Style, strictly: 7. is no number of a line.

Give one integer:
6 excellent.
### Question
{question}
### Answer
1. Not a criterion: it is behind a field.
{answer}
"""
OWN = Rubric("own", {"A": TEMPLATE, "B": "1. Text quality: b.\n2. Wit: b.\n{question}", "C": "No list.\n{question}"})


def test_criteria_are_the_numbered_lines_before_the_first_field():
    assert OWN.criteria("A") == ["Text quality", "Image quality", "Style"]
    assert OWN.criteria("B") == ["Text quality", "Wit"]
    assert OWN.criteria("C") == []


def test_without_takes_the_line_out_wherever_it_is_and_numbers_the_rest():
    less = OWN.without("Text quality")
    assert less.criteria("A") == ["Image quality", "Style"]
    assert less.criteria("B") == ["Wit"]
    assert less.templates["B"] == "1. Wit: b.\n{question}"
    assert less.templates["A"].startswith(
        "Grade it.\nWeigh in turn:\n1. Image quality: whole: no artefacts.\n2. Style,"
    )
    assert less.templates["A"].endswith("{question}\n### Answer\n1. Not a criterion: it is behind a field.\n{answer}\n")
    assert less.templates["C"] == OWN.templates["C"]


def test_a_category_without_the_criterion_is_left_as_it_is():
    less = OWN.without("Wit")
    assert less.templates["A"] == TEMPLATE
    assert less.criteria("B") == ["Text quality"]


def test_the_variant_has_a_name_and_a_hash_of_its_own():
    variants = [OWN.without(name) for name in ("Text quality", "Image quality", "Style", "Wit")]
    assert variants[0].name == "own-without-text-quality"
    assert len({OWN.sha256, *(variant.sha256 for variant in variants)}) == 5


def test_an_unknown_criterion_is_an_error():
    with pytest.raises(ValueError, match="no criterion 'Beauty'"):
        OWN.without("Beauty")


def test_all_criteria_can_be_taken_out_one_after_the_other():
    bare = OWN.without("Text quality").without("Image quality").without("Style")
    assert bare.criteria("A") == []
    assert "Weigh in turn:\n\nGive one integer:" in bare.templates["A"]


def test_the_criteria_of_mmie_are_those_of_the_paper():
    # the official prompts list seven for SA and PBL (the last can only take off) and six for MSR
    ours = rubric("mmjudge")
    named = {category: ours.criteria(category) for category in ("SA", "PBL", "MSR")}
    assert {category: len(names) for category, names in named.items()} == {"SA": 7, "PBL": 7, "MSR": 6}
    assert named["SA"][0] == named["PBL"][0] == "Text quality"
    for category, names in named.items():
        for name in names:
            less = ours.without(name).templates[category]
            removed = set(ours.templates[category].splitlines()) - set(less.splitlines())
            assert any(name in line for line in removed)
            assert "{question}" in less
            # one line less, and not a word of the protocol changed
            assert len(less.splitlines()) == len(ours.templates[category].splitlines()) - 1
            behind = "Give one integer:"
            assert less.partition(behind)[2] == ours.templates[category].partition(behind)[2]
