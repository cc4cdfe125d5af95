"""Whoever adds lines to a file holds its lock: a second process is kept out, and a disk without locks is one error."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from judge.annotate.store import Store
from judge.attention.analysis import FILE, Run, measure_questions
from judge.core.benchmark import Source, find
from judge.errors import UserError
from judge.io.locks import HeldElsewhere, take_lock
from judge.scoring.journal import Journal, refuse_locked
from judge.systems.folder import RESPONSES, AnswerFolder, Asking
from mmie_tasks.location import HUB
from mmvu_tasks.train.journal import Journal as ConstructionJournal

LINES = "lines.jsonl"
QUESTIONS: Any = [SimpleNamespace(question=SimpleNamespace(index=0))]


def _no_model() -> tuple[Any, Any]:
    raise AssertionError("the model was loaded before the lock was taken")


def _ask(folder: Path) -> None:
    AnswerFolder(folder, Asking("a", {}, find("mmie"), Source("o/r", "1f", "v1")), []).hold()


ADDING: dict[str, tuple[str, Callable[[Path], object]]] = {
    "judging": (LINES, lambda folder: Journal(folder / LINES)),
    "constructing": (LINES, lambda folder: ConstructionJournal(folder / LINES)),
    "measuring": (FILE, lambda folder: measure_questions(QUESTIONS, Run({}), folder, _no_model)),
    "asking": (RESPONSES, _ask),
}
"""What is done there, by a word for it, and the file that it adds lines to."""

WAITING: dict[str, Callable[[Path], object]] = {
    "annotating": lambda folder: Store(folder / LINES),
    "unpacking": lambda folder: HUB.unpack(folder / "images.tar.gz", folder),
}


@pytest.mark.parametrize("work", ADDING)
def test_a_file_that_another_process_writes(tmp_path: Path, work: str) -> None:
    name, begin = ADDING[work]
    lock = take_lock(tmp_path / name)
    with pytest.raises(
        HeldElsewhere, match=rf"{name}\.lock: another process is writing here\n→ wait until it has ended"
    ):
        begin(tmp_path)
    assert not (tmp_path / name).exists()
    lock.release()
    take_lock(tmp_path / name).release()  # whoever was refused holds nothing


@pytest.mark.parametrize("work", [*ADDING, *WAITING])
def test_an_older_filelock_without_flock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, work: str) -> None:
    def acquire(self: object, **more: object) -> None:
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr("filelock.FileLock.acquire", acquire)
    with pytest.raises(UserError, match="does not appear to support flock"):
        (ADDING[work][1] if work in ADDING else WAITING[work])(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".jsonl"]


def test_looking_whether_a_file_is_held_changes_nothing(tmp_path: Path) -> None:
    refuse_locked(tmp_path / LINES)
    assert list(tmp_path.iterdir()) == []
    with Journal(tmp_path / LINES), pytest.raises(HeldElsewhere):
        refuse_locked(tmp_path / LINES)
    refuse_locked(tmp_path / LINES)
    assert (tmp_path / LINES).read_bytes() == b""
