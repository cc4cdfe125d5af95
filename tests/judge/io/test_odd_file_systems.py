"""File systems and files that are not plain: an error that names the path, at once, or the documented fallback."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from mutants import no_hang

from judge import cli
from judge.core.verdict import Verdict
from judge.engines.replay import Replay
from judge.errors import UserError
from judge.io import files
from judge.io.jsonl import read_objects
from judge.io.locks import HeldElsewhere
from judge.io.responses import read_responses
from judge.io.samples import read_samples
from judge.io.verdicts import read_verdicts
from judge.results.run_folder import RunFolder
from judge.scoring.journal import Journal
from mmie_tasks import records as mmie_records
from mmvu_tasks import records as mmvu_records

fcntl = pytest.importorskip("fcntl", reason="locks and pipes of Unix")

VERDICT = Verdict("q1", "judge", 4, category="T", key="k1")

READERS: dict[str, Callable[[Path], object]] = {
    "responses": read_responses,
    "objects": lambda path: list(read_objects(path)),
    "verdicts": read_verdicts,
    "replay": Replay,
    "mmie": mmie_records.read_records,
    "mmvu": mmvu_records.read_records,
    "journal": Journal,
    "samples": lambda path: read_samples(path.parent),
    "results": lambda path: RunFolder(path.parent).read_results(),
}
NAMES = {"samples": "samples.jsonl", "results": "results.json"}


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def refusing(code: int) -> Callable[..., None]:
    def refuse(*arguments: object, **more: object) -> None:
        raise OSError(code, os.strerror(code))

    return refuse


@pytest.mark.timeout(30)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("make", "problem"), [(fifo, "a pipe"), (folder, "Is a directory")])
def test_a_pipe_or_a_folder_in_a_file_s_place(tmp_path, reader, make, problem) -> None:
    path = tmp_path / NAMES.get(reader, "file.jsonl")
    make(path)
    with pytest.raises(UserError, match=problem) as caught:
        READERS[reader](path)
    assert str(path) in str(caught.value)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("make", [fifo, folder])
@pytest.mark.parametrize(
    "write",
    [
        lambda path: files.write_text(path, "new"),
        lambda path: files.write_bytes(path, b"new"),
        lambda path: files.write_json(path, 1),
        lambda path: files.link_or_copy(Path(__file__), path),
        files.Appendable,
        files.sha256,
        files.read_bytes,
    ],
)
def test_what_is_no_file_is_neither_read_nor_replaced(tmp_path, make, write) -> None:
    path = tmp_path / "here"
    make(path)
    before = stat.S_IFMT(path.stat().st_mode)
    with pytest.raises(OSError, match=r"a pipe|Is a directory"):
        write(path)
    assert stat.S_IFMT(path.stat().st_mode) == before
    assert os.listdir(tmp_path) == ["here"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("make", [fifo, folder])
@pytest.mark.parametrize(
    "place", ["answers.jsonl", "replay.jsonl", "out/verdicts.jsonl", "out/results.json", "out/samples.jsonl"]
)
def test_the_command_says_which(tmp_path, make, place) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "answers.jsonl").write_text('{"id": "SA-1", "response": "A leaf."}\n')
    (tmp_path / "replay.jsonl").write_text('{"id": "SA-1", "feedback": "### Score\\n4"}\n')
    (tmp_path / place).unlink(missing_ok=True)
    make(tmp_path / place)
    judge = f"replay:{tmp_path / 'replay.jsonl'}"
    command = ["score", str(tmp_path / "answers.jsonl"), "--benchmark", "mmie", "--judge", judge]
    run = [sys.executable, "-m", "judge.cli", *command, "--out", str(tmp_path / "out")]
    done = subprocess.run(run, capture_output=True, text=True, timeout=50)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert str(tmp_path / place) in done.stderr


LOCK_ERRORS = [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO, errno.ESTALE]


@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_claims_to_be_huge(tmp_path, reader) -> None:
    path = tmp_path / NAMES.get(reader, "file.json")
    with path.open("wb") as file:
        file.truncate(10 * 2**30)
    with no_hang(), pytest.raises(UserError) as error:
        READERS[reader](path)
    assert path.name in str(error.value)


@pytest.mark.parametrize("code", LOCK_ERRORS)
def test_a_disk_without_locks(tmp_path, monkeypatch, code) -> None:
    monkeypatch.setattr(fcntl, "flock", refusing(code))
    with pytest.raises(UserError, match="cannot be locked") as caught:
        Journal(tmp_path / "verdicts.jsonl")
    assert not isinstance(caught.value, HeldElsewhere)
    assert str(tmp_path / "verdicts.jsonl.lock") in str(caught.value)
    assert os.strerror(code) in str(caught.value)
    assert not (tmp_path / "verdicts.jsonl").exists()


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_that_cannot_sync_is_written_all_the_same(tmp_path, monkeypatch, code) -> None:
    monkeypatch.setattr(os, "fsync", refusing(code))
    with Journal(tmp_path / "verdicts.jsonl") as journal:
        journal.record(VERDICT)
    assert read_verdicts(tmp_path / "verdicts.jsonl") == [VERDICT]
    files.write_json(tmp_path / "results.json", 1)
    assert (tmp_path / "results.json").read_text() == "1\n"


@pytest.mark.parametrize("code", [errno.EIO, errno.ESTALE, errno.ENOSPC])
def test_a_folder_that_fails_to_sync_is_an_error(tmp_path, monkeypatch, code) -> None:
    monkeypatch.setattr(os, "fsync", refusing(code))
    with pytest.raises(UserError, match="cannot be written") as caught:
        Journal(tmp_path / "verdicts.jsonl")
    assert f"{tmp_path / 'verdicts.jsonl'}: cannot be written ({os.strerror(code)})" in str(caught.value)
    with pytest.raises(OSError, match=os.strerror(code)):
        files.write_text(tmp_path / "results.json", "new")
    assert not (tmp_path / "results.json").exists()


def test_a_folder_that_may_not_be_listed(tmp_path, monkeypatch) -> None:
    opened = os.open

    def refuse(path, flags, *more, **others):
        if Path(path) == tmp_path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return opened(path, flags, *more, **others)

    monkeypatch.setattr(os, "open", refuse)
    with files.Appendable(tmp_path / "lines.jsonl") as lines:
        lines.append(b"1")
    assert (tmp_path / "lines.jsonl").read_bytes() == b"1\n"


@pytest.mark.parametrize("code", [errno.EROFS, errno.EACCES, errno.ESTALE])
def test_a_finished_run_on_a_disk_that_cannot_be_written(tmp_path, monkeypatch, capsys, code) -> None:
    answers, replay, out = (str(tmp_path / name) for name in ("answers.jsonl", "replay.jsonl", "out"))
    Path(answers).write_text('{"id": "SA-1", "response": "A leaf."}\n')
    Path(replay).write_text('{"id": "SA-1", "feedback": "### Score\\n4"}\n')
    command = ["score", answers, "--benchmark", "mmie", "--judge", f"replay:{replay}", "--out", out]
    assert cli.main(command) == 0
    before = {path.name: path.read_bytes() for path in Path(out).iterdir()}
    opened = os.open

    def read_only(path, flags, *more, **others):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and str(path).startswith(out):
            raise OSError(code, os.strerror(code), path)
        return opened(path, flags, *more, **others)

    monkeypatch.setattr(os, "open", read_only)
    capsys.readouterr()
    assert cli.main(command) == 2
    error = capsys.readouterr().err
    assert f"{out}/verdicts.jsonl.lock: cannot be locked ({os.strerror(code)})" in error
    assert "mmjudge compare and report" in error
    assert cli.main(["compare", out, out]) == 0  # what the error says can be read is read
    assert {path.name: path.read_bytes() for path in Path(out).iterdir()} == before
