"""Answers that a benchmark singles out, as cards: the question, the answer, what the judge said, with small pictures.

singled_out(view, entries, album)  ->  [Group("Lost to the leading question", "The plain question is …",
                                              [Of(0, "qwen", shown=24, total=31, first=[…], rest=[…]), …])]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.request import Picture, Text
from judge.core.verdict import Verdict
from judge.io.presentation import View
from judge.io.samples import Drawn, Missing, Piece, Sample
from judge.report.browser import clip
from judge.report.entries import Entry
from judge.report.pictures import Album

CARD_TEXT = 1000
"""Characters of a text."""
FIRST_CARDS = 3
"""Cards of a group that are seen without a click."""


@dataclasses.dataclass(frozen=True)
class Of:
    """The cards of one run. number: of its mark; total: how many such answers it has, of which `shown` are a choice."""

    number: int
    name: str
    shown: int
    total: int
    first: Sequence[Mapping[str, Any]]
    rest: Sequence[Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Group:
    """What the benchmark singles out, and the cards of every run that has any."""

    title: str
    meaning: str
    runs: Sequence[Of]


def singled_out(view: View, entries: Sequence[Entry], album: Album) -> list[Group]:
    """The groups of all runs, those of one title together. album: gives pictures as long as its budget lasts."""
    groups: dict[tuple[str, str], list[Of]] = {}
    for number, entry in enumerate(entries):
        verdicts = {(verdict.id, verdict.index): verdict for verdict in entry.run.verdicts}
        for group in view.singled_out(entry.run.verdicts):
            made = [
                _item([(verdicts[key], entry.samples.get(key)) for key in item], view, _Pictures(album, entry.name))
                for item in group.items
            ]
            if made:
                of = Of(number, entry.name, len(made), group.total, made[:FIRST_CARDS], made[FIRST_CARDS:])
                groups.setdefault((group.title, group.meaning), []).append(of)
    return [Group(title, meaning, runs) for (title, meaning), runs in groups.items()]


@dataclasses.dataclass(frozen=True)
class _Pictures:
    """album, and whose answers they are in."""

    album: Album
    name: str


def _item(found: Sequence[tuple[Verdict, Sample | None]], view: View, pictures: _Pictures) -> dict[str, Any]:
    """Questions shown together; a picture that all of them are about is shown once."""
    asked = [() if sample is None else sample.question for _, sample in found]
    common = [
        piece
        for piece in asked[0]
        if len(asked) > 1 and not isinstance(piece, Text) and all(piece in question for question in asked)
    ]
    id_ = found[0][0].id
    return {
        "id": id_,
        "category": found[0][0].category or "",
        "common": [_shown(piece, f"picture of question {id_}", pictures) for piece in common],
        "halves": [_card(verdict, sample, common, view, pictures) for verdict, sample in found],
    }


def _card(
    verdict: Verdict, sample: Sample | None, common: Sequence[Piece], view: View, pictures: _Pictures
) -> dict[str, Any]:
    found = [(label, view.detail(verdict, name)) for name, label in view.details.items()]
    question = [piece for piece in sample.question if piece not in common] if sample else []
    return {
        "verdict": verdict,
        "question": _pieces(question, f"question {verdict.id}", pictures),
        "answer": _pieces(sample.answer if sample else (), f"the answer of {pictures.name} to {verdict.id}", pictures),
        "truth": sample.truth if sample else None,
        "feedback": _text(verdict.feedback) if verdict.feedback else None,
        "details": [(label, value) for label, value in found if value],
    }


def _pieces(pieces: Sequence[Piece], where: str, pictures: _Pictures) -> list[dict[str, Any]]:
    shown, count = [], 0
    for piece in pieces:
        count += isinstance(piece, Picture | Missing)
        shown.append(_shown(piece, f"picture {count} of {where}", pictures))
    return shown


def _shown(piece: Piece, alt: str, pictures: _Pictures) -> dict[str, Any]:
    if isinstance(piece, Text):
        return _text(piece.text)
    if isinstance(piece, Picture):
        copy = pictures.album.embedded(piece)
        address = pictures.album.addresses[pictures.album.number(piece)]
        return {"src": copy or address, "address": address, "alt": alt}
    if isinstance(piece, Drawn):
        return {"drawn": str(piece)[:CARD_TEXT]}
    return {"missing": piece.name[:80]}


def _text(text: str) -> dict[str, Any]:
    clipped = clip(text, CARD_TEXT)
    return {"text": clipped} if isinstance(clipped, str) else {"text": clipped["t"], "cut": clipped["c"]}
