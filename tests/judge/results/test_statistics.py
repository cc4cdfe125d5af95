"""Intervals against scipy and statsmodels, which know nothing of ours."""

import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.power import TTestPower, normal_power
from statsmodels.stats.proportion import proportion_confint

from judge.core.estimate import Estimate
from judge.results.statistics import (
    EMPTY,
    clustered_proportion,
    detectable,
    mean_score,
    percentile_interval,
    proportion,
    superiority,
)


@pytest.mark.parametrize(
    ("k", "n"), [(0, 1), (1, 1), (0, 22), (22, 22), (1, 31), (45, 60), (207, 300), (596, 893), (10_051, 20_103)]
)
def test_proportion_is_the_wilson_interval(k, n):
    found = proportion(k, n)
    scipy = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert found.value == pytest.approx(100 * k / n, abs=1e-12)
    assert (found.ci_low, found.ci_high) == pytest.approx((100 * scipy.low, 100 * scipy.high), abs=1e-9)
    statsmodels = proportion_confint(k, n, alpha=0.05, method="wilson")
    assert (found.ci_low, found.ci_high) == pytest.approx([100 * end for end in statsmodels], abs=1e-9)
    assert found.n == n


def test_proportion_by_hand():
    # Ovis1.6 on the CVPR edition: 596 of 893 pairs, 66.74 in the published table
    assert round(proportion(596, 893).value, 2) == 66.74
    assert proportion(3, 4, scale=1).value == 0.75
    assert (proportion(0, 5).ci_low, proportion(5, 5).ci_high) == (0.0, 100.0)  # exactly, not 1e-15 off
    assert proportion(0, 0) == EMPTY


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3), (1, 0)])
def test_proportion_refuses_what_is_none(k, n):
    with pytest.raises(ValueError, match="no proportion"):
        proportion(k, n)


def test_mean_weighs_every_question_alike():
    # SA: 2 + 3·4 = 14 over 4, PBL: 6 over 1: 20 over 5 questions, not (3.5 + 6) / 2
    found = mean_score({"SA": [0, 0, 1, 0, 3, 0, 0], "PBL": [0, 0, 0, 0, 0, 0, 1], "MSR": [0] * 7})
    assert (found.value, found.n) == (4.0, 5)
    percent = mean_score({"SA": [0, 0, 1, 0, 3, 0, 0], "PBL": [0, 0, 0, 0, 0, 0, 1]}, scale=100 / 6)
    assert percent.value == pytest.approx(400 / 6)
    assert percent.ci_low == pytest.approx(found.ci_low * 100 / 6)


def test_mean_interval_is_scipys_percentile_bootstrap():
    counts = [4, 9, 30, 41, 60, 38, 18]
    scores = np.repeat(np.arange(7), counts)
    oracle = stats.bootstrap(
        (scores,), np.mean, n_resamples=40_000, method="percentile", vectorized=True, random_state=7
    ).confidence_interval
    found = mean_score({"PBL": counts})
    # scipy's ends are random: the sd of a 2.5% quantile of 40,000 draws is 1.3% of the standard error (0.1), or 0.0013;
    # totals are integers, so ends are multiples of 1/200
    assert (found.ci_low, found.ci_high) == pytest.approx((oracle.low, oracle.high), abs=0.0101)


def test_mean_interval_is_stratified():
    # category means 0.5 and 5.5: what separates them must not widen the interval.
    # Within: variance 0.25 in both, so se = sqrt(0.25 / 400) = 0.025; unstratified it would be sqrt(6.5 / 400) = 0.127
    found = mean_score({"SA": [100, 100, 0, 0, 0, 0, 0], "PBL": [0, 0, 0, 0, 0, 100, 100]})
    assert found.value == 3.0
    assert (found.ci_low, found.ci_high) == pytest.approx((3 - 1.96 * 0.025, 3 + 1.96 * 0.025), abs=0.0025)  # 1/400


def test_mean_interval_of_three_scores_by_enumeration():
    # the 27 resamples of (0, 1, 5) have totals 0, 1 1 1, 2 2 2, 3, 5 5 5, 6 six times, 7 7 7, 10 10 10, 11 11 11, 15;
    # 2.5% of 27 is 0.675, so the first total is the lower end; 97.5% is 26.3, so the last is the upper
    totals = sorted(map(sum, itertools.product((0, 1, 5), repeat=3)))
    found = mean_score({"SA": [1, 1, 0, 0, 0, 1, 0]})
    assert (found.ci_low, found.ci_high) == (totals[0] / 3, totals[26] / 3)
    # the 4^4 resamples of (2, 2, 3, 6): 2.5% is 6.4, 97.5% is 249.6
    totals = sorted(map(sum, itertools.product((2, 2, 3, 6), repeat=4)))
    found = mean_score({"SA": [0, 0, 2, 1, 0, 0, 1]})
    assert (found.ci_low, found.ci_high) == (totals[6] / 4, totals[249] / 4)


