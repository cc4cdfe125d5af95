"""The benchmark of bfloat16: its counting, and one run cut short."""

from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def bfloat16(script):
    return script("bfloat16")


def test_changes_are_counted_with_their_intervals(bfloat16):
    before = [("a", 4), ("b", 2), ("c", None), ("d", 0), ("e", None), *[("same", 6)] * 5]
    after = [("a", 4), ("B", 3), ("C", 3), ("D", 0), ("e", None), *[("same", 6)] * 5]
    found = bfloat16.changes(before, after)
    # texts b, c, d; scores b (2 → 3) and c (none → 3)
    assert (found["n"], found["texts"]["changed"], found["scores"]["changed"]) == (10, 3, 2)
    # Wilson, 3 of 10 and 2 of 10: statsmodels proportion_confint(k, 10, method="wilson")
    assert (found["texts"]["ci_low"], found["texts"]["ci_high"]) == pytest.approx((10.779, 60.322), abs=1e-3)
    assert (found["scores"]["ci_low"], found["scores"]["ci_high"]) == pytest.approx((5.668, 50.984), abs=1e-3)
    assert found["unscored"] == [2, 1]
    # (4+2+0+30)/8 and (4+3+3+0+30)/9
    assert found["mean"] == pytest.approx([36 / 8, 40 / 9])


def test_a_short_run_compares_what_it_says(bfloat16, tmp_path, monkeypatch, capsys):
    prompts = bfloat16.prompts
    monkeypatch.setattr(bfloat16, "prompts", lambda *given: prompts(*given)[:2])
    out = tmp_path / "out.json"
    assert bfloat16.main(["--n", "6", "--batch", "4", "--max-new-tokens", "3", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert list(found["compared"]) == [
        "float32 → bfloat16",
        "bfloat16, batch 1 → 4",
        "float32, batch 1 → 4 (control)",
    ]
    assert {row["n"] for row in found["compared"].values()} == {2}
    assert found["compared"]["float32, batch 1 → 4 (control)"]["texts"]["changed"] == 0
    # three tokens hold no score: every side is unscored, and nothing can have changed
    assert [row["unscored"] for row in found["compared"].values()] == [[2, 2]] * 3
    printed = capsys.readouterr().out
    assert "| float32 → bfloat16 | 2 |" in printed
    assert json.loads(printed.splitlines()[-1]) == found


def test_a_judge_that_is_not_there_is_named(bfloat16, capsys):
    assert bfloat16.main(["--judge", "./nowhere", "--rubric", "mmjudge", "--n", "6"]) == 2
    assert "nowhere" in capsys.readouterr().err
