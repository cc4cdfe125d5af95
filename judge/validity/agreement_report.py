"""The agreement report: how well a judge agrees with people, and what that must be compared with.

    report_agreement(JudgeVerdicts({"anole-7b": read_run("out/anole-7b").verdicts}), human_scores)  ->

    {"signature": "benchmark:mmie|…|judge:…", "n": 200, "questions": 180, "models": 2, "annotators": 3,
     "overall": {"pearson": {"value": 0.11, "ci_low": -0.03, "ci_high": 0.25, "n": 200}, …},
     "categories": {"SA": {…}}, "models_under_test": {"anole-7b": {…}},
     "beside": {"constant": {"about": "…", "scale": "score", "signature": null, "coefficients": {"cosine": …},
                             "judge_minus_it": {"mse": {…}}}, "words": {…}, "base": {…}},
     "people": {"reliability": {"alpha_interval": {…}, "icc_a1": {…}}, "one": {…}, "judge": {…},
                "judge_minus_one": {…}, "annotators": {"a1": {…}}},
     "left_out": {…}, "findings": ["…"], "resampling": {"of": "questions", "resamples": 2000, "seed": 0, …}}

Where people scored criteria, "criteria" has the same coefficients for every criterion that the judge gives points for,
by its name. "beside" holds the baselines (`judge.validity.baselines`). Where an answer has several annotators, the
judge is compared with their mean. "people" is the human ceiling: how well one annotator agrees with the mean of the
others, and the judge with those same means, which are less sure than the mean of all. Whoever is compared is compared
on the same answers, and differences are paired.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

from judge.io.human_scores import HumanScore
from judge.results.criteria import NONE_GIVEN
from judge.results.remarks import listed
from judge.results.statistics import Estimate
from judge.validity.agreement import compare_agreement, includes_zero, measure_agreement, measure_reliability
from judge.validity.baselines import Baseline, ClipScore, collect_baselines
from judge.validity.coefficients import ASSOCIATION, PAIRED
from judge.validity.pairing import JudgeVerdicts, Pair, join_scores
from judge.validity.resampling import DEFAULT, DEFINED, Resampling

Estimates = dict[str, Estimate]
FEW_QUESTIONS = 50
"""Below so many questions, intervals of correlations are too narrow: measured, see docs/agreement.md."""

NAMES = {"pearson": "Pearson", "spearman": "Spearman", "kendall_b": "Kendall-b", "kappa_quadratic": "kappa",
         "alpha_interval": "alpha", "icc_a1": "ICC"}  # fmt: skip


def report_agreement(
    judged: JudgeVerdicts,
    humans: Sequence[HumanScore],
    *,
    others: Mapping[str, JudgeVerdicts] | None = None,
    clip: ClipScore | None = None,
    resampling: Resampling = DEFAULT,
) -> dict[str, Any]:
    """How well verdicts agree with human scores of the same answers: the content of `agreement.json`, see above.

    Answers are joined by question and model under test; what only one side has is counted in "left_out". Scores, bias
    and errors are in points, 0 to 6; intervals are the 95% percentile bootstrap of questions. others: further judges
    by name, as baselines. clip: CLIPScore, as a baseline. Where no answer has both scores
    "n" is 0 and every value None. Raises UserError as `judge.validity.baselines.collect_baselines` does.
    """
    joined = join_scores(judged.verdicts, humans)
    pairs = joined.pairs
    comparing = _Comparing(resampling)
    content: dict[str, Any] = {
        "signature": None if judged.signature is None else str(judged.signature),
        "n": len(pairs),
        "questions": len(set(_questions(pairs))),
        "models": len({pair.model for pair in pairs}),
        "annotators": len({name for pair in pairs for name in pair.ratings}),
        "overall": _json(comparing.judge(pairs)),
        "categories": comparing.groups(pairs, [pair.category for pair in pairs]),
        "models_under_test": comparing.groups(pairs, [pair.model for pair in pairs]),
        "beside": {
            name: comparing.baseline(pairs, baseline)
            for name, baseline in collect_baselines(joined, others or {}, clip).items()
        },
        "people": comparing.human_ceiling(pairs),
        "left_out": joined.left_out(),
        "resampling": {**resampling.to_json(), "defined": DEFINED},
        "coefficients": dict(PAIRED),
    }
    if any(pair.people_points for pair in pairs):
        content["criteria"] = comparing.criteria(pairs)
    return {**content, "findings": state_findings(content)}


def state_findings(content: Mapping[str, Any]) -> list[str]:
    """What the numbers of an agreement report allow to say, a sentence each."""
    overall, n = content["overall"], content["n"]
    sentences: list[str] = []
    zero = _zero(overall)
    if zero:
        sentences.append(
            f"By {listed(zero)}, agreement with people is not shown to differ from chance: "
            f"{'its interval includes' if len(zero) == 1 else 'their intervals include'} zero (n {n})."
        )
    below = [label for name, label in NAMES.items() if (overall[name]["ci_high"] or 0) < 0]
    if below:
        sentences.append(f"By {listed(below)}, the judge disagrees with people more than chance would (n {n}).")
    undefined = [NAMES.get(name, name) for name in NAMES if overall[name]["value"] is None]
    if undefined and n:
        sentences.append(f"Undefined, because one side's scores are all alike: {listed(undefined)}.")
    for kind, groups in (("category", content["categories"]), ("model", content["models_under_test"])):
        pearson = {name: group["pearson"] for name, group in groups.items()} if len(groups) > 1 else {}
        unshown = [name for name, one in pearson.items() if includes_zero("pearson", Estimate(**one))]
        if unshown:
            named = [f"{name} (n {pearson[name]['n']})" for name in unshown]
            sentences.append(f"The interval of Pearson includes zero for {kind} {listed(named)}.")
        flat = [name for name, one in pearson.items() if one["value"] is None and one["n"] > 1]
        if flat:
            sentences.append(f"Pearson is undefined for {kind} {listed(flat)}: one side's scores are all alike.")
    for name, other in content["beside"].items():
        sentences += _compared(repr(name), other["judge_minus_it"])
    if content["people"] is not None:
        ceiling = "the human ceiling (one annotator against the mean of the others)"
        sentences += _compared(ceiling, content["people"]["judge_minus_one"])
    if content.get("criteria") == {}:
        sentences.append(f"People gave points for single criteria; {NONE_GIVEN} that they scored.")
    constant = content["beside"].get("constant")
    if constant is not None and overall["cosine"]["value"] is not None and constant["coefficients"]["cosine"]["value"]:
        sentences.append(
            f"Cosine is high by construction, as no score is negative: {overall['cosine']['value']:.3f} for the judge, "
            f"{constant['coefficients']['cosine']['value']:.3f} for a constant."
        )
    if 0 < content["questions"] < FEW_QUESTIONS:
        sentences.append(
            f"Only {content['questions']} questions: bootstrap intervals of fewer than {FEW_QUESTIONS} are too narrow."
        )
    return sentences


def _compared(what: str, gains: Mapping[str, Any]) -> list[str]:
    """One sentence on Pearson and one on squared error, whichever there are."""
    sentences = []
    for name, better in (("pearson", 1), ("mse", -1)):
        gain = gains.get(name)
        if gain is None or gain["ci_low"] is None:
            continue
        words = "higher correlation (Pearson)" if name == "pearson" else "lower squared error"
        value, low, high = (f"{round(gain[part], 3) + 0.0:+.3f}" for part in ("value", "ci_low", "ci_high"))
        shift = f"{value} [{low}, {high}]"
        if gain["ci_low"] <= 0 <= gain["ci_high"]:
            sentences.append(f"The judge is not shown to have {words} than {what}, nor the reverse: {shift}.")
        elif (gain["ci_low"] > 0) == (better > 0):
            sentences.append(f"The judge has {words} than {what}: {shift}.")
        else:
            opposite = words.replace("higher", "LOWER").replace("lower", "HIGHER")
            sentences.append(f"The judge has {opposite} than {what}: {shift}.")
    return sentences


@dataclasses.dataclass(frozen=True)
class _Comparing:
    """Parts of the report, all drawn alike: questions with all their answers."""

    resampling: Resampling

    def agreement(self, pairs: Sequence[Pair], given: Sequence[float], human: Sequence[float]) -> Estimates:
        return measure_agreement(given, human, _questions(pairs), self.resampling)

    def judge(self, pairs: Sequence[Pair]) -> Estimates:
        return self.agreement(pairs, [pair.given for pair in pairs], [pair.human for pair in pairs])

    def gains(
        self, pairs: Sequence[Pair], given: Sequence[float], other: Sequence[float], human: Sequence[float]
    ) -> Estimates:
        return compare_agreement(given, other, human, _questions(pairs), self.resampling)

    def groups(self, pairs: Sequence[Pair], labels: Sequence[str]) -> dict[str, Any]:
        members: dict[str, list[Pair]] = {}
        for pair, label in zip(pairs, labels, strict=True):
            members.setdefault(label, []).append(pair)
        return {label: _json(self.judge(some)) for label, some in members.items()}

    def baseline(self, pairs: Sequence[Pair], baseline: Baseline) -> dict[str, Any]:
        common = [pair for pair in pairs if pair.key in baseline.values]
        theirs, human = [float(baseline.values[pair.key]) for pair in common], [pair.human for pair in common]
        found = self.agreement(common, theirs, human)
        gains = self.gains(common, [pair.given for pair in common], theirs, human)
        names = tuple(PAIRED) if baseline.scale == "score" else ASSOCIATION
        return {
            "about": baseline.about,
            "scale": baseline.scale,
            "signature": baseline.signature,
            "coefficients": _json({name: found[name] for name in names}),
            "judge_minus_it": _json({name: gains[name] for name in names}),
        }

    def criteria(self, pairs: Sequence[Pair]) -> dict[str, Any]:
        """Agreement on every criterion that both gave points for; names count in any case."""
        found: dict[str, list[tuple[Pair, int, float]]] = {}
        for pair in pairs:
            people = {name.casefold(): points for name, points in pair.people_points.items()}
            for name, points in (pair.points or {}).items():
                if name.casefold() in people:
                    found.setdefault(name, []).append((pair, points, people[name.casefold()]))
        return {
            name: _json(self.agreement([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows]))
            for name, rows in found.items()
        }

    def human_ceiling(self, pairs: Sequence[Pair]) -> dict[str, Any] | None:
        """Annotators among themselves, on the answers that several scored; None where none has two."""
        several = [pair for pair in pairs if len(pair.ratings) > 1]
        if not several:
            return None
        names = list(dict.fromkeys(name for pair in several for name in pair.ratings))
        # one row for every score that can be compared with those of others
        rows = [
            (pair, name, score, math.fsum([*pair.ratings.values(), -score]) / (len(pair.ratings) - 1))
            for pair in several
            for name, score in pair.ratings.items()
        ]
        whole, _, one, others = (list(column) for column in zip(*rows, strict=True))
        judge = [pair.given for pair in whole]
        ratings = [[pair.ratings.get(name) for name in names] for pair in several]
        return {
            "answers": len(several),
            "reliability": _json(measure_reliability(ratings, _questions(several), self.resampling)),
            "one": _json(self.agreement(whole, one, others)),
            "judge": _json(self.agreement(whole, judge, others)),
            "judge_minus_one": _json(self.gains(whole, judge, one, others)),
            "annotators": {name: self.annotator([row for row in rows if row[1] == name]) for name in names},
        }

    def annotator(self, rows: Sequence[tuple[Pair, str, float, float]]) -> dict[str, Any]:
        return _json(self.agreement([row[0] for row in rows], [row[2] for row in rows], [row[3] for row in rows]))


def _questions(pairs: Sequence[Pair]) -> list[str]:
    return [pair.id for pair in pairs]


def _zero(coefficients: Mapping[str, Any]) -> list[str]:
    return [
        NAMES[name] for name in NAMES if name in coefficients and includes_zero(name, Estimate(**coefficients[name]))
    ]


def _json(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.to_json() for name, estimate in estimates.items()}
