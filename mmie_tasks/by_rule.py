"""What rules say of the answers to reasoning questions, how many they can tell, and whether the judge agrees.

    report_rule(verdicts of MSR)  ->

    {"category": "MSR", "questions": 3616, "ruled": 2900, "coverage": 80.2, "rules": {"letter": 663, "number": 1800, …},
     "exact": {"value": 53.2, "ci_low": 51.4, "ci_high": 55.0, "n": 2890},
     "judge": {"right": {"value": 4.1, …}, "wrong": {"value": 2.2, …}, "superiority": {"value": 0.81, …, "n": 2885}}}

exact: right of those a rule can tell (`mmie_tasks.exact`), in percent; answers of failed calls are none of them. judge:
its mean points, 0 to 6, of answers that are right and that are wrong, and how often a right one has more points than a
wrong one (0.5: as often as not). None of it is in the score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from judge.core.metric import Unit
from judge.core.scale import JUDGE_SCALE
from judge.core.verdict import Verdict
from judge.results.statistics import mean_score, proportion, superiority
from mmie_tasks.exact import RULES


def exact_units(verdicts: Sequence[Verdict]) -> list[Unit]:
    """A unit a verdict that a rule can tell, 1 for right; an answer of a failed call is none."""
    return [
        Unit(verdict.id, verdict.category or "", int(verdict.details["exact"]), position)
        for position, verdict in enumerate(verdicts)
        if isinstance(verdict.details.get("exact"), bool)
    ]


def report_rule(verdicts: Sequence[Verdict]) -> dict[str, Any] | None:
    """The part "by_rule" of `results.json`, see above. None where no rule can tell anything. verdicts: of MSR."""
    ruled = [verdict for verdict in verdicts if isinstance(verdict.details.get("exact"), bool)]
    if not ruled:
        return None
    right, wrong = (
        JUDGE_SCALE.histogram(verdict.score for verdict in ruled if verdict.details["exact"] is outcome)
        for outcome in (True, False)
    )
    rules = Counter(verdict.details.get("exact_rule") for verdict in ruled)
    return {
        "category": "MSR",
        "questions": len(verdicts),
        "ruled": len(ruled),
        "coverage": 100 * len(ruled) / len(verdicts),
        "rules": {rule: rules[rule] for rule in RULES if rules[rule]},
        "exact": proportion(sum(verdict.details["exact"] for verdict in ruled), len(ruled)).to_json(),
        "judge": {
            "right": mean_score(right).to_json(),
            "wrong": mean_score(wrong).to_json(),
            "superiority": superiority(right, wrong).to_json(),
        },
    }
