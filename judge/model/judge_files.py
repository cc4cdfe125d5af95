"""Files of a judge folder: whoever made them, reading one ends soon, in a value or in one error that names it.

    read_object(Path("judge/config.json"))               {"architectures": ["InternVLChatModel"], …}
    text = Fields(config, Path("judge/config.json"))     typed values by name
    text.flag("add_bos_token", default=True)             True
                                                         or UserError: …: field "add_bos_token": is 3, not true or false

Only regular files are opened (a FIFO would wait for ever), and none beyond a size that its kind can have.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.io.files import open_file
from judge.io.jsonl import parse_strictly

MAX_JSON = 16 * 2**20
"""Bytes of a JSON file; the index of a judge with 100,000 tensors has less."""

MAX_TOKENIZER = 64 * 2**20
"""Bytes of tokenizer.model: 100 times that of InternVL2-4B."""

FIX = "download the whole judge folder again, or name another judge"
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def require_file(file: Path) -> os.stat_result:
    """The status of a regular file, links followed. Raises UserError for anything else, which is not opened."""
    try:
        status = file.stat()
    except FileNotFoundError:
        raise UserError("is missing from the judge folder", file=file, fix=FIX) from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read ({getattr(error, 'strerror', None) or error})", file=file, fix=FIX) from None
    if not stat.S_ISREG(status.st_mode):
        raise UserError("is not a regular file", file=file, fix=FIX)
    return status


def read_bytes(file: Path, limit: int) -> bytes:
    """The bytes of a regular file of at most `limit` bytes. Raises UserError."""
    size = require_file(file).st_size
    if size <= limit:
        try:
            with open_file(file) as stream:
                data = stream.read(limit + 1)
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", file=file, fix=FIX) from None
        if len(data) <= limit:
            return data
        size = len(data)
    raise UserError(f"has {size:,} bytes, and at most {limit:,} are read", file=file, fix=FIX)


def read_object(file: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises UserError that names the file, and what in it is wrong."""
    try:
        content = parse_object(read_bytes(file, MAX_JSON))
    except ValueError as error:
        raise UserError(f"cannot be read as JSON: {error}", file=file, fix=FIX) from None
    if content is None:
        raise UserError("must hold one JSON object", file=file, fix=FIX)
    return content


def parse_object(data: bytes) -> dict[str, Any] | None:
    """The JSON object in `data`, None for another value. Raises ValueError for what is not strict JSON.

    Refused are names that stand twice in an object, numbers that a float cannot hold, and half characters.
    """
    value = parse_strictly(data)
    if _SURROGATE.search(data):
        json.dumps(value, ensure_ascii=False).encode()
    return value if isinstance(value, dict) else None


class Fields:
    """Values of a JSON object by dotted path, checked for their kind. `file` and the path are named in every error."""

    def __init__(self, raw: Mapping[str, Any], file: Path) -> None:
        self.raw, self.file = raw, file

    def value(self, path: str) -> Any:
        """The value at a dotted path, None where there is none."""
        value: Any = self.raw
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return value

    def error(self, path: str, wanted: str) -> UserError:
        """The error for the value at `path`. wanted: what it should be, such as "text"."""
        value = self.value(path)
        if value is None:
            return UserError("is missing", file=self.file, field=path, fix=FIX)
        return UserError(f"is {shown(value)}, not {wanted}", file=self.file, field=path, fix=FIX)

    def whole(self, path: str, most: int, *, least: int = 1) -> int:
        """A whole number from `least` to `most`. Raises UserError."""
        value = self.value(path)
        if type(value) is not int or not least <= value <= most:
            raise self.error(path, f"a whole number from {least} to {most:,}")
        return value

    def positive(self, path: str) -> float:
        """A number above 0 that a float32 can hold. Raises UserError."""
        value = self.value(path)
        if type(value) not in (int, float) or not 1e-30 < value < 1e30:
            raise self.error(path, "a number above 0")
        return float(value)

    def flag(self, path: str, default: bool | None = None) -> bool:
        """True or false; `default`, where there is one, for an absent value. Raises UserError."""
        value = self.value(path)
        if value is None and default is not None:
            return default
        if not isinstance(value, bool):
            raise self.error(path, "true or false")
        return value

    def text(self, path: str) -> str | None:
        """Text, None where it is absent. Raises UserError."""
        value = self.value(path)
        if value is not None and not isinstance(value, str):
            raise self.error(path, "text")
        return value


def parse_index(text: str) -> int | None:
    """The number that `text` spells as JSON does, below 10^9; None for anything else."""
    return int(text) if _INDEX.fullmatch(text) else None


def shown(value: object) -> str:
    """A JSON value for a message, cut where it is long."""
    if isinstance(value, (list, dict)) and len(value) > 100:
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value):,}"
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:80]}…"


def list_some(names: list[str]) -> str:
    """The first names of many, each cut where it is long."""
    some = ", ".join(name if len(name) <= 100 else f"{name[:100]}…" for name in names[:5])
    return some + (f" and {len(names) - 5} more" if len(names) > 5 else "")
