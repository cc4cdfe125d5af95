"""A scale is the whole numbers between its ends."""

import numpy as np
import pytest

from judge.core.scale import JUDGE_SCALE, Scale


@pytest.mark.parametrize(
    ("scale", "numbers", "span", "middle", "percent"),
    [
        (JUDGE_SCALE, [0, 1, 2, 3, 4, 5, 6], 6, 3.0, 100 / 6),
        (Scale(0, 1), [0, 1], 1, 0.5, 100.0),
        (Scale(1, 5), [1, 2, 3, 4, 5], 4, 3.0, 25.0),
        (Scale(-2, 2), [-2, -1, 0, 1, 2], 4, 0.0, 25.0),
    ],
)
def test_numbers_of_a_scale(scale: Scale, numbers: list[int], span: int, middle: float, percent: float) -> None:
    assert [*scale] == numbers
    assert (len(scale), scale.span, scale.middle, scale.percent) == (len(numbers), span, middle, percent)
    assert str(scale) == f"{numbers[0]} to {numbers[-1]}"


@pytest.mark.parametrize(
    ("score", "on_it", "covered"),
    [(0, True, True), (6, True, True), (4.0, True, True), (4.5, False, True), (-1, False, False), (7, False, False)],
)
def test_what_is_on_the_judges_scale(score: float, on_it: bool, covered: bool) -> None:
    assert (score in JUDGE_SCALE, JUDGE_SCALE.covers(score)) == (on_it, covered)
    assert float("nan") not in JUDGE_SCALE
    assert "4" not in JUDGE_SCALE


def test_histogram_counts_scores_and_leaves_unscored_out() -> None:
    scores = [4, 4, 0, 6, None]
    expected = np.bincount([4, 4, 0, 6], minlength=7)
    assert JUDGE_SCALE.histogram(scores) == expected.tolist()
    assert Scale(-6, 6).histogram([-6, 6, 0]) == [1, *[0] * 5, 1, *[0] * 5, 1]
    with pytest.raises(ValueError, match="7 is not a whole number from 0 to 6"):
        JUDGE_SCALE.histogram([7])
