"""Tables on questions made up so that every number is known, and against scipy where it has the statistic."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from judge.attention.measure import Measured
from judge.attention.tables import MEASURES, shuffled, sign_flip, summarise_questions
from judge.validity.resampling import Resampling


def measured(index, kind, p_right, picture=0.3, *, id_=None, answer=0.1, system=0.2):
    """A question whose right letter A has p_right; the rest is shared by B, C and D."""

    def shares(share):
        part = {"share": share, "mean": share / 4, "peak": {"mean": share / 2, "min": 0.0, "max": share}}
        rest = {"share": 0.0, "mean": 0.0, "peak": {"mean": 0.0, "min": 0.0, "max": 0.0}}
        of_before = share / (share + system) if system else None
        return {"system": rest, "picture": part, "question": rest, "answer": None, "of_before": of_before}

    layer = {"question": shares(picture), "answer": shares(answer)}
    letters = {"A": p_right, **dict.fromkeys("BCD", (1 - p_right) / 3)}
    grid = {"rows": 1, "columns": 1, "box": [0, 0, 1, 1], "low": 0.0, "high": 1.0, "levels": "ff"}
    id_ = id_ or f"p{index // 2}"
    return Measured(index, id_, "Shape", kind, "A", letters, 0.5, {"first": layer, "last": layer}, grid)


def pairs(rows):
    """rows: (p_right and attention of the plain question, the same of the leading one)."""
    found = []
    for number, (plain, leading) in enumerate(rows):
        found += [measured(2 * number, "POS", *plain), measured(2 * number + 1, "NEG", *leading)]
    return found


ROWS = [((0.9, 0.4), (0.2, 0.1)), ((0.7, 0.5), (0.6, 0.4)), ((0.4, 0.3), (0.1, 0.2)), ((0.1, 0.2), (0.4, 0.5))]


def test_means_and_drops_are_those_computed_by_hand():
    summary = summarise_questions(pairs(ROWS))
    assert (summary.questions, summary.pairs) == (8, 4)
    # (0.9 + 0.7 + 0.4 + 0.1) / 4 and (0.2 + 0.6 + 0.1 + 0.4) / 4
    assert summary.kinds["POS"]["p_right"].value == pytest.approx(52.5)
    assert summary.kinds["NEG"]["p_right"].value == pytest.approx(32.5)
    assert summary.drops["p_right"].difference.value == pytest.approx(20)
    # right: 0.9, 0.7, 0.4 (0.2 for the others); not 0.1. Leading: 0.6 and 0.4; not 0.2 (0.27 for the others) and 0.1
    assert summary.kinds["POS"]["right"].value == 75
    assert summary.kinds["NEG"]["right"].value == 50
    # the first and the third of the three
    assert summary.misled == (2, 3)
    # p minus (1 - p) / 3, which is (4 p - 1) / 3
    assert summary.kinds["POS"]["margin"].value == pytest.approx(100 * (4 * 0.525 - 1) / 3)
    assert summary.kinds["POS"]["picture_last"].value == pytest.approx(35)
    assert summary.kinds["POS"]["picture_first_peak"].value == pytest.approx(17.5)
    assert summary.kinds["NEG"]["answer_last"].value == pytest.approx(10)
    shares = [picture / (picture + 0.2) for picture in (0.4, 0.5, 0.3, 0.2)]
    assert summary.kinds["POS"]["before_last"].value == pytest.approx(100 * np.mean(shares))
    for kind in ("POS", "NEG"):
        for name in MEASURES:
            found = summary.kinds[kind][name]
            assert found.n == 4
            if found.ci_low is not None:
                assert found.ci_low <= found.value <= found.ci_high


def test_correlations_are_those_of_scipy():
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(60):
        attention = rng.uniform(0.05, 0.6)
        # less attention, more often misled
        rows.append(((0.9, 0.5), (0.9 if rng.uniform(0, 0.6) < attention else 0.1, attention)))
    found = pairs(rows)
    summary = summarise_questions(found)
    leading = [each for each in found if each.kind == "NEG"]
    attention = [100 * each.attention["last"]["question"]["picture"]["share"] for each in leading]
    misled = [not each.is_right for each in leading]
    expected = stats.spearmanr(attention, misled).statistic
    assert expected < -0.3
    prediction = summary.predictions["picture_last"]
    assert prediction.misled.value == pytest.approx(expected)
    assert prediction.misled.n == 60
    assert prediction.misled.ci_low < expected < prediction.misled.ci_high < 0
    drops = [100 * (0.9 - each.p_right) for each in leading]
    expected = stats.spearmanr([50 - value for value in attention], drops).statistic
    assert prediction.drops.value == pytest.approx(expected)
    assert prediction.drops.ci_low < expected < prediction.drops.ci_high
    # every measure of the question's attention is the same number here; the answer's is constant
    assert summary.predictions["answer_last"].misled.value is None
    assert summary.predictions["answer_last"].p is None
    assert prediction.p <= prediction.adjusted < 0.05
    lost = sum(misled)
    assert summary.sentence().startswith(f"{lost} of 60 pairs whose plain question is right are lost")
    assert "less attention from question to picture, last layer" in summary.sentence()


def test_what_is_not_shown_is_said_to_be_not_shown():
    assert summarise_questions(pairs(ROWS)).sentence() == (
        "2 of 3 pairs whose plain question is right are lost to the leading one. No measure of attention to the picture"
        " is shown to foretell which."
    )


def test_that_all_of_six_pairs_go_one_way_foretells_nothing():
    # the three with least attention are lost: 2 of the 20 ways to choose three are so clear, p is 0.1; the interval of
    # the correlation, all of whose resamples have one sign, is no proof
    rows = [((0.9, 0.4), (0.2 if number < 3 else 0.9, 0.1 + number / 20)) for number in range(6)]
    summary = summarise_questions(pairs(rows))
    prediction = summary.predictions["picture_last"]
    assert prediction.misled.ci_high < 0
    assert prediction.p == pytest.approx(0.1, abs=0.015)
    assert summary.sentence().endswith("No measure of attention to the picture is shown to foretell which.")


def test_the_permutation_test_of_a_correlation_counts_all_orders():
    """Against all 7! of them, with ties on both sides."""
    points = np.array([[0.3, 1], [0.1, 0], [0.5, 1], [0.3, 0], [0.9, 1], [0.2, 0], [0.4, 0]])
    observed = stats.spearmanr(*points.T).statistic
    orders = itertools.permutations(points[:, 1])
    exact = np.mean([abs(stats.pearsonr(stats.rankdata(points[:, 0]), order).statistic) for order in orders]
                    >= abs(observed) - 1e-9)  # fmt: skip
    assert shuffled(points) == pytest.approx(exact, abs=0.015)
    assert shuffled(points) == shuffled(points)
    assert shuffled(np.array([[1.0, 0], [1.0, 1]])) is None
    assert shuffled(np.array([])) is None


def test_the_permutation_test_counts_all_sign_flips():
    """Against all 2^10 of them; scipy's own is the same test."""
    differences = np.array([3.0, -1.0, 4.0, 1.0, -5.0, 9.0, 2.0, 6.0, -0.5, 3.5])
    totals = [abs(np.dot(signs, differences)) for signs in itertools.product((-1, 1), repeat=10)]
    exact = np.mean([total >= abs(differences.sum()) - 1e-9 for total in totals])
    # 10,000 draws: a standard error of 0.003
    assert sign_flip(differences) == pytest.approx(exact, abs=0.012)
    assert sign_flip(differences) == sign_flip(differences)
    assert sign_flip(np.zeros(5)) == 1
    assert sign_flip(np.array([])) is None


