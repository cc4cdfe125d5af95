"""Coefficients and intervals against scipy, scikit-learn, statsmodels and published worked examples."""

import math
import re

import folders
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from judge.results.statistics import Estimate
from judge.validity.agreement import (
    compare_agreement,
    fisher_interval,
    includes_zero,
    measure_agreement,
    measure_reliability,
    pairs_needed,
)
from judge.validity.coefficients import ASSOCIATION, PAIRED, ZERO_IS_CHANCE
from judge.validity.resampling import Resampling

SCORES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=40)

# Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011), section C: 4 observers, 12 units, missing data
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
    [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
]
# Shrout and Fleiss, Psych. Bull. 86 (1979) 420-428, table 2: 6 targets, 4 judges
SHROUT_FLEISS = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]


def by_definition(pairs: list[tuple[float, float]]) -> dict[str, float]:
    """Alpha and ICC(A,1) of two raters, from coincidences and from an analysis of variance, sum by sum."""
    n = len(pairs)
    pooled = [value for pair in pairs for value in pair]
    observed = sum((a - b) ** 2 for a, b in pairs) / n
    expected = sum((v - w) ** 2 for i, v in enumerate(pooled) for j, w in enumerate(pooled) if i != j)
    expected /= 2 * n * (2 * n - 1)
    grand = sum(pooled) / (2 * n)
    rows = 2 * sum(((a + b) / 2 - grand) ** 2 for a, b in pairs) / (n - 1)
    columns = n * sum((sum(pair[k] for pair in pairs) / n - grand) ** 2 for k in (0, 1))
    error = (sum((v - grand) ** 2 for v in pooled) - rows * (n - 1) - columns) / (n - 1)
    whole = rows + error + 2 * (columns - error) / n
    return {
        "alpha_interval": 1 - observed / expected if expected else math.nan,
        "icc_a1": (rows - error) / whole if abs(whole) > 1e-9 else math.nan,
    }


@settings(max_examples=80)
@given(SCORES)
@pytest.mark.filterwarnings("ignore")
def test_every_coefficient_is_the_libraries(pairs):
    one, other = (list(side) for side in zip(*pairs, strict=True))
    found = measure_agreement(one, other, resampling=Resampling(2))
    expected = {
        "pearson": stats.pearsonr(one, other)[0],
        "spearman": stats.spearmanr(one, other)[0],
        "kendall_b": stats.kendalltau(one, other)[0],
        "kappa_quadratic": cohen_kappa_score(one, other, weights="quadratic", labels=range(7)),
        **by_definition(pairs),
        "bias": np.mean(one) - np.mean(other),
        "mae": np.abs(np.subtract(one, other)).mean(),
        "mse": np.square(np.subtract(one, other)).mean(),
        "cosine": np.dot(one, other) / (np.linalg.norm(one) * np.linalg.norm(other) or math.nan),
    }
    assert list(found) == list(PAIRED)
    for name, value in expected.items():
        estimate = found[name]
        assert estimate.n == len(pairs)
        if math.isnan(value):
            assert estimate.value is None, name
        else:
            assert estimate.value == pytest.approx(value, abs=1e-9), name


def test_kappa_is_statsmodels_too():
    table = np.array([[8, 2, 0], [1, 5, 4], [0, 3, 7]])
    pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(table[i, j])]
    found = measure_agreement(*zip(*pairs, strict=True), resampling=Resampling(2))["kappa_quadratic"]
    assert found.value == pytest.approx(cohens_kappa(table, wt="quadratic").kappa)


def test_krippendorffs_own_example():
    found = measure_reliability([list(unit) for unit in zip(*KRIPPENDORFF, strict=True)])
    # printed there: interval alpha .849; the twelfth unit has one value and is left out
    assert found["alpha_interval"].value == pytest.approx(0.849, abs=5e-4)
    assert found["alpha_interval"].n == 11
    assert (found["icc_a1"].value, found["icc_a1"].n) == (None, 11)  # not every observer saw every unit