@pytest.mark.parametrize(
    "strata",
    [
        [[4, 9, 30, 41, 60, 38, 18]],
        [[0, 0, 0, 0, 0, 1, 299]],
        [[300, 0, 0, 0, 0, 0, 1], [0, 0, 5, 0, 0, 0, 0]],
        [[52, 31, 80, 9, 12, 0, 3], [1, 0, 0, 0, 0, 0, 1], [0, 0, 0, 400, 1, 0, 0]],
    ],
)
def test_mean_interval_is_that_of_the_convolution(strata):
    # the distribution of the total, built up one draw at a time
    chances = np.ones(1)
    for counts in strata:
        for _ in range(sum(counts)):
            chances = np.convolve(chances, np.array(counts) / sum(counts))
    below = np.cumsum(chances)
    n = sum(map(sum, strata))
    found = mean_score({str(number): counts for number, counts in enumerate(strata)})
    assert round(found.ci_low * n) == np.argmax(below >= 0.025)
    assert round(found.ci_high * n) == np.argmax(below >= 0.975)


def test_mean_interval_of_the_whole_benchmark():
    # 20,103 scores: n is large enough for the normal interval, se = 1.67 / sqrt(20,103) = 0.012
    counts = {"SA": [250, 500, 750, 1000, 1250, 1000, 255], "PBL": [574, 1148, 1722, 2296, 2870, 2296, 576]}
    counts["MSR"] = [180, 360, 540, 720, 900, 720, 196]
    n, variance = 20_103, 0.0
    for row in counts.values():
        scores = np.repeat(np.arange(7), row)
        variance += len(scores) * scores.var() / n**2
    found = mean_score(counts)
    assert found.n == n
    half = 1.959964 * np.sqrt(variance)
    assert (found.ci_low, found.ci_high) == pytest.approx((found.value - half, found.value + half), abs=1e-4)


@pytest.mark.parametrize(
    "counts",
    [
        {"SA": [0, 0, 0, 1, 0, 0, 0]},
        {"SA": [0, 0, 0, 50, 0, 0, 0]},
        {"SA": [0, 0, 1, 0, 0, 0, 0], "PBL": [0] * 6 + [1]},
    ],
)
def test_mean_of_equal_scores_is_not_certain(counts):
    found = mean_score(counts)
    assert 0 <= found.ci_low < found.value < found.ci_high <= 6


def test_mean_of_full_marks_is_wilson():
    # where every score is 0 or 6 the mean in percent is a proportion
    full, wilson = mean_score({"SA": [0] * 6 + [7]}, scale=100 / 6), proportion(7, 7)
    assert (full.value, full.ci_low, full.ci_high) == pytest.approx((wilson.value, wilson.ci_low, wilson.ci_high))
    none, wilson = mean_score({"SA": [7] + [0] * 6}, scale=100 / 6), proportion(0, 7)
    assert (none.value, none.ci_low, none.ci_high) == pytest.approx((wilson.value, wilson.ci_low, wilson.ci_high))


@pytest.mark.parametrize("counts", [{}, {"SA": [0] * 7}, {"SA": [0] * 7, "PBL": [0] * 7}])
def test_mean_of_nothing_is_empty(counts):
    assert mean_score(counts) == EMPTY


def test_mean_interval_covers():
    # 400 samples of 60 scores from a skewed population with mean 2.45; the share of 95% intervals that hold it is
    # binomial with sd 1.1%, and percentile intervals at n = 60 cover a little less than 95%
    chances = np.array([0.25, 0.1, 0.15, 0.15, 0.15, 0.15, 0.05])
    truth = float(chances @ np.arange(7))
    samples = np.random.default_rng(5).multinomial(60, chances, size=400)
    covered = 0
    for counts in samples:
        found = mean_score({"SA": counts.tolist()})
        covered += found.ci_low <= truth <= found.ci_high
    assert 0.90 <= covered / 400 <= 0.98


