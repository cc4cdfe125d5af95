"""Intervals against scipy and statsmodels, which know nothing of ours."""

import numpy as np
import pytest
from scipy import optimize, stats
from statsmodels.regression.linear_model import OLS
from statsmodels.stats.power import TTestPower, normal_power
from statsmodels.stats.proportion import proportion_confint

from judge.core.estimate import Estimate
from judge.results.statistics import (
    EMPTY,
    Z,
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


def test_mean_by_hand():
    # 2 + 3·4 + 6 = 20 over 5; with 0 and 6 made up 26 over 7, mean square (4 + 48 + 36 + 36) / 7
    found = mean_score([0, 0, 1, 0, 3, 0, 1])
    assert (found.value, found.n) == (4.0, 5)
    half = Z * np.sqrt((124 / 7 - (26 / 7) ** 2) / (7 - Z**2))
    assert (found.ci_low, found.ci_high) == pytest.approx((26 / 7 - half, 26 / 7 + half))
    percent = mean_score([0, 0, 1, 0, 3, 0, 1], scale=100 / 6)
    assert percent.value == pytest.approx(400 / 6)
    assert percent.ci_low == pytest.approx(found.ci_low * 100 / 6)


@pytest.mark.parametrize("counts", [[1, 1, 0, 0, 0, 1, 0], [4, 9, 30, 41, 60, 38, 18], [0, 0, 0, 0, 0, 1, 299]])
def test_mean_interval_is_where_the_score_statistic_is_that_of_95_percent(counts):
    scores = np.repeat(np.arange(7.0), counts)
    with_two = np.append(scores, [0, 6])

    def beyond(true):
        moves = with_two - true
        return moves.sum() ** 2 / (moves**2).sum() - 1.959964**2

    found = mean_score(counts)
    ends = [optimize.brentq(beyond, with_two.mean(), end) for end in (-60, 60)]
    assert found.ci_low == pytest.approx(max(0, min(ends[0], scores.mean())), abs=1e-6)
    assert found.ci_high == pytest.approx(min(6, max(ends[1], scores.mean())), abs=1e-6)


@pytest.mark.parametrize(("times", "within"), [(1, 0.02), (100, 0.001)])  # 200 and 20,000 scores
def test_mean_interval_is_that_of_the_bootstrap(times, within):
    counts = [times * count for count in (4, 9, 30, 41, 60, 38, 18)]
    n = sum(counts)
    drawn = np.random.default_rng(7).multinomial(n, np.array(counts) / n, size=40_000) @ np.arange(7) / n
    found = mean_score(counts)
    # a 2.5% quantile of 40,000 draws is good to 1.3% of the standard error: 0.1 and 0.01
    assert (found.ci_low, found.ci_high) == pytest.approx(tuple(np.percentile(drawn, [2.5, 97.5])), abs=within)


@pytest.mark.parametrize("counts", [[0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 50, 0, 0, 0], [0, 0, 1, 0, 0, 0, 1]])
def test_mean_of_equal_or_few_scores_is_not_certain(counts):
    found = mean_score(counts)
    assert 0 <= found.ci_low < found.value < found.ci_high <= 6


def test_mean_of_one_score_says_nothing():
    assert mean_score([0, 0, 0, 0, 1, 0, 0]) == Estimate(4.0, 0.0, 6.0, 1)


def test_mean_of_full_marks_is_nearly_wilson():
    # where every score is 0 or 6 the mean in percent is a proportion: Wilson's interval of 70 of 70 starts at 94.80
    full, wilson = mean_score([0] * 6 + [70], scale=100 / 6), proportion(70, 70)
    assert (full.value, full.ci_high) == (wilson.value, wilson.ci_high)
    assert full.ci_low == pytest.approx(wilson.ci_low, abs=1.1)
    none = mean_score([70] + [0] * 6, scale=100 / 6)
    assert (none.ci_low, none.ci_high) == pytest.approx((0.0, 100 - full.ci_low))


@pytest.mark.parametrize("counts", [[], [0] * 7])
def test_mean_of_nothing_is_empty(counts):
    assert mean_score(counts) == EMPTY


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