def test_shrout_and_fleiss_own_example():
    found = measure_reliability(SHROUT_FLEISS)
    assert found["icc_a1"].value == pytest.approx(0.29, abs=5e-3)  # their table 4: ICC(2,1) = .29
    assert found["icc_a1"].n == 6


@pytest.mark.parametrize("name", ["pearson", "mae", "spearman"])
def test_interval_is_scipys_percentile_bootstrap(name):
    rng = np.random.default_rng(3)
    human = rng.integers(0, 7, 60)
    given_ = np.clip(human + rng.integers(-3, 4, 60), 0, 6)
    of = {
        "pearson": lambda x, y, axis: stats.pearsonr(x, y, axis=axis)[0],
        "spearman": lambda x, y, axis: stats.pearsonr(*(stats.rankdata(v, axis=axis) for v in (x, y)), axis=axis)[0],
        "mae": lambda x, y, axis: np.abs(x - y).mean(axis=axis),
    }[name]
    scipy = stats.bootstrap((given_, human), of, paired=True, method="percentile", n_resamples=6000, rng=1)
    # the sd of a 2.5% quantile of 6,000 draws is about 3.5% of the standard error
    slack = 0.15 * scipy.standard_error
    ours = measure_agreement(given_, human, resampling=Resampling(40_000))[name]
    # the sd of a 2.5% quantile of 2,000 draws is about 6% of the standard error
    slack = 0.2 * scipy.standard_error
    assert ours.ci_low == pytest.approx(scipy.confidence_interval.low, abs=slack)
    assert ours.ci_high == pytest.approx(scipy.confidence_interval.high, abs=slack)


def test_clusters_are_drawn_whole():
    rng = np.random.default_rng(4)
    human = rng.integers(0, 7, 40)
    given_ = np.clip(human + rng.integers(-2, 3, 40), 0, 6)
    once = measure_agreement(given_, human)
    # every answer four times in the clusters of one: no more is known than before, whatever n says
    questions = [f"q{number}" for number in range(40)] * 4
    repeated = measure_agreement(np.tile(given_, 4), np.tile(human, 4), questions, resampling=Resampling(20_000))
    naive = measure_agreement(np.tile(given_, 4), np.tile(human, 4))
    for name in ("pearson", "mse", "kappa_quadratic"):
        width, wide, narrow = (e[name].ci_high - e[name].ci_low for e in (once, repeated, naive))
        assert wide == pytest.approx(width, rel=0.15), name
        assert narrow == pytest.approx(width / 2, rel=0.2), name  # sqrt(4) times too narrow
        assert repeated[name].n == 160


def test_the_order_of_pairs_changes_nothing():
    rng = np.random.default_rng(5)
    human, given_ = rng.integers(0, 7, 50).astype(float), rng.normal(size=50)
    questions = np.array([f"q{number // 3}" for number in range(50)])
    order = rng.permutation(50)
    assert measure_agreement(given_, human, questions) == measure_agreement(
        given_[order], human[order], questions[order]
    )
    assert measure_agreement(given_, human) == measure_agreement(given_[order], human[order])


def test_seed_and_resamples_move_the_interval_only():
    human, given_ = [0, 1, 2, 3, 4, 5, 6, 6], [1, 0, 3, 3, 5, 5, 4, 6]
    first, again, other = (
        measure_agreement(given_, human, resampling=Resampling(seed=seed))["pearson"] for seed in (0, 0, 1)
    )
    assert first == again
    assert first.value == other.value
    assert (first.ci_low, first.ci_high) != (other.ci_low, other.ci_high)


def test_ranks_do_not_see_the_scale_of_a_baseline():
    human, words = [0, 1, 2, 3, 4, 6], [110, 90, 200, 340, 300, 1000]
    one, other = measure_agreement(words, human), measure_agreement([word / 7 - 3 for word in words], human)
    for name in ASSOCIATION:
        assert one[name].value == pytest.approx(other[name].value)
        assert one[name].ci_low == pytest.approx(other[name].ci_low)


