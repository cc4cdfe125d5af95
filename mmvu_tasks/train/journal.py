"""Every reply of a construction, raw, a line each: what was paid for is never lost and never asked again.

    {"id": "7", "attempt": 1, "prompt": "9f…", "picture": "4c…", "reply": "```json …", "finish": "stop",
     "problems": [], "tokens": [1371, 1702], "seconds": 11.2}

prompt: SHA-256 of what was said; a line about another prompt is no reply to this one. problems: why the reply cannot be
used, [] where it can. reply: null where the server refuses to take the sample at all. tokens: of prompt and reply, as
the server counts them.

A line is written by the thread that has the reply, at once, by one process: `<path>.lock` keeps a second one out. What
a kill leaves of a last line is cut off when the journal is next opened (`judge.io.files.Appendable`).
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from judge.io.files import Appendable, cannot_write, make_folder, open_file
from judge.io.jsonl import Wanted, parse_lines
from judge.io.locks import take_lock

FILE = "replies.jsonl"
AGAIN = "make room, then give the same command again: it goes on from here"
_WANTED = Wanted(
    "a reply of `mmjudge mmvu-data construct`", "give another --out, or take the line out", unfinished=True
)


@dataclasses.dataclass(frozen=True)
class Stored:
    """One line. refused: the server would not take the sample."""

    id: str
    attempt: int
    prompt: str
    picture: str
    reply: str | None
    finish: str
    problems: tuple[str, ...]
    tokens: tuple[int, int]
    seconds: float

    @property
    def refused(self) -> bool:
        """Whether there is no reply, and asking again changes nothing."""
        return self.reply is None

    def to_json(self) -> dict[str, Any]:
        """As in the module's example."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True, slots=True)
class Last:
    """The last line of a sample, without its text: where it stands, and what came of it."""

    offset: int
    attempt: int
    prompt: str
    usable: bool
    refused: bool


class Journal:
    """Open for reading and appending, held by this process alone. A context manager; threads may share it.

    Raises UserError where another process holds it, and where a line is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._by_id: dict[str, Last] = {}
        self.replies = self.usable = 0
        self.tokens = [0, 0]
        make_folder(path.parent)
        self._writing = threading.Lock()
        self._lock = take_lock(path)
        try:
            if path.exists():  # before anything is cut off: it may be another file by mistake
                offset = 0
                with open_file(path) as file:
                    for stored, line in parse_lines(file, path, stored_of, _WANTED):
                        self._know(stored, offset)
                        offset += len(line)
            self._file = Appendable(path, whole=_is_stored)
            self._end = path.stat().st_size
        except OSError as error:
            self.close()
            raise cannot_write(path, error) from error
        except BaseException:
            self.close()
            raise

    def last(self, id_: str, prompt: str) -> Last | None:
        """The last line about a sample, None where there is none about this prompt."""
        last = self._by_id.get(id_)
        return last if last is not None and last.prompt == prompt else None

    def stored_at(self, last: Last) -> Stored:
        """The line there."""
        with open_file(self.path) as file:
            file.seek(last.offset)
            return stored_of(json.loads(file.readline()))

    def add(self, stored: Stored) -> None:
        """Write a reply; it outlives this process when this returns. Raises UserError for a full disk."""
        line = json.dumps(stored.to_json()).encode("ascii")
        with self._writing:
            try:
                self._file.append(line)
            except OSError as error:
                raise cannot_write(self.path, error, AGAIN) from error
            self._know(stored, self._end)
            self._end += len(line) + 1

    def sync(self) -> None:
        """Return when every line is on the disk. Raises UserError."""
        try:
            self._file.sync()
        except OSError as error:
            raise cannot_write(self.path, error, AGAIN) from error

    def close(self) -> None:
        """Let others in."""
        if (file := self.__dict__.pop("_file", None)) is not None:
            file.close()
        self._lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _know(self, stored: Stored, offset: int) -> None:
        usable = not stored.refused and not stored.problems
        self._by_id[stored.id] = Last(offset, stored.attempt, stored.prompt, usable, stored.refused)
        self.replies += not stored.refused
        self.usable += usable
        self.tokens = [had + more for had, more in zip(self.tokens, stored.tokens, strict=True)]


def stored_of(row: Any) -> Stored:
    """A parsed line. Raises ValueError."""
    kinds: dict[str, Callable[[Any], bool]] = {
        "id": _text, "prompt": _text, "picture": _text, "finish": _text, "attempt": _count,
        "reply": lambda value: value is None or _text(value),
        "problems": lambda value: isinstance(value, list) and all(map(_text, value)),
        "tokens": lambda value: isinstance(value, list) and len(value) == 2 and all(map(_count, value)),
        "seconds": lambda value: isinstance(value, int | float),
    }  # fmt: skip
    if not isinstance(row, dict) or row.keys() != kinds.keys():
        raise ValueError(f"expected an object with {', '.join(sorted(kinds))}")
    if wrong := [name for name, fits in kinds.items() if not fits(row[name])]:
        raise ValueError(f'field "{wrong[0]}" has a value of another kind')
    return Stored(**{**row, "problems": tuple(row["problems"]), "tokens": tuple(row["tokens"])})


def _text(value: Any) -> bool:
    return isinstance(value, str)


def _count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_stored(line: bytes) -> bool:
    try:
        stored_of(json.loads(line))
    except (ValueError, RecursionError):
        return False
    return True
