"""The journal: one fsynced line a verdict, so that a killed run goes on where it stopped and judges nothing twice.

    {"id": "PBL-2896694", "by": "judge", "score": 4, "unscored": null, "category": "PBL", "feedback": "…", "key": "9f…"}

Append-only JSON lines; `verdicts.jsonl` of a results folder is such a file. The key is the verdict's content address
(`judge.scoring.keys`). The last line of a key is its verdict, the last line of a question (id and index) is that
question's verdict.

A line outlives its process at once (`judge.io.files.Appendable`). It is then synced to the disk beside the judging,
which need not wait for a slow one. What a kill can leave is the beginning of a last line: it is cut off when the
journal is next opened for writing. A lock file keeps a second process out.
"""

from __future__ import annotations

import io
import json
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.files import Appendable, cannot_write, make_folder, open_file
from judge.io.locks import take_lock
from judge.io.verdicts import parse_verdicts

Question = tuple[str, int | None]
"""What a line is about: id and index."""

_LINE = json.JSONEncoder(allow_nan=False)


READ_ONLY = "give an --out on a disk that can be written and locked; mmjudge compare and report only read what is there"
"""What to do about a journal that cannot be had."""


class Journal:
    """A journal open for reading and appending, held by this process alone. A context manager.

    Opening reads the file and takes `<path>.lock`. Raises HeldElsewhere where another process holds the lock, and
    UserError where a line other than an unfinished last one is not a verdict, and where the file cannot be locked: a
    second process would judge everything again and, on some network disks, write into the middle of our lines.
    before_writing: called once, before the first line is written.
    """

    def __init__(self, path: str | Path, before_writing: Callable[[], object] = lambda: None) -> None:
        self.path = Path(path)
        self._before_writing: Callable[[], object] | None = before_writing
        make_folder(self.path.parent)
        self._writing = threading.Lock()
        self._unsynced: queue.SimpleQueue[bool] = queue.SimpleQueue()  # True for a line, False for the end
        self._disk = threading.Thread(target=self._sync, name="journal", daemon=True)
        self._failure: OSError | None = None
        self._by_key: dict[str, Verdict] = {}
        self._last: dict[Question, int] = {}  # hash of the line, to tell whether it needs writing again
        self._lock = take_lock(self.path, disk=READ_ONLY)
        try:
            if self.path.exists():  # before anything is mended: it may be another file by mistake
                with open_file(self.path) as file:
                    for verdict, raw in parse_verdicts(file, self.path):
                        self._know(verdict, raw.rstrip(b"\r\n"))
            self._file = Appendable(self.path, whole=lambda line: _is_verdict(line, self.path))
            self._disk.start()
        except OSError as error:
            self.close()
            raise cannot_write(self.path, error, READ_ONLY) from error
        except BaseException:
            self.close()
            raise

    def _know(self, verdict: Verdict, line: bytes) -> None:
        if verdict.key is not None:
            self._by_key[verdict.key] = verdict
        self._last[verdict.id, verdict.index] = hash(line)

    def get(self, key: str) -> Verdict | None:
        """The verdict last written under `key`."""
        return self._by_key.get(key)

    def questions(self) -> set[Question]:
        """Every question that has a line here."""
        return set(self._last)

    def record(self, verdict: Verdict) -> Verdict:
        """Write `verdict` unless it is its question's last line already; its sync has begun when this returns.

        Returns the verdict. Raises UserError where the disk is full or cannot be written.
        """
        line = _LINE.encode(verdict.to_json()).encode("ascii")
        with self._writing:
            if self._last.get((verdict.id, verdict.index)) != hash(line):
                if (before_writing := self._before_writing) is not None:
                    before_writing()
                    self._before_writing = None
                try:
                    self._file.append(line)
                except OSError as error:
                    self._failure = error
                self._raise_failure()
                self._unsynced.put(True)
                self._know(verdict, line)
        return verdict

    def _sync(self) -> None:
        """Sync lines as they come, several at once where they come faster than the disk is."""
        ended = False
        while not ended:
            waiting = [self._unsynced.get()]
            while not self._unsynced.empty():
                waiting.append(self._unsynced.get())
            ended = not all(waiting)
            if any(waiting):
                try:
                    self._file.sync()
                except OSError as error:
                    self._failure = error

    def _raise_failure(self) -> None:
        if (failure := self._failure) is not None:  # the other thread may set it at any moment
            self._failure = None
            raise UserError(
                f"cannot write ({failure.strerror})",
                file=self.path,
                fix="make room, then give the same command again: it goes on from here",
            ) from failure

    def close(self) -> None:
        """Wait until every line is on the disk, then let others in. Raises UserError where one could not be synced."""
        if self._disk.is_alive():
            self._unsynced.put(False)
            self._disk.join()
        if (file := self.__dict__.pop("_file", None)) is not None:
            file.close()
        self._lock.release()
        self._raise_failure()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_verdict(line: bytes, path: Path) -> bool:
    return any(True for _ in parse_verdicts(io.BytesIO(line), path))


def refuse_locked(path: Path) -> None:
    """Raise HeldElsewhere where another process holds the journal at `path`, UserError where nobody can. No byte of the
    journal is changed; where there is none, nothing is."""
    if path.exists():
        take_lock(path, disk=READ_ONLY).release()
