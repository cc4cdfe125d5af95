"""A user without a home folder, as some containers have, and a path below the home of a user that is none."""

from __future__ import annotations

import pwd

import pytest

from judge import cli

SAID = "~ stands for no folder here"


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def none(number: int) -> None:
        raise KeyError(number)

    for variable in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", none)
    assert cli.main(["doctor", "--harness", "none"]) == 2
    assert capsys.readouterr().err.startswith(f"mmjudge doctor: {SAID}")


def test_the_home_of_nobody(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MMJUDGE_JOURNAL", "~no-such-user/journal")
    assert cli.main(["doctor", "--json"]) == 2
    assert capsys.readouterr().err.startswith(f"mmjudge doctor: {SAID}")
