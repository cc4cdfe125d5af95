"""Files of one JSON value a line, read with errors that say where: file, line, field.

for position, row in read_objects(path):      # what people and other programs wrote: every object, blank lines skipped
    position.text(row, "id")                  # or UserError: scores.jsonl: line 3: field "id" is missing

with path.open("rb") as file:                 # what this program wrote, made into something at once
    for verdict, line in parse_lines(file, path, verdict_of, Wanted("a verdict", fix="…", unfinished=True)):
        …                                     # or UserError: verdicts.jsonl: line 3 is not a verdict: …

No line is read whole that is longer than `MAX_LINE`.
"""

from __future__ import annotations

import collections
import dataclasses
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn, TypeVar

from judge.errors import UserError
from judge.io.files import open_file

MAX_LINE = 64 * 2**20
"""Bytes of one line. Longer ones hold pictures, which belong into files."""

_SURROGATE = re.compile("[\ud800-\udfff]")
BOM = b"\xef\xbb\xbf"
Made = TypeVar("Made")


class Position:
    """Where in which file; makes the errors. where: "line 3", or None for the file as a whole."""

    def __init__(self, file: Path, where: str | None) -> None:
        self.file, self.where = file, where

    def __str__(self) -> str:
        return f"{self.file}: {self.where}"

    def error(self, problem: str, *, field: str | None = None, fix: str | None = None) -> UserError:
        """The error to raise about what stands here. problem: what is wrong, as the end of a sentence."""
        if field is not None:
            problem = f'field "{field}" {problem}'
        joint = ": " if field is not None else " "
        return UserError(f"{self.where}{joint}{problem}" if self.where else problem, file=self.file, fix=fix)

    def text(self, row: dict[str, Any], field: str) -> str:
        """row[field]. Raises UserError where it is not text, or empty."""
        value = row.get(field)
        if not isinstance(value, str) or not value:
            raise self.error("is missing" if field not in row else f"is {kind_of(value)}, not text", field=field)
        return value


def read_lines(file: IO[bytes], path: Path) -> Iterator[tuple[Position, bytes]]:
    """(position, line with its end) of every line of an open file. Raises UserError for one above `MAX_LINE`."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        position = Position(path, f"line {number}")
        if len(line) > MAX_LINE:
            raise position.error(f"is longer than {MAX_LINE >> 20} MiB", fix="save pictures as files and name them")
        yield position, line


def read_objects(path: Path) -> Iterator[tuple[Position, dict[str, Any]]]:
    """(position, object) of every line that is not blank. Raises UserError for what is not a JSON object."""
    try:
        with open_file(path) as file:
            for position, line in read_lines(file, path):
                if position.where == "line 1":
                    line = line.removeprefix(BOM)
                if not line.strip():
                    continue
                row = parse_json(line, position)
                if not isinstance(row, dict):
                    raise position.error("is not a JSON object")
                yield position, row
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from error


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What every line must be, for its error: "line 3 is not `kind`: …". fix: what the user can do.

    unfinished: a last line that has no newline and is not one ends the file, as a process that was killed leaves it.
    """

    kind: str
    fix: str
    unfinished: bool = False


def parse_lines(
    file: IO[bytes], path: Path, make: Callable[[Any], Made], wanted: Wanted
) -> Iterator[tuple[Made, bytes]]:
    """(what `make` makes of the JSON value, line with its end) of every line of an open file.

    make: raises ValueError for a value that is not what is wanted. Numbers that JSON does not have (NaN, Infinity)
    and names that stand twice in an object are refused. Raises UserError with the line.
    """
    for position, line in read_lines(file, path):
        try:
            made = make(_DECODER.decode(line.decode("utf-8")))
        except (ValueError, RecursionError) as error:
            if wanted.unfinished and not line.endswith(b"\n"):
                return
            raise position.error(f"is not {wanted.kind}: {error}", fix=wanted.fix) from error
        yield made, line


def parse_strictly(data: bytes) -> Any:
    """The JSON value in `data`. Raises ValueError for what is not UTF-8 and strict JSON.

    Refused are names that stand twice in an object, numbers that a float cannot hold, and what is nested too deeply.
    """
    try:
        return json.loads(
            data.decode("utf-8"), object_pairs_hook=object_of, parse_float=_real, parse_int=_whole,
            parse_constant=no_number,
        )  # fmt: skip
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def parse_json(data: bytes, position: Position) -> Any:
    """The JSON value in `data`. Raises UserError that says how far it can be read."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise position.error(f"is not UTF-8 (byte {error.start})", fix="save the file as UTF-8") from error
    try:
        return json.loads(text, object_pairs_hook=object_of)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno} " if position.where is None else ""
        cut_off = error.msg.startswith("Unterminated") or not text[error.pos :].strip()
        problem = f"{line}column {error.colno} is not JSON ({error.msg}{'; it ends in the middle' if cut_off else ''})"
        raise position.error(problem) from error
    except (ValueError, RecursionError) as error:  # a name twice, a number of 5,000 digits, 10,000 open brackets
        raise position.error(f"cannot be read as JSON ({error})") from error


def kind_of(value: object) -> str:
    """What a JSON value is, in words: "text", "the number 3", "a list"."""
    names = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    if isinstance(value, int) and not isinstance(value, bool):
        return f"the number {value}" if abs(value) < 10**12 else "a number"
    return "empty text" if value == "" else "null" if value is None else names[type(value)]


def writable(text: str) -> str:
    """`text` as UTF-8 can hold it: half surrogate pairs, which JSON can spell, become U+FFFD."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """For `json.loads`, as object_pairs_hook. Raises ValueError for a name that stands twice."""
    row = dict(pairs)
    if len(row) != len(pairs):
        times = collections.Counter(name for name, _ in pairs)
        raise ValueError(f"the name {next(name for name in times if times[name] > 1)[:80]!r} twice in one object")
    return row


def no_number(name: str) -> NoReturn:
    """For `json.loads`, as parse_constant: NaN and infinities are refused. Raises ValueError."""
    raise ValueError(f"{name} is no number of JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=object_of, parse_constant=no_number)


def _real(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


def _whole(text: str) -> int:
    if len(text) > 300:  # arithmetic with floats could not have it either
        raise ValueError(f"a number of {len(text)} digits is too large")
    return int(text)
