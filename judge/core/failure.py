"""What can go wrong with an answer, told apart in one table for every benchmark and every way in.

    the model failed           the worst value on the scale, with the reason beside it      Verdict.failure
    the call failed            no score: nobody knows what the model would have said        Verdict.unscored
    the judge or data failed   no score: the answer may be good                             Verdict.unscored

So nobody gains by failing, and nobody loses by a network that does. Under the `reference` profile and in metrics with
the suffix `_reference` the official scorers' own rules hold: blank answers and failure texts are answers to them.

A harness that gives up on a call writes a text in the answer's place; `failed_call` knows those of lmms-eval 0.7.3
(`api/model.py`, the image-making models, `chat/async_openai.py`) and VLMEvalKit (`api/base.py`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Literal

from judge.core.scale import JUDGE_SCALE

Side = Literal["model", "call", "judge"]
"""Who failed. "judge" stands for the judge and the data."""

MODEL: Mapping[str, str] = {
    "empty_answer": "the answer holds neither text nor picture",
    "answer_too_long": "the answer is too long for the judge",
    "image_undecodable": "a picture of the answer cannot be decoded",
    "image_address": "the answer gives an address instead of a picture",
    "video_or_folder": "the answer is a video or a folder, neither text nor picture",
}
"""Why an answer counts as the worst. The order is the order of tables."""

CALL: Mapping[str, str] = {
    "not_answered": "the question has no answer in the file",
    "no_response": "the response is null",
    "call_failed": "the harness wrote that its call failed",
}
JUDGE: Mapping[str, str] = {
    "response_damaged": "the file of predictions lost part of the response",
    "dropped_by_protocol": "the reference protocol leaves this item out",
    "image_missing": "an image of the request is not on disk",
    "image_refused": "an image is broken, too large or outside the image root",
    "request_too_long": "the question alone is too long for the judge",
    "no_score_line": "the judge's output has no score line",
    "ambiguous_score": "the score line holds no single number",
    "out_of_range": f"the score is not an integer from {JUDGE_SCALE}",
    "unreadable_reply": "the judge's reply is not the JSON object that was asked for",
    "truncated": "the judge ran into the token limit before its score",
    "no_feedback": "the replay file has no feedback for this id",
    "engine_error": "the engine failed on this request",
}
VERSION = "1"
"""Stands in every signature; a change of what counts as whose failure changes it."""

UNSCORED: Mapping[str, str] = {**CALL, **JUDGE}
"""Why an answer has no score. The order is the order of tables."""

PASSING = frozenset({"engine_error"})
"""Reasons that say nothing about the answer, only about that attempt: whoever repeats the run judges it again."""

NOT_ANSWERED, NO_RESPONSE = "[MMJUDGE_NOT_ANSWERED]", "[MMJUDGE_NO_RESPONSE]"
"""What stands for an answer that is not there, where a harness knows texts only."""

_FAILED_CALL = re.compile(
    r"\s*(?:"
    r"Fail(?:ed)? to obtain answer\b"
    r"|\[LMMS_EVAL_(?:REQUEST_FAILED|BUDGET_EXCEEDED)\b[^\]\n]{0,80}\]"
    r"|\[GENERATION_FAILED\]|\[ERROR\]"
    r"|Error: (?:Error code: \d|Connection error|Request timed out|'NoneType'|can only concatenate)"
    r"|(?:nan|NaN|<NA>|None)\s*\Z"
    r")"
)


def side_of(reason: str) -> Side:
    """Who failed, by the reason. Raises KeyError for a word that is no reason."""
    for side, reasons in (("model", MODEL), ("call", CALL), ("judge", JUDGE)):
        if reason in reasons:
            found: Side = side  # type: ignore[assignment]
            return found
    raise KeyError(reason)


def failed_call(response: object) -> str | None:
    """The reason of `CALL` where a response says that there is none: null, NaN, or a harness's failure text.

    response: as read from a file, a text or a list of parts; one part that is only a text counts as that text.
    """
    if response is None or (isinstance(response, float) and math.isnan(response)):
        return "no_response"
    if isinstance(response, list) and len(response) == 1 and isinstance(response[0], Mapping):
        part = response[0]
        response = part.get("text") if not part.get("image") else None
    if not isinstance(response, str):
        return None
    if response.strip() == NOT_ANSWERED:
        return "not_answered"
    if response.strip() == NO_RESPONSE:
        return "no_response"
    return "call_failed" if _FAILED_CALL.match(response) else None
