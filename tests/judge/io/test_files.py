"""Writing, appending and hashing: what a kill, a full disk, and others at the same file leave."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
import time

import pytest

from judge.io import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def path(tmp_path):
    return tmp_path / "results.json"


WRITERS = {
    "text": (lambda path: files.write_text(path, "é\n"), b"\xc3\xa9\n"),
    "bytes": (lambda path: files.write_bytes(path, b"\xff\r\n"), b"\xff\r\n"),
    "json": (
        lambda path: files.write_json(path, {"a": "é", "b": [1]}),
        '{\n "a": "é",\n "b": [\n  1\n ]\n}\n'.encode(),
    ),
    "json lines": (lambda path: files.write_json_lines(path, [{"a": "é"}, 2]), b'{"a": "\\u00e9"}\n2\n'),
}


@pytest.mark.parametrize(("write", "content"), WRITERS.values(), ids=WRITERS)
@pytest.mark.parametrize("before", [None, b"old"])
def test_a_file_is_written_and_nothing_else(path, write, content, before):
    if before is not None:
        path.write_bytes(before)
    write(path)
    assert path.read_bytes() == content
    assert names(path.parent) == ["results.json"]


def test_what_has_no_encoding_is_the_callers_choice(path):
    files.write_text(path, "a\ud800b", errors="replace")
    assert path.read_text() == "a?b"
    with pytest.raises(UnicodeEncodeError):
        files.write_text(path, "a\ud800b")
    assert path.read_text() == "a?b"


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
@pytest.mark.parametrize("write", [files.write_json, lambda path, value: files.write_json_lines(path, [1, value])])
def test_no_number_that_json_lacks(path, write, value):
    path.write_text("old")
    with pytest.raises(ValueError, match="not JSON compliant"):
        write(path, value)
    assert path.read_text() == "old"
    assert names(path.parent) == ["results.json"]


def test_an_error_in_the_middle_leaves_the_old_file(path):
    path.write_text("old")

    def write_half():
        with files.replacing(path) as file:
            file.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert path.read_text() == "old"
    assert names(path.parent) == ["results.json"]


def full(*args):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("write", [write for write, _ in WRITERS.values()], ids=WRITERS)
def test_a_disk_that_is_full_at_the_end_leaves_the_old_file(path, write, monkeypatch):
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", full)  # where a file system that allocates late says so
    with pytest.raises(OSError, match="No space left"):
        write(path)
    assert path.read_text() == "old"
    assert names(path.parent) == ["results.json"]


def test_it_is_on_the_disk_before_it_has_its_name(path, monkeypatch):
    path.write_text("old")
    seen = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda file: seen.append((os.fstat(file).st_size, path.read_text())) or fsync(file)
    )
    files.write_text(path, "x" * 1000)
    assert seen == [(1000, "old")]


KILLED = """
import os, signal, sys
from judge.io import files
with files.replacing(sys.argv[1]) as file:
    file.write("half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_killed_in_the_middle_leaves_the_old_file(path):
    path.write_text("old")
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -9
    assert path.read_text() == "old"
    files.write_text(path, "new")  # and is in nobody's way
    assert path.read_text() == "new"
    left, mine = set(names(path.parent)) - {path.name}, path.with_name(".my.unfinished")
    assert len(left) == 1
    mine.touch()
    files.remove_unfinished(path.parent)
    assert set(names(path.parent)) == {path.name, mine.name}
    files.remove_unfinished(path.parent / "none")


REWRITING = """
import sys
from judge.io import files
path, letter = sys.argv[1:]
while True:
    files.write_text(path, letter * 100_000)
"""


def test_a_reader_and_two_writers_see_whole_files_only(path):
    files.write_text(path, "a" * 100_000)
    writers = [subprocess.Popen([sys.executable, "-c", REWRITING, str(path), letter]) for letter in "bc"]
    try:
        seen = {"a"}
        while not {"b", "c"} <= seen:
            assert all(writer.poll() is None for writer in writers)
            data = path.read_text()
            assert data == data[0] * 100_000
            seen.add(data[0])
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()


@pytest.mark.parametrize("links", [True, False])
def test_link_or_copy(tmp_path, monkeypatch, links):
    source, target = tmp_path / "a.png", tmp_path / "kept.png"
    source.write_bytes(b"picture")
    (tmp_path / "link.png").symlink_to(source)
    if not links:
        monkeypatch.setattr(os, "link", full)
    files.link_or_copy(tmp_path / "link.png", target)
    assert target.read_bytes() == b"picture"
    assert not target.is_symlink()
    assert target.samefile(source) is links
    files.link_or_copy(source, target)  # onto itself, where it is a link
    assert names(tmp_path) == ["a.png", "kept.png", "link.png"]


def test_a_folder_that_cannot_be_made_is_a_user_error(tmp_path):
    assert files.make_folder(tmp_path / "a" / "b").is_dir()
    assert files.make_folder(tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(files.UserError, match=r"file/b: cannot be made \(Not a directory\)"):
        files.make_folder(tmp_path / "file" / "b")


def test_the_error_for_a_file_that_cannot_be_written(path):
    error = files.cannot_write(path, OSError(errno.EROFS, "Read-only file system"))
    assert str(error) == f"{path}: cannot be written (Read-only file system)\n→ make room, or give another --out"


WHOLE = b'{"id": "a"}\n'
# what lies there → what is left of it when it is opened
HEALED = [
    (b"", b""),
    (WHOLE, WHOLE),
    (WHOLE + b'{"id": "b"}', WHOLE + b'{"id": "b"}\n'),  # whole, without its newline
    (WHOLE + b'{"id": "b"', WHOLE),
    (WHOLE + b'{"id": "\xe4\xb8', WHOLE),  # in the middle of a character
    (WHOLE + b"\0" * 100, WHOLE),  # blocks that were never filled
    (WHOLE + b'{"id": "' + b"x" * 200_000, WHOLE),  # longer than what is read at once
    (b'{"id": "' + b"x" * 200_000, b""),
    (b"{" + WHOLE, b"{" + WHOLE),  # an ended line is nobody's to mend
    (WHOLE + b"[" * 100_000, WHOLE),
]


@pytest.mark.parametrize(("before", "after"), HEALED)
def test_opening_heals_the_last_line(path, before, after):
    path.write_bytes(before)
    with files.Appendable(path) as lines:
        assert path.read_bytes() == after
        lines.append(b'{"id": "c"}')
    assert path.read_bytes() == after + b'{"id": "c"}\n'


def test_a_last_line_that_is_not_ours_stays(path):
    path.write_bytes(b"notes of somebody")
    with files.Appendable(path, ours=lambda line: line.startswith(b"{")):
        assert path.read_bytes() == b"notes of somebody"


def test_lines_are_one_write(path, monkeypatch):
    written, write = [], os.write
    with files.Appendable(path) as lines:
        monkeypatch.setattr(os, "write", lambda file, data: written.append(data) or write(file, data))
        lines.append(b"1", b"2")
        lines.append(b"3")
    assert written == [b"1\n2\n", b"3\n"]
    assert path.read_bytes() == b"1\n2\n3\n"


def test_a_disk_that_takes_half_takes_nothing(path, monkeypatch):
    write = os.write
    with files.Appendable(path) as lines:
        lines.append(b"1")
        monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:2]))
        with pytest.raises(OSError, match="No space left") as caught:
            lines.append(b"22", b"33")
        assert caught.value.errno == errno.ENOSPC
        assert path.read_bytes() == b"1\n"
        monkeypatch.undo()
        lines.append(b"4")
    assert path.read_bytes() == b"1\n4\n"


