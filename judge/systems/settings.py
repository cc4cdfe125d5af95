"""SYSTEM.toml: which system is asked, and all that fixes its answers, in one file of plain keys.

    kind = "chat"                                  # describe, chat, native or pipe
    name = "gemini-2.5-flash-image"                # what tables call it; else the name of the file
    address = "https://openrouter.ai/api/v1"
    model = "google/gemini-2.5-flash-image"

Every kind has a class of its own with its keys, their types and their defaults: `KINDS`. A path is relative to the
file's folder. A key that changes nothing but speed (how many questions at once) is marked `SPEED` and is not part of
the system's identity, nor is its name.

Types and ranges are checked by pydantic, strictly: "3" is no number, 1 is not true. A table that may be one of several
(`writer`, `painter`) is told by its own `kind`: `writer: Annotated[Endpoint | Local, BY_KIND]`.
"""

from __future__ import annotations

import difflib
import importlib
import sys
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo

from judge.core.secrets import hide_secrets_in
from judge.errors import UserError
from judge.systems import JSON, System, Workspace

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

KINDS: Mapping[str, str] = {
    "describe": "judge.systems.describe:DescribeSettings",
    "chat": "judge.systems.chat:ChatSettings",
    "native": "judge.systems.native:NativeSettings",
    "pipe": "judge.systems.pipe:PipeSettings",
}
"""What the first key of a file names → its class, imported when it is named."""

BY_KIND = Field(discriminator="kind")
"""Of a table that may be one of several; each has `kind: Literal["…"]`."""
AS_LIST = Field(strict=False)
"""For tuples, which TOML writes as lists; what is in them is checked strictly all the same."""


def _beside(value: Any, info: ValidationInfo) -> Any:
    return info.context["folder"] / value if isinstance(value, str) and info.context else value


Beside = Annotated[Path, BeforeValidator(_beside)]
"""A path, relative to the folder of SYSTEM.toml."""
Given = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=1 << 20)]
Seconds = Annotated[float, Field(gt=0, le=30 * 24 * 3600)]
Seed = Annotated[int, Field(ge=0, lt=1 << 32)]
SPEED = Field(exclude=True)
"""Of a key that changes nothing but speed: `at_once: Annotated[Count, SPEED] = 8`."""


class Table(BaseModel):
    """A table of SYSTEM.toml: an immutable record whose fields are its keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())

    def to_json(self) -> dict[str, JSON]:
        """Its keys with their values, defaults included, as far as they fix answers; without secrets."""
        values: dict[str, JSON] = hide_secrets_in(self.model_dump(mode="json"))
        return values


class Settings(Table):
    """What every kind of system has. name: what tables call it."""

    kind: str
    name: Annotated[str, Field(exclude=True)] = ""

    def open(self, workspace: Workspace) -> System:
        """The system, ready to be asked. Weights and programs are loaded when the first question needs them.

        Raises UserError for what the user can mend: a model that is not there, a package that is not installed.
        """
        raise NotImplementedError


def read_settings(file: str | Path) -> Settings:
    """The settings in a SYSTEM.toml. Raises UserError that names file and field."""
    path = Path(file)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from None
    except ValueError as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise UserError(f"cannot be read as TOML: {error}", file=path) from None
    return make_settings(values, path)


def make_settings(values: Mapping[str, Any], path: Path) -> Settings:
    """Settings of these values, checked. path: the file that messages name, and whose folder paths are relative to.

    Raises UserError.
    """
    kind = values.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        problem = "is missing" if kind is None else f"is {kind!r}"
        near = difflib.get_close_matches(str(kind), KINDS, n=1)
        raise UserError(problem, file=path, field="kind", fix=_meant(near, KINDS))
    module, _, name = KINDS[kind].partition(":")
    cls: type[Settings] = getattr(importlib.import_module(module), name)
    try:
        made = cls.model_validate({"name": path.stem, **values}, context={"folder": path.absolute().parent})
    except ValidationError as error:
        raise _first_problem(error, cls, path) from None
    return made


def _first_problem(error: ValidationError, cls: type[Table], path: Path) -> UserError:
    """One problem of those that pydantic found: a key that is none comes first, for another may be missing for it."""
    problems = error.errors(include_url=False)
    first = next((some for some in problems if some["type"] == "extra_forbidden"), problems[0])
    keys, table = _located(first["loc"], cls)
    field, kind = ".".join(keys), first["type"]
    if kind == "extra_forbidden":
        known = list(table.model_fields)
        near = difflib.get_close_matches(keys[-1], known, n=1)
        return UserError("is not a key here", file=path, field=field, fix=_meant(near, known))
    if kind in ("missing", "string_too_short", "union_tag_not_found"):
        return UserError("is missing", file=path, field=field if kind != "union_tag_not_found" else f"{field}.kind")
    if kind == "union_tag_invalid":
        context = first["ctx"]
        known = [name.strip(" '") for name in context["expected_tags"].split(",")]
        near = difflib.get_close_matches(context["tag"], known, n=1)
        return UserError(f"is {context['tag']!r}", file=path, field=f"{field}.kind", fix=_meant(near, known))
    said = first["msg"].removeprefix("Value error, ")
    return UserError(f"is {hide_secrets_in(first['input'])!r}: {said[:1].lower()}{said[1:]}", file=path, field=field)


def _located(loc: tuple[int | str, ...], cls: type[Table]) -> tuple[list[str], type[Table]]:
    """The keys that lead to a value, and the class of the table that the last of them stands in.

    pydantic puts the `kind` of a table between the table's own key and the next one.
    """
    keys: list[str] = []
    table = cls
    rest = list(map(str, loc))
    while rest:
        keys.append(key := rest.pop(0))
        inner = list(_tables(table.model_fields[key].annotation)) if key in table.model_fields else []
        if len(inner) > 1 and rest:
            kind = rest.pop(0)
            inner = [each for each in inner if kind in typing.get_args(each.model_fields["kind"].annotation)]
        if inner and rest:
            table = inner[0]
    return keys or ["?"], table


def _tables(annotation: Any) -> Iterator[type[Table]]:
    """The classes of tables in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, Table):
        yield annotation
    for inner in typing.get_args(annotation):
        yield from _tables(inner)


def _meant(near: list[str], known: Any) -> str:
    return f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
