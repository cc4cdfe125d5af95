"""Pictures cut into tiles ahead of the device: by threads here, or by processes of their own through shared memory.

    with Cutter(size=448, processes=4) as cutter:                # 0: in the calling thread
        tiles = cutter.cut([Path("a.jpg"), Path("b.png")], expected=23)
        tiles.array.shape, tiles.counts                          # (23, 448, 448, 3) uint8, (13, 10)
        tiles.release()                                          # the memory may be used for others

A worker is this module run as a program, one for every thread that cuts. It is told what to do by a line on its
standard input, writes tiles into memory that both have mapped, and answers by a line; arrays are never pickled, and a
script that starts an engine needs no `if __name__ == "__main__"`:

    → {"paths": ["/data/a.jpg"], "size": 448, "max_num": 12, "offset": 0, "room": 13}
    ← {"counts": [13]}      or {"reason": "image_refused", "message": "…"}; {"counts": null}: more tiles than room

A decoder that crashes takes its worker along, not the run: another worker tries once more, then the picture is refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import mmap
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from judge.io.image_paths import ImageRefused
from judge.model import images
from judge.model.cache import SlotAllocator

SHARED_BYTES = 512 << 20
"""Of tiles in shared memory; 20 prompts of three photographs. Pages that were never written take none."""

ATTEMPTS = 2


@dataclasses.dataclass
class Tiles:
    """array: uint8 (tiles, side, side, 3) of all pictures in order; counts: tiles of each."""

    array: npt.NDArray[np.uint8]
    counts: tuple[int, ...]
    place: tuple[int, int] | None = None
    slots: SlotAllocator | None = None
    lock: threading.Lock | None = None

    def release(self) -> None:
        """Let the memory go; `array` must not be looked at any more."""
        if self.place is not None and self.slots is not None and self.lock is not None:
            with self.lock:
                self.slots.release(*self.place)
        self.place = None


class Cutter:
    """See the module. processes: how many, and how many threads may call `cut` at once; 0 where a platform cannot hand
    a mapped file to a child."""

    def __init__(self, size: int, max_num: int = 12, processes: int = 0, shared_bytes: int = SHARED_BYTES) -> None:
        self.size, self.max_num = size, max_num
        self.processes = processes if os.name == "posix" else 0
        self._lock = threading.Lock()
        self._slots = SlotAllocator(0)
        self._idle: list[_Worker] = []
        self._all: list[_Worker] = []
        if self.processes:
            self._file = _anonymous_file()
            os.ftruncate(self._file, shared_bytes)
            self._memory = np.frombuffer(mmap.mmap(self._file, shared_bytes), np.uint8)
            self._slots = SlotAllocator(shared_bytes)

    def __enter__(self) -> Cutter:
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            workers, self._all, self._idle = self._all, [], []
        for worker in workers:
            worker.close()
        if self.processes:
            os.close(self._file)
            self.processes = 0

    def cut(self, paths: Sequence[Path], expected: int) -> Tiles | None:
        """Tiles of the pictures, None where there are none. expected: how many, from their headers.

        Raises ImageRefused. Where there is no shared memory left, or more tiles than expected, it is done here.
        """
        if not paths:
            return None
        if self.processes:
            tiles = self._remote(paths, expected)
            if tiles is not None:
                return tiles
        cut = [images.cut_tiles(images.decode_image(path), self.size, max_num=self.max_num) for path in paths]
        return Tiles(np.concatenate(cut), tuple(map(len, cut)))

    def _remote(self, paths: Sequence[Path], expected: int) -> Tiles | None:
        shape = (expected, self.size, self.size, 3)
        length = expected * self.size * self.size * 3
        with self._lock:
            start = self._slots.allocate(length)
        if start is None:
            return None
        place: tuple[int, int] | None = (start, length)
        try:
            answer = self._ask(
                {
                    "paths": [str(path) for path in paths],
                    "size": self.size,
                    "max_num": self.max_num,
                    "offset": start,
                    "room": expected,
                }
            )
            if "reason" in answer:
                raise ImageRefused(answer["reason"], answer["message"])
            if answer["counts"] is None or sum(answer["counts"]) != expected:
                return None
            array = self._memory[start : start + length].reshape(shape)
            tiles = Tiles(array, tuple(answer["counts"]), place, self._slots, self._lock)
            place = None
            return tiles
        finally:
            if place is not None:
                with self._lock:
                    self._slots.release(*place)

    def _ask(self, job: dict[str, Any]) -> dict[str, Any]:
        """The answer of some worker. Raises ImageRefused for a job that workers die of."""
        for _ in range(ATTEMPTS):
            with self._lock:
                worker = self._idle.pop() if self._idle else None
            if worker is None:
                worker = _Worker(self._file)
                with self._lock:
                    self._all.append(worker)
            answer = worker.ask(job)
            if answer is not None:
                with self._lock:
                    self._idle.append(worker)
                return answer
            with self._lock:
                self._all.remove(worker)
            code = worker.close()
        raise ImageRefused("image_refused", f"{', '.join(job['paths'])}: decoding ended its process ({code})")


class _Worker:
    """A process that cuts, and the two ends of its pipes."""

    def __init__(self, file: int) -> None:
        # its own import path: not the working folder, which may hold anything
        root = str(Path(images.__file__).parents[2])
        path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from judge.engines.preparing import serve; serve()", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(file,),
            env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
        )

    def ask(self, job: dict[str, Any]) -> dict[str, Any] | None:
        """The answer, or None where the process is no more."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(job).encode() + b"\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except OSError:
            return None
        if not line.endswith(b"\n"):
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> int:
        """End it; its exit code."""
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        try:
            return self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:  # inside a decoder, which does not hear that its input has ended
            self.process.kill()
            return self.process.wait()


def serve() -> None:
    """What a worker does until its input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the engine's to handle
    file = int(sys.argv[1])
    memory = np.frombuffer(mmap.mmap(file, os.fstat(file).st_size), np.uint8)
    answers: IO[bytes] = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not be taken for an answer
    for line in sys.stdin.buffer:
        answers.write(json.dumps(_answer(json.loads(line), memory)).encode() + b"\n")
        answers.flush()


def _answer(job: dict[str, Any], memory: npt.NDArray[np.uint8]) -> dict[str, Any]:
    size, offset = job["size"], job["offset"]
    counts = []
    for path in map(Path, job["paths"]):
        try:
            tiles = images.cut_tiles(images.decode_image(path), size, max_num=job["max_num"])
        except ImageRefused as refused:
            return {"reason": refused.reason, "message": refused.message}
        counts.append(len(tiles))
        if sum(counts) > job["room"]:
            return {"counts": None}
        memory[offset : offset + tiles.size] = tiles.reshape(-1)
        offset += tiles.size
    return {"counts": counts}


def _anonymous_file() -> int:
    """A file that nobody else can open and that ends with its last user, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("mmjudge-tiles")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
