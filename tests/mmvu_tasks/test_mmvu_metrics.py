"""The units of a comparison say what the metrics say."""

import random

import numpy as np
import pytest

from judge.core.metric import Unit, by_units
from judge.core.verdict import Verdict
from mmvu_tasks.metrics import METRICS, summarise
from mmvu_tasks.pairs import OUTCOMES


def verdict(id_, index, kind, score, reference=None, category="Number"):
    details = {"type": kind, "level": id_.partition("/")[0]}
    if score is None:
        return Verdict(id_, "rule", None, "call_failed", category, index, details=details)
    details["score_reference"] = score if reference is None else reference
    return Verdict(id_, "rule", score, None, category, index, details=details)


def units(verdicts):
    return [of(verdicts) for of in by_units(METRICS)]


def test_what_is_counted_together():
    assert [[metric.name for metric in counted] for counted in by_units(METRICS).values()] == [
        ["RA", "MR"], ["POS"], ["NEG"], ["RA_reference", "MR_reference"], ["POS_reference"], ["NEG_reference"],
    ]  # fmt: skip


def test_units_by_hand():
    pairs, pos, neg, pairs_reference, pos_reference, neg_reference = units(
        [
            verdict("attribute/number/01", 1, "NEG", 0, 1),  # order within a pair says nothing
            verdict("attribute/number/01", 0, "POS", 1, 0),
            verdict("attribute/number/02", 2, "POS", 1),
            verdict("attribute/number/02", 3, "NEG", None),
            verdict("context/expert/03", 4, "POS", 0, category="Expertise"),
        ]
    )
    assert OUTCOMES == ("PP", "PN", "NP", "NN")
    first, second, third = "attribute/number/01", "attribute/number/02", "context/expert/03"
    assert pairs == [Unit(first, "Number", 1, 0)]  # 02 is unscored, 03 alone
    assert pairs_reference == [Unit(first, "Number", 2, 0)]
    assert pos == [
        Unit(f"{first} (index 0)", "Number", 1, 1, first),
        Unit(f"{second} (index 2)", "Number", 1, 2, second),
        Unit(f"{third} (index 4)", "Expertise", 0, 4, third),
    ]
    assert neg == [
        Unit(f"{first} (index 1)", "Number", 0, 0, first),
        Unit(f"{second} (index 3)", "Number", None, 3, second),
    ]
    assert [unit.outcome for unit in pos_reference] == [0, 1, 0]
    assert [unit.outcome for unit in neg_reference] == [1, None]


def test_twin_pair_counts_as_in_the_reference_tally():
    # published as POS/POS: one right answer is "misled", whichever it is; both questions are positive ones
    pairs, pos, neg, *_ = units(
        [verdict("attribute/number/04", 272, "POS", 0), verdict("attribute/number/04", 273, "POS", 1)]
    )
    assert pairs == [Unit("attribute/number/04", "Number", OUTCOMES.index("PN"), 0)]
    assert (len(pos), len(neg)) == (2, 0)


@pytest.mark.parametrize("seed", range(5))
def test_ratios_of_counts_are_the_published_metrics(seed):
    rng = random.Random(seed)
    verdicts = [
        verdict(f"attribute/number/{pair:02}", 2 * pair + half, kind, score, rng.randint(0, 1))
        for pair in range(40)
        for half, (kind, score) in enumerate(
            (kind, rng.choices([0, 1, None], [4, 5, 1])[0]) for kind in rng.choice([["POS", "NEG"], ["NEG", "POS"]])
        )
        if rng.random() < 0.95
    ]
    found = {}
    for metric in METRICS:
        outcomes = [unit.outcome for unit in metric.units(verdicts) if unit.outcome is not None]
        counts = np.bincount(outcomes, minlength=len(metric.ratio.numerator))
        found[metric.name] = float(metric.ratio.of(counts))
        assert found[metric.name] == pytest.approx(np.mean([*metric.values(verdicts).values()]))
    published = {name: estimate.value for name, estimate in summarise(verdicts, None).metrics.items()}
    assert found == pytest.approx(published)
