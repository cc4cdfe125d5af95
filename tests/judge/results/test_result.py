"""results.json and its table."""

from __future__ import annotations

import dataclasses

import pytest
from toy import Toy

from judge.core.benchmark import Source, Summary
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.results.result import build_result
from judge.results.run_folder import RunFolder
from judge.results.run_info import versions
from judge.results.statistics import EMPTY, Estimate
from judge.results.terminal import result_table

SIGNATURE = Signature({"benchmark": "toy", "judge": "a/b"})
SOURCE = Source("toy/toy", "4f0c", "v1", note="a local copy")
VERDICTS = [
    Verdict("q0", "judge", 6, category="A"),
    Verdict("q1", "judge", 3, category="A"),
    Verdict("q2", "judge", None, "truncated", category="A"),
    Verdict("q3", "judge", None, "no_response", category="B"),
    Verdict("q4", "judge", None, "truncated", category="B"),
]


@dataclasses.dataclass(frozen=True)
class Summed(Toy):
    summary: Summary = dataclasses.field(default_factory=lambda: Summary({}, {}))

    def summarise(self, verdicts, dataset):
        return self.summary


SCORE = Estimate(75.0, 50.0, 100.0, 2)
SUMMARY = Summary(
    metrics={"score": SCORE, "mean": Estimate(4.5, 3.0, 6.0, 2)},
    categories={"A": {"score": SCORE}, "B": {"score": EMPTY}},
    groups={"field": {"Health": {"score": SCORE}}},
    extra={"bounds": {"all": {"unscored_at_0": 30.0, "unscored_at_6": 90.0}}, "n": "never replaces the count"},
    notes=["weighted by question"],
)


def built(verdicts=VERDICTS, summary=SUMMARY, source=SOURCE, **options):
    return build_result(Summed(summary=summary), verdicts, None, source, SIGNATURE, **options)


def test_the_contract():
    estimate = {"value": 75.0, "ci_low": 50.0, "ci_high": 100.0, "n": 2}
    result = built()
    assert result.pop("run") is None
    assert result == {
        "benchmark": "toy",
        "signature": "benchmark:toy|judge:a/b",
        "n": 5,
        "metrics": {"score": estimate, "mean": {"value": 4.5, "ci_low": 3.0, "ci_high": 6.0, "n": 2}},
        "categories": {
            "A": {"score": estimate},
            "B": {"score": {"value": None, "ci_low": None, "ci_high": None, "n": 0}},
        },
        "groups": {"field": {"Health": {"score": estimate}}},
        "unscored": {
            "n": 3,
            "rate": 0.6,  # 3 of 5
            "reasons": {"no_response": 1, "truncated": 2},
            "categories": {"A": {"n": 1, "rate": 1 / 3}, "B": {"n": 2, "rate": 1.0}},
        },
        "failures": {
            "model": {"n": 0, "rate": 0.0, "reasons": {}},
            "call": {"n": 1, "rate": 0.2, "reasons": {"no_response": 1}},  # 1 of 5
            "judge": {"n": 2, "rate": 0.4, "reasons": {"truncated": 2}},
        },
        "dataset": {"repo": "toy/toy", "revision": "4f0c", "edition": "v1"},
        "bounds": {"all": {"unscored_at_0": 30.0, "unscored_at_6": 90.0}},
        "notes": ["weighted by question", "a local copy"],
    }


def test_reasons_are_in_the_order_of_the_table():
    assert list(built()["unscored"]["reasons"]) == ["no_response", "truncated"]


def test_failures_of_the_model_are_counted_apart_and_printed():
    failed = [Verdict("q9", "judge", 0, category="A", failure="empty_answer"), *VERDICTS]
    result = built(failed)
    assert result["failures"]["model"] == {"n": 1, "rate": 1 / 6, "reasons": {"empty_answer": 1}}
    assert (result["unscored"]["n"], result["failures"]["call"]["n"], result["failures"]["judge"]["n"]) == (3, 1, 2)
    line = "counted as the worst: 1 empty_answer (the answer holds neither text nor picture; 16.7%)"
    assert line in result_table(result, "Toy", ["score"])


def test_a_note_is_printed_once():
    twice = dataclasses.replace(SUMMARY, notes=["a local copy"])
    assert built(summary=twice)["notes"] == ["a local copy"]


def test_nobody_looked_at_the_data():
    assert built(source=None)["dataset"] == {"repo": "toy/toy", "revision": None, "edition": None}


def test_nothing_at_all_is_null_not_nan(tmp_path):
    nothing = Summary({"score": EMPTY}, {"A": {"score": EMPTY}})
    result = built([], nothing)
    assert result["unscored"] == {"n": 0, "rate": None, "reasons": {}, "categories": {"A": {"n": 0, "rate": None}}}
    RunFolder(tmp_path).write_results(result)
    assert "NaN" not in (tmp_path / "results.json").read_text()
    assert "-" in result_table(result, "Toy", ["score"])


