"""How often a judge prefers the answer that people chose, of two answers to one question.

    scored = match_verdicts(pairs, verdicts)             each answer judged alone: scores by answer
    outcomes = compare_scores(pairs, scored.scores)      1 where the chosen answer has the higher score, 0 where the
                                                         other has, 0.5 for a tie, None where one has no score
    accuracy(pairs, outcomes)      ->  Estimate(57.5, 54.4, 60.5, n=1000)    percent; questions are clusters
    best_of_n(pairs, scored.scores)    how often the judge's best answer to a question is people's best
    rank_systems(pairs, outcomes, …)   whether the judge puts the systems in people's order

Intervals of shares are Wilson's at the effective number of pairs (`judge.results.statistics.clustered_proportion`),
those of differences and of rank correlations percentile bootstraps of questions (`judge.validity.resampling`).
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.io.preferences import Candidate, Order, PreferencePair
from judge.results.statistics import Estimate, clustered_proportion
from judge.validity.resampling import DEFAULT, Resampling, bootstrap_estimate, estimate_coefficients

Outcomes = Sequence[float | None]
"""Of each pair: 1 right, 0 wrong, 0.5 a tie, None undecided."""
ROUNDING = 12
"""Digits in which two rates must differ for one to be the higher."""


@dataclasses.dataclass(frozen=True)
class ScoredAnswers:
    """One judge's scores, by the id of the answer.

    unscored: the reason, by answer, of those it left without a score. expected: expectations of the scores, where every
    score has probabilities. missing: answers without a verdict. signature: how was judged, None where nobody knows.
    """

    scores: Mapping[str, float]
    unscored: Mapping[str, str]
    expected: Mapping[str, float] | None
    missing: Sequence[str]
    signature: Signature | None = None


def candidates(pairs: Sequence[PreferencePair]) -> list[Candidate]:
    """Every answer of the pairs, once, in order of appearance."""
    return list({one.id: one for pair in pairs for one in (pair.a, pair.b)}.values())


def match_verdicts(
    pairs: Sequence[PreferencePair], verdicts: Sequence[Verdict], signature: Signature | None = None
) -> ScoredAnswers:
    """The verdicts on the answers of the pairs: by the answer's id, or by its key at the end of the verdict's
    (`judge.io.preferences.write_answers`). Verdicts on other answers are left alone."""
    named = {verdict.id: verdict for verdict in verdicts}
    keyed = {verdict.id.rpartition("-")[2]: verdict for verdict in verdicts}
    found = {one.id: named.get(one.id) or keyed.get(one.key) for one in candidates(pairs)}
    there = {name: verdict for name, verdict in found.items() if verdict is not None}
    scored = {name: verdict for name, verdict in there.items() if verdict.score is not None}
    expected = {name: verdict.expected for name, verdict in scored.items() if verdict.expected is not None}
    return ScoredAnswers(
        {name: float(verdict.score) for name, verdict in scored.items() if verdict.score is not None},
        {name: verdict.unscored for name, verdict in there.items() if verdict.unscored is not None},
        expected if scored and len(expected) == len(scored) else None,
        [name for name in found if found[name] is None],
        signature,
    )


def compare_scores(pairs: Sequence[PreferencePair], scores: Mapping[str, float]) -> list[float | None]:
    """The outcome of each pair where the answer with the higher score is the choice. scores: by the answer's id."""
    outcomes: list[float | None] = []
    for pair in pairs:
        a, b = scores.get(pair.a.id), scores.get(pair.b.id)
        if a is None or b is None:
            outcomes.append(None)
        else:
            outcomes.append(0.5 if a == b else float((a > b) == (pair.chosen == "A")))
    return outcomes


def accuracy(pairs: Sequence[PreferencePair], outcomes: Outcomes) -> Estimate:
    """The mean outcome of the decided pairs in percent, n their number; pairs of one question are a cluster."""
    clusters: dict[str, list[float]] = {}
    for pair, outcome in zip(pairs, outcomes, strict=True):
        if outcome is not None:
            clusters.setdefault(pair.question, []).append(outcome)
    return share_right(list(clusters.values()))


def share_right(clusters: Sequence[Sequence[float]]) -> Estimate:
    """The mean of all outcomes in percent, with the interval of a clustered proportion.

    A tie's variance is less than that of right or wrong: with ties the interval is, if anything, too wide.
    """
    right = [sum(cluster) for cluster in clusters]
    return clustered_proportion(right, [len(cluster) for cluster in clusters])


def group_accuracy(
    pairs: Sequence[PreferencePair], outcomes: Outcomes, labels: Sequence[str | None]
) -> dict[str, Estimate]:
    """The accuracy of the pairs with each label, in order of the labels' names. Those with None are left out."""
    members: dict[str, list[int]] = {}
    for number, label in enumerate(labels):
        if label is not None:
            members.setdefault(label, []).append(number)
    return {
        label: accuracy([pairs[n] for n in members[label]], [outcomes[n] for n in members[label]])
        for label in sorted(members)
    }


