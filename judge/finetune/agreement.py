"""The judge in training against people: it judges answers as `mmjudge score` would, and is compared with their scores.

    measured(answers, judge(model, …, answers, …))            Measured(scores=(5, 3, None, …), …)
    .metrics()      {"pearson": {"value": 0.41, "ci_low": 0.29, …, "n": 199}, …, "unscored": {"value": 0.5, "n": 200}}
    .selected_by("pearson")   0.41

Agreement is over the answers that the judge gave a score; the share of those it gave none stands beside it. For
choosing weights, a judge that leaves more than 5% unscored, or says one number to everything, is the worst there is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from judge.core.benchmark import Profile
from judge.core.rubric import Rubric
from judge.core.scale import JUDGE_SCALE
from judge.core.score_text import parse_score
from judge.engines import Completion, EngineOptions
from judge.engines.local import LocalEngine
from judge.finetune.dataset import Judged, prompts
from judge.model.tokenizer import Tokenizer
from judge.model.weights.original_layout import Layout
from judge.validity.agreement import measure_agreement
from judge.validity.resampling import RESAMPLES, Resampling

MAX_UNSCORED = 0.05
WORST = {"mae": float(JUDGE_SCALE.span), "mse": float(JUDGE_SCALE.span**2)}
"""What no judge can be worse than; -1 for all others."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """scores: what the judge gave, None where it gave none; human, questions: of the same answers."""

    scores: tuple[int | None, ...]
    human: tuple[float, ...]
    questions: tuple[str, ...]

    def metrics(self, resamples: int = RESAMPLES) -> dict[str, dict[str, Any]]:
        """As training.json has them."""
        places = [place for place, given in enumerate(self.scores) if given is not None]
        given = [float(score) for score in self.scores if score is not None]
        human, questions = [self.human[place] for place in places], [self.questions[place] for place in places]
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


def judge(
    model: Any,
    tokenizer: Tokenizer,
    described: Layout,
    answers: Sequence[Judged],
    rubric: Rubric,
    profile: Profile,
    *,
    max_new_tokens: int,
    batch_size: int,
) -> list[int | None]:
    """The score of every answer, in order; None where the judge gives none."""
    options = EngineOptions(max_new_tokens=max_new_tokens, batch_size=batch_size)
    engine = LocalEngine(model, tokenizer, described, {}, options)
    completions: dict[int, Completion] = dict(engine.complete(prompts(answers, rubric)))

    def score(done: Completion) -> int | None:
        if done.unscored is not None:
            return None
        return parse_score(done.text or "", stopped=done.stopped, profile=profile)[0]

    return [score(completions[number]) for number in range(len(answers))]


def measured(answers: Sequence[Judged], scores: Sequence[int | None]) -> Measured:
    return Measured(tuple(scores), tuple(item.score for item in answers), tuple(item.key[0] for item in answers))
