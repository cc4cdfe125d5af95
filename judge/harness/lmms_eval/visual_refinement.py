"""VAR in lmms-eval: the pictures of questions, refined by the model that is asked (`judge.attention.refinement`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from judge.core.condition import Condition
from judge.core.question import Question
from judge.harness.lmms_eval.run import Refusal


@dataclasses.dataclass(frozen=True)
class Refiner:
    """Makes I' of the pictures of questions, with the model of the run."""

    def refine(self, lm: Any, questions: Mapping[int, Question]) -> tuple[dict[int, Question], dict[int, str]]:
        """The questions about their refined pictures, and the files of these by position."""
        raise NotImplementedError


def refiner_for(condition: Condition, model: Any) -> Refiner | None:
    """What refines pictures where `condition` wants it. Raises Refusal for a model this cannot be done with."""
    if condition.procedure not in ("var", "cgr_var"):
        return None
    raise Refusal(f"the condition {condition.name} is not there yet")
