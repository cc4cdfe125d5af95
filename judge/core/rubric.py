"""A rubric: the judge's instructions per category, and the one pass that fills them.

A template is text with the fields `{question}`, `{answer}` and `{gt_answer}`:

    <instructions>### Question\\n{question}\\n### Answer\\n{answer}\\n### Feedback\\n

Filling yields pieces, not a string: the template's own words stay apart from what was filled in, so the tokenizer can
tell the protocol from the judged text. Braces inside a question or an answer are text.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterator, Mapping

from judge.core.request import Picture, Request, Segment, Text, label

_FIELD = re.compile(r"\{(question|answer|gt_answer)\}")
_CRITERION = re.compile(r"^(\d+)\. ([^:,\n]+)[^\n]*\n", re.MULTILINE)


@dataclasses.dataclass(frozen=True)
class Literal:
    """Words of the protocol itself (rubric, headings, picture labels): trusted."""

    text: str


Piece = Literal | Text | Picture
"""A piece of a prompt. In a prompt, unlike in a request, a Text stands for exactly its text: newlines are literals."""


@dataclasses.dataclass(frozen=True)
class Rubric:
    """Templates by category. `name` says whose wording it is: "mmjudge", "official", …"""

    name: str
    templates: Mapping[str, str]

    @property
    def sha256(self) -> str:
        """Hash of all templates in order of category; enters the signature."""
        digest = hashlib.sha256()
        for category in sorted(self.templates):
            for part in (category, self.templates[category]):
                data = part.encode()
                digest.update(len(data).to_bytes(8, "big") + data)
        return digest.hexdigest()

    @property
    def label(self) -> str:
        """Name and the beginning of the hash, as in signatures: "mmjudge@517864c3"."""
        return f"{self.name}@{self.sha256[:8]}"

    def instructions(self, category: str) -> str:
        """The template of a category up to its first field."""
        return _FIELD.split(self.templates[category], maxsplit=1)[0]

    def criteria(self, category: str) -> list[str]:
        """Names of the numbered criteria of a category, in order: lines "1. Text quality: …" before the first field.

        Empty for a wording that does not number them.
        """
        return [match[2] for match in _CRITERION.finditer(self.instructions(category))]

    def without(self, criterion: str) -> Rubric:
        """This rubric with one criterion left out wherever a category has it; the others are numbered anew.

        Raises ValueError where no category has it.
        """
        templates = {}
        for category, template in self.templates.items():
            left = iter(range(1, len(self.criteria(category)) + 1))

            def renumbered(match: re.Match[str], left: Iterator[int] = left) -> str:
                return "" if match[2] == criterion else f"{next(left)}{match[0][len(match[1]) :]}"

            field = _FIELD.search(template)
            end = field.start() if field else len(template)
            templates[category] = _CRITERION.sub(renumbered, template[:end]) + template[end:]
        if templates == self.templates:
            raise ValueError(f"no criterion {criterion!r}")
        return Rubric(f"{self.name}-without-{criterion.lower().replace(' ', '-')}", templates)

    def render(self, request: Request) -> tuple[Piece, ...]:
        """The user message for one request, as pieces in order; neighbouring literals are joined."""
        pieces: list[Piece] = []
        questions = sum(isinstance(s, Picture) for s in request.question)
        fields: dict[str, list[Piece]] = {
            "question": _pieces(request.question, first=0),
            "answer": _pieces(request.answer, first=questions),
            "gt_answer": [Text(request.gt_answer or "")],
        }
        # re.split with one group alternates literal, field name, literal, …
        for position, part in enumerate(_FIELD.split(self.templates[request.category])):
            pieces.extend(fields[part] if position % 2 else [Literal(part)])
        return _joined(pieces)


def _pieces(segments: tuple[Segment, ...], first: int) -> list[Piece]:
    pieces: list[Piece] = []
    number = first
    for segment in segments:
        if isinstance(segment, Text):
            pieces += [segment, Literal("\n")]
        else:
            pieces += [Literal(label(number)), segment, Literal("\n")]
            number += 1
    return pieces


def _joined(pieces: list[Piece]) -> tuple[Piece, ...]:
    joined: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Literal | Text) and not piece.text:
            continue
        if isinstance(piece, Literal) and joined and isinstance(joined[-1], Literal):
            joined[-1] = Literal(joined[-1].text + piece.text)
        else:
            joined.append(piece)
    return tuple(joined)
