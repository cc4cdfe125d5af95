"""What must be known before runs are set side by side: one function says it, and every command prints it."""

import dataclasses
import itertools
from pathlib import Path

import pytest

from judge.core.verdict import Verdict
from judge.results.remarks import remarks
from judge.results.run_folder import Run

NUMBERS = itertools.count()


def run(signature="benchmark:mmie|asked:plain@0", interleaving=None):
    results = {"signature": signature, "benchmark": "mmie", "metrics": {}, "categories": {}}
    verdict = Verdict(
        "SA-1", "judge", 4, category="SA", details={"number": next(NUMBERS)}
    )  # every run has answers of its own
    return Run(Path("x"), {**results, "run": {"interleaving": interleaving}}, [verdict])


def counted(n, **categories):
    found = run()
    metrics = {"score": {"value": 50.0, "n": n}}
    by_category = {name: {"score": {"value": 50.0, "n": number}} for name, number in categories.items()}
    return dataclasses.replace(found, results={**found.results, "metrics": metrics, "categories": by_category})


PLAIN = run()
OTHER = run()
PART = run("benchmark:mmie|part:20 of 48|asked:plain@0")
REPLAY = run("benchmark:mmie|feedback:1a|asked:plain@0")


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([("A", PLAIN), ("B", OTHER)], []),
        ([("A", PART)], ["PARTIAL: only some of the questions were asked: A 20 of 48."]),
        ([("A", PART), ("B", PLAIN), ("C", run("benchmark:mmie|part:20 of 48|asked:plain@0"))],
         ["PARTIAL: only some of the questions were asked: A 20 of 48 and C 20 of 48."]),
        ([("A", REPLAY)], ["Replayed feedback: nothing here says which judge wrote it for A."]),
        ([("A", REPLAY), ("B", run("benchmark:mmie|feedback:1b|asked:plain@0"))],
         ["Replayed feedback: nothing here says that one and the same judge wrote it for A and B."]),
        ([("A", REPLAY), ("B", PLAIN), ("C", OTHER)],
         ["Replayed feedback of A: nothing here says that one and the same judge wrote it for A, B and C."]),
        ([("A", PLAIN), ("B", run("benchmark:mmie")), ("C", OTHER)],
         ["As far as is known, the models were not asked in the same words (plain@0 for A and C; unknown for B); a "
          "difference may be one between the wordings."]),
        ([("A", run(interleaving="kept")), ("B", run(interleaving="pictures first")), ("C", PLAIN)],
         ["Texts and pictures of a question did not reach the models in the same order: kept for A; pictures first for "
          "B."]),
        ([("A", PLAIN), ("B", OTHER), ("C", PLAIN)],
         ["A and C are one and the same run: the same answers, decided in the same way. They differ by exactly 0."]),
        ([("A", PLAIN), ("B", OTHER), ("C", PLAIN), ("D", OTHER), ("E", PLAIN), ("F", PLAIN)],
         ["A, C, E and F are one and the same run: the same answers, decided in the same way. They differ by exactly "
          "0.",
          "B and D are one and the same run: the same answers, decided in the same way. They differ by exactly 0."]),
        ([("A", counted(49)), ("B", counted(60))],
         ["Only 49 answers (fewer than 50): intervals are wide, and a single one may decide whether a difference is "
          "significant."]),
        ([("A", counted(49)), ("B", counted(0))],
         ["Only 49 answers (fewer than 50): intervals are wide, and a single one may decide whether a difference is "
          "significant."]),
        ([("A", counted(1))],
         ["Only 1 answer (fewer than 50): intervals are wide, and a single one may decide whether a difference is "
          "significant."]),
        ([("A", counted(50, SA=2))], []),
        # where nobody knows, nothing is said to differ
        ([("A", run(interleaving="kept")), ("B", run(interleaving="unknown"))], []),
    ],
)  # fmt: skip
def test_remarks(runs, said):
    assert remarks(runs) == said


def test_wordings_may_differ_where_conditions_do():
    assert remarks([("plain", PLAIN), ("blind", run("benchmark:mmie|asked:blind@1"))], wordings=False) == []


def test_of_categories_the_smallest_is_named():
    few = [("A", counted(90, SA=80, PBL=10)), ("B", counted(90, SA=88, PBL=2, MSR=0))]
    assert remarks(few, categories=True) == [
        "By category there are as few as 2 answers (PBL; fewer than 50): intervals are wide, and a single one may "
        "decide whether a difference is significant."
    ]
    assert remarks(few) == remarks([("A", counted(150, SA=50))], categories=True) == []
