"""The journal's lines and keys. What a kill leaves is in test_kill.py."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from judge.core.request import Picture, Request, Text
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.verdicts import read_verdicts
from judge.scoring.journal import Journal
from judge.scoring.keys import request_key, rule_key

SIGNATURE = Signature({"benchmark": "toy", "judge": "a"})
ONE = Verdict("q1", "judge", 4, category="T", feedback="Fine.\n### Score\n4", key="k1")
TWO = Verdict("q2", "judge", None, "no_score_line", category="T", feedback="中 \ud800 \u2028", key="k2")
RULE = Verdict("q3", "rule", 1, index=7, details={"letter": "B"}, key="k3")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "verdicts.jsonl"


def written(path: Path, *verdicts: Verdict) -> bytes:
    with Journal(path) as opened:
        for verdict in verdicts:
            opened.record(verdict)
    return path.read_bytes()


def test_what_was_recorded_is_read_back(path):
    data = written(path, ONE, TWO, RULE)
    assert [json.loads(line) for line in data.splitlines()] == [v.to_json() for v in (ONE, TWO, RULE)]
    assert read_verdicts(path) == [ONE, TWO, RULE]
    with Journal(path) as again:
        assert [again.get(key) for key in ("k1", "k2", "k3", "k4")] == [ONE, TWO, RULE, None]
        assert again.questions() == {("q1", None), ("q2", None), ("q3", 7)}


def test_every_line_is_one_write_and_synced(path, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda file, data: calls.append(data) or write(file, data))
    monkeypatch.setattr(os, "fsync", lambda file: calls.append("sync") or fsync(file))
    with Journal(path) as opened:
        calls.clear()  # opening syncs the folder and writes into the lock file
        opened.record(ONE)
        opened.record(TWO)
    lines = path.read_bytes().splitlines(keepends=True)
    assert [call for call in calls if call != "sync"] == lines
    assert calls[-1] == "sync"  # nothing is written after the last sync; one sync may cover several lines


def test_a_failing_sync_is_not_silent(path, monkeypatch):
    def fail(file):
        raise OSError(5, "input/output error")

    opened = Journal(path)
    monkeypatch.setattr(os, "fsync", fail)
    opened.record(ONE)
    with pytest.raises(UserError, match="input/output error"):
        opened.close()
    written(path)  # the lock is free


def test_a_sync_that_fails_while_nobody_looks_is_not_silent(path):
    """The other thread says so just after a line was written without fault."""

    class Racing(Journal):
        said = None

        @property
        def _failure(self):
            before, self.said = self.said, OSError(5, "input/output error")
            return before

        @_failure.setter
        def _failure(self, value):
            self.said = value

    opened = Racing(path)
    opened.record(ONE)
    with pytest.raises(UserError, match="input/output error"):
        opened.record(TWO)
    opened.close()


def test_an_unchanged_verdict_is_not_written_again(path):
    once = written(path, ONE, RULE)
    assert written(path, ONE, RULE, ONE) == once


def test_the_last_line_wins_for_key_and_question(path):
    better = dataclasses.replace(TWO, score=5, unscored=None)
    data = written(path, TWO, ONE, better)
    assert data.count(b"\n") == 3  # append-only: the old line stays
    assert read_verdicts(path) == [better, ONE]  # in the order in which questions first appeared
    with Journal(path) as again:
        assert again.get("k2") == better


def test_a_cached_verdict_becomes_the_last_again(path):
    """Answer A, then another answer, then A again: the question's last line is A's."""
    other = dataclasses.replace(ONE, score=2, key="k9")
    written(path, ONE, other, ONE)
    assert read_verdicts(path) == [ONE]


@pytest.mark.parametrize("cut", [1, 2, 30, -2, -1])
def test_a_torn_last_line_is_healed(path, cut):
    first, second = written(path, ONE), b""
    data = written(path, TWO)
    second = data[len(first) :]
    path.write_bytes(first + second[:cut])
    # one byte short of the end, only the newline is missing: the verdict is whole
    expected = [ONE, TWO] if cut == -1 else [ONE]
    assert read_verdicts(path) == expected
    assert path.read_bytes() == first + second[:cut]  # reading writes nothing
    written(path, RULE)
    assert read_verdicts(path) == [*expected, RULE]


@pytest.mark.parametrize("tail", [b"\0" * 40, b'{"id": "q2", "by"', b"\xff\xfe", b"{}"])
def test_any_unfinished_tail_is_cut_off(path, tail):
    whole = written(path, ONE)
    path.write_bytes(whole + tail)
    assert read_verdicts(path) == [ONE]
    assert written(path) == whole


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"id": "q2", "by": "judge"}',  # neither score nor reason
        b'{"id": 2, "by": "judge", "score": 4}',
        b'{"id": "q2", "by": "judge", "score": "4"}',
        b'{"id": "q2", "by": "judge", "score": null, "unscored": "no such reason"}',
        b"\xff",
        b"",
    ],
)
@pytest.mark.parametrize("open_it", [read_verdicts, Journal])
def test_a_broken_line_in_the_middle_is_named(path, line, open_it):
    whole = written(path, ONE)
    path.write_bytes(whole + line + b"\n" + whole)
    with pytest.raises(UserError, match=r"verdicts\.jsonl: line 2 is not a verdict"):
        open_it(path)
    # the lock is free again, and nothing was "repaired"
    assert path.read_bytes() == whole + line + b"\n" + whole
    path.write_bytes(whole)
    assert written(path, TWO) != whole


def test_a_missing_file_is_a_user_error(path):
    with pytest.raises(UserError, match="cannot be read"):
        read_verdicts(path)


OTHER_PROCESS = """
import sys
from judge.errors import UserError
from judge.scoring.journal import Journal
try:
    Journal(sys.argv[1])
