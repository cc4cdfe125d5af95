"""The file of scores: one fsynced line a score, in the layout that finetuning and `mmjudge agree` read.

    {"id": "PBL-2896694", "model": "anole-7b", "annotator": "a1", "score": 4, "criteria": {"Text quality": 1, …},
     "feedback": "…", "response": [{"text": "Step 2: pour.", "image": "images/9f2c07d1e4a85b36.jpg"}]}
    {"id": "PBL-2896694", "model": "anole-7b", "annotator": "a1", "undo": true}

It is only ever appended to; a score given anew is an undo and a score. Several annotators, each with a server of their
own, may share a file: every line is written under a lock, after a look at what others have written meanwhile. What a
kill can leave is the beginning of a last line: it is cut off before the next one is written.

The file can be moved with the folder `images` beside it, which has the pictures of the scored answers (hard links where
the disk allows it, named by their content). They are the answers as the judge reads them: without reasoning, in parts.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from judge.core.request import Segment, Text
from judge.errors import UserError
from judge.io import human_scores, samples
from judge.io.human_scores import HumanScore, Who

_START = b'{"id": "'
LOCK_WAIT = 30
"""Seconds that another server may hold the file; it needs milliseconds."""


class Store:
    """The scores in `path`, of one annotator or several. Threads and processes may share a file.

    Raises UserError where the file is not one of scores, and where its folder cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._threads = threading.RLock()
        self._lock = FileLock(f"{self.path}.lock", timeout=LOCK_WAIT)
        self._seen: tuple[int, ...] = ()
        self._closed = False
        self._scores: dict[Who, HumanScore] = {}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self._held():
                pass
        except OSError as error:
            raise UserError(
                f"cannot be written ({error.strerror})", file=self.path, fix="give another --out"
            ) from error

    def scores(self, annotator: str) -> dict[tuple[str, str], HumanScore]:
        """(id, model) → score, in the order in which they were given. Raises OSError, UserError."""
        with self._held():
            return {(id_, model): score for (id_, model, who), score in self._scores.items() if who == annotator}

    def record(
        self,
        who: Who,
        score: int,
        answer: tuple[Segment, ...],
        criteria: Mapping[str, int] | None = None,
        feedback: str | None = None,
    ) -> None:
        """Write a score, in place of the one that stands; it is on the disk when this returns. Raises OSError."""
        row: dict[str, Any] = {**_row(who), "score": score}
        if criteria:
            row["criteria"] = dict(criteria)
        if feedback:
            row["feedback"] = feedback
        with self._held():
            row["response"] = self._parts(answer)
            before = [{**_row(who), "undo": True}] if who in self._scores else []
            self._append([*before, row])

    def undo(self, who: Who) -> None:
        """Take a score back, if it stands. Raises OSError."""
        with self._held():
            if who in self._scores:
                self._append([{**_row(who), "undo": True}])

    def close(self) -> None:
        """Let a score that is being written be written, and none after it."""
        with self._threads:
            self._closed = True

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The file is ours alone and `_scores` is what stands in it."""
        with self._threads:
            try:
                self._lock.acquire()
            except Timeout:
                raise OSError(errno.EBUSY, "another process holds its lock") from None
            try:
                self._heal()
                self._refresh()
                yield
            finally:
                self._lock.release()

    def _heal(self) -> None:
        """End the last line: cut an unfinished one off, or add the newline that a whole one has lost.

        A line that is not the beginning of one of ours stays as it is: the file may be another by mistake.
        """
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            if not size or os.pread(descriptor, 1, size - 1) == b"\n":
                return
            start, line = size, b""
            while start and b"\n" not in line:
                length = min(1 << 16, start)
                start -= length
                line = os.pread(descriptor, length, start) + line
            line = line.rpartition(b"\n")[2]
            if line.startswith(_START[: len(line)]):
                try:
                    json.loads(line)
                except ValueError:
                    os.ftruncate(descriptor, size - len(line))
                else:
                    os.pwrite(descriptor, b"\n", size)
        finally:
            os.close(descriptor)

    def _refresh(self) -> None:
        status = self.path.stat()
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen != self._seen:
            self._scores = human_scores.read_standing_scores(self.path)
            self._seen = seen

    def _append(self, rows: list[dict[str, Any]]) -> None:
        if self._closed:
            raise OSError(errno.ECANCELED, "the server is being stopped")
        data = "".join(f"{json.dumps(row)}\n" for row in rows).encode("ascii")
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            size = os.fstat(descriptor).st_size
            try:
                if os.write(descriptor, data) != len(data):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(descriptor)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(descriptor, size)  # half a score is none
                raise
        finally:
            os.close(descriptor)
        self._refresh()

    def _parts(self, answer: tuple[Segment, ...]) -> list[dict[str, str | None]]:
        """Texts with the picture that follows them. A picture that has gone meanwhile keeps its name."""
        parts: list[dict[str, str | None]] = []
        for segment in answer:
            if isinstance(segment, Text):
                parts.append({"text": segment.text, "image": None})
                continue
            name = samples.keep_picture(segment.path, self.path.absolute().parent) or segment.name
            if parts and parts[-1]["image"] is None:
                parts[-1]["image"] = name
            else:
                parts.append({"text": None, "image": name})
        return parts


def _row(who: Who) -> dict[str, Any]:
    return dict(zip(("id", "model", "annotator"), who, strict=True))
