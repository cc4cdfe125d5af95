"""What a file of verdicts may hold; how one is written and healed is in tests/judge/scoring/test_journal.py."""

from __future__ import annotations

import json
import re

import pytest

from judge.core.scale import Scale
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io import jsonl
from judge.io.verdicts import read_verdicts
from judge.scoring.journal import Journal

WHOLE = Verdict("q1", "judge", 4, category="T", feedback="Fine.", score_probs=(0, 0, 0, 0, 0.5, 0.5, 0), key="k1")
PROBS = "score_probs must be 7 numbers from 0 to 1, or null"
SCORE = "score must be a whole number from 0 to 6, or null"
# field → value, as JSON, with what the error says. The first ones were believed or ended in a traceback before.
DAMAGED = [
    ("score", "-1", SCORE),  # counts[-1] made it a 6
    ("score", "7", SCORE),
    ("score", "4.0", SCORE),
    ("score", "true", SCORE),
    ("score", '"4"', SCORE),
    ("score", "[4]", SCORE),
    ("score", "null", "give either a score or a reason"),
    ("score_probs", "[0, 0, 0, 0, 0, 1, NaN]", "NaN is no number of JSON"),
    ("score_probs", "[0, 0, 0, 0, 0, 1, 1e999]", PROBS),
    ("score_probs", "[0, 0, 0, 0, 0, 1, -0.1]", PROBS),
    ("score_probs", '[0, 0, 0, 0, 0, 1, "0"]', PROBS),
    ("score_probs", "[0, 0, 0, 0, 0, 1, true]", PROBS),
    ("score_probs", "[0, 0, 0, 0, 0, 1]", PROBS),
    ("score_probs", "[0, 0, 0, 0, 0, 1, 0, 0]", PROBS),
    ("score_probs", '"0000010"', PROBS),
    ("score_probs", "1", PROBS),
    ("expected", "5.0", "expected must be that of score_probs, 4.5"),  # 0.5 · 4 + 0.5 · 5
    ("entropy", "0.5", "entropy must be that of score_probs, 1.0"),  # two alike: one bit
    ("entropy", '"1.0"', "entropy must be that of score_probs, 1.0"),
    ("key", '["k1"]', "key must be text or null"),
    ("index", "[0]", "index must be a whole number or null"),
    ("index", "true", "index must be a whole number or null"),
    ("index", "0.5", "index must be a whole number or null"),
    ("id", "1", "id must be text"),
    ("id", "null", "id must be text"),
    ("by", '"nobody"', 'by must be "rule" or "judge"'),
    ("by", "[]", 'by must be "rule" or "judge"'),
    ("category", "{}", "category must be text or null"),
    ("feedback", "3", "feedback must be text or null"),
    ("details", "[]", "details must be an object"),
    ("details", "null", "details must be an object"),
    ("details", '{"position": 1e999}', "not JSON compliant"),
    ("failure", "{}", "failure must be a reason, or null"),
    ("failure", '"tired"', "no failure of a model"),
    ("unscored", '"tired"', "unknown reason 'tired'"),
    ("unscored", '"truncated"', "give either a score or a reason"),
    ("unscored", "[]", "unscored must be a reason, or null"),
]


def line(**changes: str) -> str:
    """A whole line, with fields changed to other JSON."""
    fields = {name: json.dumps(value) for name, value in WHOLE.to_json().items()}
    if changes.get("unscored", "").startswith('"tired'):
        changes["score"] = "null"
    return "{" + ", ".join(f'"{name}": {value}' for name, value in {**fields, **changes}.items()) + "}\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "verdicts.jsonl"


def test_the_whole_line_of_the_table_is_a_verdict(path):
    path.write_text(line())
    assert read_verdicts(path) == [WHOLE]


@pytest.mark.parametrize(("field", "value", "problem"), DAMAGED)
@pytest.mark.parametrize("open_it", [read_verdicts, Journal])
def test_a_damaged_field_is_named_with_its_line(path, field, value, problem, open_it):
    path.write_text(line(id='"q0"') + line(**{field: value}) + line())
    before = path.read_bytes()
    with pytest.raises(UserError, match=rf"verdicts\.jsonl: line 2 is not a verdict: .*{re.escape(problem)}"):
        open_it(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("[]", "it is not an object"),
        ("4", "it is not an object"),
        ("{}", "id must be text"),
        ('{"id": "q1", "by": "judge"}', "score is missing"),
        ('{"id": "a", "id": "b", "by": "judge", "score": 4}', "the name 'id' twice"),
        ("not json", "Expecting value"),
        ("", "Expecting value"),
        ("[" * 100_000, "recursion"),
        ('{"id": "q1", "by": "judge", "score": ' + "1" * 5000 + "}", "integer string conversion"),
    ],
)
def test_a_line_that_is_something_else(path, content, problem):
    path.write_text(f"{content}\n")
    with pytest.raises(UserError, match=f"line 1 is not a verdict: .*{problem}"):
        read_verdicts(path)


def test_bytes_that_are_no_text(path):
    path.write_bytes(b"\xff\n")
    with pytest.raises(UserError, match="line 1 is not a verdict: 'utf-8' codec"):
        read_verdicts(path)


def test_the_scale_is_the_callers(path):
    path.write_text(line(score="1", score_probs="[0.25, 0.75]", expected="0.75", entropy="0.8113"))
    assert [(v.score, v.score_probs) for v in read_verdicts(path, Scale(0, 1))] == [(1, (0.25, 0.75))]
    # entropy: 0.25 · log2(4) + 0.75 · log2(4/3) = 0.5 + 0.3113
    path.write_text(line(score="2", score_probs="null"))
    with pytest.raises(UserError, match="score must be a whole number from 0 to 1"):
        read_verdicts(path, Scale(0, 1))


def test_the_last_line_of_a_question_wins(path):
    path.write_text(line(score="1") + line(index="0") + line(id='"q2"') + line(score="2"))
    assert [(v.id, v.index, v.score) for v in read_verdicts(path)] == [("q1", None, 2), ("q1", 0, 4), ("q2", None, 4)]


@pytest.mark.parametrize("tail", [line()[:-2], line(score="7")[:-1], "{}", '{"id": "q2', "\0\0\0"])
def test_an_unfinished_last_line_ends_the_file(path, tail):
    path.write_text(line() + tail)
    assert read_verdicts(path) == [WHOLE]
    assert path.read_text() == line() + tail


def test_a_whole_last_line_without_its_newline_counts(path):
    path.write_text(line() + line(id='"q2"')[:-1])
    assert [v.id for v in read_verdicts(path)] == ["q1", "q2"]


def test_a_line_is_bounded(path, monkeypatch):
    monkeypatch.setattr(jsonl, "MAX_LINE", 1024)
    path.write_text(line() + line(feedback=f'"{"x" * 1024}"'))
    with pytest.raises(UserError, match="line 2 is longer than"):
        read_verdicts(path)


def test_a_file_that_is_not_there(path):
    with pytest.raises(UserError, match="cannot be read"):
        read_verdicts(path)
