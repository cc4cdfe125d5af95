"""The hash of the weights: read once on a machine, and never the hash of other bytes."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import folders
import pytest

from judge.io import files
from judge.model.weights import checkpoint, hashes

BEFORE = 1_700_000_000  # seconds: long enough ago that the file will not be written again at the same time
HASHING = """
import sys, pathlib
from judge.io import files
from judge.model.weights import checkpoint
read, real = [], files.open_file
def counted(path):
    read.append(path.name)
    return real(path)
files.open_file = counted
print(checkpoint.weights_sha256(pathlib.Path(sys.argv[1])), *sorted(read))
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mmjudge" / "weights"


@pytest.fixture
def judge(tmp_path):
    """Two shards: b"one" and b"two", as far as hashing is concerned."""
    folder = tmp_path / "judge"
    folder.mkdir()
    for name, content in (("a", b"one"), ("b", b"two")):
        write(folder / f"{name}.safetensors", content)
    return folder


def write(file, content, seconds=BEFORE):
    file.write_bytes(content)
    os.utime(file, (seconds, seconds))


def in_a_process(judge):
    """(hash, files whose bytes were read for it) in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", HASHING, str(judge)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(folders.ROOT)},
    )
    digest, *read = done.stdout.split()
    return digest, read


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_a_second_process_reads_no_weights(cache, judge):
    assert in_a_process(judge) == (sha256(b"onetwo"), ["a.safetensors", "b.safetensors"])
    assert len(list(cache.iterdir())) == 1
    assert in_a_process(judge) == (sha256(b"onetwo"), [])


def test_a_changed_file_is_hashed_again(cache, judge):
    in_a_process(judge)
    write(judge / "b.safetensors", b"TWO", BEFORE + 1)
    assert in_a_process(judge) == (sha256(b"oneTWO"), ["a.safetensors", "b.safetensors"])
    assert in_a_process(judge) == (sha256(b"oneTWO"), [])
    assert len(list(cache.iterdir())) == 1  # a folder has one record, however often its weights change


def test_another_file_of_the_same_size_and_time_is_hashed_again(cache, judge):
    in_a_process(judge)
    write(judge / "new", b"TWO")
    (judge / "new").replace(judge / "b.safetensors")
    assert in_a_process(judge)[0] == sha256(b"oneTWO")


def test_a_file_overwritten_with_its_size_and_time_kept_is_hashed_again(cache, judge):
    in_a_process(judge)
    write(judge / "b.safetensors", b"TWO")  # in place: the same inode
    assert in_a_process(judge)[0] == sha256(b"oneTWO")


def test_within_a_process_a_changed_file_is_hashed_again(cache, judge):
    assert checkpoint.weights_sha256(judge) == sha256(b"onetwo")
    write(judge / "a.safetensors", b"ONE", BEFORE + 1)
    assert checkpoint.weights_sha256(judge) == sha256(b"ONEtwo")


def test_what_was_just_written_is_not_remembered(cache, judge, monkeypatch):
    """Another write in the same tick of the file system's clock would leave size and time as they are."""
    monkeypatch.setattr(hashes.time, "time_ns", lambda: (BEFORE + 1) * 10**9)
    assert checkpoint.weights_sha256(judge) == sha256(b"onetwo")
    assert not cache.exists()
    monkeypatch.setattr(hashes.time, "time_ns", lambda: (BEFORE + 3) * 10**9)
    assert checkpoint.weights_sha256(judge) == sha256(b"onetwo")
    assert len(list(cache.iterdir())) == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: "",
        lambda text: text[:20],
        lambda text: "[]",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"sha256"', '"md5"'),
        lambda text: json.dumps({**json.loads(text), "sha256": "0" * 63}),
        lambda text: json.dumps({**json.loads(text), "sha256": None}),
        lambda text: json.dumps({**json.loads(text), "files": None}),
    ],
    ids=["empty", "cut", "list", "deep", "no hash", "short hash", "null hash", "no files"],
)
def test_a_broken_record_is_written_anew(cache, judge, spoil):
    checkpoint.weights_sha256(judge)
    (record,) = cache.iterdir()
    whole = record.read_text()
    record.write_text(spoil(whole))
    assert checkpoint.weights_sha256(judge) == sha256(b"onetwo")
    assert record.read_text() == whole


def test_a_cache_that_cannot_be_written_is_no_error(cache, judge):
    cache.parent.parent.mkdir()
    cache.parent.write_text("a file where the folder should be")
    assert checkpoint.weights_sha256(judge) == sha256(b"onetwo")


def test_a_user_without_a_home_is_no_error(cache, judge, monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(files, "cache_folder", nowhere)
    assert checkpoint.weights_sha256(judge) == sha256(b"onetwo")
