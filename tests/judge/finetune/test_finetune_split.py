"""What is held out: shares, whole questions, and the same choice every time."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from judge.finetune.split import answers_of_model, choose_held_out

CATEGORIES = ("SA", "PBL", "MSR")
MODELS = ("anole", "emu-2", "gill", "minigpt-5")


def one_model_a_question(n: int) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """As the paper's 1,000: every question answered by one of four models."""
    keys = [(f"{CATEGORIES[i % 3]}-{i}", MODELS[i // 3 % 4]) for i in range(n)]
    return keys, {name: name.split("-")[0] for name, _ in keys}


def all_models_all_questions(n: int) -> tuple[list[tuple[str, str]], dict[str, str]]:
    keys = [(f"{CATEGORIES[i % 3]}-{i}", model) for i in range(n) for model in MODELS]
    return keys, {name: name.split("-")[0] for name, _ in keys}


def test_eight_hundred_and_two_hundred_in_proportion() -> None:
    """1,000 answers in 12 strata of 83 or 84; a fifth of each is 16.6 or 16.8: 16 or 17 are held out."""
    keys, category = one_model_a_question(1000)
    test = choose_held_out(keys, category, 0.2, seed=0)
    assert len(test) == 200
    strata = Counter((category[name], model) for name, model in test)
    assert set(strata.values()) == {16, 17}
    assert len(strata) == 12


def test_a_question_is_held_out_with_all_its_answers() -> None:
    keys, category = all_models_all_questions(30)
    test = choose_held_out(keys, category, 0.2, seed=3)
    questions = {name for name, _ in test}
    assert len(questions) == 6
    assert test == {key for key in keys if key[0] in questions}
    assert Counter(category[name] for name in questions) == {"SA": 2, "PBL": 2, "MSR": 2}


@pytest.mark.parametrize("share", [0.0, 0.1, 0.37, 0.5, 0.9])
def test_the_share_is_that_of_the_whole(share: float) -> None:
    keys, category = one_model_a_question(101)
    assert len(choose_held_out(keys, category, share, seed=1)) == round(share * 101)


def test_the_choice_depends_on_names_and_seed_alone() -> None:
    keys, category = one_model_a_question(200)
    shuffled = random.Random(0).sample(keys, len(keys))
    assert choose_held_out(keys, category, 0.2, seed=5) == choose_held_out(shuffled, category, 0.2, seed=5)
    assert choose_held_out(keys, category, 0.2, seed=5) != choose_held_out(keys, category, 0.2, seed=6)


def test_one_model_left_out() -> None:
    keys, _ = all_models_all_questions(9)
    assert answers_of_model(keys, "gill") == {(name, "gill") for name, _ in keys}
