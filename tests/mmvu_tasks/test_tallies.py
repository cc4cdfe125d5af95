"""The units of a comparison say what the metrics say."""

import random

import numpy as np
import pytest

from judge.core.tally import Unit
from judge.core.verdict import Verdict
from mmvu_tasks.metrics import summarise
from mmvu_tasks.tallies import OUTCOMES, tallies


def verdict(id_, index, kind, score, reference=None, category="Number"):
    details = {"type": kind, "level": id_.partition("/")[0]}
    if score is None:
        return Verdict(id_, "rule", None, "empty_answer", category, index, details=details)
    details["score_reference"] = score if reference is None else reference
    return Verdict(id_, "rule", score, None, category, index, details=details)


def test_tallies_by_hand():
    pairs, pos, neg, pairs_reference, pos_reference, neg_reference = tallies(
        [
            verdict("attribute/number/01", 1, "NEG", 0, 1),  # order within a pair says nothing
            verdict("attribute/number/01", 0, "POS", 1, 0),
            verdict("attribute/number/02", 2, "POS", 1),
            verdict("attribute/number/02", 3, "NEG", None),
            verdict("context/expert/03", 4, "POS", 0, category="Expertise"),
        ]
    )
    assert OUTCOMES == ("PP", "PN", "NP", "NN")
    assert pairs.units == {"attribute/number/01": Unit("Number", 1)}  # 02 is unscored, 03 alone
    assert pairs_reference.units == {"attribute/number/01": Unit("Number", 2)}
    assert pos.units == {
        "attribute/number/01 (index 0)": Unit("Number", 1),
        "attribute/number/02 (index 2)": Unit("Number", 1),
        "context/expert/03 (index 4)": Unit("Expertise", 0),
    }
    assert neg.units == {
        "attribute/number/01 (index 1)": Unit("Number", 0),
        "attribute/number/02 (index 3)": Unit("Number", None),
    }
    assert pos_reference.units["attribute/number/01 (index 0)"] == Unit("Number", 0)
    assert neg_reference.units["attribute/number/01 (index 1)"] == Unit("Number", 1)


def test_twin_pair_counts_as_in_the_reference_tally():
    # published as POS/POS: one right answer is "misled", whichever it is; both questions are positive ones
    pairs, pos, neg, *_ = tallies(
        [verdict("attribute/number/04", 272, "POS", 0), verdict("attribute/number/04", 273, "POS", 1)]
    )
    assert pairs.units == {"attribute/number/04": Unit("Number", OUTCOMES.index("PN"))}
    assert (len(pos.units), len(neg.units)) == (2, 0)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_of_tallies_are_the_published_metrics(seed):
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
    for tally in tallies(verdicts):
        outcomes = [unit.outcome for unit in tally.units.values() if unit.outcome is not None]
        counts = np.bincount(outcomes, minlength=tally.outcomes)
        found |= {name: float(metric.of(counts)) for name, metric in tally.metrics.items()}
    published = {name: estimate.value for name, estimate in summarise(verdicts, None).metrics.items()}
    assert found == pytest.approx(published)
