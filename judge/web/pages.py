"""What a local page is made of: its files, and a function for every address that the page asks for.

    site = Site(
        command="mmjudge annotate",
        files=page_files(FOLDER, "page.html", "page.css", "page.js", "page.svg"),
        gets={"/item/{position}": lambda call: json_reply(session.item(int(call.path["position"])))},
        posts={"/score": lambda call: json_reply(session.score(call.body))},
    )

A function raises `Refused` for what cannot be done; its message is shown to who asked.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

JSON = "application/json"
KINDS = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
SHARED = Path(__file__).parent / "theme.css"
"""Colours, light and dark, and what buttons, keys and dialogs look like."""


class Refused(Exception):  # noqa: N818 - an answer to the page, not a fault
    """What the page asked for cannot be done. status: of the HTTP answer."""

    def __init__(self, problem: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(problem)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Call:
    """One question of a page. path: what stands for the names in the address; query: (name, value) in their order.

    body: the JSON object of a POST, {} for a GET.
    """

    path: Mapping[str, str]
    query: Sequence[tuple[str, str]] = ()
    body: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Reply:
    """The answer. data: bytes, or pieces, sent one after the other. download: a name to save it under."""

    data: bytes | Iterable[bytes]
    kind: str = JSON
    status: int = HTTPStatus.OK
    download: str | None = None


Handler = Callable[[Call], Reply]


@dataclasses.dataclass(frozen=True)
class Site:
    """command: what starts it, for messages. files: name below the address ("" is the page) → what is sent.

    gets, posts: address, with names in braces, → what answers it, in a thread. unusable: what could not be used where
    one of them raises OSError or UserError, such as "the file of scores"; the message itself names files, and goes to
    the terminal.
    """

    command: str
    files: Mapping[str, Reply]
    gets: Mapping[str, Handler]
    posts: Mapping[str, Handler] = dataclasses.field(default_factory=dict)
    unusable: str = "a file"


def page_files(folder: Path, page: str, *others: str) -> dict[str, Reply]:
    """The files of a site: `page` under "", `others` and the shared style under their own names."""
    paths = {"": folder / page, SHARED.name: SHARED, **{name: folder / name for name in others}}
    return {name: Reply(path.read_bytes(), KINDS[path.suffix]) for name, path in paths.items()}


def json_reply(value: Mapping[str, Any]) -> Reply:
    """`value` as JSON, in ASCII: half surrogate pairs of an answer have no UTF-8."""
    return Reply(json.dumps(value, allow_nan=False).encode("ascii"))


def problem(status: int, text: str) -> Reply:
    """What is answered where nothing else can be."""
    return Reply(json.dumps({"problem": text}).encode("ascii"), status=status)