def systems_of(pair: PreferencePair) -> str:
    """Both systems of a pair as a label, whichever of them is shown first: "anole / emu-2"."""
    return " / ".join(sorted((pair.a.system, pair.b.system)))


def compare_accuracy(
    pairs: Sequence[PreferencePair], outcomes: Outcomes, others: Outcomes, resampling: Resampling = DEFAULT
) -> Estimate:
    """How much more accurate `outcomes` are than `others` on the pairs that both decided, in percentage points."""
    both = [
        (pair.question, one, other)
        for pair, one, other in zip(pairs, outcomes, others, strict=True)
        if one is not None and other is not None
    ]
    points = np.array([row[1:] for row in both], dtype=float).reshape(len(both), 2)

    def gain(weights: np.ndarray, cells: np.ndarray) -> dict[str, np.ndarray]:
        return {"gain": 100 * (weights @ (cells[:, 0] - cells[:, 1])) / weights.sum(axis=1)}

    return estimate_coefficients(points, [row[0] for row in both], gain, ["gain"], resampling)["gain"]


def best_of_n(pairs: Sequence[PreferencePair], scores: Mapping[str, float]) -> dict[str, Any]:
    """How often the answer that the judge scores highest is the one people like best, by how many answers there were.

    {"all": {"hits": Estimate in percent of questions, "chance": 41.2}, "2": {…}, "3": {…}}. People's best answers to a
    question have the most pairs won minus pairs lost (Copeland); of several that the judge scores alike, each counts
    its share. chance: what picking at random gets. A question with an answer that has no score is left out.
    """
    questions: dict[str, list[PreferencePair]] = {}
    for pair in pairs:
        questions.setdefault(pair.question, []).append(pair)
    rows: dict[str, list[tuple[float, float]]] = {"all": []}
    for of_question in questions.values():
        answers = [one.id for one in candidates(of_question)]
        if any(name not in scores for name in answers):
            continue
        won: Counter[str] = Counter()
        for pair in of_question:
            better, worse = (pair.a, pair.b) if pair.chosen == "A" else (pair.b, pair.a)
            won[better.id] += 1
            won[worse.id] -= 1
        best = {name for name in answers if won[name] == max(won[other] for other in answers)}
        top = [name for name in answers if scores[name] == max(scores[other] for other in answers)]
        row = sum(name in best for name in top) / len(top), len(best) / len(answers)
        rows["all"].append(row)
        rows.setdefault(str(len(answers)), []).append(row)
    return {
        name: {
            "hits": share_right([[hit] for hit, _ in some]),
            "chance": 100 * sum(chance for _, chance in some) / len(some) if some else None,
        }
        for name, some in sorted(rows.items(), key=lambda item: (item[0] != "all", len(item[0]), item[0]))
    }


def rank_systems(
    pairs: Sequence[PreferencePair],
    outcomes: Outcomes,
    scores: Mapping[str, float],
    resampling: Resampling = DEFAULT,
) -> dict[str, Any]:
    """Whether the judge puts systems in people's order, over the decided pairs of two different systems.

    {"pairs": n, "kendall_b": Estimate, "spearman": Estimate, "systems": {NAME: {"people", "judge", "pairs",
    "mean_score"}}}: shares of its pairs that a system wins, in percent, a tie half. The correlations are of these
    shares, and None for fewer than three systems.
    """
    decided = [
        (pair, outcome)
        for pair, outcome in zip(pairs, outcomes, strict=True)
        if outcome is not None and pair.a.system != pair.b.system
    ]
    names = sorted({one.system for pair, _ in decided for one in (pair.a, pair.b)})
    wins = _Wins.of(decided, names)
    ones = np.ones((1, len(decided)))
    people, judged = (100 * share[0] for share in wins.shares(ones))
    means = _mean_scores(pairs, scores)
    coefficients: dict[str, Estimate] = dict.fromkeys(("kendall_b", "spearman"), Estimate(None, None, None, len(names)))
    if len(names) > 2:
        value = _rank_correlations(*wins.shares(ones))
        drawn = _rank_correlations(*wins.shares(wins.draws(resampling)))
        coefficients = {
            name: bootstrap_estimate(float(value[name][0]), drawn[name], len(names), may_be_fixed=True)
            for name in coefficients
        }
    return {
        "pairs": len(decided),
        **coefficients,
        "systems": {
            name: {
                "people": float(people[n]),
                "judge": float(judged[n]),
                "pairs": int(wins.played[:, n].sum()),
                "mean_score": means.get(name),
            }
            for n, name in enumerate(names)
        },
    }


