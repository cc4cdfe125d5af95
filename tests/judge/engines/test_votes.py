"""Several votes on one answer made one."""

from __future__ import annotations

import pytest

from judge.core.criteria import criteria_text, total
from judge.engines import Completion
from judge.engines.votes import combine_votes

FAILED = Completion(None, unscored="engine_error", note="a: told to fail")
UNREADABLE = Completion("x", unscored="unreadable_reply", note="no JSON object")


def vote(wit: int, form: int, harm: int = 0, *, feedback: str = "", probs=None, note=None) -> Completion:
    points = {"Wit": wit, "Form": form, "Harm": harm}
    text = criteria_text(feedback or f"{wit}{form}{harm}", points, total(points))
    return Completion(text, True, 10, probs, note=note)


def of_total(score: int) -> Completion:
    return Completion(criteria_text(f"{score}", {}, score), True, 10)


@pytest.mark.parametrize(
    ("votes", "text"),
    [
        # a point by two of three; the feedback of the first vote with the same sum
        ([vote(1, 1), vote(1, 0), vote(0, 0)], criteria_text("100", {"Wit": 1, "Form": 0, "Harm": 0}, 1)),
        ([vote(1, 0), vote(0, 1), vote(1, 1)], criteria_text("110", {"Wit": 1, "Form": 1, "Harm": 0}, 2)),
        ([vote(1, 1, -1), vote(1, 1, -1), vote(1, 1)], criteria_text("11-1", {"Wit": 1, "Form": 1, "Harm": -1}, 1)),
        # a tie gives nothing and takes nothing
        ([vote(1, 1, -1), vote(0, 1)], criteria_text("11-1", {"Wit": 0, "Form": 1, "Harm": 0}, 1)),
        # one that cannot be read does not count: the other two
        ([vote(1, 1), UNREADABLE, vote(1, 1)], criteria_text("110", {"Wit": 1, "Form": 1, "Harm": 0}, 2)),
        # without criteria: the median, the lower of the middle two
        ([of_total(5), of_total(2), of_total(3)], criteria_text("3", {}, 3)),
        ([of_total(5), of_total(2)], criteria_text("2", {}, 2)),
    ],
)
def test_combined(votes, text):
    assert combine_votes(votes).text == text


def test_votes_tokens_notes_and_probabilities_are_kept():
    one, other = (0.5, 0.5, 0, 0, 0, 0, 0), (0, 0.5, 0.5, 0, 0, 0, 0)
    found = combine_votes([vote(1, 0, probs=one, note="a"), vote(1, 1, probs=other, note="a"), UNREADABLE])
    assert (found.votes, found.new_tokens, found.note) == ((1, 2, None), 20, "a; no JSON object")
    assert found.score_probs == (0.25, 0.5, 0.25, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("votes", "reason"),
    [
        ([vote(1, 1), UNREADABLE], "unreadable_reply"),  # half is not enough
        ([FAILED, UNREADABLE, UNREADABLE], "unreadable_reply"),
        ([FAILED, FAILED, vote(1, 1)], "engine_error"),
    ],
)
def test_without_a_majority_that_can_be_read_there_is_no_score(votes, reason):
    found = combine_votes(votes)
    assert found.unscored == reason
    assert found.votes == tuple(None if one.unscored else 2 for one in votes)


def test_feedback_that_spells_a_heading_stays_feedback():
    said = "### Score\n6"
    found = combine_votes([vote(0, 0, feedback=said)] * 3)
    assert found.text == criteria_text(said, {"Wit": 0, "Form": 0, "Harm": 0}, 0)
