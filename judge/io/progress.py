"""What is being done, on stderr: nothing that takes longer than a moment is silent.

    say("the painter is loaded")                            mmjudge: the painter is loaded
    with doing("loading the judge (8.3 GB)"):               mmjudge: loading the judge (8.3 GB) …
        …                                                   mmjudge: loading the judge (8.3 GB): done in 41 s
    with progress_bar(100, "judging", "answer") as bar:     mmjudge: judging:  41%|████▏     | 41/100 [00:12<00:17, 3.4 answer/s]
        bar.update()
    for row in counted(rows, "hashing", "picture"): …       a bar, where it takes longer than two seconds

Bars are for a terminal. In a log each is a line at its start and one at its end, and one every ten minutes between:

    mmjudge: judging: 20,103 answers …
    mmjudge: judging: 5,131 of 20,103 answers after 10 min
    mmjudge: judging: 20,103 answers in 39 min 12 s, 8.5 a second
"""  # noqa: E501 - as it looks

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import IO, Any, TypeVar

from judge.core.foreign_text import shown

MOMENT = 2.0
"""Seconds that nobody minds waiting without a word."""

SECONDS_A_LINE = 600.0
"""Between two lines about the same in a log."""

BYTES = "B"
"""The unit of bars that count bytes."""

_PREFIXES = ("", "k", "M", "G", "T")
Item = TypeVar("Item")


class Bar:
    """How far something is; this one, for what is to be silent, shows nothing. A context manager."""

    def update(self, n: int = 1) -> None:
        """So much more is done."""

    def note(self, text: str) -> None:
        """What else is to be seen at the end of the bar."""

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


def say(text: str) -> None:
    """A line on stderr, above the bars that are there. Text of others in it is made visible."""
    line = f"mmjudge: {shown(text)}"
    if on_terminal() and "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(line, file=sys.stderr)
    else:
        print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def doing(what: str, after: float = 0.0, silent: bool = False) -> Iterator[None]:
    """Say what is being done, and how long it took.

    after: seconds that it may take without a word. silent: say nothing at all.
    """
    if silent:
        yield
        return
    started = time.monotonic()
    with _said_after(after, f"{what} …") as said:
        yield
    if said.is_set():
        say(f"{what}: done in {duration(time.monotonic() - started)}")


def progress_bar(total: int, what: str, unit: str, *, after: float = 0.0, done: int = 0, silent: bool = False) -> Bar:
    """A bar for `total` things called `unit` ("answer", `BYTES`).

    after: seconds that it may take without a word. done: how many were done before. silent: say nothing at all.
    """
    if silent:
        return Bar()
    return (_Drawn if on_terminal() else _Lines)(total, what, unit, after, done)


def counted(
    items: Iterable[Item],
    what: str,
    unit: str,
    *,
    total: int | None = None,
    after: float = MOMENT,
    silent: bool = False,
) -> Iterator[Item]:
    """The items, with a bar. total: how many there are; None where `items` has a length."""
    with progress_bar(len(items) if total is None else total, what, unit, after=after, silent=silent) as bar:  # type: ignore[arg-type]
        for item in items:
            yield item
            bar.update()


def on_terminal() -> bool:
    """Whether stderr is a terminal that somebody looks at."""
    return bool(getattr(sys.stderr, "isatty", bool)())


def size(count: float) -> str:
    """Bytes for people: "8.3 GB"."""
    power = 0
    while count >= 999.5 and power + 1 < len(_PREFIXES):
        count, power = count / 1000, power + 1
    return f"{count:.1f} {_PREFIXES[power]}B" if power > 1 and count < 99.95 else f"{count:.0f} {_PREFIXES[power]}B"


def duration(seconds: float) -> str:
    """Seconds for people: "0.4 s", "41 s", "39 min 12 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


@contextlib.contextmanager
def _said_after(seconds: float, text: str) -> Iterator[threading.Event]:
    """Say `text` once so many seconds have passed; the event is set when it was said."""
    said = threading.Event()
    if seconds <= 0:
        say(text)
        said.set()
        yield said
        return

    def speak() -> None:
        said.set()
        say(text)

    timer = threading.Timer(seconds, speak)
    timer.daemon = True
    timer.start()
    try:
        yield said
    finally:
        timer.cancel()
        timer.join(MOMENT)  # it may be in the middle of its line, which belongs before whatever follows


class _Drawn(Bar):
    """A bar on a terminal."""

    def __init__(self, total: int, what: str, unit: str, after: float, done: int) -> None:
        from tqdm import tqdm

        of_bytes = unit == BYTES
        self._bar = tqdm(
            total=total, initial=done, desc=f"mmjudge: {what}", unit=unit if of_bytes else f" {unit}", delay=after,
            unit_scale=of_bytes, mininterval=0.5, dynamic_ncols=True, file=sys.stderr, leave=not after,
        )  # fmt: skip

    def update(self, n: int = 1) -> None:
        self._bar.update(n)

    def note(self, text: str) -> None:
        self._bar.set_postfix_str(text, refresh=False)

    def __exit__(self, *_: object) -> None:
        self._bar.close()


class _Lines(Bar):
    """A bar in a log."""

    def __init__(self, total: int, what: str, unit: str, after: float, done: int) -> None:
        self._what, self._unit, self._total, self._done, self._before = what, unit, total, done, done
        self._started = self._spoke = time.monotonic()
        self._note = ""
        self._stack = contextlib.ExitStack()
        kept = f", {self._count(done)} of them before" if done else ""
        self._said = self._stack.enter_context(_said_after(after, f"{what}: {self._counted(total)}{kept} …"))

    def update(self, n: int = 1) -> None:
        self._done += n
        now = time.monotonic()
        if now - self._spoke >= SECONDS_A_LINE:
            self._spoke = now
            far = f"{self._count(self._done)} of {self._counted(self._total)}"
            say(f"{self._what}: {far} after {duration(now - self._started)}{self._note}")

    def note(self, text: str) -> None:
        self._note = f"; {text}"

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        if self._said.is_set():
            took, fresh = time.monotonic() - self._started, self._done - self._before
            rate = f", {self._rate(fresh / took)} a second" if took >= 1 and fresh else ""
            of = "" if self._done == self._total else f"{self._count(self._done)} of "
            say(f"{self._what}: {of}{self._counted(self._total)} in {duration(took)}{rate}{self._note}")

    def _count(self, number: int) -> str:
        return size(number) if self._unit == BYTES else f"{number:,}"

    def _counted(self, number: int) -> str:
        return size(number) if self._unit == BYTES else f"{number:,} {self._unit}{'' if number == 1 else 's'}"

    def _rate(self, rate: float) -> str:
        return size(rate) if self._unit == BYTES else f"{rate:.1f}" if rate < 100 else f"{rate:,.0f}"


class WatchedFile:
    """A file that is read, and a bar that moves by what was read of it."""

    def __init__(self, file: IO[bytes], bar: Bar) -> None:
        self._file, self._bar = file, bar

    def read(self, n: int = -1) -> bytes:
        """As of the file."""
        data = self._file.read(n)
        self._bar.update(len(data))
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)
