"""Several answers to every question: mean, spread, and what is written."""

import json

import pytest

from judge.results.repeats import repeats_table, summarise_repeats, write_repeats


def result(score, categories=None):
    low, high = (None, None) if score is None else (score - 10, score + 10)
    estimate = {"value": score, "ci_low": low, "ci_high": high, "n": 5}
    return {
        "benchmark": "toy",
        "signature": "benchmark:toy",
        "metrics": {"score": estimate},
        "categories": {name: {"score": {**estimate, "value": value}} for name, value in (categories or {}).items()},
    }


RESULTS = [result(50.0, {"A": 10.0}), result(56.0, {"A": 20.0}), result(62.0, {"A": 60.0})]


def test_the_mean_over_repeats_and_the_standard_deviation_between_them():
    found = summarise_repeats(RESULTS)
    # mean (50 + 56 + 62) / 3; sd sqrt((36 + 0 + 36) / 2); bounds (40 + 46 + 52) / 3 and (60 + 66 + 72) / 3
    score = {"mean": 56.0, "sd": 6.0, "ci_low": 46.0, "ci_high": 66.0, "values": [50.0, 56.0, 62.0]}
    assert found["metrics"] == {"score": score}
    assert (found["repeats"], found["folders"]) == (3, ["repeat-1", "repeat-2", "repeat-3"])
    # sqrt((400 + 100 + 900) / 2)
    assert found["categories"]["A"]["score"]["mean"] == 30.0
    assert found["categories"]["A"]["score"]["sd"] == pytest.approx(700**0.5)


def test_a_repeat_without_a_value_is_left_out_of_the_mean_and_shown():
    found = summarise_repeats([result(50.0), result(None)])["metrics"]["score"]
    assert found == {"mean": 50.0, "sd": None, "ci_low": 40.0, "ci_high": 60.0, "values": [50.0, None]}
    assert summarise_repeats([result(None), result(None)])["metrics"]["score"]["mean"] is None


def test_what_is_written_and_printed(tmp_path):
    path = write_repeats(tmp_path, summarise_repeats(RESULTS))
    assert json.loads(path.read_text()) == summarise_repeats(RESULTS)
    table = repeats_table(summarise_repeats(RESULTS), "Toy", ["score", "other"])
    assert table.splitlines() == [
        "Toy: every question asked 3 times",
        "",
        "                mean      sd      95% interval   values",
        "score          56.00    6.00    [46.00, 66.00]   50.00, 56.00, 62.00",
        "other              -",
    ]
