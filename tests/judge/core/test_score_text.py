"""Score parsing: the official scorer's column, and a table of what a careful reader takes."""

import json
import re

import folders
import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.core.failure import UNSCORED
from judge.core.score_text import parse_score, settled

RECORDED = json.loads((folders.GOLDEN_REQUESTS / "parse.json").read_text(encoding="utf-8"))
# what a careful reader takes from the recorded texts; 4.5, 5.5, 2.5 and -1 are no scores of the rubric
CAREFUL = [4, 5, 3, 4, 4, 4, 4, 4, "out_of_range", "out_of_range", "out_of_range", "out_of_range"]


def outcome(text, profile, stopped=True):
    score, reason = parse_score(text, stopped=stopped, profile=profile)
    assert (score is None) != (reason is None)
    assert reason is None or reason in UNSCORED
    return reason if score is None else score


@pytest.mark.parametrize(("row", "careful"), list(zip(RECORDED, CAREFUL, strict=True)))
def test_recorded_texts(row, careful):
    score, _ = parse_score(row["feedback"], stopped=True, profile="reference")
    assert score == row["reference"]
    assert outcome(row["feedback"], "strict") == careful


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("### Score 5", 5),
        ("### Scores: 0-6, here 3", 0),
        ("### Score\nnone", "no_score_line"),
        ("### Score\n6.4", 6),
        ("### Score\n6.5", 6),  # half to even
        ("### Score\n6.6", "out_of_range"),  # 7
        ("### Score\n-0.4", 0),
        ("### Score\n7", "out_of_range"),
        ("### Score\n" + "9" * 400, "out_of_range"),  # infinite as a float, where the official script fails
        ("Score: 4", "no_score_line"),
        ("", "no_score_line"),
    ],
)
def test_reference(text, expected):
    assert outcome(text, "reference") == expected


fragments = st.sampled_from(["### Score", "### score", "\n", " ", "-", ".", "4", "12", "6.5", "x", "٣", "#", "/6"])


@given(st.lists(fragments, max_size=12).map("".join))
def test_reference_is_the_official_expression(text):
    """The expression of MMIE @eb0fd6e, main.py `find_score`, and the range its `main` lets through."""
    match = re.search(r"### Score.*?(-?\d+(\.\d+)?)", text, re.DOTALL)
    official = round(float(match.group(1))) if match else None
    score, _ = parse_score(text, stopped=True, profile="reference")
    assert score == (official if official is not None and 0 <= official <= 6 else None)


STRICT = [
    # the shapes that the rubric asks for
    ("### Feedback\nFine.\n### Score\n4", 4),
    ("### Score\n\n  4  \n", 4),
    ("### Score: 4", 4),
    ("### Score 4", 4),
    ("### Score is 4", 4),
    ("###Score\n4", 4),
    ("# SCORE\n4", 4),
    ("### Final Score:\n4", 4),
    ("### **Score**\n**4**", 4),
    ("### Score\n[4]", 4),
    ("### Score\n0", 0),
    ("### Score\n6.", 6),
    ("### Score\n4.0", 4),
    ("### Score\nFour", 4),
    ("### Score\n４／６", 4),
    # the scale is no score
    ("### Score (0-6)\n4", 4),
    ("### Score (0–6): 4", 4),
    ("### Score [from 0 to 6]\n4", 4),
    ("### Score\n0-6\n4", 4),
    ("### Score\n4/6", 4),
    ("### Score\n4 / 6 points", 4),
    ("### Score\n4 out of 6", 4),
    ("### Score\n3 of 6", 3),
    ("### Score\nOut of a possible 6 points: 5", 5),
    ("### Score\n6 (out of 6)", 6),
    ("### Score\n6/6", 6),
    # a sentence
    ("### Score\nOut of 6, I give 4", 4),
    ("### Score\nI would give this answer a score of 4 out of 6.", 4),
    ("### Score\nThe final score for this answer is 4.", 4),
    ("### Score\nI rate it 2, because 3 steps are missing.", 2),
    ("### Score\n4 - the answer lacks 2 steps", 4),
    ("### Score\n4 because 2 steps are missing", 4),
    ("### Score\n4\n\nThe answer gives 3 images.", 4),
    ("### Score\nStep 2 is wrong. 3", 3),
    ("### Score\n4. The answer is fine.", 4),
    ("### Score\n- 4", 4),
    # no heading: a line that begins with a label
    ("Score: 4", 4),
    ("**Score:** 4", 4),
    ("Score = 4/6", 4),
    ("Score - 4", 4),
    ("Score\n4", 4),
    ('{"feedback": "fine",\n "score": 4}', 4),
    ("The score is 4.", 4),
    ("Final score: 4", 4),
    # authority: heading, qualified label, plain label
    ("Score: 1\nScore: 2\n### Score\n4", 4),
    ("Score: 1\nScore: 2\nOverall score: 4", 4),
    ("### Score\n4\n### Feedback\nScore: 2", 4),
    ("### Score\n4\n### Score\n4", 4),
    ("### Score\n4\n### Score\n", 4),
    # more than one number, or none
    ("### Score\n5\n### Score\n4", "ambiguous_score"),
    ("Score: 1\nScore: 2", "ambiguous_score"),
    ("### Score\n4-5", "ambiguous_score"),
    ("### Score\n4 or 5", "ambiguous_score"),
    ("### Score\nbetween 4 and 5", "ambiguous_score"),
    ("### Score\n1\n2\n1", "ambiguous_score"),
    ("### Score\n1. Text quality: 1\n2. Image quality: 2", "ambiguous_score"),
    ("### Score\n1: text, 1\n2: images, 2", "ambiguous_score"),
    ("### Score\n1. 1\n2. 1", "ambiguous_score"),
    ("### Score\n3 images are missing", "ambiguous_score"),
    ("### Score\n4/5", "ambiguous_score"),
    ("### Score\n8 out of 10", "ambiguous_score"),
    ("### Score\n60%", "ambiguous_score"),
    ("### Score\n4,5", "ambiguous_score"),
    ("### Score\nThe answer is good.", "ambiguous_score"),
    ("### Score\n", "ambiguous_score"),
    # numbers that are no scores
    ("### Score\n-1", "out_of_range"),
    ("### Score: -1", "out_of_range"),
    ("### Score\n7", "out_of_range"),
    ("### Score\n10", "out_of_range"),
    ("### Score\n4.5/6", "out_of_range"),
    ("### Score\n" + "9" * 400, "out_of_range"),
    # never from prose
    ("The answer shows 3 images and 4 steps.", "no_score_line"),
    ("The text is fine. Score: 4", "no_score_line"),
    ("I would score the 3 pictures highly.", "no_score_line"),
    ("### Scores\n4", "no_score_line"),
    ("### Feedback\n4 steps of 6 are shown.", "no_score_line"),
    ("", "no_score_line"),
]


