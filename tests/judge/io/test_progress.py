"""What is said on stderr while something takes its time: in a log, a line at the start and one at the end."""

from __future__ import annotations

import io
import sys
import threading
import time
import types

import pytest

from judge.io import progress
from judge.io.files import sha256
from judge.io.progress import BYTES, WatchedFile, counted, doing, duration, progress_bar, say, size


@pytest.fixture
def moments():
    """What every other test leaves out is said here."""


@pytest.fixture
def clock(monkeypatch):
    """Seconds that the module believes have passed; a list of one."""
    now = [0.0]
    monkeypatch.setattr(progress, "time", types.SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_bar_in_a_log_is_two_lines(clock, capsys):
    with progress_bar(20_103, "judging", "answer") as bar:
        assert capsys.readouterr().err == "mmjudge: judging: 20,103 answers …\n"
        for _ in range(20_103):
            clock[0] += 0.001
            bar.update()
        assert capsys.readouterr().err == ""
        clock[0] = 40.0
    # 20,103 in 40 s
    assert capsys.readouterr().err == "mmjudge: judging: 20,103 answers in 40 s, 503 a second\n"


def test_and_a_line_every_ten_minutes(clock, capsys):
    with progress_bar(100, "judging", "answer", done=10) as bar:
        for second in (599, 600, 1199, 1201):
            clock[0] = second
            bar.note(f"${second}")
            bar.update(10)
    assert capsys.readouterr().err.splitlines() == [
        "mmjudge: judging: 100 answers, 10 of them before …",
        "mmjudge: judging: 30 of 100 answers after 10 min 0 s; $600",
        "mmjudge: judging: 50 of 100 answers after 20 min 1 s; $1201",
        # 40 new ones in 1,201 s
        "mmjudge: judging: 50 of 100 answers in 20 min 1 s, 0.0 a second; $1201",
    ]


def test_what_takes_no_time_is_not_spoken_of(capsys):
    assert list(counted([1, 2], "hashing", "file")) == [1, 2]
    with doing("reading", after=60):
        pass
    with progress_bar(2, "judging", "answer", silent=True) as bar:
        bar.update(2)
    assert capsys.readouterr().err == ""


def test_what_takes_time_is_said_while_it_does(clock, monkeypatch):
    begun, lines = threading.Event(), []

    def speak(text):
        lines.append(text)
        begun.set()

    monkeypatch.setattr(progress, "say", speak)
    with doing("reading out/a", after=0.01):
        assert begun.wait(60)
        clock[0] = 3.04
    assert lines == ["reading out/a …", "reading out/a: done in 3.0 s"]


def test_a_line_that_has_begun_comes_before_what_follows(monkeypatch):
    begun, lines = threading.Event(), []

    def speak(text):
        if not begun.is_set():
            begun.set()
            time.sleep(0.1)
        lines.append(text)

    monkeypatch.setattr(progress, "say", speak)
    with doing("reading", after=0.001):
        assert begun.wait(60)
    first, last = lines
    assert first == "reading …"
    assert last.startswith("reading: done in ")


def test_what_fails_is_not_called_done(capsys):
    with pytest.raises(ValueError, match="no"), doing("loading"):
        raise ValueError("no")
    assert capsys.readouterr().err == "mmjudge: loading …\n"


def test_text_of_others_cannot_steer_a_terminal(capsys):
    say("the folder \x1b[2Jx")
    assert "\x1b" not in capsys.readouterr().err


def test_a_terminal_gets_a_bar(monkeypatch):
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(4, "judging", "answer") as bar:
        bar.update(4)
    assert "mmjudge: judging: 100%" in terminal.getvalue()
    assert "4/4" in terminal.getvalue()


def test_bytes_of_a_file_that_is_read(clock, capsys):
    with progress_bar(5_000_000, "unpacking x", BYTES) as bar:
        file = WatchedFile(io.BytesIO(bytes(5_000_000)), bar)
        assert len(file.read(4_000_000)) == 4_000_000
        assert len(file.read()) == 1_000_000
        clock[0] = 2.0
    # 5 MB in 2 s
    first, last = capsys.readouterr().err.splitlines()
    assert first == "mmjudge: unpacking x: 5.0 MB …"
    assert last == "mmjudge: unpacking x: 5.0 MB in 2.0 s, 2.5 MB a second"


def test_a_large_file_is_hashed_with_a_word(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("judge.io.files.LARGE", 10)
    monkeypatch.setattr("judge.io.files.MOMENT", 0)
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"abcdefghijkl")
    assert sha256(file).startswith("d682ed4ca4d9")  # sha256sum of the twelve letters
    assert capsys.readouterr().err.startswith("mmjudge: hashing model.safetensors: 12 B …\n")


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (2_662_000, "2.7 MB"), (8_300_000_000, "8.3 GB"), (123e9, "123 GB")],
)
def test_sizes(count, shown):
    assert size(count) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 0 s"), (2352, "39 min 12 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds, shown):
    assert duration(seconds) == shown
