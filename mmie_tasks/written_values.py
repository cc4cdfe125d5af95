r"""The lists and objects that a model wrote into its text, as JSON or as Python prints them, and the text around them.

    Here is my answer:
    ```json
    [{"type": "text", "text": "Pour."}, {"type": "image", "path": "a.png"}]
    ```<|im_end|>

is the text "Here is my answer:\n```json\n", a list of two objects, and nothing else: what follows an end token is not
the answer. JSON is read as models write it: line breaks inside strings and commas before a closing bracket are let
through. No input raises, and time grows with the length of the text only.
"""

from __future__ import annotations

import ast
import dataclasses
import json
import re
import warnings
from collections.abc import Iterator
from typing import Any

DEEPEST = 60
"""Brackets inside each other; no layout comes near it, and Python itself gives up on more than 200."""
_MOST_FAILURES = 8  # places in one text that look like a value and are none: each costs a look at what follows

_BLANK = re.compile(r"[\s\ufeff]*")
_FENCE = re.compile(r"(?:```|~~~)[ \t]{0,9}[\w+-]{0,20}[ \t]{0,9}\n?")
_JSON_FENCE = re.compile(r"(?:```|~~~)[ \t]{0,9}json\w{0,2}\s", re.IGNORECASE)
# <|im_end|>, <|END_OF_TURN_TOKEN|>, <｜end▁of▁sentence｜>, </s>, <eos>, <end_of_turn>, <turn|>, [EOS]
_MARK = re.compile(
    r"<[|｜][^<>\n]{1,40}[|｜]>|</?s>|<(?:end|start|begin)_of_\w{1,20}>|<(?:eos|bos|pad|im_end|eot|eod)>"
    r"|<turn\|>|\[(?:EOS|BOS|/?INST)\]",
    re.IGNORECASE,
)
_START = re.compile(r"start|begin|<s>|bos", re.IGNORECASE)
_KIND = r"text|image|img|picture|images|output_text|output_image|input_image|image_url"
_KEY = r"[\"'“”‘]?[^\W\d][\w -]{0,40}[\"'“”’]?\s{0,9}(?::|\Z)"  # as it should be, or nearly so
_PAIR = rf"[\"'](?:{_KIND})[\"']\s{{0,9}}(?:,|\Z)"
_BEGINNING = rf"(?:[\[({{]\s{{0,40}}){{0,3}}(?:\{{\s{{0,40}}{_KEY}|[\[(]\s{{0,40}}[\[(]\s{{0,40}}{_PAIR})"
_LOOKS = re.compile(_BEGINNING, re.IGNORECASE)
_OPENING = re.compile(
    # a list of objects or of pairs wherever it stands; an object on a new line, or after `:`, `=`, `>` or `
    r"(?=[\[({])(?:\[\s{0,40}\{\s{0,40}[\"'][^\"'\\\n]{1,60}[\"']\s{0,9}:"
    rf"|[\[(]\s{{0,40}}[\[(]\s{{0,40}}{_PAIR}"
    r"|(?:(?<=[:：=>`\n])|(?<=[:：=>`\n][ \t])|(?<=\n[ \t][ \t]))\{\s{0,40}[\"'][^\"'\\\n]{1,60}[\"']\s{0,9}:)",
    re.IGNORECASE,
)
_KEYS = re.compile(rf"\b(?:{_KIND}|type|parts|content)[\"'”’]?\s{{0,9}}(?:[:,]|\Z)", re.IGNORECASE)
_TOKEN = re.compile(
    r"(?P<open>[\[({])|(?P<close>[\])}])|(?P<string>\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
    r"|(?P<word>null|true|false|None|True|False)\b|(?P<number>-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,3})?)"
    r"|[\s,:]+|(?P<quote>[\"'])",
    re.DOTALL,
)
_PAIR_OF_SURROGATES = re.compile(r"\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|\\.", re.DOTALL)
_WORDS = {"null": "None", "true": "True", "false": "False"}
_DECODER = json.JSONDecoder(strict=False)


@dataclasses.dataclass(frozen=True)
class Value:
    """A list or an object of JSON, and where it stands in the text."""

    value: Any
    start: int
    end: int


class UnreadableError(ValueError):
    """What looks like a value is none; the message says why."""


