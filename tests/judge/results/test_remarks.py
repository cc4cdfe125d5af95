"""What must be known before runs are set side by side: one function says it, and every command prints it."""

from pathlib import Path

import pytest

from judge.results.remarks import remarks
from judge.results.run_folder import Run


def run(signature="benchmark:mmie|asked:plain@0", interleaving=None):
    return Run(Path("x"), {"signature": signature, "run": {"interleaving": interleaving}}, [])


PLAIN = run()
PART = run("benchmark:mmie|part:20 of 48|asked:plain@0")
REPLAY = run("benchmark:mmie|feedback:1a|asked:plain@0")


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ([("A", PLAIN), ("B", PLAIN)], []),
        ([("A", PART)], ["PARTIAL: only some of the questions were asked: A 20 of 48."]),
        ([("A", PART), ("B", PLAIN), ("C", PART)],
         ["PARTIAL: only some of the questions were asked: A 20 of 48 and C 20 of 48."]),
        ([("A", REPLAY)], ["Replayed feedback: nothing here says which judge wrote it for A."]),
        ([("A", REPLAY), ("B", REPLAY)],
         ["Replayed feedback: nothing here says that one and the same judge wrote it for A and B."]),
        ([("A", REPLAY), ("B", PLAIN), ("C", PLAIN)],
         ["Replayed feedback of A: nothing here says that one and the same judge wrote it for A, B and C."]),
        ([("A", PLAIN), ("B", run("benchmark:mmie")), ("C", PLAIN)],
         ["As far as is known, the models were not asked in the same words (plain@0 for A and C; unknown for B); a "
          "difference may be one between the wordings."]),
        ([("A", run(interleaving="kept")), ("B", run(interleaving="pictures first")), ("C", PLAIN)],
         ["Texts and pictures of a question did not reach the models in the same order: kept for A; pictures first for "
          "B."]),
        # where nobody knows, nothing is said to differ
        ([("A", run(interleaving="kept")), ("B", run(interleaving="unknown"))], []),
    ],
)  # fmt: skip
def test_remarks(runs, said):
    assert remarks(runs) == said


def test_wordings_may_differ_where_conditions_do():
    assert remarks([("plain", PLAIN), ("blind", run("benchmark:mmie|asked:blind@1"))], wordings=False) == []