@pytest.mark.parametrize(("text", "expected"), STRICT, ids=[text[:40] for text, _ in STRICT])
def test_strict(text, expected):
    assert outcome(text, "strict") == expected


@pytest.mark.parametrize("profile", ["reference", "strict"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("### Feedback\nThe text", "truncated"),
        ("### Feedback\nFine.\n### Score\n", "truncated"),
        ("### Feedback\nFine.\n### Score\n4", 4),  # the limit came after the score
        ("### Feedback\nFine.\n### Score\n9", "out_of_range"),
    ],
)
def test_cut_off_by_the_token_limit(profile, text, expected):
    assert outcome(text, profile, stopped=False) == expected


@pytest.mark.parametrize("profile", ["reference", "strict"])
@given(text=st.lists(st.one_of(fragments, st.text(max_size=8)), max_size=10).map("".join))
def test_any_text_has_an_outcome(profile, text):
    assert outcome(text, profile) in {*range(7), "no_score_line", "ambiguous_score", "out_of_range"}


@pytest.mark.parametrize(
    ("unit", "reference", "strict"),
    [
        ("### Score\n", "no_score_line", "ambiguous_score"),
        ("#", "no_score_line", "ambiguous_score"),
        ("Score: 4 ", 4, 4),
        ("(0-", 0, 0),
        ("4 ", 4, "ambiguous_score"),
        ("1. ", 1, 1),
        ("out of 6 ", 6, "ambiguous_score"),
        ("4\n", 4, 4),
        (" ", "no_score_line", "ambiguous_score"),
    ],
)
def test_a_long_text(unit, reference, strict):
    """200,000 characters, as a replay file may hold; a quadratic expression would not come back in time."""
    text = "### Score\n" + (unit * 200_000)[:200_000]
    assert (outcome(text, "reference"), outcome(text, "strict")) == (reference, strict)


# --- settled: what comes later changes nothing -----------------------------------------------------------------------

JUDGED = st.lists(
    st.sampled_from(
        [
            *("### Score", "### Score:", "## Score", "Score: ", "\n", "\n\n", " "),
            *("4", "-", ".", "5", "0", "of 6", "4.5"),
            *("<|end|>", "### Feedback", "good", "٤", "４", "\u2028", "\r", "\x0b", "\ufffd", "e", ","),
        ]
    ),
    max_size=14,
).map("".join)


@given(JUDGED, JUDGED, st.booleans())
def test_a_settled_score_stays(text, later, stopped):
    if not settled(text):
        return
    expected = parse_score(text, stopped=True, profile="reference")
    assert expected[1] in (None, "out_of_range")
    # however it goes on and whether it ends by itself, and with white space cut off its end
    for whole in (text + later, text.strip(), (text + later).strip()):
        assert parse_score(whole, stopped=stopped, profile="reference") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("### Score\n4\n", True),
        ("### Score: 4 of 6\n", True),
        ("### Score\n4", False),  # 45, 4.5
        ("### Score\n4.\n", True),
        ("### Score\nfour\n", False),
        ("4\n### Score\n", False),
        ("### score\n4\n", False),  # not what `reference` looks for
        ("### Score\n-1\n", True),
        ("### Score\n4\u2028", False),  # only a line feed ends it
    ],
)
def test_settled(text, expected):
    assert settled(text) is expected


def test_strict_is_never_settled():
    """What comes later is heard: the reason why an answer is cut short for `reference` alone."""
    text = "### Score\n4\n"
    assert settled(text)
    assert outcome(text, "strict") == 4
    assert outcome(text + "### Score\n2\n", "strict") == "ambiguous_score"
    assert outcome(text + "### Score\n2\n", "reference") == 4
