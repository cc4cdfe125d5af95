"""The narrow waist: what was decided about one answer, by the judge or by a rule.

    {"id": "PBL-2896694", "by": "judge", "category": "PBL", "score": 4, "unscored": null,
     "feedback": "…### Score\\n4", "score_probs": [0.0, 0.0, 0.05, 0.1, 0.7, 0.15, 0.0], "key": "9f2c…",
     "expected": 3.95, "entropy": 1.319}
    {"id": "attribute/number/04", "index": 272, "by": "rule", "category": "Number", "score": 0, "unscored": null,
     "details": {"letter": "B", "letter_reference": null, "type": "POS", "score_reference": 0}}
    {"id": "SA-17", "by": "judge", "score": 0, "unscored": null, "category": "SA", "failure": "empty_answer"}

*Unscored* is a value with a reason code, never 0, never -1, never dropped; where the model itself failed, the score is
the worst there is, and `failure` says why (`judge.core.failure`). `score` is an integer on the benchmark's scale: what
a judge gives is on `JUDGE_SCALE`, a rule says 1 for right and 0 for wrong.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any, Literal

from judge.core.failure import MODEL, PASSING, UNSCORED
from judge.core.secrets import hide_secrets


@dataclasses.dataclass(frozen=True)
class Verdict:
    """One decision. Exactly one of `score` and `unscored` is None; `failure` goes with a score.

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
    failure: str | None = None

    def __post_init__(self) -> None:
        if (self.score is None) == (self.unscored is None):
            raise ValueError(f"verdict {self.id}: give either a score or a reason, not both and not neither")
        if self.unscored is not None and self.unscored not in UNSCORED:
            raise ValueError(f"verdict {self.id}: unknown reason {self.unscored!r}")
        if self.failure is not None and (self.failure not in MODEL or self.score is None):
            raise ValueError(f"verdict {self.id}: {self.failure!r} is no failure of a model that has a score")

    @property
    def reason(self) -> str | None:
        """What went wrong, if anything: why there is no score, or why it is the worst."""
        return self.failure or self.unscored

    @property
    def stands(self) -> bool:
        """Whether it is about the answer. One that only says how an attempt failed makes way for another attempt."""
        return self.unscored not in PASSING

    @functools.cached_property
    def expected(self) -> float | None:
        """The expectation of `score_probs`, in points, to four digits."""
        probs = self.score_probs
        return None if probs is None else round(math.fsum(score * share for score, share in enumerate(probs)), 4)

    @functools.cached_property
    def entropy(self) -> float | None:
        """The entropy of `score_probs` in bits, from 0 (sure) to log2(7) = 2.81, to four digits."""
        probs = self.score_probs
        return None if probs is None else round(math.fsum(p * math.log2(1 / p) for p in probs if p > 0), 4)

    def to_json(self) -> dict[str, Any]:
        """The line of `verdicts.jsonl`, without fields that have no value; `score` and `unscored` are always there.

        A note may quote what a server or a library said: secrets in it are hidden.
        """
        # not dataclasses.asdict, which copies the parts of every part: most of what a line of the journal would cost
        row = {name: getattr(self, name) for name in self.__dataclass_fields__}
        row |= {"details": dict(self.details), "expected": self.expected, "entropy": self.entropy}
        if isinstance(note := self.details.get("note"), str):
            row["details"]["note"] = hide_secrets(note)
        always = {"id", "by", "score", "unscored"}
        return {name: value for name, value in row.items() if name in always or value not in (None, {})}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Verdict:
        """The verdict of a line that `to_json` wrote; other keys are left alone.

        Raises TypeError where a field is missing, ValueError for an unknown reason (see `judge.io.verdicts`).
        """
        values = {name: value for name, value in row.items() if name in cls.__dataclass_fields__}
        if values.get("score_probs") is not None:
            values["score_probs"] = tuple(values["score_probs"])
        return cls(**values)
