"""Paired differences against scipy and statsmodels, computed there unit by unit."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from judge.core.metric import Ratio, Unit
from judge.results.paired import Difference, differences, join_units, mcnemar
from judge.results.statistics import Estimate, detectable, proportion

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


@pytest.mark.parametrize(
    ("wins", "losses"), [(0, 0), (0, 1), (1, 0), (0, 6), (3, 3), (12, 4), (40, 33), (98, 72), (410, 300), (4000, 3800)]
)
def test_mcnemar_is_exact(wins, losses):
    table = [[5, wins], [losses, 7]]
    assert mcnemar(wins, losses) == pytest.approx(statsmodels_mcnemar(table, exact=True).pvalue, rel=1e-9)


def test_mcnemar_by_hand():
    assert mcnemar(1, 5) == 2 * (1 + 6) / 64
    assert mcnemar(5, 1) == mcnemar(1, 5)
    assert mcnemar(2, 2) == 1.0  # the sum is 22/16: more than everything is certain


def test_pairs_by_hand():
    overall, categories = differences({"Color": PAIR_COUNTS}, PAIRS)
    ra, wrong, pos = overall["RA"], overall["MR"], overall["POS"]
    # first run: rows 171, 78, 14, 37; second run: columns 193, 64, 12, 31
    assert ra.difference.value == pytest.approx(100 * (193 - 171) / 300)
    assert wrong.difference.value == pytest.approx(100 * (64 / (193 + 64) - 78 / (171 + 78)))
    assert pos.difference.value == pytest.approx(100 * (257 - 249) / 300)
    # to PP: 31 + 5 + 7 = 43; away from it: 14 + 3 + 4 = 21; the other 236 stay
    assert (ra.wins, ra.losses, ra.ties) == (43, 21, 236)
    assert ra.p == pytest.approx(statsmodels_mcnemar([[150, 21], [43, 86]], exact=True).pvalue)
    # misled or not, of the 150 + 14 + 31 + 40 = 235 whose positive question both have right; to be misled is a loss
    assert (wrong.wins, wrong.losses, wrong.ties) == (31, 14, 190)
    # positive right in the second alone: 5 + 1 + 7 + 9 = 22, in the first alone: 3 + 4 + 1 + 6 = 14
    assert (pos.wins, pos.losses, pos.ties) == (22, 14, 264)
    assert all(found.difference.n == 300 for found in overall.values())
    assert set(categories) == {"Color"}


def test_misleading_rate_has_scipys_interval_and_p():
    first, second = outcomes(PAIR_COUNTS)
    found = differences({"Color": PAIR_COUNTS}, PAIRS)[0]["MR"]
    oracle = stats.bootstrap(
        (first, second), lambda a, b, axis: mr(np.moveaxis(b, axis, -1)) - mr(np.moveaxis(a, axis, -1)),
        paired=True, n_resamples=20_000, batch=2_000, method="percentile", vectorized=True, random_state=3,
    )  # fmt: skip
    # standard error 2.6; quantiles of 10,000 draws are good to 2.7% of it: 0.07
    assert found.difference.ci_low == pytest.approx(oracle.confidence_interval.low, abs=0.3)
    assert found.difference.ci_high == pytest.approx(oracle.confidence_interval.high, abs=0.3)
    assert found.detectable == pytest.approx(detectable(oracle.standard_error), rel=0.03)
    permuted = stats.permutation_test(
        (first, second), lambda a, b, axis: np.abs(mr(np.moveaxis(b, axis, -1)) - mr(np.moveaxis(a, axis, -1))),
        permutation_type="samples", alternative="greater", n_resamples=20_000, batch=2_000, vectorized=True,
        random_state=4,
    )  # fmt: skip
    # near 0.02, so a simulated p has sd sqrt(0.02 · 0.98 / 10,000) = 0.0014
    assert found.p == pytest.approx(permuted.pvalue, abs=0.007)
    assert 0.001 < found.p < 0.1


def test_scores_have_scipys_interval_and_p():
    counts = score_counts()
    first, second = outcomes(counts)
    found = differences({"PBL": counts}, SCORES)[0]["mean"]
    gains = second - first
    assert found.difference.value == pytest.approx(gains.mean())
    oracle = stats.bootstrap(
        (gains,), np.mean, n_resamples=20_000, method="percentile", vectorized=True, random_state=3
    )
    assert found.difference.ci_low == pytest.approx(oracle.confidence_interval.low, abs=0.01)
    assert found.difference.ci_high == pytest.approx(oracle.confidence_interval.high, abs=0.01)
    # the bootstrap's standard error is that of the plug-in: sd with n, over sqrt(n)
    assert found.detectable == pytest.approx(detectable(gains.std() / np.sqrt(250)), rel=0.03)
    signs = stats.permutation_test(
        (gains,), lambda x, axis: np.abs(x.mean(axis=axis)), permutation_type="samples", alternative="greater",
        n_resamples=20_000, batch=2_000, vectorized=True, random_state=4,
    )  # fmt: skip
    assert found.p == pytest.approx(signs.pvalue, abs=0.02)  # sd at most 0.005 in each
    assert (found.wins, found.losses, found.ties) == ((gains > 0).sum(), (gains < 0).sum(), (gains == 0).sum())


def test_percent_and_mean_say_the_same():
    overall, _ = differences({"PBL": score_counts()}, SCORES)
    assert overall["score"].p == overall["mean"].p
    assert overall["score"].difference.ci_low == pytest.approx(overall["mean"].difference.ci_low * 100 / 6)


def test_permutation_of_two_units_is_enumerable():
    # gains +1 and +2: of the four sign patterns only (+,+) and (-,-) reach 3 in size, so p = 1/2
    counts = np.zeros((7, 7), dtype=int)
    counts[1, 2] = counts[3, 5] = 1
    found = differences({"SA": counts}, SCORES)[0]["mean"]
    assert found.difference.value == 1.5
    assert found.p == pytest.approx(0.5, abs=0.03)  # sd 0.005


def test_permutation_p_is_uniform_without_a_difference():
    # units from one population in both runs: p below 0.1 in a tenth of 300 trials, sd 1.7%
    rng = np.random.default_rng(8)
    chances = np.array([0.5, 0.2, 0.1, 0.2])
    small = 0
    for _ in range(300):
        counts = np.zeros((4, 4), dtype=int)
        np.add.at(counts, tuple(rng.choice(4, size=(2, 120), p=chances)), 1)
        small += differences({"": counts}, {"MR": MR})[0]["MR"].p < 0.1
    assert 0.05 <= small / 300 <= 0.15


def test_interval_resamples_within_categories():
    # +1 on 100 of 100, -1 on 100 of 100: no category varies, so neither does their sum
    up, down = np.zeros((7, 7), dtype=int), np.zeros((7, 7), dtype=int)
    up[2, 3], down[3, 2] = 100, 100
    overall, categories = differences({"SA": up, "PBL": down}, SCORES)
    assert overall["mean"].difference.value == 0
    assert overall["mean"].detectable is None
    assert {name: row["mean"].difference.value for name, row in categories.items()} == {"SA": 1.0, "PBL": -1.0}
    assert overall["mean"].difference.n == 200


@pytest.mark.parametrize("n", [1, 5, 300])
def test_equal_runs_are_not_certainly_equal(n):
    # with no unit of n apart, the share that may be is bounded as Wilson bounds 0 of n
    overall, _ = differences({"Color": np.diag([n, 0, 0, 0])}, PAIRS)
    reach = proportion(0, n).ci_high
    assert overall["RA"] == Difference(Estimate(0.0, -reach, reach, n), 1.0, 0, 0, n, None)
    assert overall["MR"].p == 1.0


def test_rate_without_a_denominator_has_no_difference():
    # the first run has no positive question right: its MR does not exist, its RA does
    counts = np.zeros((4, 4), dtype=int)
    counts[NN, PP], counts[NP, PN], counts[NN, NN] = 3, 2, 5
    overall, _ = differences({"Shape": counts}, PAIRS)
    assert overall["MR"] == Difference(Estimate(None, None, None, 10), None, 0, 0, 0, None)
    assert overall["RA"].difference.value == 30
    assert overall["RA"].p == 2 / 2**3


def test_rate_that_rarely_lacks_its_denominator_stays_finite():
    counts = np.zeros((4, 4), dtype=int)
    counts[PP, PN], counts[PN, PP], counts[NN, NN] = 1, 1, 6
    found = differences({"Shape": counts}, PAIRS)[0]["MR"]
    assert (found.difference.value, found.difference.ci_low, found.difference.ci_high) == (0, -100, 100)
    assert found.p == 1.0


def test_nothing_in_common():
    overall, categories = differences({}, PAIRS)
    assert overall["RA"] == Difference(Estimate(None, None, None, 0), None, 0, 0, 0, None)
    assert categories == {}


def test_differences_are_seeded():
    joint = {"PBL": score_counts()}
    assert differences(joint, SCORES, seed=1) == differences(joint, SCORES, seed=1)
    assert differences(joint, SCORES, seed=1) != differences(joint, SCORES, seed=2)


def test_order_of_runs_turns_the_sign():
    there, _ = differences({"Color": PAIR_COUNTS}, PAIRS)
    back, _ = differences({"Color": PAIR_COUNTS.T}, PAIRS)
    for name in PAIRS:
        assert back[name].difference.value == -there[name].difference.value
        assert (back[name].wins, back[name].losses) == (there[name].losses, there[name].wins)
    assert back["RA"].p == there["RA"].p


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