def test_versions_of_what_is_installed_only():
    assert versions(["pillow", "no-such-distribution"]).keys() == {"mmjudge", "python", "numpy", "pillow"}


def test_written_whole_and_read_back(tmp_path):
    result = built()
    assert RunFolder(tmp_path).write_results(result) == tmp_path / "results.json"
    assert RunFolder(tmp_path).read_results() == result
    first = (tmp_path / "results.json").read_bytes()
    RunFolder(tmp_path).write_results(result)
    assert (tmp_path / "results.json").read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_nan_is_refused_and_leaves_what_was_there(tmp_path):
    RunFolder(tmp_path).write_results(built())
    before = (tmp_path / "results.json").read_bytes()
    broken = dataclasses.replace(SUMMARY, metrics={"score": Estimate(float("nan"), 0.0, 1.0, 1)})
    with pytest.raises(ValueError, match="JSON compliant"):
        RunFolder(tmp_path).write_results(built(summary=broken))
    assert (tmp_path / "results.json").read_bytes() == before


def test_discarding(tmp_path):
    RunFolder(tmp_path).write_results(built())
    RunFolder(tmp_path).discard_results()
    RunFolder(tmp_path).discard_results()
    RunFolder(tmp_path).write_verdicts([])
    with pytest.raises(UserError, match="the run has not ended"):
        RunFolder(tmp_path).read_results()


def test_the_parent_of_results_names_them(tmp_path):
    with pytest.raises(UserError, match="no results here, nor in folders below"):
        RunFolder(tmp_path).read_results()
    for name in ("b/mmjudge/m/mmie", "a a", "far/too/far/down/there"):
        (tmp_path / name).mkdir(parents=True)
        RunFolder(tmp_path / name).write_results(built())
    with pytest.raises(UserError) as error:
        RunFolder(tmp_path).read_results()
    assert str(error.value) == (
        f"{tmp_path}: is no results folder, but holds 2\n→ give instead: '{tmp_path}/a a' {tmp_path}/b/mmjudge/m/mmie"
    )
    for number in range(4):
        (tmp_path / f"c{number}").mkdir()
        RunFolder(tmp_path / f"c{number}").write_results(built())
    with pytest.raises(UserError, match=r"holds 6\n.*c2 and 1 more$"):
        RunFolder(tmp_path).read_results()


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"benchmark": "toy"}', "\ud800"])
def test_a_broken_results_file_is_named(tmp_path, content):
    (tmp_path / "results.json").write_bytes(content.encode("utf-8", "surrogatepass"))
    with pytest.raises(UserError, match=r"results\.json: "):
        RunFolder(tmp_path).read_results()


def test_the_table():
    table = result_table(built(), "Toy", ["score", "mean", "not there"])
    expected = """\
Toy, edition v1: 5 answers, 60.0% unscored

                       value      95% interval      n   unscored
score                  75.00   [50.00, 100.00]      2      60.0%
mean                    4.50      [3.00, 6.00]      2      60.0%

category               score      95% interval      n   unscored
A                      75.00   [50.00, 100.00]      2      33.3%
B                          -                 -      0     100.0%

unscored: 1 no_response (the response is null)
unscored: 2 truncated (the judge ran into the token limit before its score)
score if every unscored answer got 0: 30.00, if it got 6: 90.00
note: weighted by question
note: a local copy
signature: benchmark:toy|judge:a/b"""
    assert table == expected


def test_chance_stands_beside_the_numbers():
    rules = Summary({"RA": SCORE}, {}, extra={"chance": {"RA": 6.25}, "no_option": {"n": 2, "rate": 0.4}})
    table = result_table(built(summary=rules), "Toy", ["RA"])
    assert "n   unscored   chance\nRA                     75.00   [50.00, 100.00]      2      60.0%     6.25\n" in table
    assert "counted wrong because no option was named: 2 (40.0%)" in table


def test_the_table_fits_100_columns():
    long = Signature({f"part{n}": "value" * 4 for n in range(20)})
    summary = Summary(
        {"score": Estimate(100.0, 100.0, 100.0, 20103)},
        {"A category with a very long name": {"score": SCORE, "mean": SCORE}},
        notes=["word " * 60],
    )
    result = build_result(Summed(summary=summary), VERDICTS, None, SOURCE, long)
    table = result_table(result, "Toy", ["score", "mean"])
    assert max(map(len, table.splitlines())) <= 100
    # broken after "|" only: joined again, it is the signature
    assert "".join(line.strip() for line in table.partition("signature: ")[2].splitlines()) == str(long)
