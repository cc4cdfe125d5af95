"""Constant letters and the longest option on the published file of v1."""

import json

import pytest
from folders import SHARED

from judge.core.request import Text
from judge.core.verdict import Verdict
from judge.io.samples import Sample
from mmvu_tasks.baselines import baselines
from mmvu_tasks.records import Record, read_records

FILE = SHARED / "data" / "mmr-v1" / "MMR-benchmark.json"


def asked(records):
    verdicts = [
        Verdict(r.id, "rule", None, "not_answered", r.category, r.index,
                details={"type": r.question_type, "level": r.level, "score_reference": None})
        for r in records
    ]  # fmt: skip
    samples = [Sample(r.id, r.index, r.category, (Text(r.question),), (), r.ground_truth) for r in records]
    return verdicts, {sample.key: sample for sample in samples}


@pytest.mark.skipif(not FILE.exists(), reason=f"needs the published questions: {FILE}")
def test_published_v1():
    found = baselines(*asked(read_records(FILE)))
    values = {name: [round(of[metric].value, 2) for metric in ("RA", "MR")] for name, of in found.items()}
    # counted on the file without this code (facts on the benchmark): A 6.67/74.0, B 7.0/72.7, C 10.0/60.0, D 8.67/63.9
    assert values["always A"] == [6.67, 74.03]
    assert values["always B"] == [7.0, 72.73]
    assert values["always C"] == [10.0, 60.0]
    assert values["always D"] == [8.67, 63.89]
    # facts: 19.0/37.4, above all published text-only rows (9.76 to 17.33); 57 of 300 pairs, 34 of 91 lost
    assert values["longest option"] == [19.0, 37.36]
    assert found["longest option"]["RA"].n == 300


ROW = {"image": "a.jpg", "question_type": "POS"}
QUESTION = "Which?\nA. one\nB. three\nC. seven\nD. six"


@pytest.fixture
def two(tmp_path):
    rows = [
        {**ROW, "id": "attribute/number/01", "question": QUESTION, "ground_truth": "B"},
        {**ROW, "id": "attribute/number/01", "question": QUESTION, "ground_truth": "C", "question_type": "NEG"},
    ]
    file = tmp_path / "MMR-benchmark.json"
    file.write_text(json.dumps(rows))
    return asked(read_records(file))


def test_of_equal_lengths_the_first_is_taken(two):
    # "three" and "seven" have five letters each: B, right in the plain question alone, so the pair is lost
    assert {name: one.value for name, one in baselines(*two)["longest option"].items()} == {
        "RA": 0, "MR": 100, "POS": 100, "NEG": 0,
    }  # fmt: skip


def longest_is_a(question):
    """Whether the baseline answers A."""
    record = Record(0, "attribute/number/01", "a.jpg", question, (), "A", "POS", "Number", "attribute")
    return baselines(*asked([record]))["longest option"]["POS"].value == 100


def test_the_longest_option_is_a_line():
    assert not longest_is_a("Which?\nB. one\nA. two\nC. six\nD. x")  # of equals the first as printed: B
    assert longest_is_a("Which?\n A.three  \nB. four\nC. six   \nD. x")  # spaces count for nothing
    assert not longest_is_a("Which?\nA) one\nB) three\nC) two\nD) x")
    assert longest_is_a("Which? A. x B. longer C. y D. z")  # no option has a line of its own


def test_there_are_none_where_a_question_is_not_known(two):
    verdicts, samples = two
    assert baselines([], {}) == {}
    assert baselines(verdicts, dict(list(samples.items())[:1])) == {}
    unread = Sample("attribute/number/01", 0, "Number", (Text("Which?"),), (), "B")
    assert baselines(verdicts, {**samples, unread.key: unread}) == {}