def _mean_scores(pairs: Sequence[PreferencePair], scores: Mapping[str, float]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for one in candidates(pairs):
        if one.id in scores:
            found.setdefault(one.system, []).append(scores[one.id])
    return {name: sum(some) / len(some) for name, some in found.items()}


@dataclasses.dataclass(frozen=True)
class _Wins:
    """Arrays [pairs, systems]: who played, who won by people, and by the judge. clusters [pairs]: question's number."""

    played: np.ndarray
    people: np.ndarray
    judge: np.ndarray
    clusters: np.ndarray

    @classmethod
    def of(cls, decided: Sequence[tuple[PreferencePair, float]], names: Sequence[str]) -> _Wins:
        played, people, judge = (np.zeros((len(decided), len(names))) for _ in range(3))
        position = {name: number for number, name in enumerate(names)}
        for row, (pair, outcome) in enumerate(decided):
            better, worse = (pair.a, pair.b) if pair.chosen == "A" else (pair.b, pair.a)
            one, other = position[better.system], position[worse.system]
            played[row, [one, other]] = 1
            people[row, one] = 1
            judge[row, one], judge[row, other] = outcome, 1 - outcome
        questions = [pair.question for pair, _ in decided]
        return cls(played, people, judge, np.unique(np.array(questions, dtype=str), return_inverse=True)[1].reshape(-1))

    def shares(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Shares of pairs won [r, systems] by people and by the judge; weights [r, pairs]. NaN without a pair."""
        with np.errstate(invalid="ignore", divide="ignore"):
            played = weights @ self.played
            return weights @ self.people / played, weights @ self.judge / played

    def draws(self, resampling: Resampling) -> np.ndarray:
        """Weights [resamples, pairs] of whole questions."""
        rng = np.random.default_rng(resampling.seed)
        number = int(self.clusters.max()) + 1
        times = rng.multinomial(number, np.full(number, 1 / number), size=resampling.resamples)
        return times[:, self.clusters].astype(float)


def _rank_correlations(one: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    """{"kendall_b", "spearman"}: [r] each, of values [r, systems]; NaN where a side is constant or has a gap."""
    signs = []
    for values in (np.round(one, ROUNDING), np.round(other, ROUNDING)):
        signs.append(np.sign(values[:, :, None] - values[:, None, :]))
    with np.errstate(invalid="ignore", divide="ignore"):
        untied = [(sign**2).sum(axis=(1, 2)) for sign in signs]
        tau = (signs[0] * signs[1]).sum(axis=(1, 2)) / np.sqrt(untied[0] * untied[1])
        # a mean rank, but for a constant: how many values are below, less how many are above
        ranks = [sign.sum(axis=2) for sign in signs]
        rho = (ranks[0] * ranks[1]).sum(axis=1) / np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    return {"kendall_b": tau, "spearman": rho}


def judge_both_orders(
    pairs: Sequence[PreferencePair], judgements: Mapping[tuple[str, Order], Literal["A", "B", "tie"]]
) -> dict[str, Any]:
    """A judge that saw both answers at once, in one order or in both: {"accuracy", "forward", "reverse", "consistency",
    "first_shown", "judgements", "missing"}, estimates in percent.

    accuracy: right judgements of all in either order, as in MMRB2's compute_accuracy.py; a tie, which is wrong there,
    counts half. consistency: pairs judged in both orders with the same choice. first_shown: of the judgements that
    chose, those that chose what was shown first. judgements, missing: how many there are, and how many pairs have none
    in an order that others have; they are left out.
    """
    right: dict[Order, list[float | None]] = {}
    orders: tuple[Order, Order] = ("forward", "reverse")
    for order in orders:
        said = [judgements.get((pair.id, order)) for pair in pairs]
        right[order] = [
            None if choice is None else 0.5 if choice == "tie" else float(choice == pair.chosen)
            for pair, choice in zip(pairs, said, strict=True)
        ]
    clusters: dict[str, list[float]] = {}
    consistent: dict[str, list[float]] = {}
    first: dict[str, list[float]] = {}
    for pair, *outcomes in zip(pairs, right["forward"], right["reverse"], strict=True):
        clusters.setdefault(pair.question, []).extend(one for one in outcomes if one is not None)
        if None not in outcomes:
            consistent.setdefault(pair.question, []).append(float(outcomes[0] == outcomes[1]))
        for order, shown in zip(orders, ("A", "B"), strict=True):
            choice = judgements.get((pair.id, order))
            if choice in ("A", "B"):
                first.setdefault(pair.question, []).append(float(choice == shown))
    return {
        "judgements": sum(map(len, clusters.values())),
        "missing": sum(outcome is None for order in {order for _, order in judgements} for outcome in right[order]),
        "accuracy": share_right(list(clusters.values())),
        **{order: accuracy(pairs, right[order]) for order in orders},
        "consistency": share_right(list(consistent.values())),
        "first_shown": share_right(list(first.values())),
    }
