"""The sentences of a report, word by word."""

import types

import pytest

from judge.core.metric import Metric, Ratio, scores
from judge.report import findings
from judge.results.paired import Difference
from judge.results.statistics import Estimate

RA = Metric("RA", "robustness accuracy", "pairs", "", scores, Ratio((0, 1), (1, 1)))
MR = Metric("MR", "misleading rate", "pairs", "", scores, Ratio((0, 1), (1, 1), higher_is_better=False))
MEAN = Metric("mean", "mean", "answers", "", scores, Ratio(tuple(range(7)), (1,) * 7, scale=1))


def plain(fragments):
    return "".join(text for text, _ in fragments)


def comparison(first, second, paired):
    row = types.SimpleNamespace(first={"value": first}, second={"value": second}, paired=paired)
    rows = types.SimpleNamespace(metrics=dict.fromkeys(("RA", "MR"), row))
    return types.SimpleNamespace(comparison=rows, adjusted=paired.p)


def difference(value, low, high, p, least=4.0):
    return Difference(Estimate(value, low, high, 893), p, 98, 72, 723, least)


@pytest.mark.parametrize(
    ("metric", "values", "paired", "names", "sentence"),
    [
        (RA, (60.58, 63.49), difference(2.91, 0.1, 5.8, 0.049), ["B", "A"],
         "On MMVU, B is better than A: robustness accuracy 63.5% against 60.6%. On the 893 pairs that both have scored "
         "it leads by 2.9 points (95% interval +0.1 to +5.8, p 0.049)."),
        (RA, (60.58, 63.49), difference(2.91, 0.1, 5.8, 0.0001), ["B", "A", "C"],
         "On MMVU, B comes first of 3, before A: robustness accuracy 63.5% against 60.6%. On the 893 pairs that both "
         "have scored it leads by 2.9 points (95% interval +0.1 to +5.8, p < 0.001 adjusted for 3 pairs of runs)."),
        # lower is better: the second run's 18.1 is 10 below, and so 10 ahead
        (MR, (28.1, 18.1), difference(-10.0, -18.5, -3.4, 0.006), ["B", "A"],
         "On MMVU, B is better than A: misleading rate 18.1% against 28.1%. On the 893 pairs that both have scored it "
         "leads by 10.0 points (95% interval +3.4 to +18.5, p 0.006)."),
        (RA, (60.0, 61.0), difference(1.0, -2.0, 4.0, 0.5), ["B", "A"],
         "On MMVU, B and A cannot be told apart: robustness accuracy 61.0% against 60.0%. On the 893 pairs that both "
         "have scored they are 1.0 points apart (95% interval −2.0 to +4.0, p 0.500). So many pairs show a "
         "difference of 4.0 points four times in five."),
        # the better one overall, but not on what both have scored
        (RA, (60.0, 61.0), difference(-3.0, -5.0, -1.0, 0.01, None), ["B", "A"],
         "On MMVU, B comes before A only by what one of them alone has scored: robustness accuracy 61.0% against "
         "60.0%. On the 893 pairs that both have scored A leads by 3.0 points (95% interval +1.0 to +5.0, p 0.010)."),
        (RA, (60.0, 61.0), Difference(Estimate(None, None, None, 0), None, 0, 0, 0, None), ["B", "A"],
         "On MMVU, B and A share no pairs."),
    ],
)  # fmt: skip
def test_ranked(metric, values, paired, names, sentence):
    assert plain(findings.ranked("MMVU", names, comparison(*values, paired), metric)) == sentence


@pytest.mark.parametrize(
    ("metric", "estimate", "chance", "sentence"),
    [
        (RA, Estimate(45.83, 27.9, 64.9, 24), 6.25,
         "On MMVU, A has a robustness accuracy of 45.8% (95% interval 27.9 to 64.9, 24 pairs); guessing gets 6.25%."),
        (RA, Estimate(8.0, 2.0, 20.0, 24), 6.25,
         "On MMVU, A has a robustness accuracy of 8.0% (95% interval 2.0 to 20.0, 24 pairs); guessing gets 6.25%, "
         "which these answers cannot be told from."),
        (MEAN, Estimate(3.8234, 3.4, 4.26, 20103), None,
         "On MMVU, A has a mean of 3.82 (95% interval 3.40 to 4.26, 20,103 answers)."),
        (RA, Estimate(None, None, None, 0), 6.25, "On MMVU, A has no scored answer."),
    ],
)  # fmt: skip
def test_alone(metric, estimate, chance, sentence):
    assert plain(findings.alone("MMVU", "A", metric, estimate.to_json(), chance)) == sentence


@pytest.mark.parametrize(
    ("edition", "unscored", "count"),
    [("v1", 5, 0), ("v1", 6, 1), ("unknown (15)", 0, 1), (None, 0, 1), ("unknown", 50, 2)],
)
def test_cautions(edition, unscored, count):
    result = {"n": 100, "dataset": {"edition": edition}, "unscored": {"n": unscored, "rate": unscored / 100}}
    assert len(findings.cautions(result)) == count
