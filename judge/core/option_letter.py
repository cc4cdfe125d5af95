"""The letter a careful reader would take from an answer to a multiple-choice question, or none.

    careful("**B**", options)                        -> Extracted("B", "bare")
    careful("A man is running, so D.", options)      -> Extracted("D", "conclusion")
    careful("There are two people.", options)        -> Extracted("C", "option_text")
    careful("I cannot see the image.", options)      -> Extracted(None, None)

What is not the answer is taken away (`extraction.clean`), what is said of each letter is read by a table of languages
(`extraction.statements`), and `_decide` chooses. A stated letter counts where its text is another option's. In doubt
the answer has no letter. The tables in tests/mmvu_tasks/test_mmvu_extract*.py are the specification; a change of what
is read changes `VERSION`, which stands in every signature. Time grows with the length of an answer only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from judge.core.extraction import clean, option_texts
from judge.core.extraction.statements import Polarity, Reading, Statement, Strength, read_statements
from judge.core.extraction.tokens import LABEL, read_tokens

VERSION = "careful-3"
LETTERS = ("A", "B", "C", "D", "E", "F", "G", "H")
"""Of the first, second, … option; a question has so many options at most."""
RULES = (
    "boxed", "tagged", "json", "bare", "verbatim", "stated", "judged", "leading", "conclusion", "closing", "eliminated",
    "option_text", "line",
)  # fmt: skip
"""The names of what may decide; see `_read`, `_said` and `_decide`."""
SEVERAL = ""
"""What a rule finds where the answer names more than one option."""


class Extracted(NamedTuple):
    """letter: of an option, or None. rule: the name of the rule that decided, None where none applied."""

    letter: str | None
    rule: str | None


def careful(answer: str, options: Sequence[str]) -> Extracted:
    """options: the texts of A, B, …, eight at most; a letter that names none of them is no answer."""
    letters = LETTERS[: len(options)]
    parts = clean.parts(answer)
    for end in range(1, len(parts) + 1):  # the answer, then with what follows an invented question
        letter, rule = _read("\n".join(parts[:end]), options)
        if rule is not None:
            return Extracted(letter if letter in letters else None, rule)
    return Extracted(None, None)


Found = tuple[str | None, str | None]
_NOTHING: Found = (None, None)
_BARE = re.compile(r"[\W_]*([A-H])(?:[\W_]+\1)*[\W_]*", re.IGNORECASE)
_YES_OR_NO = re.compile(r"\W*(?:yes|no|true|false|correct|right)\b", re.IGNORECASE)


def _read(part: str, options: Sequence[str]) -> Found:
    """Letter, SEVERAL or None, and the rule that decided."""
    for name, inside in clean.marked(part):
        found = _marked(inside, options)
        if found is not None:
            return found, name
    return _said(clean.plain(part), options)


def _marked(inside: Sequence[str], options: Sequence[str]) -> str | None:
    """The last place set apart that can be read."""
    for text in reversed(inside[-20:]):
        letter, rule = _said(clean.plain(text), options)
        if rule is not None:
            return letter
    return None


def _said(text: str, options: Sequence[str]) -> Found:
    if match := _BARE.fullmatch(text):
        return match[1].upper(), "bare"
    if letter := option_texts.same(text, options):
        return letter, "verbatim"
    verdicts = not any(_YES_OR_NO.match(option) for option in options)
    tokens = read_tokens(text, options)
    if LABEL not in tokens.signs and (by_number := option_texts.lettered(text, options)) != text:
        tokens = read_tokens(by_number, options)
    lettered = tokens if LABEL in tokens.signs else tokens.with_texts_as_letters()
    letter, rule = _decide(read_statements(lettered, verdicts=verdicts), text, options)
    return letter, "option_text" if letter and lettered is not tokens else rule


def _decide(reading: Reading, text: str, options: Sequence[str]) -> Found:
    """The rules, the first that applies decides:

    1. What stands before a correction is taken back, once something else is claimed after it.
    2. The last statement ("the answer is C"); final ones before others.
    3. What is judged right ("C is correct"), then verdicts in a list, if they agree; what follows them with a "but".
    4. The first words, unless the last ones differ; a conclusion ("so C"); a sentence that is a letter.
    5. The one option that is not denied.
    6. The one option whose text is repeated; the one letter that begins a line.
    """
    claims = _standing(reading)
    for strength in (Strength.FINAL, Strength.STATED):
        if stated := [claim for claim in claims if claim.strength is strength]:
            return _one(stated[-1].letters), "stated"
    for strength in (Strength.JUDGED, Strength.VERDICT):
        if judged := [claim for claim in claims if claim.strength is strength]:
            later = [claim for claim in claims if claim.place > judged[-1].place and claim.contrasted]
            firm = [claim for claim in later if claim.strength > Strength.NAMED]
            return _agreed(firm[-1:] or judged), "judged"
    alone = [claim for claim in claims if claim.strength is Strength.ALONE]
    if leading := [claim for claim in claims if claim.strength is Strength.LEADING]:
        closing = alone[-1:] if reading.ending else []
        return _agreed([*leading, *closing]), "leading"
    if concluded := [claim for claim in claims if claim.strength is Strength.CONCLUDED]:
        return _agreed(concluded), "conclusion"
    if alone:
        return _agreed(alone), "closing"
    denied = {letter for said in reading.statements if said.polarity is Polarity.DENIED for letter in said.letters}
    left = set(LETTERS[: len(options)]) - denied
    if len(left) == 1:
        return left.pop(), "eliminated"
    letter = option_texts.repeated(text, options)
    if letter and letter not in denied:
        return letter, "option_text"
    if items := [claim for claim in claims if claim.strength is Strength.NAMED]:
        return _agreed(items), "line"
    return _NOTHING


def _standing(reading: Reading) -> list[Statement]:
    """The claims that are neither taken back by a correction nor by a later denial of the same letter; those with a
    hedge ("A is also plausible") only where there is no other."""
    claims = [said for said in reading.statements if said.polarity is Polarity.ASSERTED]
    for correction in reversed(reading.taken_back):
        after = [claim for claim in claims if claim.place > correction and claim.strength > Strength.NAMED]
        if after:
            claims = [claim for claim in claims if claim.place > correction]
            break
    denials = [said for said in reading.statements if said.polarity is Polarity.DENIED]
    claims = [
        claim for claim in claims
        if not any(said.place > claim.place and set(claim.letters) <= set(said.letters) for said in denials)
    ]  # fmt: skip
    firm = [claim for claim in claims if not claim.hedged]
    return firm if any(claim.strength > Strength.NAMED for claim in firm) else claims


def _one(letters: str) -> str:
    return letters if len(letters) == 1 else SEVERAL


def _agreed(claims: Sequence[Statement]) -> str:
    """Their one letter; the last one's where it is set against the others; else SEVERAL."""
    if len({claim.letters for claim in claims}) == 1 or claims[-1].contrasted:
        return _one(claims[-1].letters)
    return SEVERAL
