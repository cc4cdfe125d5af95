"""The file of scores: one fsynced line a score, in the layout that finetuning and `mmjudge agree` read.

    {"id": "PBL-2896694", "model": "anole-7b", "annotator": "a1", "score": 4, "criteria": {"Text quality": 1, …},
     "feedback": "…", "response": [{"text": "Step 2: pour.", "image": "images/9f2c07d1e4a85b36.jpg"}]}
    {"id": "PBL-2896694", "model": "anole-7b", "annotator": "a1", "undo": true}

It is only ever appended to; a score given anew is an undo and a score. Several annotators, each with a server of their
own, may share a file: every line is written under a lock, after reading what others have written meanwhile. What a kill
can leave is the beginning of a last line: it is cut off before the next one is written. A line that does not begin like
one of ours stays as it is: the file may be another by mistake.

The file can be moved with the folder `images` beside it, which has the pictures of the scored answers (hard links where
the disk allows it, named by their content). They are the answers as the judge reads them: without reasoning, in parts.
"""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from judge.core.request import Segment, Text
from judge.io import human_scores, samples
from judge.io.files import Appendable, cannot_write, is_json
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
            raise cannot_write(self.path, error, fix="give another --out") from error

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
        with self._held() as lines:
            row["response"] = self._parts(answer)
            before = [{**_row(who), "undo": True}] if who in self._scores else []
            self._append(lines, [*before, row])

    def undo(self, who: Who) -> None:
        """Take a score back, if it stands. Raises OSError."""
        with self._held() as lines:
            if who in self._scores:
                self._append(lines, [{**_row(who), "undo": True}])

    def close(self) -> None:
        """Let a score that is being written be written, and none after it."""
        with self._threads:
            self._closed = True

    @contextmanager
    def _held(self) -> Iterator[Appendable]:
        """The file, which is this store's alone meanwhile; `_scores` is what stands in it."""
        with self._threads:
            try:
                self._lock.acquire()
            except Timeout:
                raise OSError(errno.EBUSY, "another process holds its lock") from None
            except NotImplementedError as error:  # older filelock's word for a missing flock
                raise OSError(errno.ENOLCK, str(error)) from error
            try:
                with Appendable(self.path, whole=lambda line: _ours(line) and is_json(line), ours=_ours) as lines:
                    self._refresh()
                    yield lines
            finally:
                self._lock.release()

    def _refresh(self) -> None:
        status = self.path.stat()
        seen = (status.st_ino, status.st_size, status.st_mtime_ns)
        if seen != self._seen:
            self._scores = human_scores.read_standing_scores(self.path)
            self._seen = seen

    def _append(self, lines: Appendable, rows: Sequence[Mapping[str, Any]]) -> None:
        if self._closed:
            raise OSError(errno.ECANCELED, "the server is being stopped")
        lines.append(*(json.dumps(row).encode("ascii") for row in rows), sync=True)
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


def _ours(line: bytes) -> bool:
    """Whether a line, whole or cut off, is one that a store writes."""
    return line.startswith(_START[: len(line)])


def _row(who: Who) -> dict[str, Any]:
    return dict(zip(("id", "model", "annotator"), who, strict=True))
