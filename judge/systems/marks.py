"""What a writer marked as pictures, read out of its text, whatever it did to the marks.

    read_marks("Cut it.\\n<picture>an apple\\non a board</picture>\\nThen peel.", Bounds())
    ->  Marked(("Cut it.", Description("an apple on a board"), "Then peel."), left_out=0)

The rule:

1. `<picture>` opens and `</picture>` closes, in any case, with blanks or attributes inside (`<Picture id=1>`).
2. An opening mark ends a picture that is still open: pictures are never inside each other.
3. A picture that is closed describes all between its marks; one that is not describes the rest of its line.
4. A description is one line, cut at a word after `Bounds.characters`. An empty one is no picture.
5. A closing mark that closes nothing is left out.
6. After `Bounds.pictures` pictures the others are left out, marks and descriptions, and counted.

The mark is never `<image>`: that is an image slot to LLaVA, Idefics and others, and what they write with it means
something else. Thoughts are taken out before (`judge.core.thoughts`), so nothing that was only considered is drawn.
"""

from __future__ import annotations

import dataclasses
import re

from judge.core.thoughts import without_thoughts

_MARK = re.compile(r"<\s*(?P<closes>/?)\s*picture(?:[\s/][^<>]{0,200})?>", re.IGNORECASE)


@dataclasses.dataclass(frozen=True)
class Bounds:
    """The most pictures of an answer, and the most characters of a description."""

    pictures: int = 6
    characters: int = 800


@dataclasses.dataclass(frozen=True)
class Description:
    """What a picture shall show: one line, not empty."""

    text: str


@dataclasses.dataclass(frozen=True)
class Marked:
    """An answer's texts and pictures in order; no text is blank. left_out: pictures above the bound."""

    parts: tuple[str | Description, ...]
    left_out: int = 0


def read_marks(text: str, bounds: Bounds) -> Marked:
    """The parts of what a writer wrote, by the rule of the module."""
    text = without_thoughts(text)
    pieces: list[str | Description] = []
    position, open_since = 0, -1
    for mark in _MARK.finditer(text):
        before = text[position : mark.start()]
        closes = bool(mark["closes"])
        if open_since < 0:
            pieces.append(before)
        elif closes:
            pieces.append(Description(before))
        else:
            pieces += _unclosed(before)
        closes_itself = mark[0].removesuffix(">").rstrip().endswith("/")
        open_since = -1 if closes or closes_itself else mark.end()
        position = mark.end()
    pieces += [text[position:]] if open_since < 0 else _unclosed(text[position:])
    return _bounded(pieces, bounds)


def _unclosed(text: str) -> list[str | Description]:
    """The rest of its line describes, what follows is text again."""
    line, _, rest = text.lstrip(" \t").partition("\n")
    return [Description(line), rest]


def _bounded(pieces: list[str | Description], bounds: Bounds) -> Marked:
    parts: list[str | Description] = []
    pictures = left_out = 0
    for piece in pieces:
        if isinstance(piece, Description):
            description = _cut(" ".join(piece.text.split()), bounds.characters)
            if not description:
                continue
            if pictures == bounds.pictures:
                left_out += 1
                continue
            pictures += 1
            parts.append(Description(description))
        elif parts and isinstance(parts[-1], str):  # a mark between them was left out
            parts[-1] = f"{parts[-1]}\n{piece.strip()}" if piece.strip() else parts[-1]
        elif piece.strip():
            parts.append(piece.strip())
    return Marked(tuple(parts), left_out)


def _cut(description: str, most: int) -> str:
    """At most `most` characters, whole words where there are any."""
    if len(description) <= most:
        return description
    head = description[:most]
    whole, blank, _ = head.rpartition(" ")
    return whole if blank and description[most] != " " else head
