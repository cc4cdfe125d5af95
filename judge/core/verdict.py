"""The narrow waist: what was decided about one answer, by the judge or by a rule.

    {"id": "PBL-2896694", "by": "judge", "category": "PBL", "score": 4, "unscored": null,
     "feedback": "…### Score\\n4", "score_probs": [0.0, 0.0, 0.05, 0.1, 0.7, 0.15, 0.0], "key": "9f2c…",
     "expected": 3.95, "entropy": 1.319}
    {"id": "attribute/number/04", "index": 272, "by": "rule", "category": "Number", "score": 0, "unscored": null,
     "details": {"letter": "B", "letter_reference": null, "type": "POS", "score_reference": 0}}

*Unscored* is a value with a reason code, never 0, never -1, never dropped. `score` is an integer on the
benchmark's scale: what a judge gives is on `JUDGE_SCALE`, a rule says 1 for right and 0 for wrong.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Literal

from judge.core.scale import JUDGE_SCALE

# Why an answer has no score. The order is the order of tables.
REASONS: Mapping[str, str] = {
    "empty_answer": "the response holds neither text nor image",
    "response_damaged": "the file of predictions lost part of the response",
    "dropped_by_protocol": "the reference protocol leaves this item out",
    "image_missing": "an image of the request is not on disk",
    "image_refused": "an image is broken, too large or outside the image root",
    "request_too_long": "the prompt exceeds the judge's window",
    "no_score_line": "the judge's output has no score line",
    "ambiguous_score": "the score line holds no single number",
    "out_of_range": f"the score is not an integer from {JUDGE_SCALE}",
    "truncated": "the judge ran into the token limit before its score",
    "no_feedback": "the replay file has no feedback for this id",
    "engine_error": "the engine failed on this request",
}

PASSING = frozenset({"engine_error"})
"""Reasons that say nothing about the answer, only about that attempt: whoever repeats the run judges it again."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One decision. Exactly one of `score` and `unscored` is None.

    score_probs: probabilities of the scores of `JUDGE_SCALE` at the score position, where the engine gives them; they,
    `expected` and `entropy` are never part of the official number. details: what a benchmark adds (extracted letter,
    field, …), JSON values only. index: position in the dataset. key: content address of request and signature (see
    `judge.scoring.journal`).
    """

    id: str
    by: Literal["rule", "judge"]
    score: int | None
    unscored: str | None = None
    category: str | None = None
    index: int | None = None
    feedback: str | None = None
    score_probs: tuple[float, ...] | None = None
    details: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    key: str | None = None

    def __post_init__(self) -> None:
        if (self.score is None) == (self.unscored is None):
            raise ValueError(f"verdict {self.id}: give either a score or a reason, not both and not neither")
        if self.unscored is not None and self.unscored not in REASONS:
            raise ValueError(f"verdict {self.id}: unknown reason {self.unscored!r}")

    @property
    def stands(self) -> bool:
        """Whether it is about the answer. One that only says how an attempt failed makes way for another attempt."""
        return self.unscored not in PASSING

    @property
    def expected(self) -> float | None:
        """The expectation of `score_probs`, in points, to four digits."""
        probs = self.score_probs
        return None if probs is None else round(math.fsum(score * share for score, share in enumerate(probs)), 4)

    @property
    def entropy(self) -> float | None:
        """The entropy of `score_probs` in bits, from 0 (sure) to log2(7) = 2.81, to four digits."""
        probs = self.score_probs
        return None if probs is None else round(math.fsum(p * math.log2(1 / p) for p in probs if p > 0), 4)

    def to_json(self) -> dict[str, Any]:
        """The line of `verdicts.jsonl`, without fields that have no value; `score` and `unscored` are always there."""
        # not dataclasses.asdict, which copies the parts of every part: most of what a line of the journal would cost
        row = {**vars(self), "details": dict(self.details), "expected": self.expected, "entropy": self.entropy}
        always = {"id", "by", "score", "unscored"}
        return {name: value for name, value in row.items() if name in always or value not in (None, {})}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Verdict:
        """The verdict of a line that `to_json` wrote; other keys are left alone.

        Raises TypeError where a field is missing, ValueError for an unknown reason (see `judge.io.verdicts`).
        """
        known = {field.name for field in dataclasses.fields(cls)}
        values = {name: value for name, value in row.items() if name in known}
        if values.get("score_probs") is not None:
            values["score_probs"] = tuple(values["score_probs"])
        return cls(**values)
