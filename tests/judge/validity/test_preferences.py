"""Accuracy on pairs, best of n and ranks of systems, against arithmetic by hand and scipy."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from judge.core.benchmark import Answer
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.pairs import Pairs
from judge.io.preferences import Candidate, PreferencePair
from judge.results.statistics import clustered_proportion, proportion
from judge.validity.preference_report import report_preferences
from judge.validity.preferences import (
    accuracy,
    best_of_n,
    compare_accuracy,
    compare_scores,
    group_accuracy,
    judge_both_orders,
    match_verdicts,
    rank_systems,
    systems_of,
)
from judge.validity.resampling import Resampling

FEW = Resampling(resamples=400)


def pair(number, chosen="A", question=None, systems=("m", "n"), answers=None, source=None):
    a, b = answers or (f"{number}a", f"{number}b")
    return PreferencePair(
        f"p{number}", question or f"q{number}", Candidate(a, systems[0]), Candidate(b, systems[1]), chosen, source
    )


PAIRS = [pair(1), pair(2), pair(3, "B"), pair(4, "B"), pair(5)]
SCORES = {"1a": 5, "1b": 3, "2a": 2, "2b": 4, "3a": 1, "3b": 6, "4a": 3, "4b": 3, "5a": 4}


def test_the_higher_score_is_the_choice_and_a_tie_counts_half():
    outcomes = compare_scores(PAIRS, SCORES)
    assert outcomes == [1, 0, 1, 0.5, None]
    found = accuracy(PAIRS, outcomes)
    assert (found.value, found.n) == (62.5, 4)  # (1 + 0 + 1 + 0.5) / 4


def test_pairs_of_one_question_are_a_cluster():
    alone = [pair(n) for n in range(20)]
    outcomes = [1.0] * 12 + [0.0] * 8
    assert accuracy(alone, outcomes) == proportion(12, 20)
    # five questions of four pairs: three all right, two all wrong
    together = [pair(n, question=f"q{n // 4}") for n in range(20)]
    found = accuracy(together, outcomes)
    assert found == clustered_proportion([4, 4, 4, 0, 0], [4] * 5)
    assert found.ci_high - found.ci_low > 1.5 * (proportion(12, 20).ci_high - proportion(12, 20).ci_low)


def test_accuracy_by_label():
    pairs = [pair(1, source="x"), pair(2, source="y"), pair(3, source="x"), pair(4)]
    found = group_accuracy(pairs, [1, 0, 0, 1], [each.source for each in pairs])
    assert {name: (one.value, one.n) for name, one in found.items()} == {"x": (50.0, 2), "y": (0.0, 1)}
    assert systems_of(pair(1, systems=("n", "m"))) == systems_of(pair(1, systems=("m", "n"))) == "m / n"


def test_verdicts_are_found_by_the_answers_id_or_by_its_key():
    first, second = PAIRS[0].a, PAIRS[0].b
    probs = (0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.0)
    verdicts = [
        Verdict(f"PBL-{first.key}", "judge", 4, category="PBL", score_probs=probs),
        Verdict(second.id, "judge", None, "truncated"),
        Verdict("PBL-other", "judge", 1, category="PBL"),
    ]
    found = match_verdicts(PAIRS[:2], verdicts)
    assert found.scores == {"1a": 4}
    assert found.unscored == {"1b": "truncated"}
    assert found.missing == ["2a", "2b"]
    assert found.expected == {"1a": 3.5}
    assert match_verdicts(PAIRS[:1], [Verdict("1a", "judge", 4), Verdict("1b", "judge", 3)]).expected is None


def test_a_difference_is_paired():
    pairs = [pair(n) for n in range(40)]
    ours, theirs = [1.0] * 30 + [0.0] * 10, [1.0] * 20 + [0.0] * 20
    found = compare_accuracy(pairs, ours, theirs, FEW)
    assert (found.value, found.n) == (25.0, 40)  # ten of forty gained
    # the bootstrap of a share of 10 in 40
    assert (found.ci_low, found.ci_high) == pytest.approx((12.5, 40.0), abs=4)
    assert compare_accuracy(pairs, [None] * 40, theirs, FEW).n == 0


def test_best_of_n_by_hand():
    # q: three answers, x over y, y over z, x over z: x is people's best. r: two answers that people cannot tell, each
    # won once against a third
    rows = [
        pair(1, "A", "q", answers=("x", "y")), pair(2, "A", "q", answers=("y", "z")),
        pair(3, "A", "q", answers=("x", "z")),
        pair(4, "A", "r", answers=("s", "u")), pair(5, "A", "r", answers=("t", "u")),
        pair(6, "B", "w", answers=("k", "l")),
    ]  # fmt: skip
    scores = {"x": 3, "y": 3, "z": 1, "s": 2, "t": 1, "u": 5, "k": 4, "l": 5}
    found = best_of_n(rows, scores)
    # q: x and y are alike, x is best: half; r: u is best for the judge: none; w: l: whole
    assert (found["all"]["hits"].value, found["all"]["hits"].n) == (50.0, 3)
    assert found["all"]["chance"] == pytest.approx(100 * (1 / 3 + 2 / 3 + 1 / 2) / 3)
    assert (found["2"]["hits"].value, found["3"]["hits"].value, found["3"]["hits"].n) == (100.0, 25.0, 2)
    assert list(found) == ["all", "2", "3"]
    # without a score for one answer its question is left out
    assert best_of_n(rows, {name: score for name, score in scores.items() if name != "z"})["all"]["hits"].n == 2
    assert best_of_n([], {})["all"]["chance"] is None


def tournament(seed, judge):
    """Five systems, each pair of them 12 times; a system wins by its place, and by the judge's place of it."""
    rng = np.random.default_rng(seed)
    rows, outcomes = [], []
    for number, (one, other) in enumerate(itertools.combinations("abcde", 2)):
        for turn in range(12):
            chosen = "A" if rng.random() < 0.5 + 0.1 * ("abcde".index(other) - "abcde".index(one)) else "B"
            rows.append(pair(f"{number}-{turn}", chosen, question=f"q{number}-{turn // 2}", systems=(one, other)))
            outcomes.append(judge(rng, chosen))
    return rows, outcomes