def test_a_constant_has_no_correlation_and_a_high_cosine():
    rng = np.random.default_rng(6)
    human = rng.integers(2, 7, 200)
    found = measure_agreement([4.0] * 200, human)
    for name in ASSOCIATION:
        assert (found[name].value, found[name].ci_low, found[name].n) == (None, None, 200)
    assert found["kappa_quadratic"].value == pytest.approx(0, abs=1e-12)
    assert found["icc_a1"].value == pytest.approx(0, abs=1e-12)
    # cosine of a constant = mean / root mean square, whatever was scored
    assert found["cosine"].value == pytest.approx(human.mean() / math.sqrt((human**2).mean()))
    assert found["cosine"].value > 0.9


def test_a_constant_of_thirds_is_one_too():
    # 13/3 does not sum to itself in floating point
    found = measure_agreement([13 / 3] * 7, [13 / 3, 1, 2, 5 / 3, 4, 4, 6])
    assert found["pearson"].value is None
    assert measure_agreement([13 / 3] * 7, [13 / 3] * 7)["kappa_quadratic"].value is None


@pytest.mark.parametrize(
    ("given_", "human", "clusters"),
    [([], [], None), ([3], [4], None), ([2, 5, 6], [2, 5, 6], None), ([1, 5, 3], [2, 5, 6], ["q", "q", "q"])],
    ids=["nothing", "one pair", "perfect", "one question"],
)
def test_no_interval_is_made_up(given_, human, clusters):
    for name, estimate in measure_agreement(given_, human, clusters).items():
        assert estimate.n == len(given_)
        assert (estimate.ci_low is None) == (estimate.ci_high is None)
        for number in (estimate.value, estimate.ci_low, estimate.ci_high):
            assert number is None or math.isfinite(number), name
        assert not (clusters or len(given_) < 2) or estimate.ci_low is None, name
    if given_ == human and given_:
        assert measure_agreement(given_, human)["pearson"].value == pytest.approx(1)


def test_an_interval_needs_resamples_in_which_the_value_is_defined():
    # one answer of five differs: (4/5)^5 = 33% of the resamples are constant
    found = measure_agreement([3, 3, 3, 3, 5], [1, 2, 3, 4, 5])
    assert found["pearson"].value is not None
    assert found["pearson"].ci_low is None
    assert found["mse"].ci_low is not None


def test_differences_are_paired():
    rng = np.random.default_rng(7)
    human = rng.integers(0, 7, 80)
    good = np.clip(human + rng.integers(-1, 2, 80), 0, 6)
    poor = np.clip(human + rng.integers(-4, 5, 80), 0, 6)
    gain, loss = compare_agreement(good, poor, human), compare_agreement(poor, good, human)
    one, other = measure_agreement(good, human), measure_agreement(poor, human)
    for name in PAIRED:
        assert gain[name].value == pytest.approx(one[name].value - other[name].value)
        assert gain[name].value == pytest.approx(-loss[name].value)
    assert gain["pearson"].ci_low > 0
    assert gain["mae"].ci_high < 0
    # against itself nothing differs, and no interval claims that it never would
    assert compare_agreement(good, good, human)["pearson"].value == 0
    assert compare_agreement(good, good, human)["pearson"].ci_low is None
    # two judges that share their errors: paired, their difference is surer than either of them
    near = np.where(np.arange(80) % 16 == 0, np.clip(poor + 1, 0, 6), poor)
    apart = compare_agreement(poor, near, human)["mse"]
    assert apart.ci_high - apart.ci_low < 0.5 * (other["mse"].ci_high - other["mse"].ci_low)


def test_fishers_interval_is_scipys():
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(2, 200))
    found = stats.pearsonr(x, y)
    ours = fisher_interval(found[0], 200)
    assert (ours.ci_low, ours.ci_high) == pytest.approx(found.confidence_interval(0.95))


def test_the_published_correlation_is_not_distinguished_from_zero():
    # MMIE (arXiv:2410.10139), table 5: MMIE-Score 0.113, GPT-4o 0.042, CLIPScore 0.023 on 200 items.
    # atanh(0.113) = 0.1135, 1.96 / sqrt(197) = 0.1396: tanh(-0.0262) = -0.026, tanh(0.2531) = 0.248
    published = fisher_interval(0.113, 200)
    assert (published.ci_low, published.ci_high) == pytest.approx((-0.026, 0.248), abs=5e-4)
    for r in (0.113, 0.042, 0.023):
        assert includes_zero("pearson", fisher_interval(r, 200))
    # 200 items show a correlation of 0.139 and more
    assert not includes_zero("pearson", fisher_interval(0.14, 200))


