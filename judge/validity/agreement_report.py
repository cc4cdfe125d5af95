"""A judge laid against people, beside what it must beat: the content of `agreement.json`.

    {"signature": "benchmark:mmie|…|judge:…", "n": 200, "questions": 180, "models": 2, "annotators": 3,
     "overall": {"pearson": {"value": 0.11, "ci_low": -0.03, "ci_high": 0.25, "n": 200}, …},
     "categories": {"SA": {…}}, "models_under_test": {"anole-7b": {…}},
     "beside": {"constant": {"about": "…", "scale": "score", "signature": null, "coefficients": {"cosine": …},
                             "judge_minus_it": {"mse": {…}}}, "words": {…}, "base": {…}},
     "people": {"reliability": {"alpha_interval": {…}, "icc_a1": {…}}, "one": {…}, "judge": {…},
                "judge_minus_one": {…}, "annotators": {"a1": {…}}},
     "left_out": {…}, "findings": ["…"], "resampling": {"of": "questions", "resamples": 2000, "seed": 0, …}}

Where an answer has several annotators, the judge is set against their mean. "people" asks how well one of them does:
each annotator against the mean of the others, and the judge against those same means, which are less sure than the
mean of all. Whoever is compared is compared on the same answers, and differences are paired.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from judge.results.statistics import CONFIDENCE, Estimate
from judge.validity.agreement import DEFINED, RESAMPLES, agree, differences, includes_zero, reliability
from judge.validity.coefficients import ASSOCIATION, PAIRED
from judge.validity.pairing import Joined, Pair, Whose

Scale = Literal["score", "other"]
Estimates = dict[str, Estimate]
FEW = 50
"""Below so many questions, intervals of correlations are too narrow: measured, see docs/agreement.md."""

NAMES = {"pearson": "Pearson", "spearman": "Spearman", "kendall_b": "Kendall-b", "kappa_quadratic": "kappa",
         "alpha_interval": "alpha", "icc_a1": "ICC"}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Beside:
    """Scores of the same answers by something else. scale "other": not 0 to 6, so only association means anything."""

    about: str
    values: Mapping[Whose, float]
    scale: Scale = "score"
    signature: str | None = None


@dataclasses.dataclass(frozen=True)
class _Draw:
    resamples: int
    seed: int

    def agree(self, pairs: Sequence[Pair], given: Sequence[float], human: Sequence[float]) -> Estimates:
        return agree(given, human, _questions(pairs), resamples=self.resamples, seed=self.seed)

    def differences(
        self, pairs: Sequence[Pair], given: Sequence[float], other: Sequence[float], human: Sequence[float]
    ) -> Estimates:
        return differences(given, other, human, _questions(pairs), resamples=self.resamples, seed=self.seed)


def measure(
    joined: Joined,
    beside: Mapping[str, Beside],
    *,
    signature: str | None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """The content of `agreement.json`. beside: what the judge is shown beside, in the order of the table."""
    draw, pairs = _Draw(resamples, seed), joined.pairs
    overall = _judge(pairs, draw)
    content: dict[str, Any] = {
        "signature": signature,
        "n": len(pairs),
        "questions": len(set(_questions(pairs))),
        "models": len({pair.model for pair in pairs}),
        "annotators": len({name for pair in pairs for name in pair.ratings}),
        "overall": _json(overall),
        "categories": _groups(pairs, [pair.category for pair in pairs], draw),
        "models_under_test": _groups(pairs, [pair.model for pair in pairs], draw),
        "beside": {name: _beside(pairs, other, draw) for name, other in beside.items()},
        "people": _people(pairs, draw),
        "left_out": joined.left_out(),
        "resampling": {
            "method": "percentile bootstrap",
            "confidence": CONFIDENCE,
            "of": "questions, with all their answers",
            "resamples": resamples,
            "seed": seed,
            "defined": DEFINED,
        },
        "coefficients": dict(PAIRED),
    }
    return {**content, "findings": findings(content)}


def constant(pairs: Sequence[Pair]) -> Beside:
    """The mean of the human scores for every answer: no other constant has a lower squared error on them."""
    mean = math.fsum(pair.human for pair in pairs) / len(pairs) if pairs else 0.0
    return Beside(f"every answer scored {mean:.2f}, people's mean", {pair.whose: mean for pair in pairs})


def findings(content: Mapping[str, Any]) -> list[str]:
    """What the numbers allow to say, in plain words."""
    overall, n, said = content["overall"], content["n"], []
    zero = _zero(overall)
    if zero:
        said.append(
            f"By {_list(zero)}, agreement with people is not told from chance: "
            f"{'its interval includes' if len(zero) == 1 else 'their intervals include'} zero (n {n})."
        )
    below = [label for name, label in NAMES.items() if (overall[name]["ci_high"] or 0) < 0]
    if below:
        said.append(f"By {_list(below)}, the judge disagrees with people more than chance would (n {n}).")
    undefined = [NAMES.get(name, name) for name in NAMES if overall[name]["value"] is None]
    if undefined and n:
        said.append(f"Undefined, because one side's scores are all alike: {_list(undefined)}.")
    for kind, groups in (("category", content["categories"]), ("model", content["models_under_test"])):
        pearson = {name: group["pearson"] for name, group in groups.items()} if len(groups) > 1 else {}
        unshown = [name for name, one in pearson.items() if includes_zero("pearson", Estimate(**one))]
        if unshown:
            named = [f"{name} (n {pearson[name]['n']})" for name in unshown]
            said.append(f"The interval of Pearson includes zero for {kind} {_list(named)}.")
        flat = [name for name, one in pearson.items() if one["value"] is None and one["n"] > 1]
        if flat:
            said.append(f"Pearson is undefined for {kind} {_list(flat)}: one side's scores are all alike.")
    for name, other in content["beside"].items():
        said += _against(repr(name), other["judge_minus_it"], list(other["judge_minus_it"]))
    people = content["people"]
    if people is not None:
        said += _against("one person (against the mean of the others)", people["judge_minus_one"], ["pearson", "mse"])
    constant = content["beside"].get("constant")
    if constant is not None and overall["cosine"]["value"] is not None and constant["coefficients"]["cosine"]["value"]:
        said.append(
            f"Cosine is high by construction, as no score is negative: {overall['cosine']['value']:.3f} for the judge, "
            f"{constant['coefficients']['cosine']['value']:.3f} for a constant."
        )
    if 0 < content["questions"] < FEW:
        said.append(f"Only {content['questions']} questions: bootstrap intervals of fewer than {FEW} are too narrow.")
    return said


def _against(what: str, gains: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    """One sentence on Pearson and one on squared error, whichever there are."""
    said = []
    for name, better in (("pearson", 1), ("mse", -1)):
        gain = gains.get(name) if name in names else None
        if gain is None or gain["ci_low"] is None:
            continue
        words = "higher correlation (Pearson)" if name == "pearson" else "lower squared error"
        value, low, high = (f"{round(gain[part], 3) + 0.0:+.3f}" for part in ("value", "ci_low", "ci_high"))
        shift = f"{value} [{low}, {high}]"
        if gain["ci_low"] <= 0 <= gain["ci_high"]:
            said.append(f"The judge is not shown to have {words} than {what}, nor the reverse: {shift}.")
        elif (gain["ci_low"] > 0) == (better > 0):
            said.append(f"The judge has {words} than {what}: {shift}.")
        else:
            opposite = words.replace("higher", "LOWER").replace("lower", "HIGHER")
            said.append(f"The judge has {opposite} than {what}: {shift}.")
    return said


def _judge(pairs: Sequence[Pair], draw: _Draw) -> Estimates:
    return draw.agree(pairs, [pair.given for pair in pairs], [pair.human for pair in pairs])


def _groups(pairs: Sequence[Pair], labels: Sequence[str], draw: _Draw) -> dict[str, Any]:
    members: dict[str, list[Pair]] = {}
    for pair, label in zip(pairs, labels, strict=True):
        members.setdefault(label, []).append(pair)
    return {label: _json(_judge(some, draw)) for label, some in members.items()}


def _beside(pairs: Sequence[Pair], other: Beside, draw: _Draw) -> dict[str, Any]:
    common = [pair for pair in pairs if pair.whose in other.values]
    theirs, human = [float(other.values[pair.whose]) for pair in common], [pair.human for pair in common]
    found = draw.agree(common, theirs, human)
    gains = draw.differences(common, [pair.given for pair in common], theirs, human)
    names = tuple(PAIRED) if other.scale == "score" else ASSOCIATION
    return {
        "about": other.about,
        "scale": other.scale,
        "signature": other.signature,
        "coefficients": _json({name: found[name] for name in names}),
        "judge_minus_it": _json({name: gains[name] for name in names}),
    }


def _people(pairs: Sequence[Pair], draw: _Draw) -> dict[str, Any] | None:
    """Annotators among themselves, on the answers that several scored; None where none has two."""
    several = [pair for pair in pairs if len(pair.ratings) > 1]
    if not several:
        return None
    names = list(dict.fromkeys(name for pair in several for name in pair.ratings))
    # one row for every score that can be held against those of others
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
        "reliability": _json(reliability(ratings, _questions(several), resamples=draw.resamples, seed=draw.seed)),
        "one": _json(draw.agree(whole, one, others)),
        "judge": _json(draw.agree(whole, judge, others)),
        "judge_minus_one": _json(draw.differences(whole, judge, one, others)),
        "annotators": {name: _annotator([row for row in rows if row[1] == name], draw) for name in names},
    }


def _annotator(rows: Sequence[tuple[Pair, str, float, float]], draw: _Draw) -> dict[str, Any]:
    return _json(draw.agree([row[0] for row in rows], [row[2] for row in rows], [row[3] for row in rows]))


def _questions(pairs: Sequence[Pair]) -> list[str]:
    return [pair.id for pair in pairs]


def _zero(coefficients: Mapping[str, Any]) -> list[str]:
    return [
        NAMES[name] for name in NAMES if name in coefficients and includes_zero(name, Estimate(**coefficients[name]))
    ]


def _list(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _json(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.to_json() for name, estimate in estimates.items()}
