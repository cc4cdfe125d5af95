"""Whose text an answer repeats, where it names no letter.

said("I can see three people, but only one person has a computer.", options)    the option "Only one person …"
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

LETTERS = "ABCD"
_SHORT_FORMS = re.compile(r"\b(it|that|there|he|she|what|who|here)'s\b|\b(they|we|you)'re\b")
_NOT_BEFORE = re.compile(
    r"(?:\b(?:not|no|never|neither|nor|without|than|isn't|aren't|of|or|either)|n't)(?: (?:an?|the|any|that|in))? \Z|不是? ?\Z"
)
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    )
}
_NUMBER = re.compile(rf"\b(?:{'|'.join(_NUMBERS)})\b")
_SUBJECT = re.compile(r"(?:it|they|he|she|this|that|there|these|those)(?: (?:is|are|was|were))? ")
_LAST = re.compile(r"[.!?:;,=\n] ?[^.!?;:,=\n]{0,200}\Z")


def same(text: str, options: Sequence[str]) -> str | None:
    """The one option whose text is the whole answer."""
    for form in (_folded, _counted):
        whole = form(text)
        found = [letter for letter, option in zip(LETTERS, options, strict=True) if whole and form(option) == whole]
        if found:
            return found[0] if len(found) == 1 else None
    return None


def repeated(text: str, options: Sequence[str]) -> str | None:
    """The one option whose text stands in the answer, undenied; the one said last after "but" or "=" of several.

    A text inside a longer option's text does not count. Of options that begin with yes or no, the answer's first word
    chooses where it fits one only; where no text stands as it is, texts without their subject count ("are sitting")."""
    whole, texts = _folded(text), [_folded(option) for option in options]
    places = _places(whole, texts)
    if len(places) == 1:
        return next(iter(places))
    if places:
        return _preferred(whole, places)
    first = re.match(r"(yes|no)(?=[,.;:!]|\Z)", whole)
    if first:
        fitting = [
            letter for letter, option in zip(LETTERS, texts, strict=True) if re.match(rf"{first[1]}\b[,.;]?", option)
        ]
        return fitting[0] if len(fitting) == 1 else None
    cores = [_core(option) for option in texts]
    places = _places(whole, cores)
    return next(iter(places)) if len(places) == 1 else None


def _places(whole: str, texts: Sequence[str]) -> dict[str, int]:
    """Where each text stands last, undenied, by letter."""
    found = {}
    for letter, option in zip(LETTERS, texts, strict=True):
        if not option or texts.count(option) > 1:
            continue
        rest = whole
        for longer in sorted({other for other in texts if option in other and option != other}, key=len, reverse=True):
            rest = rest.replace(longer, "\n" * len(longer))
        place = _stands(option, rest)
        if place is not None:
            found[letter] = place
    return found


def _stands(option: str, whole: str) -> int | None:
    if option in ("yes", "no"):  # common words: only as the answer's first one
        return 0 if re.match(rf"{option}(?:[,.;:!]|\Z)", whole) else None
    # "2" is neither in "-2" nor in "2.5"
    places = re.finditer(rf"(?<![\w\-])(?<!\d[.,])(?<!- (?=\d)){re.escape(option)}(?!\w|[.,]\d| or\b)", whole)
    undenied = [
        place.start() for place in places if not _NOT_BEFORE.search(whole[max(0, place.start() - 20) : place.start()])
    ]
    return undenied[-1] if undenied else None


def _preferred(whole: str, places: dict[str, int]) -> str | None:
    """The text said last, where "=" leads to it or the sentence says "but"."""
    last = max(places, key=places.__getitem__)
    before = whole[: places[last]]
    return (
        last
        if re.search(r"(?:[=≈→] ?|\b(?:but|however|so|therefore|thus|hence|actually)\b[^.!?\n]{0,40})\Z", before[-60:])
        else None
    )


def _folded(text: str) -> str:
    """Lower case, single blanks, full forms; no markup, no quotes or stop at the end. Signs and inner stops stay."""
    low = unicodedata.normalize("NFKC", text).replace("’", "'").replace("−", "-").casefold()
    low = _SHORT_FORMS.sub(
        lambda match: f"{match[1]} is" if match[1] else f"{match[2]} are", re.sub(r"[*`$]|__", "", low)
    )
    return " ".join(low.split()).strip("\"' ").rstrip(".,;:! \"'")


def _counted(text: str) -> str:
    return _NUMBER.sub(lambda match: _NUMBERS[match[0]], _folded(text))


def _core(option: str) -> str:
    """A text without its subject, if two words are left."""
    rest = _SUBJECT.sub("", option, count=1) if _SUBJECT.match(option) else ""
    return rest if " " in rest else ""
