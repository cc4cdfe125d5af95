"""Is the judge better than its base? Both on the answers that training never saw, against the people who scored them.

    judge_held_out(…)                                     ->  Side(scores=(5, 3, None, …), signature=…)
    compare_with_base(judge, base, held_out, "pearson")   ->  Comparison(gain=Estimate(0.41, 0.22, 0.60, n=200), …)

Better means: the 95% interval of the difference in one named coefficient, judge minus base, lies above 0 (for an
error: base minus judge). The difference is paired and its bootstrap resamples questions with all their answers
(`judge.validity.agreement.compare_agreement`).

An answer without a score counts as the mean of the scores that its judge gave: it says nothing about that answer, and
a judge gains nothing by passing over the hard ones. A correlation that is undefined for the base, because it says the
same of everything or nothing at all, counts as 0, which is what 0 means. A judge that itself says the same of
everything, or leaves more than 5% unscored, is not better, whatever an error says of it.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from judge.core.rubric import Rubric
from judge.core.scale import JUDGE_SCALE
from judge.core.signature import Signature
from judge.engines import Engine
from judge.finetune.metric import ERRORS, MAX_UNSCORED
from judge.results.statistics import Estimate
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.pipeline import judge_requests, make_signature
from judge.validity.agreement import compare_agreement, measure_agreement
from judge.validity.coefficients import PAIRED, ZERO_IS_CHANCE

if TYPE_CHECKING:
    from judge.finetune.dataset import Judged
    from judge.release.trained import Trained


@dataclasses.dataclass(frozen=True)
class Side:
    """One judge's scores of the held-out answers, in order; None and a reason where it gave none."""

    scores: tuple[int | None, ...]
    reasons: Mapping[str, int]
    signature: Signature

    @property
    def filled(self) -> list[float]:
        """The scores with their own mean in the gaps; where there is none at all, the middle of the scale."""
        given = [score for score in self.scores if score is not None]
        mean = sum(given) / len(given) if given else JUDGE_SCALE.middle
        return [mean if score is None else float(score) for score in self.scores]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Coefficients of both and of their paired differences, judge minus base.

    gain: of `metric`, so that above 0 is better whatever its direction; without interval where none can be given.
    """

    metric: str
    judge: Mapping[str, Estimate]
    base: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    gain: Estimate
    sides: Mapping[str, Side]

    @property
    def better(self) -> bool:
        """Whether the judge is shown to agree better with people than its base."""
        return not self.useless and self.gain.ci_low is not None and self.gain.ci_low > 0

    @property
    def useless(self) -> str | None:
        """Why no coefficient can make this judge better; None where one can."""
        scores = self.sides["judge"].scores
        unscored = scores.count(None)
        if unscored > MAX_UNSCORED * len(scores):
            return f"it leaves {unscored} of {len(scores)} held-out answers unscored"
        if len(set(scores) - {None}) < 2:
            return f"it says the same of all {len(scores)} held-out answers"
        return None

    def to_json(self) -> dict[str, Any]:
        """As agreement.json of a release has it."""
        tables = {"judge": self.judge, "base": self.base, "judge_minus_base": self.differences}
        unscored = {name: {"n": side.scores.count(None), "reasons": side.reasons} for name, side in self.sides.items()}
        return {
            "metric": self.metric,
            "gain": self.gain.to_json(),
            "better": self.better,
            **{name: {part: found.to_json() for part, found in table.items()} for name, table in tables.items()},
            "unscored": unscored,
            "filled": "an answer without a score counts as the mean of its judge's scores",
            "signatures": {name: str(side.signature) for name, side in self.sides.items()},
        }


def judge_held_out(trained: Trained, engine: Engine, rubric: Rubric, journal: Path) -> Side:
    """Judge every held-out answer, or take the verdict that an earlier attempt wrote into `journal`."""
    signature = make_signature(trained.benchmark, trained.questions, trained.profile, rubric, engine.identity)
    # several models answer one question, and lines of the journal differ by id
    requests = [dataclasses.replace(item.request, id=" of ".join(filter(None, item.key))) for item in trained.held_out]
    verdicts = {}
    with Journal(journal) as lines:
        grader = Grader(engine, rubric, trained.profile, signature)
        for number, verdict in judge_requests(requests, grader, lines, progress=True):
            verdicts[number] = verdict
    ordered = [verdicts[number] for number in range(len(requests))]
    reasons = Counter(verdict.unscored for verdict in ordered if verdict.unscored is not None)
    return Side(tuple(verdict.score for verdict in ordered), dict(sorted(reasons.items())), signature)


def compare_with_base(judge: Side, base: Side, held_out: Sequence[Judged], metric: str) -> Comparison:
    """Both against people's mean scores of the same answers. metric: one of `judge.finetune.metric.METRICS`."""
    human = [item.score for item in held_out]
    questions = [item.key[0] for item in held_out]
    ours, theirs = measure_agreement(judge.filled, human, questions), measure_agreement(base.filled, human, questions)
    between = compare_agreement(judge.filled, base.filled, human, questions)
    gain = between[metric]
    if metric in ERRORS:
        value, low, high = (None if x is None else -x for x in (gain.value, gain.ci_high, gain.ci_low))
        gain = Estimate(value, low, high, gain.n)
    elif theirs[metric].value is None and metric in ZERO_IS_CHANCE:
        gain = ours[metric]
    return Comparison(metric, ours, theirs, between, gain, {"judge": judge, "base": base})


def table_lines(comparison: Comparison) -> list[str]:
    """Rows for a terminal: coefficient, judge, base, difference."""
    lines = [f"{'':<18}{'this judge':>24}{'its base':>24}{'difference':>26}"]
    for name in PAIRED:
        sides = (comparison.judge[name], ""), (comparison.base[name], ""), (comparison.differences[name], "+")
        cells = [with_interval(estimate, sign) for estimate, sign in sides]
        lines.append(f"{name:<18}{cells[0]:>24}{cells[1]:>24}{cells[2]:>26}")
    counts = [side.scores.count(None) for side in comparison.sides.values()]
    lines.append(f"{'unscored':<18}{counts[0]:>24}{counts[1]:>24}")
    return lines


def conclusion(comparison: Comparison) -> str:
    """One sentence that says what was found."""
    metric, gain = comparison.metric, comparison.gain
    if comparison.useless:
        return f"not better than its base: {comparison.useless}"
    if gain.value is None:
        return f"not shown to be better than its base: the gain in {metric} is undefined"
    undefined = comparison.base[metric].value is None
    where = f"{metric}, undefined for the base and counted as 0" if undefined else metric
    if gain.ci_low is None:
        return f"not shown to be better than its base in {where}: {gain.value:+.3f}, and no interval can be given"
    shown = f"{gain.value:+.3f} [{gain.ci_low:+.3f}, {gain.ci_high:+.3f}]"
    return f"{'' if comparison.better else 'not shown to be '}better than its base in {where}: {shown}"


def with_interval(estimate: Estimate, sign: str = "") -> str:
    """ "0.41 [0.22, 0.60]", or "undefined". sign: "+" for one before positive numbers, too."""
    if estimate.value is None:
        return "undefined"
    if estimate.ci_low is None:
        return f"{estimate.value:{sign}.2f}"
    return f"{estimate.value:{sign}.2f} [{estimate.ci_low:{sign}.2f}, {estimate.ci_high:{sign}.2f}]"
