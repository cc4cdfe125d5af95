"""Scores that people gave to answers: what a judge is trained on and measured against.

One JSON object a line. A line is one annotator's score of one answer; who answered and who scored are names.

    {"id": "PBL-2896694", "model": "anole-7b", "annotator": "a1", "score": 4,
     "response": [{"text": "Step 2: pour.", "image": "anole/1.png"}],
     "criteria": {"Text quality": 1, "Image quality": 0}, "feedback": "The second picture shows a closed lid."}

`response` may be left out where only agreement is wanted, `criteria` and `feedback` always. Questions are not repeated
here: `id` names one of the benchmark's, and image paths lie below the file's folder or a declared root, as in
`responses.jsonl`. The points of `criteria` add up: a criterion that can only take off has -1 or 0.

    {"id": "PBL-2896694", "model": "anole-7b", "annotator": "a1", "undo": true}

takes the annotator's score of that answer back, so that a file which is only ever appended to (`mmjudge annotate`) can
be corrected.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.core.benchmark import Answer
from judge.core.scale import JUDGE_SCALE
from judge.errors import UserError
from judge.io import responses
from judge.io.jsonl import Position, read_objects

Who = tuple[str, str, str]
"""id, model, annotator: of these three there is one score."""


@dataclasses.dataclass(frozen=True)
class HumanScore:
    """score: by one annotator, from one end of `JUDGE_SCALE` to the other, a whole number or a mean of several.

    answer: None where the line has no response. where: file and line, for messages.
    """

    id: str
    model: str
    annotator: str
    score: float
    answer: Answer | None = None
    criteria: Mapping[str, float] = dataclasses.field(default_factory=dict)
    feedback: str | None = None
    where: str = ""

    @property
    def who(self) -> Who:
        """What there is one score of: id, model, annotator."""
        return self.id, self.model, self.annotator


def read_human_scores(file: str | Path, image_root: str | Path | None = None) -> list[HumanScore]:
    """The scores in `file`, in its order. Raises UserError with line and field for what is not as above, and for an
    annotator who scores the same answer twice."""
    scores = list(read_standing_scores(file, image_root).values())
    if not scores:
        raise UserError("holds no scores", file=file)
    return scores


def read_standing_scores(file: str | Path, image_root: str | Path | None = None) -> dict[Who, HumanScore]:
    """The scores in `file` that were not taken back, in its order; as `read_human_scores`, but there may be none."""
    path = Path(file)
    root = Path(image_root) if image_root is not None else path.absolute().parent
    scores: dict[Who, HumanScore] = {}
    for position, row in read_objects(path):
        if row.get("undo") is True:
            scores.pop(_who(row, position), None)
            continue
        score = _score(row, position, root)
        if score.who in scores:
            before = scores[score.who].where.rpartition(": ")[2]
            raise position.error(f"{score.annotator!r} scored this answer before, in {before}")
        scores[score.who] = score
    return scores


def _who(row: dict[str, Any], position: Position) -> Who:
    name = position.text(row, "id")
    model, annotator = (
        position.text(row, field) if row.get(field) is not None else "" for field in ("model", "annotator")
    )
    return name, model, annotator


def _score(row: dict[str, Any], position: Position, root: Path) -> HumanScore:
    name, model, annotator = _who(row, position)
    score = _number(row.get("score"), "score", position)
    if not JUDGE_SCALE.covers(score):
        raise position.error(f"is {score:g}, outside {JUDGE_SCALE}", field="score")
    criteria = row.get("criteria") or {}
    if not isinstance(criteria, dict):
        raise position.error('is not an object {"Text quality": 1, …}', field="criteria")
    feedback = row.get("feedback")
    if not isinstance(feedback, str | None):
        raise position.error("is not text", field="feedback")
    answer = responses.parse_answer(row, position, root) if "response" in row else None
    named = {key: _number(value, f"criteria: {key}", position) for key, value in criteria.items()}
    return HumanScore(name, model, annotator, score, answer, named, feedback or None, str(position))


def _number(value: object, field: str, position: Position) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise position.error("is not a number", field=field)
    return value
