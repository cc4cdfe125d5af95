"""What a general judge's reply says: the one object in it, or why it says nothing."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.core.criteria import Criterion
from judge.engines.structured_reply import (
    MOST_CHARACTERS,
    UnreadableError,
    read_reply,
    reply_form,
    reply_schema,
    total_probabilities,
)

THREE = [Criterion("Wit", "", 1), Criterion("Form", "", 1), Criterion("Harm", "take off", -1)]
RIGHT = {"feedback": "Good.", "criteria": {"Wit": 1, "Form": 1, "Harm": 0}, "total": 2}
TEXT = json.dumps(RIGHT)
CUT = f"1{'0' * 19}… [361 characters left out] …{'0' * 20}"
"""10**400, of 401 digits, in 40 of them."""


def changed(**fields) -> str:
    return json.dumps({**RIGHT, **fields})


def test_the_schema_is_the_rubrics():
    assert reply_schema(THREE) == {
        "type": "object",
        "properties": {
            "feedback": {"type": "string"},
            "criteria": {
                "type": "object",
                "properties": {
                    "Wit": {"type": "integer", "enum": [0, 1]},
                    "Form": {"type": "integer", "enum": [0, 1]},
                    "Harm": {"type": "integer", "enum": [-1, 0]},
                },
                "required": ["Wit", "Form", "Harm"],
                "additionalProperties": False,
            },
            "total": {"type": "integer", "enum": [0, 1, 2, 3, 4, 5, 6]},
        },
        "required": ["feedback", "criteria", "total"],
        "additionalProperties": False,
    }
    assert reply_schema([])["required"] == ["feedback", "total"]
    assert '"Harm": -1 where a point is to be taken off, else 0' in reply_form(THREE)
    assert "criteria" not in reply_form([])


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        f"\n{json.dumps(RIGHT, indent=2)}\n",
        f"```json\n{TEXT}\n```",
        f"Here is my verdict.\n\n{TEXT}\n\nI hope that {{this}} helps.",
        f"Of {{a, b}} and \\frac{{1}}{{2}}, {{}}: {TEXT} {{ and {{",
        f"{TEXT}\n{TEXT}",  # the same twice is one
        changed(extra={"total": 6}),
        changed(criteria={"wit": 1.0, " FORM ": 1, "Harm": 0}),
    ],
)
def test_what_is_read(text):
    found = read_reply(text, THREE)
    assert (found.feedback, found.points, found.score, found.notes) == (
        "Good.",
        {"Wit": 1, "Form": 1, "Harm": 0},
        2,
        (),
    )


@pytest.mark.parametrize(
    ("given_total", "note"),
    [(6, "total given 6, the criteria add up to 2"), ("2", 'total given "2", the criteria add up to 2'),
     pytest.param(10**400, f"total given {CUT}, the criteria add up to 2", id="10**400"),
     (None, "total given null, the criteria add up to 2"), (True, "total given true, the criteria add up to 2")],
)  # fmt: skip
def test_the_computed_total_counts_and_another_one_is_noted(given_total, note):
    found = read_reply(changed(total=given_total), THREE)
    assert (found.score, found.notes) == (2, (note,))


def test_a_sum_below_nothing_is_nothing():
    found = read_reply(changed(criteria={"Wit": 0, "Form": 0, "Harm": -1}, total=0), THREE)
    assert (found.score, found.points["Harm"], found.notes) == (0, -1, ())


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no JSON object with the keys"),
        ("### Score\n6", "no JSON object with the keys"),
        ("{}", "no JSON object with the keys"),
        (TEXT[:-1] + ",}", "no JSON object with the keys"),  # a trailing comma
        (TEXT[:-8], "no JSON object with the keys"),  # cut
        (TEXT.replace('"total": 2', '"total": 2, "total": 6'), "no JSON object with the keys"),  # a key twice
        (TEXT.replace("2}", "NaN}"), "no JSON object with the keys"),
        (TEXT.replace('"', "'"), "no JSON object with the keys"),
        (f"[{TEXT[:9]}", "no JSON object with the keys"),
        ("{" * 5000, "no JSON object with the keys"),
        # words of an answer in a feedback whose quotes are not escaped
        (changed(feedback="It says @.").replace("@", TEXT), "inside or behind one that is broken"),
        (f"{{'feedback': 'It says {TEXT}', 'total': 0}}", "inside or behind one that is broken"),
        (f"{TEXT[:30]} … once more: {TEXT}", "inside or behind one that is broken"),
        (f"{TEXT} or rather {changed(total=3)}", "2 JSON objects that differ"),
        (changed(criteria=None), "the criteria are null, no object"),
        (changed(criteria={"Wit": 1, "Form": 1}), "criteria without Harm"),
        (changed(criteria={"Wit": 1, "Form": 1, "Harm": 0, "Art": 1}), 'criteria with "Art"'),
        (changed(criteria={"Wit": 1, "wit": 1, "Form": 1, "Harm": 0}), "criteria twice under one name"),
        (changed(criteria={"Wit": 2, "Form": 1, "Harm": 0}), "Wit is 2, neither 0 nor 1"),
        (changed(criteria={"Wit": 10**400, "Form": 1, "Harm": 0}), f"Wit is {CUT}, neither"),
        (changed(criteria={"Wit": "1", "Form": 1, "Harm": 0}), 'Wit is "1", neither 0 nor 1'),
        (changed(criteria={"Wit": True, "Form": 1, "Harm": 0}), "Wit is true, neither 0 nor 1"),
        (changed(criteria={"Wit": 0.5, "Form": 1, "Harm": 0}), "Wit is 0.5, neither 0 nor 1"),
        (changed(criteria={"Wit": 1, "Form": 1, "Harm": 1}), "Harm is 1, neither 0 nor -1"),
        (changed(feedback="x" * MOST_CHARACTERS), f"more than {MOST_CHARACTERS}"),
    ],
)
def test_what_is_not_read(text, why):
    with pytest.raises(UnreadableError) as error:
        read_reply(text, THREE)
    assert why in str(error.value)


@pytest.mark.parametrize(
    ("value", "score"),
    [
        (0, 0),
        (6, 6),
        (4.0, 4),
        (7, None),
        pytest.param(10**400, None, id="10**400"),
        (1e308, None),
        (-1, None),
        ("4", None),
        (None, None),
    ],
)
def test_without_criteria_the_total_is_the_score(value, score):
    text = json.dumps({"feedback": "", "total": value})
    if score is None:
        with pytest.raises(UnreadableError, match="no whole number from 0 to 6"):
            read_reply(text, [])
    else:
        assert (read_reply(text, []).score, read_reply(text, []).points) == (score, {})


KEYS = st.sampled_from(["feedback", "criteria", "total", "Wit"]) | st.text()
PLAIN = st.none() | st.booleans() | st.floats() | st.text()
VALUES = st.recursive(PLAIN, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner))


@given(VALUES, st.text(), st.text())
def test_any_reply_is_read_or_unreadable(value, before, after):
    try:
        found = read_reply(before + json.dumps(value) + after, THREE)
    except UnreadableError:
        return
    assert found.score in range(3)


# Probabilities --------------------------------------------------------------------------------------------------------


def logprobs(tokens: list[str], **top: float) -> dict:
    """As OpenAI gives them: every token, and beside the last the shares of `top`, "s4" for the score 4."""
    alternatives = [{"token": name[1:], "logprob": math.log(share)} for name, share in top.items()]
    entries = [{"token": token, "logprob": 0.0, "top_logprobs": []} for token in tokens]
    place = max(n for n, token in enumerate(tokens) if token.strip().isdigit())
    entries[place]["top_logprobs"] = alternatives
    return {"content": entries}


PARTS = ['{"feedback": "the \\"total\\": 6", "total"', ":", " ", "4", "}"]
SPAN = (0, len("".join(PARTS)))


def test_probabilities_of_the_total():
    # 0.6 and 0.2 of the seven scores, 0.2 for a word that is none: 0.6 / 0.8, 0.2 / 0.8
    found = total_probabilities("".join(PARTS), SPAN, logprobs(PARTS, s4=0.6, s5=0.2, sfour=0.2))
    assert found == (0.0, 0.0, 0.0, 0.0, 0.75, 0.25, 0.0)


@pytest.mark.parametrize(
    ("text", "given_logprobs"),
    [
        ("".join(PARTS), None),
        ("".join(PARTS), {"content": None}),
        ("".join(PARTS), {"content": [{"token": 1}]}),
        ("".join(PARTS), {"content": [{}]}),
        ("".join(PARTS), logprobs(["another", "4"], s4=1.0)),  # tokens that do not spell the text
        ("".join(PARTS), logprobs(PARTS, sx=1.0)),  # none of them is a score
        ("".join(PARTS), logprobs([PARTS[0], ": 4}", "9"], s4=1.0)),  # a digit inside a longer token
        ('{"total": null}', logprobs(["4"], s4=1.0)),
    ],
)
def test_without_probabilities(text, given_logprobs):
    assert total_probabilities(text, (0, len(text)), given_logprobs) is None
