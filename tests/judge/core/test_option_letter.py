"""Option letters where a question has another number of options than four; tests/mmvu_tasks has the whole table."""

import pytest

from judge.core.option_letter import LETTERS, careful

TWO = ("rises", "falls")
SIX = ("red", "green", "blue", "yellow", "white", "black")


@pytest.mark.parametrize(
    ("answer", "options", "letter"),
    [
        ("B", TWO, "B"),
        ("C", TWO, None),  # names no option of these two
        ("It falls.", TWO, "B"),
        ("Not A.", TWO, "B"),  # the only one that is left
        ("F", SIX, "F"),
        ("The answer is (E).", SIX, "E"),
        ("G", SIX, None),
        ("white", SIX, "E"),
        ("The answer is: black", SIX, "F"),
        ("A", (), None),
        ("It is red.", (), None),
    ],
)
def test_as_many_letters_as_options(answer, options, letter):
    assert careful(answer, options).letter == letter


def test_eight_options_at_most():
    assert careful("H", [f"option {n}" for n in range(8)]).letter == LETTERS[-1]