def looks_like_parts(text: str, start: int, end: int | None = None) -> bool:
    """Whether what begins at `start` looks like an answer with pictures: by its first key, or by a fence for JSON.

    It holds a key of the layouts that such answers are written in, and begins as they do.
    """
    if _JSON_FENCE.search(text, max(0, start - 20), start):
        return True
    end = len(text) if end is None else end
    return _LOOKS.match(text, start, end) is not None and _KEYS.search(text, start, end) is not None


def leading_value(text: str) -> int | None:
    """Where the value begins that `text` begins with, after blanks, marks of a turn and a fence; None for words."""
    offset = _skip(text, 0)
    while found := _MARK.match(text, offset) or _FENCE.match(text, offset):
        offset = _skip(text, found.end())
    return offset if text[offset : offset + 1] in ("[", "{", "(") else None


def _skip(text: str, offset: int) -> int:
    blank = _BLANK.match(text, offset)
    return blank.end() if blank else offset


def values(text: str) -> Iterator[Value]:
    """The values in `text`, in order, up to an end token that follows one.

    A value stands at the beginning of the text, of a fenced block or of a line, or after a colon, `=` or a tag.
    Raises UnreadableError at the first that looks like parts and is broken.
    """
    offset, failures = 0, 0
    start = leading_value(text)
    while True:
        if start is None:
            opening = _OPENING.search(text, offset)
            if opening is None:
                return
            start = opening.start()
        try:
            value, end = _decoded(text, start)
        except UnreadableError:
            failures += 1
            if looks_like_parts(text, start):
                raise
            if failures == _MOST_FAILURES:
                return
            offset, start = start + 1, None
            continue
        yield Value(value, start, end)
        offset, start = end, None
        if ends(text, end):
            return


def ends(text: str, offset: int) -> bool:
    """Whether an end token stands at `offset`, after blanks and the end of a fenced block."""
    offset = _skip(text, offset)
    fence = _FENCE.match(text, offset)
    mark = _MARK.match(text, _skip(text, fence.end()) if fence else offset)
    return mark is not None and not _START.search(mark[0])


def prose(text: str) -> str:
    """`text` between values without fences, marks of a turn, and the comma between two objects."""
    return _MARK.sub("", _FENCE.sub("\n", text)).strip("\ufeff,` \t\r\n")


def _decoded(text: str, start: int) -> tuple[Any, int]:
    """(value, end) of the value at `start`. Raises UnreadableError."""
    try:
        return _DECODER.raw_decode(text, start)
    except RecursionError:
        raise UnreadableError("it is nested too deeply") from None
    except ValueError as error:  # what Python wrote, or a comma too many
        problem = error.msg if isinstance(error, json.JSONDecodeError) else "a number is too long"
        offset = error.pos - start if isinstance(error, json.JSONDecodeError) else 0
    literal, end = _as_python(text, start)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "\d" in a string
            return ast.literal_eval(literal), end
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise UnreadableError(f"it is no JSON ({problem}, character {offset})") from None


def _as_python(text: str, start: int) -> tuple[str, int]:
    """(the value at `start` as a Python literal, its end). Raises UnreadableError where brackets do not close."""
    pieces, depth, offset, before = [], 0, start, None
    while offset < len(text):
        token = _TOKEN.match(text, offset)
        if token is None:
            raise UnreadableError(f"it is no JSON (at character {offset - start}: {text[offset : offset + 10]!r})")
        if token.lastgroup == "quote":
            break  # a string that never ends
        if before == token.lastgroup == "number":
            raise UnreadableError("it is no JSON (two numbers in a row)")  # 1-1-1-… is arithmetic to Python
        piece, offset, before = token[0], token.end(), token.lastgroup if token[0].strip() else before
        if token.lastgroup == "string":
            piece = _PAIR_OF_SURROGATES.sub(_character, piece).replace("\n", "\\n").replace("\r", "\\r")
        pieces.append(_WORDS.get(piece, piece))
        depth += (token.lastgroup == "open") - (token.lastgroup == "close")
        if depth > DEEPEST:
            raise UnreadableError("it is nested too deeply")
        if depth == 0:
            return "".join(pieces), offset
    raise UnreadableError("it ends in the middle")


def _character(escape: re.Match[str]) -> str:
    """The character that two escapes of JSON spell together; Python would read two halves."""
    if escape[1] is None:
        return escape[0]
    return chr(0x10000 + ((int(escape[1], 16) & 0x3FF) << 10) + (int(escape[2], 16) & 0x3FF))