def test_clustered_proportion_matches_statsmodels():
    rng = np.random.default_rng(2)
    asked = rng.integers(1, 6, size=80)
    right = rng.binomial(asked, rng.beta(1, 1, size=80))  # pictures differ: strong clustering
    values = np.concatenate([[1.0] * k + [0.0] * (m - k) for k, m in zip(right, asked, strict=True)])
    groups = np.repeat(np.arange(80), asked)
    n, share = len(values), values.mean()
    # OLS on a constant with clustered covariance: its standard error is the cluster-robust one of the mean (CR1;
    # statsmodels multiplies by C/(C-1) · (n-1)/(n-1))
    robust = OLS(values, np.ones(n)).fit(cov_type="cluster", cov_kwds={"groups": groups}).bse[0] ** 2
    effective = n * (share * (1 - share) / (n - 1)) / robust
    assert effective < 0.7 * n  # or this would show nothing
    low, high = proportion_confint(share * effective, effective, alpha=0.05, method="wilson")
    found = clustered_proportion(right.tolist(), asked.tolist())
    assert (found.value, found.ci_low, found.ci_high) == pytest.approx((100 * share, 100 * low, 100 * high), abs=1e-9)
    assert found.n == n


def test_clustered_proportion_at_its_ends():
    plain = proportion(13, 20)
    single = clustered_proportion([1] * 13 + [0] * 7, [1] * 20)
    assert (single.ci_low, single.ci_high) == pytest.approx((plain.ci_low, plain.ci_high), abs=1e-9)
    # 20 pictures, four questions each, all four right or all four wrong: 80 questions say as much as 20. CR1 holds
    # 20/19 · 79/80 against 4 here, so a little less
    whole = clustered_proportion([4] * 13 + [0] * 7, [4] * 20)
    assert whole.n == 80
    assert whole.value == plain.value
    assert (whole.ci_low, whole.ci_high) == pytest.approx((plain.ci_low, plain.ci_high), abs=0.6)
    # one right and one wrong about each picture: never narrower than for independent questions
    balanced, independent = clustered_proportion([1] * 10, [2] * 10), proportion(10, 20)
    assert (balanced.ci_low, balanced.ci_high) == pytest.approx((independent.ci_low, independent.ci_high))
    # nothing varies: 3 pictures are 3 pieces of evidence, not 12
    all_right = clustered_proportion([4, 4, 4], [4, 4, 4])
    assert all_right.ci_low == pytest.approx(proportion(3, 3).ci_low)
    assert clustered_proportion([], []) == EMPTY
    assert clustered_proportion([0], [0]) == EMPTY


def test_detectable_is_the_difference_with_that_power():
    # z_0.975 + z_0.8
    assert detectable(1.0) == pytest.approx(1.959964 + 0.841621, abs=1e-6)
    # statsmodels counts the far tail as well, which adds 1e-6
    assert normal_power(detectable(0.7), 1 / 0.7**2, 0.05, alternative="two-sided") == pytest.approx(0.8, abs=1e-5)
    # a t-test on 893 pairs whose differences have standard deviation 50
    effect = TTestPower().solve_power(nobs=893, alpha=0.05, power=0.8, alternative="two-sided")
    assert detectable(50 / np.sqrt(893)) == pytest.approx(50 * effect, rel=0.002)


def test_a_percentile_interval_is_the_middle_of_what_was_drawn():
    # 2.5% and 97.5% of the way from 0 to 1000
    assert percentile_interval(np.random.default_rng(0).permutation(np.arange(1001.0))) == pytest.approx((25, 975))
    assert percentile_interval(np.array([3.0])) == (3.0, 3.0)


def test_superiority_is_mann_whitney_over_all_pairs():
    above, below = [1, 0, 2, 5, 4], [3, 4, 2, 1, 0]
    scores = [np.repeat(np.arange(5), counts) for counts in (above, below)]
    found = superiority(above, below)
    # scipy's statistic counts pairs, ties half: 12 · 10 pairs
    assert found.value == pytest.approx(stats.mannwhitneyu(*scores).statistic / 120)
    assert found.n == 22
    assert 0.5 < found.ci_low < found.value < found.ci_high <= 1
    assert superiority(below, above).value == pytest.approx(1 - found.value)


def test_superiority_at_its_ends():
    assert superiority([0, 0, 3], [3, 0, 0]) == Estimate(1.0, None, None, 6)  # no resample differs
    assert superiority([0, 2], [0, 2]).value == 0.5
    assert superiority([0, 0], [1, 2]) == EMPTY
