"""The journal: one fsynced line a verdict, so that a killed run goes on where it stopped and judges nothing twice.

    {"id": "PBL-2896694", "by": "judge", "score": 4, "unscored": null, "category": "PBL", "feedback": "…", "key": "9f…"}

Append-only JSON lines; `verdicts.jsonl` of a results folder is such a file. The key is the content address of the
request (category, every segment, the bytes of every image, the reference), of its rubric and of the signature: with
any of these changed an old line no longer answers, and nothing else (batch size, order, file names) is in it.
The last line of a key is its verdict, the last line of a question (id and index) is that question's verdict.

A line is one `write` on an O_APPEND descriptor, so it outlives its process at once. It is then synced to the disk
beside the judging, which need not wait for a slow one. What a kill can leave is the beginning of a last line: it is cut
off when the journal is next opened for writing, as write-ahead logs do. A lock file keeps a second process out.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import hashlib
import json
import os
import queue
import threading
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from filelock import FileLock, Timeout

from judge.core.request import Request, Segment, Text
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io.verdicts import parse_verdicts

Question = tuple[str, int | None]
"""What a line is about: id and index."""

_LINE = json.JSONEncoder(allow_nan=False)


def request_key(request: Request, template: str | None, signature: Signature) -> str:
    """SHA-256, hex, over all that a verdict on `request` depends on.

    template: the rubric's text for the request's category. None for an engine that does not read: it answers by id
    alone, so the id is hashed instead of segments and images, which need not exist.
    """
    if template is None:
        content: list[Any] = ["id", request.id, request.category]
    else:
        content = [
            "request",
            request.category,
            [_segment(segment) for segment in request.question],
            [_segment(segment) for segment in request.answer],
            request.gt_answer,
            template,
        ]
    return _sha256([*content, signature.digest])


def rule_key(verdict: Verdict, signature: Signature) -> str:
    """The content address of a decision that needed no judge."""
    row = verdict.to_json()
    row.pop("key", None)
    return _sha256(["rule", row, signature.digest])


class Journal:
    """A journal open for reading and appending, held by this process alone. A context manager.

    Opening reads the file and takes `<path>.lock`. Raises UserError where another process holds the lock and where a
    line other than an unfinished last one is not a verdict.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # threads share a journal (and its lock); processes do not
        self._lock = FileLock(f"{self.path}.lock", thread_local=False)
        self._writing = threading.Lock()
        self._unsynced: queue.SimpleQueue[bool] = queue.SimpleQueue()  # True for a line, False for the end
        self._disk = threading.Thread(target=self._sync, name="journal", daemon=True)
        self._failure: OSError | None = None
        self._by_key: dict[str, Verdict] = {}
        self._last: dict[Question, int] = {}  # hash of the line, to tell whether it needs writing again
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                "another process is writing here",
                file=self._lock.lock_file,
                fix="wait until it has ended, or give another --out",
            ) from None
        try:
            created = not self.path.exists()
            self._file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
            if created:
                _fsync_folder(self.path.parent)
            with self.path.open("rb") as file:
                end = self._read(file)
            self._heal(end)
            self._disk.start()
        except BaseException:
            self.close()
            raise

    def _read(self, file: IO[bytes]) -> int:
        """Take every whole line in; the offset behind the last one."""
        end = 0
        for verdict, raw in parse_verdicts(file, self.path):
            self._know(verdict, raw.rstrip(b"\r\n"))
            end += len(raw)
        return end

    def _heal(self, end: int) -> None:
        """Leave the file with its last line ended: cut an unfinished one off, end a whole one that lost its newline."""
        if os.fstat(self._file).st_size > end:
            os.ftruncate(self._file, end)
        if end and os.pread(self._file, 1, end - 1) != b"\n":
            _write(self._file, b"\n")

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
                try:
                    _write(self._file, line + b"\n")
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
                    os.fsync(self._file)
                except OSError as error:
                    self._failure = error

    def _raise_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
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
            os.close(file)
        self._lock.release()
        self._raise_failure()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _write(file: int, data: bytes) -> None:
    """One write at the end of the file, whole or not at all as far as this process can tell."""
    written = os.write(file, data)
    if written != len(data):
        with contextlib.suppress(OSError):
            os.ftruncate(file, os.fstat(file).st_size - written)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC).lower())


def _segment(segment: Segment) -> list[str]:
    return ["text", segment.text] if isinstance(segment, Text) else ["image", *_image(segment.path)]


def _image(path: Path) -> tuple[str, ...]:
    """What an image is to the judge: its bytes. A file that cannot be read is told apart from every one that can."""
    try:
        status = path.stat()
        return ("sha256", _file_sha256(path, status.st_size, status.st_mtime_ns))
    except OSError:
        return ("unreadable",)


@functools.lru_cache(maxsize=100_000)
def _file_sha256(path: Path, size: int, mtime_ns: int) -> str:
    digest = hashlib.sha256()
    # a block that stays in the processor's cache, and is not copied twice
    with path.open("rb", buffering=0) as file:
        while block := file.read(1 << 16):
            digest.update(block)
    return digest.hexdigest()


def _sha256(content: list[Any]) -> str:
    # JSON in ASCII: unambiguous between neighbours, and able to hold lone surrogates
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
