"""Who failed: the table, and the words harnesses write in an answer's place."""

from __future__ import annotations

import pytest

from judge.core import failure
from judge.core.failure import failed_call
from judge.core.verdict import Verdict

FAILED = [
    # lmms-eval 0.7.3
    "[LMMS_EVAL_REQUEST_FAILED after 5 retries] Error code: 429",
    "[LMMS_EVAL_BUDGET_EXCEEDED]",
    "[GENERATION_FAILED] CUDA out of memory",
    "[ERROR] Empty prompt",
    "Error: 'NoneType' object has no attribute 'content'",
    "Error: Error code: 400 - {'error': {'message': 'blocked'}}",
    # VLMEvalKit
    "Failed to obtain answer via API.",
    "Failed to obtain answer via API. ",
    "Failed to obtain answer via API.: Failed with all possible conversation turns.",
    "Fail to obtain answer via API.",
    "Failed to obtain answer BlueLM API. ",
    # spreadsheets
    "nan", "NaN", "None", "<NA>", " None\n",
]  # fmt: skip
ANSWERS = [
    "", " ", "A", "None of the above", "nano", "Error: the sign is wrong, so B", "The answer is [ERROR] on the screen",
    "I failed to obtain answer via API.", "NaN is shown", [], {}, 7,
    [{"text": "nan", "image": "a.png"}], [{"text": "nan"}, {"text": "B"}],
]  # fmt: skip


@pytest.mark.parametrize("text", FAILED)
def test_what_harnesses_write_is_no_answer(text):
    assert failed_call(text) == "call_failed"
    assert failed_call([{"text": text, "image": None}]) == "call_failed"


@pytest.mark.parametrize("response", ANSWERS)
def test_what_models_write_is_one(response):
    assert failed_call(response) is None


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (None, "no_response"),
        (float("nan"), "no_response"),
        (failure.NO_RESPONSE, "no_response"),
        (failure.NOT_ANSWERED, "not_answered"),
    ],
)
def test_nothing_at_all(response, reason):
    assert failed_call(response) == reason


def test_every_reason_has_one_side():
    assert {failure.side_of(reason) for reason in failure.MODEL} == {"model"}
    assert {failure.side_of(reason) for reason in failure.CALL} == {"call"}
    assert {failure.side_of(reason) for reason in failure.JUDGE} == {"judge"}
    assert len({*failure.MODEL, *failure.UNSCORED}) == len(failure.MODEL) + len(failure.UNSCORED)
    with pytest.raises(KeyError):
        failure.side_of("bad_luck")


def test_a_failure_of_the_model_goes_with_a_score():
    made = Verdict("a", "judge", 0, failure="empty_answer")
    assert Verdict.from_json(made.to_json()) == made
    assert made.reason == "empty_answer"
    with pytest.raises(ValueError, match="is no failure of a model"):
        Verdict("a", "judge", 0, failure="call_failed")
    with pytest.raises(ValueError, match="is no failure of a model"):
        Verdict("a", "judge", None, "call_failed", failure="empty_answer")
