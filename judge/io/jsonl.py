"""Files of one JSON object a line, read with errors that say where: file, line, field.

for place, row in rows(path):
    place.text(row, "id")      # or UserError: scores.jsonl: line 3: field "id" is missing
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from judge.errors import UserError

MAX_LINE = 64 * 2**20
"""Bytes of one line. Longer ones hold pictures, which belong into files."""


def rows(path: Path) -> Iterator[tuple[Place, dict[str, Any]]]:
    """(place, object) of every line that is not blank. Raises UserError for what is not a JSON object."""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(MAX_LINE + 1):
                number += 1
                place = Place(path, f"line {number}")
                if len(line) > MAX_LINE:
                    problem = f"is longer than {MAX_LINE >> 20} MiB"
                    raise place.error(problem, fix="save pictures as files and name them")
                if number == 1:
                    line = line.removeprefix(b"\xef\xbb\xbf")
                if not line.strip():
                    continue
                row = parsed(line, place)
                if not isinstance(row, dict):
                    raise place.error("is not a JSON object")
                yield place, row
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from error


class Place:
    """Where in which file; makes the errors. where: "line 3", or None for the file as a whole."""

    def __init__(self, file: Path, where: str | None) -> None:
        self.file, self.where = file, where

    def __str__(self) -> str:
        return f"{self.file}: {self.where}"

    def error(self, problem: str, *, field: str | None = None, fix: str | None = None) -> UserError:
        if field is not None:
            problem = f'field "{field}" {problem}'
        joint = ": " if field is not None else " "
        return UserError(f"{self.where}{joint}{problem}" if self.where else problem, file=self.file, fix=fix)

    def text(self, row: dict[str, Any], field: str) -> str:
        """row[field], which must be text and not empty."""
        value = row.get(field)
        if not isinstance(value, str) or not value:
            raise self.error("is missing" if field not in row else f"is {kind(value)}, not text", field=field)
        return value


def parsed(data: bytes, place: Place) -> Any:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise place.error(f"is not UTF-8 (byte {error.start})", fix="save the file as UTF-8") from error
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno} " if place.where is None else ""
        cut_off = error.msg.startswith("Unterminated") or not text[error.pos :].strip()
        problem = f"{line}column {error.colno} is not JSON ({error.msg}{'; it ends in the middle' if cut_off else ''})"
        raise place.error(problem) from error
    except (ValueError, RecursionError) as error:  # a name twice, a number of 5,000 digits, 10,000 open brackets
        raise place.error(f"cannot be read as JSON ({error})") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(n for n in names if names.count(n) > 1)!r} twice in one object")
    return row


def kind(value: object) -> str:
    names = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    if isinstance(value, int) and not isinstance(value, bool):
        return f"the number {value}" if abs(value) < 10**12 else "a number"
    return "empty text" if value == "" else "null" if value is None else names[type(value)]
