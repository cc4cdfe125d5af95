"""Rows of answers: their columns, and values of any kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.core.request import Picture, Text
from judge.core.verdict import Verdict
from judge.io.samples import Drawn, Missing, Sample
from judge.results.answer_rows import COLUMNS, NamedRun, answer_table, text_of
from judge.results.run_folder import Run

RESULTS = {
    "benchmark": "mmie", "signature": "benchmark:mmie|part:2 of 3", "n": 2, "metrics": {},
    "dataset": {"repo": "MMIE/MMIE", "revision": None, "edition": "v1"}, "run": {"model": "m"},
}  # fmt: skip


def named(*verdicts: Verdict, samples: tuple[Sample, ...] = ()) -> NamedRun:
    return NamedRun("one", Run(Path("out"), RESULTS, verdicts), {sample.key: sample for sample in samples})


def test_a_row_has_the_columns_of_ours_and_of_the_benchmark():
    verdict = Verdict(
        "a", "judge", 4, category="SA", feedback="good", score_probs=(0, 0, 0, 0, 0.5, 0.5, 0),
        details={"field": "Art", "criteria": {"Text quality": 1, "Image quality": 0}},
    )  # fmt: skip
    table = answer_table([named(verdict, Verdict("b", "judge", None, "no_response", category="SA"))])
    first, second = table.rows()
    assert list(first) == list(second) == [*COLUMNS, "field", "points: Text quality", "points: Image quality"]
    # 4.5 points are expected of 4 and 5 at even odds, which is one bit
    wanted = {
        "run": "one", "model": "m", "benchmark": "mmie", "edition": "v1", "part": "2 of 3", "id": "a", "index": None,
        "score": 4, "outcome": "scored", "expected": 4.5, "entropy": 1.0, "field": "Art", "points: Text quality": 1,
        "points: Image quality": 0, "question": None, "answer": None,
    }  # fmt: skip
    assert {name: first[name] for name in wanted} == wanted
    assert [second[name] for name in ("score", "outcome", "unscored", "field")] == [
        None,
        "unscored",
        "no_response",
        None,
    ]


@pytest.mark.parametrize(
    ("values", "kind", "written"),
    [
        ([1, None], "int", [1, None]),
        ([1, 2.5], "float", [1.0, 2.5]),
        ([True, False], "bool", [True, False]),
        ([True, 1], "text", ["true", "1"]),
        (["a", 1], "text", ["a", "1"]),
        ([{"fits": True}, None], "text", ['{"fits": true}', None]),
        ([2**63, 1], "text", ["9223372036854775808", "1"]),
        (["\ud800", None], "text", ["?", None]),
    ],
)
def test_values_of_one_column_are_of_one_kind(values, kind, written):
    verdicts = [Verdict(str(n), "judge", 0, details={"x": value}) for n, value in enumerate(values)]
    table = answer_table([named(*verdicts)])
    assert table.columns["x"] == kind
    found = [row["x"] for row in table.rows()]
    assert found == written
    assert [type(value) for value in found] == [type(value) for value in written]


def test_a_detail_that_is_called_like_a_column_stands_aside():
    table = answer_table([named(Verdict("a", "judge", 1, index=2**70, details={"score": "mine"}))])
    (row,) = table.rows()
    assert (row["score"], row["details.score"], row["index"]) == (1, "mine", None)


def test_pieces_as_text():
    pieces = (Text("a"), Picture(Path("x.png"), "images/x.png"), Drawn("a cup"), Missing("../y.png"), Text("\udc00"))
    assert text_of(pieces) == "a\n<image>\n<image ../y.png is missing>\n?"
