r"""Text of others made fit for a screen or a note: it moves no cursor, holds no secret, and has an end.

    visible("PBL-1\x1b[2J")              ->  "PBL-1\\x1b[2J"
    visible("a\u202egpj.exe")            ->  "a\\u202egpj.exe", which a terminal shows as "aexe.jpg"
    on_one_line("PBL-1\n→ rm -rf /")     ->  "PBL-1\\n→ rm -rf /"
    shortened("x" * 1_000_000, 200)      ->  "xxx… [999,800 characters left out] …xxx"
    described(FileNotFoundError(2, "No such file or directory", "/home/me/a.png"))
                                         ->  "FileNotFoundError: No such file or directory"

Ids, labels, answers, replies of servers and messages of libraries are text of others. The command line shows all it
prints through `Screen`, and an error through `shown_error`. Keys and passwords are hidden: `judge.core.secrets`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, TextIO

from judge.core.secrets import hide_secrets
from judge.errors import UserError

MOST_OF_A_LINE = 1_000
MOST_LINES = 200
MOST_OF_A_NAME = 200
MOST_OF_A_NOTE = 300
"""Characters, or lines, of what is shown; the middle of what is longer is left out."""

_ADDRESS = re.compile(r"<[\w.]+ (?:object|name|fd)\b[^<>]*>|\bat 0x[0-9a-fA-F]+|\bfd[= ]\d+")
"""How Python writes an object that has no text of its own: with an address or a descriptor, another in every run."""
_FOLDERS = re.compile(r"(?<![\w.:/~-])(?:~|[A-Za-z]:)?[/\\](?:[^\s'\"<>:/\\]+[/\\])+(?=[^\s'\"<>:/\\])")
"""The folders of an absolute path, up to the name of the file; not those of an address."""


def visible(text: str) -> str:
    """`text` with what cannot be seen written as Python writes it: control characters, marks that change the direction
    of writing, lone surrogates. Line ends and tabs stay."""
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or _is_seen(c) else c.encode("unicode_escape").decode("ascii") for c in text)


def encodable(text: str) -> str:
    """`text` with a question mark for half a surrogate pair: JSON can say that, and UTF-8 does not have it."""
    return text.encode("utf-8", "replace").decode("utf-8")


def on_one_line(text: str, most: int = MOST_OF_A_NAME) -> str:
    """`text` visible, at most about `most` characters, its line ends and tabs visible as well."""
    return visible(shortened(text, most)).replace("\n", "\\n").replace("\t", "\\t")


def shortened(text: str, most: int) -> str:
    """`text`, or its beginning and end where it is longer than `most` characters."""
    half = most // 2
    left_out = len(text) - 2 * half
    return text if len(text) <= most else f"{text[:half]}… [{left_out:,} characters left out] …{text[-half:]}"


def shown(text: str) -> str:
    """Lines for a screen: visible, without secrets, none without end, and not without end in number."""
    lines = hide_secrets(text).split("\n")
    if len(lines) > MOST_LINES:
        left = len(lines) - MOST_LINES
        lines = [*lines[: MOST_LINES // 2], f"… [{left:,} lines left out]", *lines[-MOST_LINES // 2 :]]
    return "\n".join(visible(shortened(line, MOST_OF_A_LINE)) for line in lines)


def shown_error(error: UserError) -> str:
    """The message of an error, for a screen. What is wrong may be told in several lines; those after the first are
    indented, so that no text of others looks like the line that says what to do."""
    where = [on_one_line(hide_secrets(str(error.file)), MOST_OF_A_LINE)] if error.file else []
    if error.record is not None:
        where.append(f"record {on_one_line(hide_secrets(error.record))}")
    if error.field is not None:
        where.append(f'field "{on_one_line(hide_secrets(error.field))}"')
    problem = shown(error.problem).replace("\n", "\n  ")
    return ": ".join([*where, problem]) + (f"\n→ {shown(error.fix)}" if error.fix else "")


def described(error: BaseException) -> str:
    """The type and the words of an error for a note that is kept and published: the same in every run and place.

    Addresses in memory, descriptors, and the folders of absolute paths are left out.
    """
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"{type(error).__name__}: {same_everywhere(words)}"


def same_everywhere(words: str) -> str:
    """Words of a library on one line, without secrets, and without what is only true of this run on this machine."""
    words = hide_secrets(words)
    words = _FOLDERS.sub("", _ADDRESS.sub("…", words[: 100 * MOST_OF_A_NOTE]))
    return on_one_line(" ".join(words.split()), MOST_OF_A_NOTE)


class Screen:
    """A stream of text that shows what is written to it visible and without secrets; in all else it is the stream it
    was made of."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`, made fit; its length, as of a stream."""
        self._stream.write(visible(hide_secrets(text)))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _is_seen(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"
