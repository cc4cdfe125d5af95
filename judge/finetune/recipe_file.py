"""What recipes have in common: a TOML file of plain keys, other values from the command line, and a hash of it all.

path = find_recipe("tiny.toml", Path(__file__).parent)           # the file as given, else one that comes along
values = read_values(path, ["lr=1e-4", "trainer.tf32=true"])     # {"lr": 0.0001, "trainer": {"tf32": True}, …}
try: Recipe(**values)
except ValidationError as error: raise first_problem(error, path, keys) from None
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from judge.errors import UserError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


@dataclasses.dataclass(frozen=True)
class Values:
    """What every recipe can do: a dataclass of its keys derives from this."""

    def to_json(self) -> dict[str, Any]:
        """Every field, defaults included, as JSON has it."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return values

    @property
    def sha256(self) -> str:
        """Hex, over every field: two recipes that say the same have the same."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def find_recipe(file: str | Path, bundled: Path) -> Path:
    """The file as given, else the one of that name in `bundled`/recipes. Raises UserError."""
    given = Path(file)
    for path in (given, bundled / given, bundled / "recipes" / given):
        if path.is_file():
            return path
    known = ", ".join(f"recipes/{path.name}" for path in sorted((bundled / "recipes").glob("*.toml")))
    raise UserError("no such recipe", file=given, fix=f"give a TOML file, or one of {known}")


def read_values(path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """The keys of a TOML file, with `overrides` ("key=value") in place of theirs. Raises UserError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise UserError(f"cannot be read as TOML: {error}", file=path) from None
    for override in overrides:
        _override(values, override)
    return values


def first_problem(error: ValidationError, path: Path, keys: Sequence[str]) -> UserError:
    """One problem of those that pydantic found: a key that is none comes first, for another may be missing for it."""
    problems = error.errors(include_url=False)
    first = next((some for some in problems if some["type"] == "unexpected_keyword_argument"), problems[0])
    field, kind = str(first["loc"][0]), first["type"]
    if kind == "unexpected_keyword_argument":
        return UserError("is not a key of a recipe", file=path, field=field, fix=f"keys are {', '.join(keys)}")
    if kind in ("missing", "string_too_short") and first["loc"] == (field,):
        return UserError("is missing", file=path, field=field)
    said = first["msg"]
    return UserError(f"is {first['input']!r}: {said[0].lower()}{said[1:]}", file=path, field=field)


def _override(values: dict[str, Any], override: str) -> None:
    """Put "key=value" or "table.key=value" into `values`: what TOML makes of the value, else the text itself."""
    key, separator, text = override.partition("=")
    if not separator:
        raise UserError(f"{override!r} is not key=value", fix="for example --set lr=1e-4")
    *tables, name = key.strip().split(".")
    for table in tables:
        values = values.setdefault(table, {})
        if not isinstance(values, dict):
            raise UserError(f"--set {override}: {table!r} is not a table")
    try:
        values[name] = tomllib.loads(f"value = {text.strip()}")["value"]
    except ValueError:  # `--set out=out/b` needs no quotes
        values[name] = text.strip()
