"""The post-stratified mean and its finite-population interval, against arithmetic by hand and against draws."""

import numpy as np
import pytest

from judge.core.estimate import EMPTY
from judge.results.statistics import Z, mean_score
from judge.results.subset_estimate import estimate_whole

A, B, C = ("SA", "x"), ("PBL", "y"), ("PBL", "z")


def interval(mean, variance, n, of):
    """With 0 and 6 made up, each times the share of the questions that was not asked."""
    made_up = 1 - n / of
    more = n + 2 * made_up
    centre = (n * mean + 6 * made_up) / more
    spread = (n * (n * variance + mean**2) + 36 * made_up) / more - centre**2
    half = Z * (spread / (more - Z**2)) ** 0.5
    return pytest.approx((max(centre - half, 0), min(centre + half, 6)))


def test_by_hand():
    # A: 2 of 100 questions, scores 2 and 4: mean 3, s² 2. B: 4 of 300, scores 1, 1, 5, 5: mean 3 ... weights 1/4, 3/4
    rows = [(A, 2), (A, 4), (B, 1), (B, 1), (B, 6), (B, 4)]
    found = estimate_whole(rows, {A: 100, B: 300})
    assert found.mean.value == pytest.approx(0.25 * 3 + 0.75 * 3)
    # s² of B: deviations -2, -2, 3, 1: 18 / 3 = 6
    variance = 0.25**2 * (1 - 2 / 100) * 2 / 2 + 0.75**2 * (1 - 4 / 300) * 6 / 4
    assert (found.mean.ci_low, found.mean.ci_high) == interval(3, variance, 6, 400)
    assert found.mean.n == 6
    assert {stratum: (weight.n, weight.of, weight.weight) for stratum, weight in found.weights.items()} == {
        A: (2, 100, 0.25), B: (4, 300, 0.75),
    }  # fmt: skip


def test_strata_count_by_their_share_of_all_questions():
    # nine answers of A and one of B, but B has nine tenths of the questions
    found = estimate_whole([(A, 6)] * 9 + [(B, 0)], {A: 10, B: 90})
    assert found.mean.value == pytest.approx(0.6)


def test_all_questions_asked_leave_no_doubt():
    rows = [(A, 1), (A, 5), (B, 3), (B, 4)]
    found = estimate_whole(rows, {A: 2, B: 2}).mean
    assert (found.value, found.ci_low, found.ci_high) == (3.25, 3.25, 3.25)


def test_what_has_no_score_gives_its_weight_to_its_category():
    # C has none: y stands for all of PBL, 400 of 500
    found = estimate_whole([(A, 6), (A, 6), (B, 2), (B, 3), (C, None)], {A: 100, B: 100, C: 300})
    assert found.weights[B].weight == pytest.approx(0.8)
    assert found.mean.value == pytest.approx(0.2 * 6 + 0.8 * 2.5)
    assert C not in found.weights
    # a whole category without a score: the rest stands for all
    rest = estimate_whole([(A, 6), (A, 4), (B, None)], {A: 100, B: 300})
    assert rest.weights[A].weight == pytest.approx(1.0)
    assert rest.mean.value == 5.0


def test_one_score_has_the_variance_of_its_category():
    # z: one score; PBL has eight that are 2 off and one that is not: s² 32 / 8. y: s² 32 / 7
    assert estimate_whole([(B, 1), (C, 3)], {B: 50, C: 50}).mean.ci_low == 0  # two scores say nothing
    found = estimate_whole([(B, 1), (B, 5)] * 4 + [(C, 3)], {B: 50, C: 50})
    variance = 0.25 * (1 - 8 / 50) * (32 / 7) / 8 + 0.25 * (1 - 1 / 50) * 4 / 1
    assert (found.mean.ci_low, found.mean.ci_high) == interval(3, variance, 9, 100)


def test_scores_all_alike_are_not_certain():
    found = estimate_whole([(A, 6)] * 10, {A: 100}).mean
    assert (found.value, found.ci_high) == (6.0, 6.0)
    assert (found.ci_low, found.ci_high) == interval(6, 0, 10, 100)
    # of many questions next to none were asked: as for the mean of those alone
    few = estimate_whole([(A, 6)] * 10, {A: 10**9}).mean
    assert few.ci_low == pytest.approx(mean_score([0] * 6 + [10]).ci_low)


def test_the_interval_stays_on_the_scale_and_nothing_is_empty():
    wide = estimate_whole([(A, 0), (A, 6)], {A: 1000}).mean
    assert (wide.ci_low, wide.ci_high) == (0, 6)
    assert estimate_whole([], {A: 5}).mean == estimate_whole([(A, None)], {A: 5}).mean == EMPTY
    assert estimate_whole([(B, 3)], {A: 5}).mean == EMPTY  # a stratum that the benchmark has not


def test_it_holds_the_mean_of_all_as_often_as_it_says():
    rng = np.random.default_rng(5)
    sizes = {A: 2000, B: 5000, C: 1000}
    shares = {A: 0.3, B: 0.6, C: 0.8}
    population = {stratum: rng.binomial(6, shares[stratum], n) for stratum, n in sizes.items()}
    truth = sum(scores.sum() for scores in population.values()) / 8000
    held, errors = [], []
    for _ in range(600):
        rows = [
            (stratum, int(score))
            for stratum, n in ((A, 50), (B, 125), (C, 25))
            for score in rng.choice(population[stratum], n, replace=False)
        ]
        found = estimate_whole(rows, sizes).mean
        held.append(found.ci_low <= truth <= found.ci_high)
        errors.append(found.value - truth)
    # binomial standard error of a coverage of 0.95 over 600 draws is 0.009
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)
    assert np.mean(errors) == pytest.approx(0, abs=0.02)


def test_the_mean_of_perfect_scores_lies_within_the_scale_and_its_interval():
    # the weights 0.1, 0.1 and 0.8 add up to a little over 1: without a limit the mean is 6.000000000000001
    of = {("A", "x"): 1, ("A", "y"): 1, ("B", "x"): 1, ("B", "y"): 7}
    found = estimate_whole([(("A", "x"), 6), (("A", "y"), 6), (("B", "x"), 6)], of).mean
    assert (found.value, found.ci_high) == (6.0, 6.0)