@pytest.mark.parametrize("seed", range(4))
def test_ranks_are_scipys(seed):
    rows, outcomes = tournament(seed, lambda rng, chosen: float(rng.choice([0, 0.5, 1])))
    found = rank_systems(rows, outcomes, {}, FEW)
    people, judge = ([found["systems"][name][side] for name in "abcde"] for side in ("people", "judge"))
    assert found["kendall_b"].value == pytest.approx(stats.kendalltau(people, judge).statistic)
    assert found["spearman"].value == pytest.approx(stats.spearmanr(people, judge).statistic)
    assert found["kendall_b"].ci_low <= found["kendall_b"].value <= found["kendall_b"].ci_high
    assert sum(people) / 5 == pytest.approx(50.0)  # every system plays as often: what one wins another loses
    assert {one["pairs"] for one in found["systems"].values()} == {48}


def test_a_judge_that_is_always_right_has_peoples_order():
    rows, outcomes = tournament(1, lambda rng, chosen: 1.0)
    found = rank_systems(rows, outcomes, {}, FEW)
    assert found["kendall_b"].value == found["spearman"].value == pytest.approx(1.0)
    wrong = rank_systems(rows, [0.0] * len(rows), {}, FEW)
    assert wrong["kendall_b"].value == pytest.approx(-1.0)
    for name in "abcde":
        assert wrong["systems"][name]["judge"] == pytest.approx(100 - wrong["systems"][name]["people"])


def test_pairs_of_one_system_and_two_systems_rank_nothing():
    same = [pair(1, systems=("m", "m")), pair(2, systems=("m", "m"))]
    found = rank_systems(same, [1, 0], {"1a": 4}, FEW)
    assert (found["pairs"], found["systems"], found["kendall_b"].value) == (0, {}, None)
    two = rank_systems(PAIRS, compare_scores(PAIRS, SCORES), SCORES, FEW)
    assert (two["pairs"], two["kendall_b"].value) == (4, None)
    # m wins pairs 1 and 2 and loses 3 and 4 by people; by the judge 1 to 0, 0 to 1, 0 to 1, a tie
    assert (two["systems"]["m"]["people"], two["systems"]["m"]["judge"]) == (50.0, 37.5)
    assert two["systems"]["m"]["mean_score"] == 3.0  # (5 + 2 + 1 + 3 + 4) / 5


