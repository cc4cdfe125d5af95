"""Several runs, read at once by several processes where they are large.

    with open_runs([Path("out/a"), Path("out/b")]) as runs:
        runs[0].decided.scores          as soon as they are read; who asks earlier waits
        runs[0].said()                  a while later
        runs[0].verdict(3)              read from the file

A file is held open: one that is replaced meanwhile is still read as it was, and `changed` says so.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import io
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any, TypeVar

from judge.core.benchmark import Benchmark, find
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io import samples
from judge.io.files import open_file
from judge.io.samples import Question, Sample
from judge.io.verdicts import parse_verdicts
from judge.results.run_folder import FIX, RESULTS, VERDICTS, RunFolder
from judge.view.reading import (
    Decided,
    Said,
    Span,
    cut_lines,
    join_decided,
    read_decided,
    read_offsets,
    read_said,
)
from judge.web.pages import Refused

PART = 8 * 2**20
"""Bytes of verdicts that a process reads at once."""
LARGE = 16 * 2**20
"""Bytes of all runs together from which on other processes read them: they cost a tenth of a second to start."""
MOST_PROCESSES = 8
Made = TypeVar("Made")


State = tuple[int, int, int]
"""Of a file: inode, bytes, nanoseconds of its last change."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """What is being read of a run: whoever calls waits, or gets UserError. is_said: whether `said` is there."""

    decided: Callable[[], Decided]
    offsets: Callable[[], dict[Question, Span]]
    said: Callable[[], Said]
    is_said: Callable[[], bool]


class ViewedRun:
    """A finished run whose files are open. name: what it is called among the others. reading: here, when it is asked
    for, unless others are given it."""

    def __init__(self, folder: Path, results: Mapping[str, Any]) -> None:
        self.folder, self.results = folder, results
        self.benchmark: Benchmark = find(results["benchmark"])
        self.name = folder.name
        self.reading = _here(self)
        self._files = [_opened(folder / VERDICTS), _opened(folder / samples.FILE)]
        self._states = [None if file is None else _state(file.fileno()) for file in self._files]
        self._one_at_a_time = threading.Lock()
        self._broken = False

    @functools.cached_property
    def decided(self) -> Decided:
        """Its verdicts, as soon as they are read. Raises UserError, also where they are not all there."""
        decided, n = self.reading.decided(), self.results["n"]
        if len(decided.keys) != n:
            problem = f"{len(decided.keys)} questions, but {n} in {RESULTS}"
            raise UserError(problem, file=self.folder / VERDICTS, fix=FIX)
        return decided

    @functools.cached_property
    def samples(self) -> Mapping[Question, Span]:
        """Where its questions and answers stand, in their order. Raises UserError."""
        return self.reading.offsets()

    def said(self) -> Said:
        """Its texts for the search, as soon as they are read."""
        return self.reading.said()

    @property
    def signature(self) -> Signature:
        """What fixes the numbers of this run."""
        return Signature.parse(self.results["signature"])

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(state[1] for state in self._states if state is not None)

    def parts(self) -> list[Span]:
        """Its file of verdicts in parts that are read one beside the other."""
        file = self._files[0]
        return [(0, 0)] if file is None else cut_lines(file, PART)

    def changed(self) -> bool:
        """Whether its files are no longer those that were opened."""
        return [_state(self.folder / name) for name in (VERDICTS, samples.FILE)] != self._states

    def known_problem(self) -> str | None:
        """What of the samples could not be read, as far as that is known by now."""
        said = self.said().problem if self.reading.is_said() else None
        return said or ("has lines that are no samples" if self._broken else None)

    def verdict(self, place: int) -> Verdict:
        """The verdict at a place of `decided`. Raises Refused where the file has changed under our feet."""
        line = self._line(0, self.decided.spans[place])
        try:
            parsed = parse_verdicts(
                io.BytesIO(line), self.folder / VERDICTS, self.benchmark.scale, self.benchmark.check_verdict
            )
            verdict, _ = next(parsed)
        except (UserError, StopIteration):
            raise self._gone() from None
        if (verdict.id, verdict.index) != self.decided.keys[place]:
            raise self._gone()
        return verdict

    def sample(self, key: Question) -> Sample | None:
        """Question and answer, None where none are kept, or where its line never was a sample, of which `known_problem`
        tells. Raises Refused where they cannot be read any more."""
        span = self.samples.get(key)
        if span is None:
            return None
        try:
            sample, _ = next(samples.parse_samples(io.BytesIO(self._line(1, span)), self.folder))
        except (UserError, StopIteration):
            if self.changed():
                raise self._gone() from None
            self._broken = True
            return None
        if sample.key != key:
            raise self._gone()
        return sample

    def _line(self, which: int, span: Span) -> bytes:
        file = self._files[which]
        assert file is not None  # there is no span without a file
        with self._one_at_a_time:  # not by the file's own buffer, which would hide what has changed
            os.lseek(file.fileno(), span[0], os.SEEK_SET)
            return os.read(file.fileno(), span[1])

    def _gone(self) -> Refused:
        problem = f"{self.name}: its files have changed since they were read; start the command again"
        return Refused(problem, HTTPStatus.CONFLICT)

    def close(self) -> None:
        """Close its files."""
        for file in self._files:
            if file is not None:
                file.close()


def _opened(path: Path) -> IO[bytes] | None:
    try:
        return open_file(path)
    except OSError:  # who needs it says why
        return None


def _state(file: Path | int) -> State | None:
    try:
        found = os.stat(file)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


@contextlib.contextmanager
def open_runs(folders: Sequence[Path]) -> Iterator[list[ViewedRun]]:
    """The runs in `folders`, as long as the block lasts; large ones are being read by other processes.

    Raises UserError for what is no finished run; what is wrong with its verdicts is found when they are asked for.
    """
    runs: list[ViewedRun] = []
    try:
        runs += [ViewedRun(folder, RunFolder(folder).read_results()) for folder in folders]
        workers = min(os.cpu_count() or 1, MOST_PROCESSES)
        if workers > 1 and sum(run.size for run in runs) > LARGE:
            with _processes(workers) as pool:
                _read_beside(runs, pool)
                yield runs
        else:
            yield runs
    finally:
        for run in runs:
            run.close()


def _here(run: ViewedRun) -> Reading:
    return Reading(
        decided=lambda: read_decided(run.folder, run.benchmark.name),
        offsets=lambda: read_offsets(run.folder),
        said=functools.cache(lambda: read_said(run.folder)),
        is_said=lambda: True,  # soon enough
    )


def _read_beside(runs: Sequence[ViewedRun], pool: Executor) -> None:
    """Verdicts of all runs first, then the texts, for which the list need not wait."""
    try:
        decided = [
            [pool.submit(read_decided, run.folder, run.benchmark.name, part) for part in run.parts()] for run in runs
        ]
        offsets = [pool.submit(read_offsets, run.folder) for run in runs]
        said = [pool.submit(read_said, run.folder) for run in runs]
    except BrokenProcessPool:  # one was ended already: all is read here
        return
    pool.shutdown(wait=False)  # the processes end with their work
    for run, parts, its_offsets, its_said in zip(runs, decided, offsets, said, strict=True):
        here = run.reading
        run.reading = Reading(
            decided=functools.partial(_joined, run, parts),
            offsets=functools.partial(_result_or, its_offsets, here.offsets),
            said=functools.partial(_result_or, its_said, here.said),
            is_said=its_said.done,
        )


def _result_or(future: Future[Made], again: Callable[[], Made]) -> Made:
    """What a process has read; read here where the process was ended, as systems do that have no memory left."""
    try:
        return future.result()
    except BrokenProcessPool:
        return again()


def _joined(run: ViewedRun, parts: Sequence[Future[Decided]]) -> Decided:
    # of a part, which does not know which line of the file it was; or a process was ended
    with contextlib.suppress(UserError, BrokenProcessPool):
        if (whole := join_decided([part.result() for part in parts])) is not None:
            return whole
    return read_decided(run.folder, run.benchmark.name)


@contextlib.contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    # what is forked before there are threads need not import anything again
    method = "fork" if sys.platform == "linux" and threading.active_count() == 1 else "spawn"
    context = multiprocessing.get_context(method)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of numpy's idle threads, which the children do not have
        pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin)
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the server, which then ends the processes
    gc.disable()  # they end with their work, and make nothing that is circular
