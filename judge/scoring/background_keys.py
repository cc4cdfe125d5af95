"""Journal keys of many requests: at once for what is looked up, beside the judging for what is not.

A key takes the bytes of every picture: some 0.25 ms of a processor for two of 100 kB, most of it SHA-256. Only a
question that the journal has a line about must have its key before it is judged. The key of any other is not needed
before its verdict is written, so a thread makes it while the engine is busy; hashing and reading free the GIL.

The bytes that were hashed must be the bytes that were judged. The file system is asked for size and times of change of
every picture before the engine begins and again when it has answered: where they differ, that verdict has no true key.
Whoever writes a file can set the time of its bytes back, but not that of its inode, which a new link or owner changes
as well: where that alone differs, the bytes are hashed again, and must be those that were there before. Where they had
not been hashed by then, another number of links, as another run makes that keeps the same pictures, explains the time.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from judge.core.request import Picture, Request
from judge.io.progress import MOMENT, progress_bar
from judge.scoring.grader import Grader

READERS = 8
KEYS_A_TASK = 16


def request_keys(requests: Sequence[Request], grader: Grader, *, silent: bool = False) -> Iterator[str]:
    """The journal key of every request, in order. Pictures are read by several threads: hashing them frees the GIL.

    silent: show no bar, however long that takes.
    """

    def keys(some: Sequence[Request]) -> list[str]:
        return [grader.key(request) for request in some]

    # a task a request would cost a third of its hashing
    together = [requests[start : start + KEYS_A_TASK] for start in range(0, len(requests), KEYS_A_TASK)]
    with (
        ThreadPoolExecutor(READERS) as pool,
        progress_bar(len(requests), "hashing pictures", "answer", after=MOMENT, silent=silent) as bar,
    ):
        for found in pool.map(keys, together):
            yield from found
            bar.update(len(found))


class BackgroundKeys:
    """Keys of requests by position, made by a thread of its own from entering the context until leaving it.

    A key that is asked for before the thread has come to it is made by who asks.
    """

    def __init__(self, requests: Sequence[Request], grader: Grader) -> None:
        self._requests, self._grader = requests, grader
        self._made: dict[int, str] = {}
        self._hashed_before: set[int] = set()
        self._left = False
        self._before = [[_stamp(picture) for picture in self._pictures(number)] for number in range(len(requests))]
        self._thread = threading.Thread(target=self._make_all, name="keys", daemon=True)

    def __enter__(self) -> BackgroundKeys:
        if self._grader.reads:  # other keys take no longer than handing them over
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        if self._grader.reads:
            self._thread.join()

    def __getitem__(self, number: int) -> str:
        key = self._made.get(number)
        return self._grader.key(self._requests[number]) if key is None else key

    def changed(self, number: int) -> str | None:
        """The name of a picture of the request that is not the file it was before the context was entered."""
        for picture, before in zip(self._pictures(number), self._before[number], strict=True):
            now = _stamp(picture)
            if now == before:
                continue
            if now is None or before is None or now.bytes_written != before.bytes_written:
                return picture.name
            if number not in self._hashed_before and now.links != before.links:
                continue
            if not self._has_its_bytes(number):
                return picture.name
        return None

    def _has_its_bytes(self, number: int) -> bool:
        """Whether the request's key was made while every file was as before, and would be the same now."""
        return number in self._hashed_before and self._grader.key(self._requests[number]) == self._made[number]

    def _pictures(self, number: int) -> Sequence[Picture]:
        return self._requests[number].pictures if self._grader.reads else ()

    def _make_all(self) -> None:
        for number, request in enumerate(self._requests):
            if self._left:
                return
            key = self._grader.key(request)
            if [_stamp(picture) for picture in self._pictures(number)] == self._before[number]:
                self._hashed_before.add(number)
            self._made[number] = key


@dataclasses.dataclass(frozen=True)
class _Stamp:
    """What the file system says of a file. bytes_written: size in bytes, inode, time of change of the bytes in ns.

    links: how many names it has. inode_changed: in ns.
    """

    bytes_written: tuple[int, int, int]
    links: int
    inode_changed: int


def _stamp(picture: Picture) -> _Stamp | None:
    """None for what is not there."""
    try:
        status = picture.path.stat()
    except OSError:
        return None
    return _Stamp((status.st_size, status.st_ino, status.st_mtime_ns), status.st_nlink, status.st_ctime_ns)