except UserError as error:
    sys.exit(str(error))
"""


def test_a_second_process_is_kept_out(path):
    command = [sys.executable, "-c", OTHER_PROCESS, str(path)]
    with Journal(path) as opened:
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert other.returncode == 1
        assert f"{path}.lock: another process is writing here" in other.stderr
        opened.record(ONE)
    assert subprocess.run(command, check=False).returncode == 0
    assert read_verdicts(path) == [ONE]


def test_a_full_disk_leaves_whole_lines(path, monkeypatch):
    write = os.write
    with Journal(path) as opened:
        opened.record(ONE)
        whole = path.read_bytes()
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:10]))  # a short write
        with pytest.raises(UserError, match="No space left on device"):
            opened.record(TWO)
        assert path.read_bytes() == whole
        monkeypatch.undo()
        opened.record(TWO)
    assert read_verdicts(path) == [ONE, TWO]


def request(folder: Path, **changes) -> Request:
    picture = folder / "a.png"
    if not picture.exists():
        picture.write_bytes(b"first")
    base = Request("q1", "T", (Text("Why?"), Picture(picture, "a.png")), (Text("Because."),), "gt")
    return dataclasses.replace(base, **changes)


KEY_CHANGES = {
    "answer": lambda f: request_key(request(f, answer=(Text("Because!"),)), "t", SIGNATURE),
    "question": lambda f: request_key(request(f, question=(Text("Why?"),)), "t", SIGNATURE),
    "reference answer": lambda f: request_key(request(f, gt_answer="other"), "t", SIGNATURE),
    "no reference answer": lambda f: request_key(request(f, gt_answer=None), "t", SIGNATURE),
    "category": lambda f: request_key(request(f, category="U"), "t", SIGNATURE),
    "rubric": lambda f: request_key(request(f), "t2", SIGNATURE),
    "judge": lambda f: request_key(request(f), "t", Signature({"benchmark": "toy", "judge": "b"})),
    "text split elsewhere": lambda f: request_key(request(f, answer=(Text("Bec"), Text("ause."))), "t", SIGNATURE),
    "text moved to the question": lambda f: request_key(
        request(f, question=(*request(f).question, Text("Because.")), answer=()), "t", SIGNATURE
    ),
    "picture moved": lambda f: request_key(request(f, question=request(f).question[::-1]), "t", SIGNATURE),
}


@pytest.mark.parametrize("change", KEY_CHANGES)
def test_a_change_changes_the_key(tmp_path, change):
    assert KEY_CHANGES[change](tmp_path) != request_key(request(tmp_path), "t", SIGNATURE)


def test_an_images_bytes_are_in_the_key_and_its_path_is_not(tmp_path):
    key = request_key(request(tmp_path), "t", SIGNATURE)
    copied = tmp_path / "elsewhere.jpg"
    copied.write_bytes(b"first")
    moved = request(tmp_path, question=(Text("Why?"), Picture(copied, "x/y.jpg")))
    assert request_key(moved, "t", SIGNATURE) == key

    (tmp_path / "a.png").write_bytes(b"other")  # as long as before
    os.utime(tmp_path / "a.png", ns=(1, 1))
    other = request_key(request(tmp_path), "t", SIGNATURE)
    (tmp_path / "a.png").unlink()
    gone = request_key(
        dataclasses.replace(moved, question=(Text("Why?"), Picture(tmp_path / "a.png", "a.png"))), "t", SIGNATURE
    )
    assert len({key, other, gone}) == 3


def test_id_and_details_are_not_in_the_key(tmp_path):
    key = request_key(request(tmp_path), "t", SIGNATURE)
    assert request_key(request(tmp_path, id="q2", details={"field": "x"}), "t", SIGNATURE) == key


def test_an_engine_that_does_not_read_is_keyed_by_id(tmp_path):
    gone = Request("q1", "T", (Picture(tmp_path / "nowhere.png", "n"),), ())
    key = request_key(gone, None, SIGNATURE)
    assert request_key(dataclasses.replace(gone, question=()), None, SIGNATURE) == key
    assert request_key(dataclasses.replace(gone, id="q2"), None, SIGNATURE) != key


def test_a_rules_key_is_its_decision():
    key = rule_key(RULE, SIGNATURE)
    assert rule_key(dataclasses.replace(RULE, key=None), SIGNATURE) == key
    assert rule_key(dataclasses.replace(RULE, score=0), SIGNATURE) != key
    assert rule_key(dataclasses.replace(RULE, details={"letter": "C"}), SIGNATURE) != key
