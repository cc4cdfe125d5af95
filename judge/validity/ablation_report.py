"""What leaving a criterion out changes: scores, agreement with people, and the order of systems. All paired.

    report_ablation(judge_variants(…), human_scores)["criteria"]  ->

    {"Text quality": {"rubric": "mmjudge-without-text-quality@1a2b3c4d", "categories": ["SA", "PBL"], "n": 400,
                      "unscored": {"whole": 3, "without": 5},
                      "score": {"whole": 3.9, "without": 4.2, "change": {"value": 0.3, "ci_low": 0.2, …}, "moved": {…}},
                      "agreement": {"pearson": {"whole": 0.31, "without": 0.29, "change": {…}}, …},
                      "ranks": {"SA": {"anole-7b": {"whole": {"mean": 3.1, "rank": 2}, "without": {…},
                                                    "change": {"value": -1, "ci_low": -1, "ci_high": 0, "n": 50}}}}}}

Changes are without minus whole, over answers that both have scored, of the categories that have the criterion. What is
resampled is the question, with its answers by every model under both rubrics. A rank of 1 is the highest mean score;
equal means share the mean of their ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.human_scores import HumanScore
from judge.results.run_info import versions
from judge.validity.ablation import PACKAGES, JudgedVariant
from judge.validity.agreement import compare_agreement, measure_agreement
from judge.validity.coefficients import PAIRED
from judge.validity.pairing import AnswerKey, join_scores
from judge.validity.resampling import DEFAULT, Resampling, bootstrap_estimate

Verdicts = Mapping[str, Sequence[Verdict]]
"""Model under test → verdicts."""


def report_ablation(
    judged: Sequence[JudgedVariant], humans: Sequence[HumanScore] = (), resampling: Resampling = DEFAULT
) -> dict[str, Any]:
    """What every criterion does to a judge's scores: the content of `ablation.json`, "criteria" as above.

    judged: the whole rubric first. humans: scores of the same answers, for the change in agreement. Scores and their
    changes are in points, 0 to 6; intervals are the 95% percentile bootstrap of questions. Raises UserError where
    there are human scores and none is of an answer that the judge has scored.
    """
    whole, *others = judged
    human = _human_means(whole, humans)
    criteria = {}
    for one in others:
        found = report_criterion(whole.verdicts, one.verdicts, human, one.variant.categories, resampling)
        criteria[str(one.variant.criterion)] = {"rubric": one.variant.rubric.label, **found}
    return {
        "signature": str(whole.signature),
        "rubric": whole.variant.rubric.label,
        "models": list(whole.verdicts),
        "n": sum(map(len, whole.verdicts.values())),
        "with_human_score": len(human),
        "criteria": criteria,
        "findings": state_findings(criteria),
        "resampling": resampling.to_json(),
        "versions": versions(PACKAGES),
    }


def report_criterion(
    whole: Verdicts,
    without: Verdicts,
    human: Mapping[AnswerKey, float],
    categories: Sequence[str],
    resampling: Resampling = DEFAULT,
) -> dict[str, Any]:
    """One criterion's entry. human: mean score by people of an answer; empty where nobody scored any."""
    before, after = (_scores(side, categories) for side in (whole, without))
    both = [key for key in before if before[key] is not None and after.get(key) is not None]
    first, second = ([float(side[key] or 0) for key in both] for side in (before, after))
    change = measure_agreement(second, first, [question for question, _ in both], resampling)
    return {
        "categories": list(categories),
        "n": len(both),
        "unscored": {
            name: sum(score is None for score in side.values())
            for name, side in (("whole", before), ("without", after))
        },
        "score": {
            "whole": float(np.mean(first)) if both else None,
            "without": float(np.mean(second)) if both else None,
            "change": change["bias"].to_json(),
            "moved": change["mae"].to_json(),
        },
        "agreement": _agreement(dict(zip(both, zip(first, second, strict=True), strict=True)), human, resampling)
        if human
        else None,
        "ranks": {category: rank_changes(_table(whole, without, category), resampling) for category in categories}
        if len(whole) > 1
        else None,
    }


def rank_changes(
    table: Mapping[str, Mapping[str, tuple[float, float]]], resampling: Resampling = DEFAULT
) -> dict[str, Any]:
    """Means, in points, and ranks of systems under both rubrics. table: model → question → (whole, without).

    Empty for a table without questions. A system without a question has neither mean nor rank.
    """
    models = list(table)
    questions = sorted({name for scores in table.values() for name in scores})
    if not questions:
        return {}
    row_of = {name: row for row, name in enumerate(questions)}
    asked = np.zeros((len(questions), len(models)))
    scores = np.zeros((2, len(questions), len(models)))
    for column, model in enumerate(models):
        for name, both in table[model].items():
            asked[row_of[name], column] = 1
            scores[:, row_of[name], column] = both
    weights = np.random.default_rng(resampling.seed).multinomial(
        len(questions), np.full(len(questions), 1 / len(questions)), size=resampling.resamples
    )
    observed = _means(np.ones((1, len(questions))), scores, asked)
    order, drawn = _order(observed)[:, 0], _order(_means(weights, scores, asked))
    moves = drawn[1] - drawn[0]
    return {
        model: {
            **{
                name: {"mean": _number(observed[side, 0, column]), "rank": _number(order[side, column])}
                for side, name in enumerate(("whole", "without"))
            },
            "change": bootstrap_estimate(
                float(order[1, column] - order[0, column]),
                moves[:, column],
                int(asked[:, column].sum()),
                may_be_fixed=True,
            ).to_json(),
        }
        for column, model in enumerate(models)
    }


