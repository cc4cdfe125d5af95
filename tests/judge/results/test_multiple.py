"""Adjusted p-values against statsmodels, letters against their definition on every graph of five items."""

import itertools

import pytest

from judge.results.multiple import compact_letters, holm


@pytest.mark.parametrize(
    ("given", "adjusted"),
    [
        ([], []),
        ([0.04], [0.04]),
        # sorted 0.01, 0.03, 0.04: 3 · 0.01, 2 · 0.03, and 1 · 0.04, which may not be below the one before
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        ([0.6, 0.6], [1.0, 1.0]),
        # an undefined one is no test: 2 · 0.01 and 1 · 0.02
        ([0.02, None, 0.01], [0.02, None, 0.02]),
    ],
)
def test_holm_by_hand(given, adjusted):
    assert holm(given) == pytest.approx(adjusted)


def test_holm_is_that_of_statsmodels():
    multipletests = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is absent").multipletests
    numpy = pytest.importorskip("numpy")
    for seed in range(50):
        rng = numpy.random.default_rng(seed)
        given = (rng.random(rng.integers(1, 40)) ** 3).round(3).tolist()  # with ties
        assert holm(given) == pytest.approx(multipletests(given, method="holm")[1].tolist(), abs=1e-12)


@pytest.mark.parametrize(
    ("count", "differing", "letters"),
    [
        (0, set(), []),
        (1, set(), ["a"]),
        (3, set(), ["a", "a", "a"]),
        (3, {(0, 1), (0, 2), (1, 2)}, ["a", "b", "c"]),
        (3, {(0, 2)}, ["a", "ab", "b"]),
        # every item is like its neighbours in the order, and unlike those beyond
        (4, {(0, 3), (0, 2), (1, 3)}, ["a", "ab", "bc", "c"]),
        (2, {(0, 1)}, ["a", "b"]),
    ],
)
def test_letters_by_hand(count, differing, letters):
    assert compact_letters(count, differing) == letters


def test_two_share_a_letter_exactly_where_they_do_not_differ():
    """All 1,024 graphs of five items; the letters are the maximal sets of items of which no two differ."""
    pairs = list(itertools.combinations(range(5), 2))
    subsets = [set(some) for size in range(1, 6) for some in itertools.combinations(range(5), size)]
    for chosen in itertools.product([False, True], repeat=len(pairs)):
        differing = {pair for pair, differs in zip(pairs, chosen, strict=True) if differs}
        letters = compact_letters(5, differing)
        for one, other in pairs:
            assert bool(set(letters[one]) & set(letters[other])) == ((one, other) not in differing)
        alike = [some for some in subsets if not any({one, other} <= some for one, other in differing)]
        maximal = [some for some in alike if not any(some < wider for wider in alike)]
        named = [{item for item in range(5) if letter in letters[item]} for letter in sorted(set("".join(letters)))]
        assert sorted(map(sorted, named)) == sorted(map(sorted, maximal))


def test_letters_do_not_run_out():
    found = compact_letters(54, set(itertools.combinations(range(54), 2)))
    assert (found[0], found[26], found[52], found[53]) == ("a", "A", "(53)", "(54)")
