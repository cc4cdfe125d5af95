"""Room on the disks."""

from __future__ import annotations

import shutil
from collections import namedtuple

import pytest

from judge.preflight import disk
from judge.preflight.disk import RESULTS_BYTES, check_disk

GB = 10**9
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def free(monkeypatch):
    def free(size):
        monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, size))

    return free


def test_nothing_to_fetch(free, tmp_path):
    free(5 * GB)
    (line,) = check_disk({}, tmp_path / "hub", tmp_path)
    assert (line.state, line.found) == ("ok", f"5.0 GB are free in {tmp_path}")


@pytest.mark.parametrize(
    ("size", "state"),
    [
        (8 * GB - 1, "fails"),
        (8 * GB, "warning"),
        (int(8.8 * GB) + RESULTS_BYTES - 2, "warning"),
        (int(8.8 * GB) + RESULTS_BYTES + 2, "ok"),
    ],
)
def test_room_for_what_must_be_fetched(free, tmp_path, size, state):
    free(size)
    line, _ = check_disk({"the judge": 8 * GB}, tmp_path / "hub" / "not made yet", tmp_path)
    assert line.state == state
    assert "to be fetched: 8.0 GB" in line.found
    assert ("HF_HOME" in (line.mend or "")) == (state != "ok")


def test_what_has_no_size_yet_is_named(free, tmp_path):
    free(90 * GB)
    line, _ = check_disk({"the judge": 8 * GB, "mmie's data": None}, tmp_path, tmp_path)
    assert line.found.endswith("to be fetched: 8.0 GB and mmie's data, whose size is not known")
    line, _ = check_disk({"mmie's data": None}, tmp_path, tmp_path)
    assert line.found.endswith("to be fetched: mmie's data, whose size is not known")


def test_little_room_for_results(free, tmp_path):
    free(RESULTS_BYTES - 1)
    (line,) = check_disk({}, tmp_path, tmp_path)
    assert (line.state, "--out" in line.mend) == ("warning", True)


def test_folders_that_cannot_be_written_to(monkeypatch, tmp_path):
    monkeypatch.setattr(disk, "unwritable", lambda folder: folder)
    lines = list(check_disk({"the judge": GB}, tmp_path / "hub", tmp_path))
    assert [line.state for line in lines] == ["fails", "fails"]
    assert [line.mend.split("=")[0] for line in lines] == [
        "export HF_HOME",
        "cd … (a folder of yours): results go below it",
    ]