def state_findings(criteria: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the entries of an ablation report allow to say, a sentence each."""
    sentences = []
    for what, where in (
        ("score", ("score", "change")),
        ("correlation with people (Pearson)", ("agreement", "pearson")),
    ):
        changes = {name: _change(entry, where) for name, entry in criteria.items()}
        measured = {name: one for name, one in changes.items() if one is not None and one["ci_low"] is not None}
        moved = {name: one for name, one in measured.items() if one["ci_low"] > 0 or one["ci_high"] < 0}
        if moved:
            sentences.append(
                f"Without these the {what} changes: {_named(moved)} (of {len(measured)} measured, each at 95%: by "
                "chance, one in 20 would)."
            )
        elif measured:
            sentences.append(
                f"No criterion is shown to change the {what}: every interval includes zero ({len(measured)})."
            )
        fixed = {name: one for name, one in changes.items() if one is not None and one["ci_low"] is None}
        if same := [name for name, one in fixed.items() if not one["value"]]:
            sentences.append(f"Without these the {what} is what it was: {', '.join(same)}.")
        if unsure := {name: one for name, one in fixed.items() if one["value"]}:
            sentences.append(f"Without these the {what} changes, but no interval can be given: {_named(unsure)}.")
    for name, entry in criteria.items():
        for category, models in (entry["ranks"] or {}).items():
            swapped = {model: one for model, one in models.items() if one["change"]["value"]}
            if swapped:
                named = ", ".join(
                    f"{model} {one['whole']['rank']:g} → {one['without']['rank']:g}" for model, one in swapped.items()
                )
                sure = [model for model, one in swapped.items() if not _crosses(one["change"])]
                tail = "" if sure else " (the intervals of these moves include none)"
                sentences.append(f"Without {name}, ranks change in {category}: {named}{tail}.")
    return sentences


def _named(changes: Mapping[str, Mapping[str, Any]]) -> str:
    return ", ".join(f"{name} ({one['value']:+.2f})" for name, one in changes.items())


def _change(entry: Mapping[str, Any], where: tuple[str, str]) -> Mapping[str, Any] | None:
    part, name = where
    if entry[part] is None:
        return None
    found: Mapping[str, Any] = entry[part][name] if part == "score" else entry[part][name]["change"]
    return None if found["value"] is None else found


def _crosses(change: Mapping[str, Any]) -> bool:
    return change["ci_low"] is None or change["ci_low"] <= 0 <= change["ci_high"]


def _human_means(whole: JudgedVariant, humans: Sequence[HumanScore]) -> dict[AnswerKey, float]:
    """People's mean score of every answer that they and the judge have scored."""
    if not humans:
        return {}
    joined = join_scores(whole.verdicts, humans)
    if not joined.pairs:
        raise UserError("--humans: no answer in it has a score by the judge", fix="give the scores of these answers")
    return {pair.key: pair.human for pair in joined.pairs}


def _agreement(
    scores: Mapping[AnswerKey, tuple[float, float]], human: Mapping[AnswerKey, float], resampling: Resampling
) -> dict[str, Any]:
    """Every coefficient under both rubrics. scores: (whole, without) of an answer."""
    keys = [key for key in scores if key in human]
    questions, people = [question for question, _ in keys], [human[key] for key in keys]
    first, second = ([scores[key][side] for key in keys] for side in (0, 1))
    whole, without = (measure_agreement(side, people, questions, resampling) for side in (first, second))
    change = compare_agreement(second, first, people, questions, resampling)
    return {
        name: {"whole": whole[name].to_json(), "without": without[name].to_json(), "change": change[name].to_json()}
        for name in PAIRED
    }


def _scores(side: Verdicts, categories: Sequence[str]) -> dict[AnswerKey, int | None]:
    return {
        (verdict.id, model): verdict.score
        for model, verdicts in side.items()
        for verdict in verdicts
        if verdict.category in categories
    }


def _table(whole: Verdicts, without: Verdicts, category: str) -> dict[str, dict[str, tuple[float, float]]]:
    before, after = (_scores(side, [category]) for side in (whole, without))
    table: dict[str, dict[str, tuple[float, float]]] = {model: {} for model in whole}
    for (name, model), score in before.items():
        other = after.get((name, model))
        if score is not None and other is not None:
            table[model][name] = score, other
    return table


def _means(weights: np.ndarray, scores: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """[2, resamples, models]: means of scores [2, questions, models]; NaN where no question of a model was drawn."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.stack([weights @ side for side in scores]) / (weights @ asked)


def _order(means: np.ndarray) -> np.ndarray:
    """Ranks of the last axis, 1 for the highest; NaN where there is no mean."""
    # sums of small integers over one count: equal means are equal to the last bit
    above = (means[..., None, :] > means[..., :, None]).sum(axis=-1)
    level = (means[..., None, :] == means[..., :, None]).sum(axis=-1)
    return np.where(np.isfinite(means), 1 + above + (level - 1) / 2, np.nan)


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
