"""The judge in training against people: it judges answers as `mmjudge score` would, and is compared with their scores.

    compare_with_people(answers, scores)          Measured(scores=(5, 3, None, …), …)
    .metrics()      {"pearson": {"value": 0.41, "ci_low": 0.29, …, "n": 199}, …, "unscored": {"value": 0.5, "n": 200}}
    .selected_by("pearson")   0.41

Agreement is over the answers that the judge gave a score; the share of those it gave none stands beside it. For
choosing weights, a judge that leaves more than `MAX_UNSCORED` unscored, or says one number to everything, is the worst
there is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from judge.core.scale import JUDGE_SCALE
from judge.finetune.dataset import Judged
from judge.finetune.metric import MAX_UNSCORED
from judge.validity.agreement import measure_agreement
from judge.validity.resampling import RESAMPLES, Resampling

WORST = {"mae": float(JUDGE_SCALE.span), "mse": float(JUDGE_SCALE.span**2)}
"""What no judge can be worse than; -1 for all others."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """scores: what the judge gave, None where it gave none; human, questions: of the same answers."""

    scores: tuple[int | None, ...]
    human: tuple[float, ...]
    questions: tuple[str, ...]

    def metrics(self, resamples: int = RESAMPLES) -> dict[str, dict[str, Any]]:
        """As training.json has them. resamples: of the bootstrap; 0 for values without intervals."""
        scored = [number for number, score in enumerate(self.scores) if score is not None]
        given = [float(score) for score in self.scores if score is not None]
        human, questions = [self.human[number] for number in scored], [self.questions[number] for number in scored]
        estimates = measure_agreement(given, human, questions, Resampling(resamples))
        found: dict[str, dict[str, Any]] = {name: estimate.to_json() for name, estimate in estimates.items()}
        n = len(self.scores)
        found["unscored"] = {"value": 100 * (n - len(given)) / n if n else None, "n": n}
        return found

    def selected_by(self, metric: str) -> float:
        """The metric as a number to choose weights by; always finite."""
        value = self.metrics(resamples=0)[metric]["value"]
        too_many = self.scores.count(None) > MAX_UNSCORED * len(self.scores)
        return WORST.get(metric, -1.0) if value is None or too_many else float(value)


def compare_with_people(answers: Sequence[Judged], scores: Sequence[int | None]) -> Measured:
    """A judge's scores of answers, in their order, beside what people gave them."""
    return Measured(tuple(scores), tuple(item.score for item in answers), tuple(item.key[0] for item in answers))
