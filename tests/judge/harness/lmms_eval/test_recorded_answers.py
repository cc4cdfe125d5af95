"""Which line answers which question: one table for the finds, one for what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.core.benchmark import Answer
from judge.errors import UserError
from judge.harness.lmms_eval.recorded_answers import Ids, by_question, find

# Positions 0 and 1 are a pair.
IDS = Ids(["a/1", "a/1", "b/7", "c/9"])


def answer(name: str | None, index: int | None, response: str = "x") -> Answer:
    return Answer(name, index, response, Path("."), where=f"line of {response}")


@pytest.mark.parametrize(
    ("lines", "index", "expected"),
    [
        ([("a/1", 0, "first"), ("a/1", 1, "second")], 1, "second"),
        ([("b/7", None, "by id")], 2, "by id"),
        ([(None, 3, "by index")], 3, "by index"),
        ([("b/7", 2, "x")], 3, None),  # nothing for c/9
        ([("a/1", 1, "second")], 0, None),  # the other half of the pair is missing, which is no disagreement
        ([("other task", 2, "x")], 2, None),  # a file may hold the answers to another task, too
    ],
)
def test_the_line_of_a_question(lines: list[tuple[str | None, int | None, str]], index: int, expected: str) -> None:
    found = find(by_question([answer(*line) for line in lines], "f"), IDS, index, "f")
    assert (found.response if found else None) == expected


@pytest.mark.parametrize(
    ("lines", "index", "message"),
    [
        ([("a/1", None)], 0, "several questions have this id"),
        ([("b/7", 3)], 2, "index 3 in the file, but 2 in the data"),
        ([("b/7", 99)], 2, "index 99 in the file, but 2 in the data"),
    ],
)
def test_a_line_at_odds_with_the_data_is_refused(
    lines: list[tuple[str | None, int | None]], index: int, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        find(by_question([answer(*line) for line in lines], "f"), IDS, index, "f")


def test_two_lines_for_one_question_are_refused_by_their_places() -> None:
    with pytest.raises(UserError, match="line of x and line of y"):
        by_question([answer("b/7", None, "x"), answer("b/7", None, "y")], "f")