def test_p_values_are_adjusted_for_all_measures():
    summary = summarise_questions(pairs(ROWS))
    for drop in summary.drops.values():
        assert drop.p <= drop.adjusted <= 1
    assert list(summary.drops) == list(MEASURES)


def test_a_clear_drop_is_found():
    rng = np.random.default_rng(1)
    rows = [((rng.uniform(0.6, 0.9), 0.3), (rng.uniform(0.1, 0.5), 0.3)) for _ in range(30)]
    summary = summarise_questions(pairs(rows))
    drop = summary.drops["p_right"]
    assert drop.adjusted < 0.01
    assert drop.difference.ci_low > 10


def test_questions_without_a_partner_count_in_means_only():
    found = [*pairs(ROWS), measured(8, "POS", 0.8, id_="alone"), measured(9, "POS", 0.6, id_="alone-too")]
    summary = summarise_questions(found)
    assert (summary.questions, summary.pairs) == (10, 4)
    assert summary.kinds["POS"]["p_right"].n == 6
    assert summary.drops["p_right"].difference.n == 4


def test_nothing_measured_is_no_number():
    summary = summarise_questions([])
    assert (summary.questions, summary.pairs, summary.misled) == (0, 0, (0, 0))
    assert summary.drops["p_right"].difference.value is None
    assert summary.drops["p_right"].p is None
    assert summary.predictions["picture_last"].misled.n == 0


def test_a_measure_that_is_not_there_is_left_out():
    found = pairs(ROWS)
    found[1] = measured(1, "NEG", 0.2, 0.1, system=0)
    summary = summarise_questions(found, Resampling(200, 0))
    assert summary.kinds["NEG"]["before_last"].n == 3
    assert summary.drops["before_last"].difference.n == 3
    assert summary.drops["p_right"].difference.n == 4