def test_lines_that_do_not_reach_the_disk_are_not_written(path, monkeypatch):
    def failing(file):
        raise OSError(errno.EIO, "input/output error")

    with files.Appendable(path) as lines:
        lines.append(b"1", sync=True)
        monkeypatch.setattr(os, "fsync", failing)
        with pytest.raises(OSError, match="input/output error"):
            lines.append(b"2", sync=True)
        lines.append(b"3")  # without sync it is the caller's to ask
    assert path.read_bytes() == b"1\n3\n"


def test_a_new_file_is_in_its_folder_before_it_is_used(path, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.readlink(f"/proc/self/fd/{file}")) or fsync(file))
    with files.Appendable(path) as lines:
        lines.append(b"1")
        lines.sync()
    with files.Appendable(path):
        pass
    assert synced == [str(path.parent), str(path)]


def test_closing_twice_is_no_error(path):
    lines = files.Appendable(path)
    lines.close()
    lines.close()
    with pytest.raises(AttributeError):
        lines.append(b"1")


APPENDING = """
import sys
from judge.io import files
path, letter = sys.argv[1:]
with files.Appendable(path) as lines:
    print("open", flush=True)
    sys.stdin.readline()
    for _ in range(200):
        lines.append((letter * 1000).encode())
"""


def test_lines_of_two_processes_that_have_it_open_do_not_mix(path):
    """As on a network disk whose locks keep nobody out. Opening is for one alone: it mends the last line."""
    both = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDING, str(path), letter], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for letter in "ab"
    ]
    assert [one.stdout.readline() for one in both] == [b"open\n", b"open\n"]
    for one in both:
        one.stdin.close()
    assert [one.wait() for one in both] == [0, 0]
    lines = path.read_bytes().splitlines()
    assert sorted(lines) == [b"a" * 1000] * 200 + [b"b" * 1000] * 200


@pytest.mark.parametrize("size", [0, 1, files.BLOCK, files.BLOCK + 1])
def test_sha256(path, size):
    path.write_bytes(b"x" * size)
    assert files.sha256(path) == hashlib.sha256(b"x" * size).hexdigest()
    assert files.sha256(str(path)) == files.sha256(path)


def test_sha256_of_no_file():
    # as of a judge folder that holds none of the files that describe a judge
    assert files.sha256() == hashlib.sha256().hexdigest()


def test_a_file_is_hashed_again_where_size_or_time_say_so(path, monkeypatch):
    read, sha256 = [], hashlib.sha256
    monkeypatch.setattr(hashlib, "sha256", lambda: read.append(1) or sha256())
    path.write_bytes(b"one")
    os.utime(path, ns=(1, 1))
    one = files.sha256(path)
    assert files.sha256(path) == one
    assert len(read) == 1
    path.write_bytes(b"longer")
    os.utime(path, ns=(1, 1))
    assert files.sha256(path) == sha256(b"longer").hexdigest()
    path.write_bytes(b"others")
    os.utime(path, ns=(2, 2))
    assert files.sha256(path) == sha256(b"others").hexdigest()
    assert len(read) == 3
    time.sleep(0.05)  # the clock of the file system shows another time
    path.write_bytes(b"latest")
    os.utime(path, ns=(2, 2))  # size and time as they were
    assert files.sha256(path) == sha256(b"latest").hexdigest()
    path.unlink()
    with pytest.raises(FileNotFoundError):
        files.sha256(path)