def test_both_orders_by_hand():
    rows = [pair(1), pair(2, "B"), pair(3), pair(4)]
    said = {
        ("p1", "forward"): "A", ("p1", "reverse"): "A",    # right twice, consistent; shown first, then second
        ("p2", "forward"): "A", ("p2", "reverse"): "B",    # wrong, right; always what was shown first
        ("p3", "forward"): "tie", ("p3", "reverse"): "tie",  # half twice, consistent
        ("p4", "forward"): "B",                            # wrong, one order only
    }  # fmt: skip
    found = judge_both_orders(rows, said)
    assert (found["judgements"], found["accuracy"].value, found["accuracy"].n) == (7, pytest.approx(400 / 7), 7)
    assert (found["forward"].value, found["forward"].n) == (37.5, 4)  # (1 + 0 + 0.5 + 0) / 4
    assert (found["reverse"].value, found["reverse"].n) == (pytest.approx(250 / 3), 3)  # (1 + 1 + 0.5) / 3
    assert (found["consistency"].value, found["consistency"].n) == (pytest.approx(200 / 3), 3)
    # of five choices p1 forward, p2 forward and p2 reverse are of what was shown first
    assert (found["first_shown"].value, found["first_shown"].n) == (60.0, 5)
    assert judge_both_orders(rows, {})["accuracy"].n == 0
    assert found["missing"] == 1  # p4 in reverse
    assert judge_both_orders(rows, {})["missing"] == 0


class Clip:
    """Stands for `judge.validity.baselines.ClipScore`: as many points as letters, and none without a space."""

    name = "models/clip"

    def __call__(self, answer):
        return float(len(answer.response)) if " " in answer.response else None


def worded(number, a, b, chosen):
    sides = []
    for side, text in (("m", a), ("n", b)):
        name = f"{number}{side}"
        sides.append(Candidate(name, side, Answer(name, None, text, Path())))
    return PreferencePair(f"p{number}", f"q{number}", *sides, chosen)


def test_clipscore_is_a_baseline_where_it_has_a_value():
    pairs = [worded(1, "a b c", "a b", "A"), worded(2, "a b c", "a b", "B"), worded(3, "a b", "word", "A")]
    given = Pairs(pairs, "pairs.jsonl@0123", Path())
    scored = match_verdicts(pairs, [Verdict("1m", "judge", 4), Verdict("1n", "judge", 3)])
    report = report_preferences(given, {"mine": scored}, clip=Clip(), resampling=FEW)
    clip = report["baselines"]["clipscore"]
    assert (clip["accuracy"]["value"], clip["accuracy"]["n"], clip["undecided"]) == (50.0, 2, 1)
    assert clip["about"] == "the higher CLIPScore by clip"
    # the one pair that both decided: right by both
    assert (clip["judge_minus_it"]["mine"]["value"], clip["judge_minus_it"]["mine"]["n"]) == (0.0, 1)
    assert report["published"] is None
    with pytest.raises(UserError, match="--clip: no pair has two answers"):
        report_preferences(Pairs([worded(1, "x", "y", "A")], "p", Path()), {}, clip=Clip(), resampling=FEW)


def test_pairs_without_answers_have_no_baselines_of_answers():
    report = report_preferences(Pairs(PAIRS, "p", Path()), {}, resampling=FEW)
    assert list(report["baselines"]) == ["constant", "first"]
    assert (report["judges"], report["findings"]) == ({}, [])
    assert report["baselines"]["constant"]["accuracy"] == {"value": 50.0, "ci_low": 50.0, "ci_high": 50.0, "n": 5}


def test_a_judge_that_is_worse_than_a_coin_or_a_baseline_is_told_so():
    pairs = [worded(n, "long answer", "short", "A") for n in range(60)]
    wrong = match_verdicts(
        pairs, [Verdict(f"{n}{side}", "judge", score) for n in range(60) for side, score in (("m", 1), ("n", 5))]
    )
    said = report_preferences(Pairs(pairs, "p", Path()), {"mine": wrong}, resampling=FEW)["findings"]
    assert "mine chooses as people do LESS often than a coin: 0.0% (n 60)." in said
    good = match_verdicts(
        pairs, [Verdict(f"{n}{side}", "judge", score) for n in range(60) for side, score in (("m", 5), ("n", 1))]
    )
    assert report_preferences(Pairs(pairs, "p", Path()), {"mine": good}, resampling=FEW)["findings"] == []
