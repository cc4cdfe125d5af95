"""What leaving a criterion out changes: scores, agreement with people, and the order of systems. All paired.

    {"Text quality": {"categories": ["SA", "PBL"], "rubric": "mmjudge-without-text-quality@1a2b3c4d", "n": 400,
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
from judge.results.statistics import CONFIDENCE, EMPTY, Estimate
from judge.validity.agreement import DEFINED, RESAMPLES, agree, differences
from judge.validity.coefficients import PAIRED
from judge.validity.pairing import Whose

Verdicts = Mapping[str, Sequence[Verdict]]
"""Model under test → verdicts."""


def effect(
    whole: Verdicts,
    without: Verdicts,
    human: Mapping[Whose, float],
    categories: Sequence[str],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Any]:
    """One criterion's entry. human: mean score by people of an answer; empty where nobody scored any."""
    before, after = (_scores(side, categories) for side in (whole, without))
    both = [whose for whose in before if before[whose] is not None and after.get(whose) is not None]
    first, second = ([float(side[whose] or 0) for whose in both] for side in (before, after))
    change = agree(second, first, [name for name, _ in both], resamples=resamples, seed=seed)
    scored = [place for place, whose in enumerate(both) if whose in human]
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
        "agreement": _agreement(
            [first[place] for place in scored],
            [second[place] for place in scored],
            [human[both[place]] for place in scored],
            [both[place][0] for place in scored],
            resamples,
            seed,
        )
        if human
        else None,
        "ranks": {
            category: ranks(_table(whole, without, category), resamples=resamples, seed=seed) for category in categories
        }
        if len(whole) > 1
        else None,
    }


def ranks(
    table: Mapping[str, Mapping[str, tuple[float, float]]], *, resamples: int = RESAMPLES, seed: int = 0
) -> dict[str, Any]:
    """Means and ranks of systems under both rubrics. table: model → question → (whole, without)."""
    models = list(table)
    questions = sorted({name for scores in table.values() for name in scores})
    if not questions:
        return {}
    places = {name: place for place, name in enumerate(questions)}
    asked = np.zeros((len(questions), len(models)))
    scores = np.zeros((2, len(questions), len(models)))
    for column, model in enumerate(models):
        for name, both in table[model].items():
            asked[places[name], column] = 1
            scores[:, places[name], column] = both
    weights = np.random.default_rng(seed).multinomial(
        len(questions), np.full(len(questions), 1 / len(questions)), size=resamples
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
            "change": _move(order[1, column] - order[0, column], moves[:, column], int(asked[:, column].sum())),
        }
        for column, model in enumerate(models)
    }


def findings(criteria: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the numbers allow to say, in plain words."""
    said = []
    for what, where in (
        ("score", ("score", "change")),
        ("correlation with people (Pearson)", ("agreement", "pearson")),
    ):
        changes = {name: _change(entry, where) for name, entry in criteria.items()}
        measured = {name: one for name, one in changes.items() if one is not None and one["ci_low"] is not None}
        moved = {name: one for name, one in measured.items() if one["ci_low"] > 0 or one["ci_high"] < 0}
        if moved:
            said.append(
                f"Without these the {what} changes: {_named(moved)} (of {len(measured)} measured, each at 95%: by "
                "chance, one in 20 would)."
            )
        elif measured:
            said.append(f"No criterion is shown to change the {what}: every interval includes zero ({len(measured)}).")
        fixed = {name: one for name, one in changes.items() if one is not None and one["ci_low"] is None}
        if same := [name for name, one in fixed.items() if not one["value"]]:
            said.append(f"Without these the {what} is what it was: {', '.join(same)}.")
        if unsure := {name: one for name, one in fixed.items() if one["value"]}:
            said.append(f"Without these the {what} changes, but no interval can be given: {_named(unsure)}.")
    for name, entry in criteria.items():
        for category, models in (entry["ranks"] or {}).items():
            swapped = {model: one for model, one in models.items() if one["change"]["value"]}
            if swapped:
                named = ", ".join(
                    f"{model} {one['whole']['rank']:g} → {one['without']['rank']:g}" for model, one in swapped.items()
                )
                sure = [model for model, one in swapped.items() if not _crosses(one["change"])]
                tail = "" if sure else " (the intervals of these moves include none)"
                said.append(f"Without {name}, systems change places in {category}: {named}{tail}.")
    return said


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


def _agreement(
    first: Sequence[float],
    second: Sequence[float],
    human: Sequence[float],
    questions: Sequence[str],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    one, other = (agree(side, human, questions, resamples=resamples, seed=seed) for side in (first, second))
    change = differences(second, first, human, questions, resamples=resamples, seed=seed)
    return {
        name: {"whole": one[name].to_json(), "without": other[name].to_json(), "change": change[name].to_json()}
        for name in PAIRED
    }


def _scores(side: Verdicts, categories: Sequence[str]) -> dict[Whose, int | None]:
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


def _move(value: float, draws: np.ndarray, n: int) -> dict[str, Any]:
    if not np.isfinite(value):
        return EMPTY.to_json()
    defined = draws[np.isfinite(draws)]
    if len(defined) < DEFINED * len(draws):
        return Estimate(float(value), None, None, n).to_json()
    low, high = np.percentile(defined, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return Estimate(float(value), float(low), float(high), n).to_json()


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
