"""Paired differences against scipy and statsmodels, computed there unit by unit."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from judge.core.metric import Ratio, Unit
from judge.results.paired import Difference, difference_of, differences, join_units
from judge.results.statistics import Estimate, detectable

PP, PN, NP, NN = range(4)
RA = Ratio((1, 0, 0, 0), (1, 1, 1, 1))
MR = Ratio((0, 1, 0, 0), (1, 1, 0, 0), higher_is_better=False)
POS = Ratio((1, 1, 0, 0), (1, 1, 1, 1))
PAIRS = {"RA": RA, "MR": MR, "POS": POS}
SCORES = {"score": Ratio(tuple(range(7)), (1,) * 7, scale=100 / 6), "mean": Ratio(tuple(range(7)), (1,) * 7, scale=1)}

# 300 pairs of two correlated runs: [outcome in the first, outcome in the second]
PAIR_COUNTS = np.array([[150, 14, 3, 4], [31, 40, 1, 6], [5, 1, 6, 2], [7, 9, 2, 19]])


def outcomes(counts):
    """The same units one by one: two arrays of outcomes."""
    first, second = np.nonzero(counts)
    times = counts[first, second]
    return np.repeat(first, times), np.repeat(second, times)


def mr(found):
    return 100 * (found == PN).sum(axis=-1) / ((found == PN) | (found == PP)).sum(axis=-1)


def score_counts():
    rng = np.random.default_rng(11)
    first = rng.integers(0, 7, size=250)
    second = np.clip(first + rng.choice([-2, -1, 0, 0, 1, 1, 2], size=250), 0, 6)
    counts = np.zeros((7, 7), dtype=int)
    np.add.at(counts, (first, second), 1)
    return counts


def share_counts(wins, losses, n):
    """Of n units, those right in the second run alone and in the first alone."""
    return np.array([[n - wins - losses, wins], [losses, 0]])


def scored_by_units(first, second, metric, d):
    """(difference - d)² over its variance if the true difference were d: the definition, unit by unit."""
    above, below = np.array(metric.numerator, dtype=float), np.array(metric.denominator, dtype=float)
    gains = (above[second] - above[first])[(below[first] > 0) & (below[second] > 0)]
    gains = gains[gains != 0]
    whole = above.max() - above.min()
    step = math.sqrt(np.mean([*gains**2, whole**2]))
    runs = [
        (np.append(above[run], made_up), np.append(below[run], [1, 1]))
        for run, made_up in ((first, [0, step]), (second, [step, 0]))
    ]
    (above_1, below_1), (above_2, below_2) = runs
    # the ratio r of the first run, if that of the second is r + d: (Σ above_1 + Σ above_2 - d Σ below_2) / Σ both
    r = (above_1.sum() + above_2.sum() - d * below_2.sum()) / (below_1.sum() + below_2.sum())
    moves = (above_2 - (r + d) * below_2) / below_2.sum() - (above_1 - r * below_1) / below_1.sum()
    return moves.sum() ** 2 / (moves**2).sum()


def small_tables():
    """Every table of up to 4 units whose outcomes are those of pairs."""
    cells = list(itertools.product(range(4), repeat=2))
    for n in range(1, 5):
        for chosen in itertools.combinations_with_replacement(cells, n):
            counts = np.zeros((4, 4), dtype=int)
            for cell in chosen:
                counts[cell] += 1
            yield counts


def agree(found):
    """Whether p and interval of a `Difference` say the same."""
    excluded = found.difference.ci_low > 0 or found.difference.ci_high < 0
    return (found.p < 0.05) == excluded and (
        found.difference.ci_low <= found.difference.value <= found.difference.ci_high
    )


def test_pairs_by_hand():
    overall, categories = differences({"Color": PAIR_COUNTS}, PAIRS)
    ra, wrong, pos = overall["RA"], overall["MR"], overall["POS"]
    # first run: rows 171, 78, 14, 37; second run: columns 193, 64, 12, 31
    assert ra.difference.value == pytest.approx(100 * (193 - 171) / 300)
    assert wrong.difference.value == pytest.approx(100 * (64 / (193 + 64) - 78 / (171 + 78)))
    assert pos.difference.value == pytest.approx(100 * (257 - 249) / 300)
    # to PP: 31 + 5 + 7 = 43; away from it: 14 + 3 + 4 = 21; the other 236 stay
    assert (ra.wins, ra.losses, ra.ties) == (43, 21, 236)
    assert ra.p == pytest.approx(2 * stats.norm.sf((43 - 21) / math.sqrt(43 + 21 + 2)))
    assert ra.p == pytest.approx(statsmodels_mcnemar([[150, 21], [43, 86]], exact=True).pvalue, abs=0.002)
    # misled or not, of the 150 + 14 + 31 + 40 = 235 whose positive question both have right; to be misled is a loss
    assert (wrong.wins, wrong.losses, wrong.ties) == (31, 14, 190)
    # positive right in the second alone: 5 + 1 + 7 + 9 = 22, in the first alone: 3 + 4 + 1 + 6 = 14
    assert (pos.wins, pos.losses, pos.ties) == (22, 14, 264)
    assert all(found.difference.n == 300 for found in overall.values())
    assert set(categories) == {"Color"}


def test_share_by_hand():
    # 12 won, 3 lost of 20; with one more of each: difference 9/22, variance if it were d: (17 - 18 d + 22 d²) / 22²
    found = difference_of(share_counts(12, 3, 20), Ratio((0, 1), (1, 1), scale=1))
    assert found.difference.value == pytest.approx(9 / 20)
    assert found.p == pytest.approx(2 * stats.norm.sf(9 / math.sqrt(17)))
    # (9/22 - d)² = 1.96² ((9/22 - d)² + 17/22 - (9/22)²) / 22
    half = 1.959964 * math.sqrt((17 / 22 - (9 / 22) ** 2) / (22 - 1.959964**2))
    assert (found.difference.ci_low, found.difference.ci_high) == pytest.approx((9 / 22 - half, 9 / 22 + half))
    assert found.detectable == pytest.approx(detectable(half / 1.959964))


@pytest.mark.parametrize("discordant", [*range(1, 41), 150, 399])
def test_a_share_differs_where_the_exact_test_or_its_mid_p_says_so(discordant):
    for wins in range(discordant + 1):
        losses = discordant - wins
        p = difference_of(share_counts(wins, losses, discordant + 12), Ratio((0, 1), (1, 1))).p
        exact = statsmodels_mcnemar([[5, wins], [losses, 7]], exact=True).pvalue
        # the mid-p counts half of what is as extreme as observed (Fagerland, Lydersen and Laake 2013)
        mid = exact - stats.binom.pmf(wins, discordant, 0.5) if wins != losses else 1
        if exact < 0.05:
            assert p < 0.05
        if p < 0.05:
            assert mid < 0.05


@pytest.mark.parametrize(
    ("counts", "metric"),
    [(PAIR_COUNTS, RA), (PAIR_COUNTS, MR), (PAIR_COUNTS // 12, MR), (score_counts(), SCORES["mean"])],
)
def test_interval_and_p_follow_from_the_definition(counts, metric):
    units = outcomes(counts)
    found = difference_of(counts, metric)
    value = found.difference.value / metric.scale

    def beyond(d):
        return scored_by_units(*units, metric, d) - 1.959964**2

    whole = max(metric.numerator)
    low, high = (optimize.brentq(beyond, value, end) for end in (-whole, whole))
    assert (found.difference.ci_low, found.difference.ci_high) == pytest.approx(
        (metric.scale * low, metric.scale * high), abs=1e-4
    )
    assert found.p == pytest.approx(stats.chi2.sf(scored_by_units(*units, metric, 0.0), df=1))


def test_a_misleading_rate_has_the_interval_of_the_bootstrap():
    first, second = outcomes(PAIR_COUNTS)
    found = difference_of(PAIR_COUNTS, MR)
    oracle = stats.bootstrap(
        (first, second), lambda a, b, axis: mr(np.moveaxis(b, axis, -1)) - mr(np.moveaxis(a, axis, -1)),
        paired=True, n_resamples=20_000, batch=2_000, method="percentile", vectorized=True, random_state=3,
    )  # fmt: skip
    # standard error 2.9; the two made-up pairs of 300 widen by 2%, and move by 0.05
    assert found.difference.ci_low == pytest.approx(oracle.confidence_interval.low, abs=0.3)
    assert found.difference.ci_high == pytest.approx(oracle.confidence_interval.high, abs=0.3)
    assert found.detectable == pytest.approx(detectable(oracle.standard_error), rel=0.03)
    permuted = stats.permutation_test(
        (first, second), lambda a, b, axis: np.abs(mr(np.moveaxis(b, axis, -1)) - mr(np.moveaxis(a, axis, -1))),
        permutation_type="samples", alternative="greater", n_resamples=20_000, batch=2_000, vectorized=True,
        random_state=4,
    )  # fmt: skip
    assert found.p == pytest.approx(permuted.pvalue, abs=0.01)


@pytest.mark.parametrize(("times", "within"), [(1, 0.02), (80, 0.002)])  # 250 and 20,000 answers
def test_scores_have_the_interval_of_the_bootstrap(times, within):
    counts = score_counts() * times
    first, second = outcomes(counts)
    found = difference_of(counts, SCORES["mean"])
    gains = second - first
    assert found.difference.value == pytest.approx(gains.mean())
    resampled = np.random.default_rng(3).multinomial(
        len(gains), np.bincount(gains + 6, minlength=13) / len(gains), 10_000
    )
    low, high = np.percentile(resampled @ np.arange(-6, 7) / len(gains), [2.5, 97.5])
    assert (found.difference.ci_low, found.difference.ci_high) == pytest.approx((low, high), abs=within)
    assert found.detectable == pytest.approx(detectable(gains.std() / np.sqrt(len(gains))), rel=0.03)
    assert (found.wins, found.losses, found.ties) == ((gains > 0).sum(), (gains < 0).sum(), (gains == 0).sum())


def test_scores_have_the_p_of_swapped_signs():
    first, second = outcomes(score_counts())
    gains = second - first
    signs = stats.permutation_test(
        (gains,), lambda x, axis: np.abs(x.mean(axis=axis)), permutation_type="samples", alternative="greater",
        n_resamples=20_000, batch=2_000, vectorized=True, random_state=4,
    )  # fmt: skip
    assert difference_of(score_counts(), SCORES["mean"]).p == pytest.approx(signs.pvalue, abs=0.03)


def test_percent_and_mean_say_the_same():
    overall, _ = differences({"PBL": score_counts()}, SCORES)
    assert overall["score"].p == overall["mean"].p
    assert overall["score"].difference.ci_low == pytest.approx(overall["mean"].difference.ci_low * 100 / 6)


def test_interval_and_p_agree_in_every_small_table():
    checked = 0
    for counts in small_tables():
        for metric in PAIRS.values():
            found = difference_of(counts, metric)
            if found.difference.value is not None:
                assert agree(found), (counts, metric)
                checked += 1
    assert checked > 10_000


@given(st.lists(st.integers(0, 60), min_size=16, max_size=16), st.integers(0, 10**9))
def test_interval_and_p_agree_in_any_table(cells, sparse):
    pairs = np.array(cells).reshape(4, 4) * np.random.default_rng(sparse).integers(0, 2, size=(4, 4))
    scored = np.zeros((7, 7), dtype=int)
    scored[::2, ::2] = pairs
    for counts, metrics in ((pairs, PAIRS), (scored, SCORES)):
        for metric in metrics.values():
            found = difference_of(counts, metric)
            assert found.difference.value is None or agree(found)


def test_few_units_never_differ():
    # 5 of 5 won: the exact p is 2/32; 6 of 6: 2/64
    everything = Ratio((0, 1), (1, 1))
    found = [difference_of(share_counts(n, 0, n), everything) for n in range(1, 7)]
    assert [one.p < 0.05 for one in found] == [False] * 5 + [True]
    assert (found[0].difference.ci_low, found[0].difference.ci_high, found[0].detectable) == (-100.0, 100.0, None)


def test_the_two_that_are_made_up_cannot_turn_a_difference():
    # MR of 1 of 1 against 9 of 10: +10 points; with two more pairs it would be 2/3 against 10/12
    counts = np.zeros((4, 4), dtype=int)
    counts[PN, PN], counts[PN, NN], counts[PP, NN] = 1, 8, 1
    found = difference_of(counts, MR)
    assert found.difference.value == pytest.approx(10)
    assert found.p == 1.0
    assert found.difference.ci_low < 0 < 10 < found.difference.ci_high


def test_units_that_tell_more_than_one_point_are_weighed():
    # gains 6 and -1, -1, -1, -1, -1, -1: as much gained as lost, in one unit against six
    counts = np.zeros((7, 7), dtype=int)
    counts[0, 6], counts[1, 0] = 1, 6
    found = difference_of(counts, SCORES["mean"])
    assert (found.difference.value, found.p, found.wins, found.losses) == (0.0, 1.0, 1, 6)


def test_all_units_count_alike_whatever_their_category():
    # +1 on 100 of 100, -1 on 100 of 100
    up, down = np.zeros((7, 7), dtype=int), np.zeros((7, 7), dtype=int)
    up[2, 3], down[3, 2] = 100, 100
    overall, categories = differences({"SA": up, "PBL": down}, SCORES)
    assert overall["mean"] == difference_of(up + down, SCORES["mean"])
    assert overall["mean"].difference.value == 0
    assert {name: row["mean"].difference.value for name, row in categories.items()} == {"SA": 1.0, "PBL": -1.0}
    assert overall["mean"].difference.n == 200


@pytest.mark.parametrize("n", [1, 5, 300])
def test_equal_outcomes_are_not_certainly_equal(n):
    # one gained and one lost of n + 2: (0 - d)² = 1.96² (2 + d² (n + 2)) / (n + 2)²
    overall, _ = differences({"Color": np.diag([n, 0, 0, 0])}, PAIRS)
    z2 = 1.959964**2
    reach = 100 * min(1.0, math.sqrt(2 * z2 / (n + 2) / (n + 2 - z2))) if n > 1 else 100.0
    difference = overall["RA"].difference
    assert (difference.value, difference.n) == (0.0, n)
    assert (difference.ci_low, difference.ci_high) == pytest.approx((-reach, reach), abs=1e-4)
    assert overall["RA"] == Difference(difference, 1.0, 0, 0, n, None)
    assert overall["MR"].p == 1.0


def test_rate_without_a_denominator_has_no_difference():
    # the first run has no positive question right: its MR does not exist, its RA does
    counts = np.zeros((4, 4), dtype=int)
    counts[NN, PP], counts[NP, PN], counts[NN, NN] = 3, 2, 5
    overall, _ = differences({"Shape": counts}, PAIRS)
    assert overall["MR"] == Difference(Estimate(None, None, None, 10), None, 0, 0, 0, None)
    assert overall["RA"].difference.value == 30
    # three won: 3 / √(3 + 2)
    assert overall["RA"].p == pytest.approx(2 * stats.norm.sf(3 / math.sqrt(5)))


def test_rate_over_few_units_stays_finite():
    counts = np.zeros((4, 4), dtype=int)
    counts[PP, PN], counts[PN, PP], counts[NN, NN] = 1, 1, 6
    found = differences({"Shape": counts}, PAIRS)[0]["MR"]
    assert (found.difference.value, found.difference.ci_low, found.difference.ci_high) == (0, -100, 100)
    assert found.p == 1.0


def test_nothing_in_common():
    overall, categories = differences({}, PAIRS)
    assert overall["RA"] == Difference(Estimate(None, None, None, 0), None, 0, 0, 0, None)
    assert categories == {}


def test_order_of_runs_turns_the_sign():
    there, _ = differences({"Color": PAIR_COUNTS}, PAIRS)
    back, _ = differences({"Color": PAIR_COUNTS.T}, PAIRS)
    for name in PAIRS:
        assert back[name].difference.value == -there[name].difference.value
        assert (back[name].wins, back[name].losses) == (there[name].losses, there[name].wins)
        assert back[name].difference.ci_low == pytest.approx(-there[name].difference.ci_high)
        assert back[name].p == pytest.approx(there[name].p)


def test_join_pairs_by_id_and_leaves_the_unscored_out():
    def units(*rows):
        return [Unit(*row, position) for position, row in enumerate(rows)]

    first = units(("a", "Color", PP), ("b", "Color", PN), ("c", "Shape", NN), ("d", "Shape", None), ("e", "Shape", PP))
    second = units(("e", "Shape", None), ("c", "Shape", PP), ("b", "Color", PN), ("a", "Color", PN), ("f", "Color", PP))
    joint = join_units(first, second, 4)
    assert list(joint) == ["Color", "Shape"]
    assert joint["Color"].tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0] * 4, [0] * 4]
    assert joint["Shape"].tolist() == [[0] * 4, [0] * 4, [0] * 4, [1, 0, 0, 0]]  # d and e are unscored on a side


def test_ratio_of_counts():
    counts = np.array([[171, 78, 14, 37], [0, 0, 3, 4]])
    assert RA.of(counts).tolist() == pytest.approx([57.0, 0.0])
    values = MR.of(counts)
    assert values[0] == pytest.approx(100 * 78 / 249)
    assert np.isnan(values[1])
    assert (RA.is_share, MR.is_share, SCORES["mean"].is_share) == (True, False, False)