def test_the_document_prints_what_its_snippet_does(capsys):
    document = (folders.ROOT / "docs" / "agreement.md").read_text(encoding="utf-8")
    snippet = re.search(r"```python\n(.*?)```\n\n```text\n(.*?)```", document, re.DOTALL)
    exec(compile(snippet[1], "docs/agreement.md", "exec"), {})
    assert capsys.readouterr().out == snippet[2]
    for name in PAIRED:
        assert f"`{name}`" in document


def test_what_the_document_says_of_a_squared_error():
    # mse = (difference of means)^2 + (difference of sds)^2 + 2 (1 - r) sd sd', for any scores
    rng = np.random.default_rng(9)
    human = rng.integers(0, 7, 200)
    given_ = np.clip(human + rng.integers(-2, 5, 200), 0, 6)
    found = measure_agreement(given_, human, resampling=Resampling(0))
    sds = given_.std(), human.std()
    parts = found["bias"].value ** 2 + (sds[0] - sds[1]) ** 2 + 2 * (1 - found["pearson"].value) * sds[0] * sds[1]
    assert found["mse"].value == pytest.approx(parts)
    # least where there is no bias and sd = r sd': (1 - r)(1 + r) of the variance, a constant's squared error
    r = 0.113
    least = min((s - 1) ** 2 + 2 * (1 - r) * s for s in np.linspace(0, 1, 10_001))
    assert least == pytest.approx(1 - r**2, abs=1e-6) == pytest.approx(0.987, abs=5e-4)
    assert 3.300 / (2 * (1 - r)) == pytest.approx(1.86, abs=5e-3)


def test_how_many_answers_people_must_score():
    # Cohen, Psych. Bull. 112 (1992) 155-159, table 2, power .80 at .05: r .10 needs 783, .30 needs 85, .50 needs 28
    assert [pairs_needed(r) for r in (0.1, -0.3)] == [783, 85]
    assert pairs_needed(0.5) == pytest.approx(28, abs=2)  # the approximation asks for two more
    # the published 0.113: ((1.960 + 0.842) / 0.1135)^2 + 3 = 612.4
    assert pairs_needed(0.113) == 613


def test_no_resamples_give_values_without_intervals():
    assert measure_agreement([1, 2, 3, 5], [1, 3, 2, 6], resampling=Resampling(0))["mae"] == Estimate(
        0.75, None, None, 4
    )


def test_zero_is_chance_only_where_it_is():
    estimate = measure_agreement([6, 5, 0, 1], [0, 5, 6, 0])
    for name in PAIRED:
        assert includes_zero(name, estimate[name]) <= (name in ZERO_IS_CHANCE)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (([1, 2], [1]), "scores of 2 and 1 answers do not pair"),
        (([1, math.nan], [1, 2]), "not a finite number"),
        (([1, 2], [1, 2], ["a"]), "1 clusters for 2 answers"),
    ],
)
def test_what_does_not_pair_is_refused(arguments, problem):
    with pytest.raises(ValueError, match=problem):
        measure_agreement(*arguments)


def test_gaps_of_annotators_do_not_matter_to_alpha():
    # the same two ratings an item, spread over three annotators: alpha does not ask who gave them
    pairs = [(4, 5), (1, 1), (6, 3), (2, 2), (0, 1)]
    gaps = [(a, None, b) if number % 2 else (None, a, b) for number, (a, b) in enumerate(pairs)]
    alone = [(5, None, None)]
    found, plain = measure_reliability([*gaps, *alone]), measure_agreement(*zip(*pairs, strict=True))
    assert found["alpha_interval"].value == pytest.approx(plain["alpha_interval"].value)
    assert found["alpha_interval"].n == 5
    assert measure_reliability([])["alpha_interval"].value is None
