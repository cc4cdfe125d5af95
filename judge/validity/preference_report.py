"""The preference report: how often judges choose as people did, and what that must be compared with.

report_preferences(read_pairs("pairs.jsonl"), {"mine": match_verdicts(pairs, verdicts, signature)})  ->

{"pairs": {"n": 1000, "questions": 807, "answers": 1964, "systems": 6, "source": "pairs.jsonl@8f71e0d69981"},
 "judges": {"mine": {"signature": "benchmark:mmie|…", "accuracy": {"value": 63.5, "ci_low": 60.3, …},
                     "ties": {"n": 210, "rate": 0.21}, "undecided": {"n": 4, "reasons": {"no_score_line": 4}},
                     "bounds": {"undecided_wrong": 63.2, "undecided_right": 63.6},
                     "expected": {"accuracy": {…}, "ties": {…}} | null,
                     "by": {"source": {…}, "systems": {…}, "difference": {"0": {…}, "1": {…}}},
                     "best_of_n": {…}, "systems": {…}}},
 "pairwise": {"other": {"accuracy": {…}, "forward": {…}, "reverse": {…}, "consistency": {…}, …}},
 "baselines": {"constant": {"about": "…", "accuracy": {…}, "undecided": 0, "judge_minus_it": {"mine": {…}}}, …},
 "published": {…} | null, "findings": ["…"], "resampling": {…}}
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from judge.core.benchmark import Answer
from judge.errors import UserError
from judge.io.pairs import Pairs
from judge.io.preferences import Order, PreferencePair
from judge.results.statistics import Estimate
from judge.validity.baselines import ClipScore, count_pictures, count_words
from judge.validity.preferences import (
    Outcomes,
    ScoredAnswers,
    accuracy,
    best_of_n,
    candidates,
    compare_accuracy,
    compare_scores,
    group_accuracy,
    judge_both_orders,
    rank_systems,
    systems_of,
)
from judge.validity.resampling import DEFAULT, Resampling

PUBLISHED = Path(__file__).with_name("published_preferences.json")
COIN = 50.0
"""Percent that choosing at random gets."""
Said = Mapping[tuple[str, Order], Literal["A", "B", "tie"]]


def report_preferences(
    given: Pairs,
    judges: Mapping[str, ScoredAnswers],
    *,
    pairwise: Mapping[str, Said] | None = None,
    clip: ClipScore | None = None,
    resampling: Resampling = DEFAULT,
) -> dict[str, Any]:
    """The content of `preferences.json`, see above; accuracies are percent.

    judges: scores of single answers, by the judge's name. pairwise: judgements on both answers at once, by the name of
    another judge. clip: CLIPScore, as a baseline. Raises UserError where CLIPScore is defined for no answer.
    """
    pairs = given.pairs
    outcomes = {name: compare_scores(pairs, scored.scores) for name, scored in judges.items()}
    content: dict[str, Any] = {
        "pairs": {
            "n": len(pairs),
            "questions": len({pair.question for pair in pairs}),
            "answers": len(candidates(pairs)),
            "systems": len({one.system for one in candidates(pairs)}),
            "source": given.source,
        },
        "judges": {name: _scores(pairs, scored, outcomes[name], resampling) for name, scored in judges.items()},
        "pairwise": {name: judge_both_orders(pairs, said) for name, said in (pairwise or {}).items()},
        "baselines": {
            name: {
                "about": about,
                "accuracy": accuracy(pairs, theirs) if name != "constant" else Estimate(COIN, COIN, COIN, len(pairs)),
                "undecided": sum(one is None for one in theirs),
                "judge_minus_it": {
                    judge: compare_accuracy(pairs, own, theirs, resampling) for judge, own in outcomes.items()
                },
            }
            for name, (about, theirs) in _baselines(pairs, clip).items()
        },
        "published": json.loads(PUBLISHED.read_text(encoding="utf-8")) if given.of_mmrb2 else None,
        "resampling": resampling.to_json(),
    }
    plain: dict[str, Any] = _json(content)
    return {**plain, "findings": state_findings(plain)}


def _scores(
    pairs: Sequence[PreferencePair], scored: ScoredAnswers, outcomes: Outcomes, resampling: Resampling
) -> dict[str, Any]:
    gaps = [
        None if None in (a := (scored.scores.get(pair.a.id), scored.scores.get(pair.b.id))) else str(_gap(a))
        for pair in pairs
    ]
    decided = [one for one in outcomes if one is not None]
    undecided = len(outcomes) - len(decided)
    right = 100 * sum(decided) / len(outcomes) if outcomes else None
    expected = None
    if scored.expected is not None:
        by_expectation = compare_scores(pairs, scored.expected)
        expected = {"accuracy": accuracy(pairs, by_expectation), "ties": _ties(by_expectation)}
    return {
        "signature": None if scored.signature is None else str(scored.signature),
        "accuracy": accuracy(pairs, outcomes),
        "ties": _ties(outcomes),
        "undecided": {"n": undecided, "reasons": _reasons(pairs, scored)},
        "bounds": {
            "undecided_wrong": right,
            "undecided_right": None if right is None else right + 100 * undecided / len(outcomes),
        },
        "expected": expected,
        "by": {
            "source": group_accuracy(pairs, outcomes, [pair.source for pair in pairs]),
            "systems": group_accuracy(pairs, outcomes, [systems_of(pair) for pair in pairs]),
            "difference": group_accuracy(pairs, outcomes, gaps),
        },
        "best_of_n": best_of_n(pairs, scored.scores),
        "systems": rank_systems(pairs, outcomes, scored.scores, resampling),
    }


def _gap(scores: tuple[float | None, float | None]) -> int:
    """The whole points between both scores."""
    a, b = scores
    assert a is not None
    assert b is not None
    return round(abs(a - b))


def _ties(outcomes: Outcomes) -> dict[str, Any]:
    decided = [one for one in outcomes if one is not None]
    ties = sum(one == 0.5 for one in decided)
    return {"n": ties, "rate": ties / len(decided) if decided else None}


def _reasons(pairs: Sequence[PreferencePair], scored: ScoredAnswers) -> dict[str, int]:
    """Why pairs are undecided: of each the reason of its first answer without a score."""
    found: Counter[str] = Counter()
    for pair in pairs:
        lacking = [one.id for one in (pair.a, pair.b) if one.id not in scored.scores]
        if lacking:
            found[scored.unscored.get(lacking[0], "no verdict")] += 1
    return dict(sorted(found.items()))


def _baselines(pairs: Sequence[PreferencePair], clip: ClipScore | None) -> dict[str, tuple[str, Outcomes]]:
    """name → (what it is, outcomes); those of answers only where the pairs hold them."""
    found: dict[str, tuple[str, Outcomes]] = {
        "constant": ("every answer scored alike: all pairs are ties", [0.5] * len(pairs)),
        "first": ("always the answer called A", [float(pair.chosen == "A") for pair in pairs]),
    }
    if any(one.answer is not None for one in candidates(pairs)):
        found["words"] = ("the answer with more words", _measured(pairs, count_words))
        found["pictures"] = ("the answer with more pictures", _measured(pairs, count_pictures))
    if clip is not None:
        scored = _measured(pairs, clip)
        if all(one is None for one in scored):
            raise UserError("--clip: no pair has two answers with both a picture that can be read and text")
        found["clipscore"] = (f"the higher CLIPScore by {Path(clip.name).name}", scored)
    return found


def _measured(pairs: Sequence[PreferencePair], measure: Callable[[Answer], float | None]) -> Outcomes:
    values = {one.id: measure(one.answer) for one in candidates(pairs) if one.answer is not None}
    return compare_scores(pairs, {name: value for name, value in values.items() if value is not None})


def state_findings(content: Mapping[str, Any]) -> list[str]:
    """What the numbers of a preference report allow to say, a sentence each."""
    sentences = []
    for name, judge in content["judges"].items():
        sentences += _against_coin(name, judge["accuracy"])
        if judge["ties"]["rate"]:
            sentences.append(
                f"{name}: {judge['ties']['n']} pairs ({100 * judge['ties']['rate']:.1f}%) are ties and count half."
            )
        for other, baseline in content["baselines"].items():
            gain = baseline["judge_minus_it"][name]
            if other != "constant" and gain["ci_low"] is not None:
                shift = f"{gain['value']:+.1f} points [{gain['ci_low']:+.1f}, {gain['ci_high']:+.1f}]"
                if gain["ci_low"] <= 0 <= gain["ci_high"]:
                    sentences.append(f"{name} is not shown to differ from {other!r} ({baseline['about']}): {shift}.")
                elif gain["ci_high"] < 0:
                    sentences.append(f"{name} is WORSE than {other!r} ({baseline['about']}): {shift}.")
    for name, judge in content["pairwise"].items():
        sentences += _against_coin(name, judge["accuracy"])
        if judge["missing"]:
            asked = judge["judgements"] + judge["missing"]
            sentences.append(
                f"{name}: {judge['missing']} of {asked} judgements are missing or unreadable, and left out."
            )
        shown = judge["first_shown"]
        if shown["value"] is not None and not shown["ci_low"] <= COIN <= shown["ci_high"]:
            side = "first" if shown["value"] > COIN else "second"
            sentences.append(f"{name} prefers what is shown {side}: the first in {shown['value']:.1f}% of its choices.")
    if content["published"] is not None and content["judges"]:
        sentences.append(
            "The published judges saw both answers at once, yours each answer alone: side by side, not compared."
        )
    return sentences


def _against_coin(name: str, estimate: Mapping[str, Any]) -> list[str]:
    if estimate["value"] is None or estimate["ci_low"] > COIN:
        return []
    if estimate["ci_high"] < COIN:
        return [f"{name} chooses as people do LESS often than a coin: {estimate['value']:.1f}% (n {estimate['n']})."]
    return [f"{name} is not shown to choose better than a coin: {estimate['value']:.1f}% (n {estimate['n']})."]


def _json(value: Any) -> Any:
    """Estimates anywhere inside as JSON objects."""
    if isinstance(value, Estimate):
        return dataclasses.asdict(value)
    if isinstance(value, dict):
        return {name: _json(inner) for name, inner in value.items()}
    return value
