"""What a report leaves out to stay small, and how to see it all: said at its top, before any number.

left_out(sections, packed, travelling=24, megabytes=28)
->  ["Texts of MMIE are cut to 180 characters under All answers.",
     "24 of 31 pictures travel in this file; …", "`mmjudge view DIR…` shows …"]
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from judge.report.browser import LONGEST
from judge.report.cards import CARD_TEXT
from judge.report.content import Section
from judge.results.remarks import listed


@dataclasses.dataclass(frozen=True)
class Packed:
    """What a sample browser holds: JSON, the characters that its texts are cut to, and how many pictures it names."""

    data: str
    cut: int
    pictures: int


def left_out(sections: Sequence[Section], packed: Sequence[Packed], travelling: int, megabytes: int) -> list[str]:
    """A sentence for each kind of thing; travelling: pictures of which the file has a copy."""
    return list(_left_out(sections, packed, travelling, megabytes))


def _left_out(sections: Sequence[Section], packed: Sequence[Packed], travelling: int, megabytes: int) -> Iterator[str]:
    cut = [(section.benchmark.title, of.cut) for section, of in zip(sections, packed, strict=True)]
    if shorter := [f"{title} to {most:,} characters" for title, most in cut if 0 < most < LONGEST[0]]:
        yield f"Texts under “All answers” are cut: {listed(shorter)} (--megabytes {2 * megabytes} leaves more)."
    if without := [title for title, most in cut if most == 0]:
        yield f"Texts under “All answers” are left out for {listed(without)} (--megabytes {2 * megabytes} has some)."
    if not shorter and not without:
        yield f"Texts are cut to {LONGEST[0]:,} characters under “All answers”."
    if cards := sum(of.shown for section in sections for group in section.groups for of in group.runs):
        yield f"“Worth a look” is a choice of {cards:,}, with texts of {CARD_TEXT:,} characters at most."
    pictures = sum(of.pictures for of in packed)
    if pictures > travelling:
        yield (
            f"{travelling:,} of {pictures:,} pictures travel in this file, made smaller; the others are seen only "
            "where the results folders lie as they lay."
        )
    if missing := sum(section.missing for section in sections):
        yield f"{missing:,} pictures were not kept in the results folders (mmjudge score --keep-images keeps all)."
    yield "mmjudge view DIR… shows whole texts and all pictures that were kept."
