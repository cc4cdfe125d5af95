"""Whose text an answer repeats, where it names no letter.

repeated("I can see three people, but only one person has a computer.", options)    -> the option "Only one person …"
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

LETTERS = "ABCDEFGH"
_SHORT_FORMS = re.compile(r"\b(it|that|there|he|she|what|who|here)'s\b|\b(they|we|you)'re\b")
_WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_NUMBERS = {word: str(number) for number, word in enumerate(_WORDS)}
_NUMBER = re.compile(rf"\b(?:{'|'.join(_WORDS)})\b")
_DIGITS = re.compile(r"-?\d+")
_PRONOUN = re.compile(
    r"\b(?:the|this|that|which|each|every|no|any|some|another|other|first|second|last|left|right) one\b"
    r"|\bone (?:of|can|cannot|could|may|might|must|should|would|sees|on|at|in|with|who|that|which|another)\b"
)
"""A one that counts nothing: "the one on the left"."""
_NOT_BEFORE = re.compile(
    r"(?:\b(?:not|no|never|neither|nor|without|than|isn't|aren't|of|or|either|minus|negative|option|choice|step)|n't)"
    r"(?: (?:an?|the|any|that|in))? \Z|不是? ?\Z"
)
_SUPPOSED_BEFORE = re.compile(r"\b(?:if|whether|unless|would|could|might|may)\b[^.,;!?]*\Z")
_ARTICLE = re.compile(r"\b(?:an?|the) ")
_SUBJECT = re.compile(r"(?:it|they|he|she|this|that|there|these|those)(?: (?:is|are|was|were))? ")
_SET_APART = re.compile(r"(?:[=≈→] ?|\b(?:but|however|so|therefore|thus|hence|actually)\b[^.!?\n]{0,40})\Z")
_ORDINALS = ("first", "second", "third", "fourth", "fifth")
_BY_NUMBER = re.compile(
    rf"\b(?P<ordinal>{'|'.join(_ORDINALS)}|1st|2nd|3rd|[45]th|last) (?:option|alternative)\b"
    rf"|\b(?:option|alternative|choice)(?: number| no\.?| #)? (?P<number>[1-8]|{'|'.join(_WORDS[1:9])})\b"
    rf"(?![.:]\w| (?:or|and|to) (?:\d|(?:{'|'.join(_WORDS)})\b)|, ?\d|/\d| (?:of|can|could|might|should|would)\b)",
    re.IGNORECASE,
)
_YES_OR_NO = re.compile(r"(?:(?:the |my )?(?:correct )?answer(?: is|:) )?(yes|no)(?=[,.;:!]|\Z)")


def same(text: str, options: Sequence[str]) -> str | None:
    """The one option whose text is the whole answer, numbers in words or digits, with or without articles; or its
    number."""
    whole = _counted(text)
    for form in (_folded, _counted, _without_articles):
        found = [letter for letter, option in zip(LETTERS, options, strict=False) if form(option) == form(text) != ""]
        if found:
            return found[0] if len(found) == 1 else None
    if whole.isdecimal():
        found = [
            letter for letter, option in zip(LETTERS, options, strict=False) if _counted(option).split(" ")[0] == whole
        ]
        return found[0] if len(found) == 1 else None
    return None


def repeated(text: str, options: Sequence[str]) -> str | None:
    """The one option whose text stands in the answer, undenied; the one said last after "but" or "=" of several.

    A text inside a longer option's text does not count. Of options that begin with yes or no, the answer's first word
    chooses where it fits one only; where no text stands as it is, texts with their numbers in digits count, texts
    without their subject ("are sitting") and texts without articles, all of two words or more. A text that is a number
    stands in words or in digits; where another text stands there as well, neither counts.
    """
    whole, texts = _folded(text), [_folded(option) for option in options]
    numbers = [form if _DIGITS.fullmatch(form) else "" for form in map(_counted, texts)]
    others = ["" if number else option for option, number in zip(texts, numbers, strict=True)]
    counted = _without_texts(_counted(_PRONOUN.sub("", whole)), others)
    claimed, claimed_numbers = _find_claimed(whole, others), _find_claimed(counted, numbers)
    if claimed and claimed_numbers:
        return None
    if claimed:
        return _preferred(whole, claimed)
    if claimed_numbers:
        return _preferred(counted, claimed_numbers)
    if first := _YES_OR_NO.match(whole):
        fitting = [letter for letter, option in zip(LETTERS, texts, strict=False) if re.match(rf"{first[1]}\b", option)]
        if len(fitting) == 1:
            return fitting[0]
    for said, forms in (
        (_counted(text), [_counted(option) for option in texts]),
        (whole, [_core(option) for option in texts]),
        (_without_articles(text), [_without_articles(option) for option in texts]),
    ):
        forms = [form if " " in form else "" for form in forms]
        if claimed := _find_claimed(said, forms):
            return next(iter(claimed)) if len(claimed) == 1 else None
    return None


def lettered(text: str, options: Sequence[str]) -> str:
    """The text with "the second option" and "option 2" as "option B"; as it is where options have digits."""

    def letter(match: re.Match[str]) -> str:
        said = (match["ordinal"] or match["number"]).lower()
        number = len(options) if said == "last" else _place(said)
        return f"option {LETTERS[number - 1]}" if 1 <= number <= len(options) else match[0]

    return text if any(re.search(r"\d", _counted(option)) for option in options) else _BY_NUMBER.sub(letter, text)


def _place(said: str) -> int:
    """Of "2", "two", "2nd" and "second": 2."""
    if said in _ORDINALS:
        return _ORDINALS.index(said) + 1
    return int(_NUMBERS.get(said, said[0]))


def _find_claimed(whole: str, texts: Sequence[str]) -> dict[str, int]:
    """Where each text stands last, undenied, by letter."""
    found = {}
    for letter, option in zip(LETTERS, texts, strict=False):
        if not option or texts.count(option) > 1:
            continue
        rest = whole
        for longer in sorted({other for other in texts if option in other and option != other}, key=len, reverse=True):
            rest = rest.replace(longer, "\n" * len(longer))
        offset = _stands(option, rest)
        if offset is not None:
            found[letter] = offset
    return found


def _without_texts(counted: str, texts: Sequence[str]) -> str:
    """The answer, numbers in digits, with a line end for each of these texts: a number inside one is part of it."""
    for form in sorted({_counted(_PRONOUN.sub("", text)) for text in texts} - {""}, key=len, reverse=True):
        counted = re.sub(rf"(?<![\w.,]){re.escape(form)}(?!\w)", "\n", counted)
    return counted


def _stands(option: str, whole: str) -> int | None:
    """The last place where the text is claimed: not denied, not asked, not one of two."""
    if option in ("yes", "no"):  # common words: only as the answer's first one
        return 0 if re.match(rf"{option}(?:[,.;:!]|\Z)", whole) else None
    # "2" is neither in "-2" nor in "2.5"
    pattern = rf"(?<![\w\-])(?<!\d[.,])(?<!- (?=\d)){re.escape(option)}(?!\w|[.,]\d| or\b|\?)"
    for match in reversed(list(re.finditer(pattern, whole))[-50:]):
        before = whole[max(0, match.start() - 60) : match.start()]
        if not _NOT_BEFORE.search(before) and not _SUPPOSED_BEFORE.search(before):
            return match.start()
    return None


def _preferred(whole: str, claimed: dict[str, int]) -> str | None:
    """The one text, or of several the one said last, where "=" leads to it or the sentence says "but"."""
    last = max(claimed, key=claimed.__getitem__)
    return last if len(claimed) == 1 or _SET_APART.search(whole[max(0, claimed[last] - 60) : claimed[last]]) else None


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
    """A text without its subject; nothing for one without a subject."""
    return _SUBJECT.sub("", option, count=1) if _SUBJECT.match(option) else ""


def _without_articles(text: str) -> str:
    return _ARTICLE.sub("", _folded(text))
