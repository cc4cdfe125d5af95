"""A file that is one JSON list of objects, read object by object: training data has a million and more than a GB.

    for position, row in read_list(Path("llava_v1_5_mix665k.json")):
        position.text(row, "id")          # or UserError: llava….json: record 3: field "id" is missing

`read_rows` also takes JSON lines, told by what the file begins with.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from judge.errors import UserError
from judge.io.files import BLOCK, open_file
from judge.io.jsonl import BOM, MAX_LINE, Position, no_number, object_of, read_objects

_SPACE = " \t\r\n"
_DECODER = json.JSONDecoder(object_pairs_hook=object_of, parse_constant=no_number)


def read_rows(path: Path) -> Iterator[tuple[Position, dict[str, Any]]]:
    """(position, object) of every object of a list, or of every line. Raises UserError."""
    return read_list(path) if begins_with(path, "[") else read_objects(path)


def begins_with(path: Path, bracket: str) -> bool:
    """Whether the first character of a file that is no space is `bracket`. Raises UserError."""
    try:
        with open_file(path) as file:
            return file.read(BLOCK).removeprefix(BOM).lstrip()[:1] == bracket.encode()
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from error


def read_list(path: Path) -> Iterator[tuple[Position, dict[str, Any]]]:
    """(position, object) of every object of the list that a file is. Raises UserError for anything else."""
    try:
        with open_file(path) as file:
            yield from _Reader(file, path).objects()
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from error


class _Reader:
    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file, self._path, self._number = file, path, 0
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._ended = "", False

    def objects(self) -> Iterator[tuple[Position, dict[str, Any]]]:
        if self._next() != "[":
            raise self._position().error("expected a list of objects")
        self._text = self._text[1:]
        if self._next() == "]":
            return
        while True:
            self._number += 1
            yield self._position(), self._object()
            separator = self._next()
            self._text = self._text[1:]
            if separator == "]":
                break
            if separator != ",":
                problem = "the file ends behind it" if not separator else f"{separator!r} behind it, not a comma"
                raise self._position().error(problem, fix="the file is cut off, or no JSON list: fetch it again")
        if self._next():
            raise self._position().error("there is something behind the list")

    def _object(self) -> dict[str, Any]:
        self._next()
        most = BLOCK
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text)
                break
            except json.JSONDecodeError as error:
                # what is not whole yet looks broken: more of it is read, twice as much each time, until there is none
                if self._ended or len(self._text) > MAX_LINE:
                    why = f"is not JSON ({error.msg})"
                    raise self._position().error(why, fix="the file is cut off, or no JSON list") from None
                self._read(most)
                most *= 2
            except (ValueError, RecursionError) as error:
                raise self._position().error(f"cannot be read as JSON ({error})") from error
        if not isinstance(value, dict):
            raise self._position().error("is not a JSON object")
        self._text = self._text[end:]
        return value

    def _next(self) -> str:
        """The next character that is no space, "" at the end."""
        while True:
            self._text = self._text.lstrip(_SPACE)
            if self._text or self._ended:
                return self._text[:1]
            self._read(BLOCK)

    def _read(self, size: int) -> None:
        block = self._file.read(size)
        self._ended = not block
        try:
            self._text += self._decoder.decode(block, final=not block)
        except UnicodeDecodeError:
            raise self._position().error("is not UTF-8", fix="save the file as UTF-8") from None

    def _position(self) -> Position:
        return Position(self._path, f"record {self._number}")
