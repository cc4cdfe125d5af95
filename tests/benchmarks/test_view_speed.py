"""The benchmark of `mmjudge view`, cut short: that it measures what it says, not how fast that is."""

import sys

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("uvicorn", reason="the view extra is not installed")

from chromium import NEEDED


@NEEDED
def test_every_part_is_measured(script, monkeypatch, capsys):
    speed = script("view_speed")
    monkeypatch.setattr(speed, "N", 120)
    monkeypatch.setattr(speed, "CORPUS", 50_000)
    monkeypatch.setattr(sys, "argv", ["view_speed.py", "--runs", "2", "--times", "1"])
    speed.main()
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.startswith("2 runs of 120 answers, ")
    measured = {row[:26].strip(): [float(value) for value in row[26:].split()] for row in rows}
    assert list(measured) == [
        "address printed", "list shown", "first search",
        *(f"search, {name}" for name in ("a common word", "a rare word", "two words", "a phrase")), "next answer",
    ]  # fmt: skip
    assert all(median == slowest for median, slowest in measured.values())  # of one
    assert measured["address printed"] < measured["list shown"]
