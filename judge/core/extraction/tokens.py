"""A cleaned answer as a string of signs, one a word, in which statements are patterns.

    read_tokens("I don't think the answer is A, I think C.", …)     signs "pxkfncL,pkLs", letters at the two L

A sign is the value of a `Kind`, or one of those below. Option texts that follow their letter leave nothing behind; one
that stands alone is "T".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from judge.core.extraction.languages import Kind, read_languages

LABEL, TEXT, STOP, ASKED, LINE, BLANK_LINE, COMMA, COLON, OTHER = "L", "T", "s", "?", "\n", "¶", ",", ":", "o"
_MAYBE = "l"  # a small letter that may be a label
_STARTS = (STOP, ASKED, LINE, BLANK_LINE, COLON)
_TEXTS = "\ue000\ue001\ue002\ue003\ue004\ue005\ue006\ue007"  # stand for the option texts of A to H

_UNSPACED = "\u0900-\u0dff\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_LETTER = rf"[^\W_{_UNSPACED}]"
_SUFFIX = r"'(?:d[ıiuü]r|t[ıiuü]r|y[ıi]|[ıi]n)(?!\w)"  # Turkish C'dir
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")


_LANGUAGES = read_languages()
_THINGS = frozenset(_LANGUAGES["things"][Kind.THING])


def _vocabulary() -> tuple[dict[str, str], dict[str, list[tuple[str, ...]]], list[str]]:
    """Sign by word or phrase; the phrases by their first word, and what is found by its characters, longest first."""
    signs: dict[str, str] = {}
    for table in _LANGUAGES.values():
        for kind, words in table.items():
            for word in words:
                signs.setdefault(word, kind.value)
    unspaced = re.compile(rf"[{_UNSPACED}]")
    phrases: dict[str, list[tuple[str, ...]]] = {}
    characters = []
    for entry in sorted(signs, key=len, reverse=True):
        parts = entry.split(" ")
        if unspaced.search(entry) or not all(map(_WORD.fullmatch, parts)):
            characters.append(entry)
        elif len(parts) > 1:
            phrases.setdefault(parts[0], []).append(tuple(parts))
    return signs, phrases, characters


_SIGNS, _PHRASES, _CHARACTERS = _vocabulary()
_ENDINGS = {"'s": "c", "'d": "w", "'ll": "f", "'re": "P", "'m": "c", "n't": "x"}

_SCAN = re.compile(
    rf"(?P<text>[{_TEXTS}])"
    r"|\((?P<bracketed>[a-hA-H])\)"
    rf"|(?<!{_LETTER})(?<![A-Za-z]['\-])(?<![I-Zi-z]&)(?<!(?<![A-Za-z])[A-Z]\.)(?<!N/)(?P<label>[A-Ha-h])"
    rf"(?!{_LETTER})(?:{_SUFFIX}|(?!['\-]{_LETTER}|\.[A-Za-z]\.|[+#°%^=]| ?\d))"
    rf"|(?P<characters>{'|'.join(map(re.escape, _CHARACTERS))})"
    rf"|(?P<word>{_LETTER}+(?:'{_LETTER}+)*)"
    r"|(?P<blank>\n\n)|(?P<line>\n)"
    r"|(?P<stop>[.!](?=[\s\"')\]】」』」\ue000-\ue007]|\Z|[^\x00-\x7f])|[;。।])|(?P<asked>[?؟])"
    r"|(?P<comma>[,،])|(?P<colon>[:=–—]|(?<=\s)-(?=\s)|-(?=\Z))"
    rf"|(?P<other>[{_UNSPACED}])"
)
_PLAIN_SIGNS = {"blank": BLANK_LINE, "line": LINE, "stop": STOP, "asked": ASKED, "comma": COMMA, "colon": COLON}
# what may follow "A" and a blank where "A" is a letter, not an article
_AFTER_LETTER = frozenset("cPwxXejabtqzhRSsLTgYWGZQV")


@dataclass(frozen=True)
class Tokens:
    """signs: one a token. letters: A to H at "L" and "T", "" elsewhere. items: whether a letter is written "C." or
    "(C)". The three are of one length."""

    signs: str
    letters: tuple[str, ...]
    items: tuple[bool, ...]

    def with_texts_as_letters(self) -> Tokens:
        """Option texts that stand apart read as the letters they belong to."""
        return replace(self, signs=self.signs.replace(TEXT, LABEL))


def read_tokens(text: str, options: Sequence[str]) -> Tokens:
    """text: as `clean.plain` leaves it; options: the option texts."""
    found = _without_articles(_with_phrases(list(_tokens(_masked(text, options)))))
    signs = _joined_lines("".join(token.sign for token in found))
    return Tokens(signs, tuple(token.letter for token in found), tuple(token.item for token in found))


class _Token(NamedTuple):
    sign: str
    letter: str = ""
    word: str = ""
    item: bool = False
    lowered: bool = False  # a blank and a small letter follow


def _tokens(text: str) -> Iterator[_Token]:
    before, dotted = _Token(LINE), -1
    for match in _SCAN.finditer(text):
        kind, value = match.lastgroup or "", match[0]
        if kind == "stop" and match.start() == dotted and not _ANOTHER.match(text, match.end()):
            continue  # the dot of "C. …"
        if kind == "text":
            token = _Token(TEXT, "ABCDEFGH"[_TEXTS.index(value)])
        elif kind == "bracketed":
            token = _Token(LABEL, match["bracketed"].upper(), item=True)
        elif kind == "label":
            token = _label(match, text, before)
            dotted = match.end() if token.item and before.sign != COLON else -1
        elif kind in ("word", "characters"):
            token = _Token(_SIGNS.get(value, OTHER) if kind == "characters" else "", word=value.lower())
        else:
            token = _Token(_PLAIN_SIGNS.get(kind, OTHER))
        before = token
        yield token


def _label(match: re.Match[str], text: str, before: _Token) -> _Token:
    value, following = match["label"], text[match.end() : match.end() + 2]
    if before.word in _THINGS:
        return _Token(OTHER, word=value.lower())
    if value == "A" and _COMPOUND.match(text, match.end()):
        return _Token(OTHER, word="a")
    closed = following[:1] in (")", "]")
    item = closed or (following[:1] == "." and (before.sign in _STARTS or before.item))
    lowered = following[:1] == " " and following[1:].islower()
    sure = value.isupper() or closed or (item and before.sign in (LINE, BLANK_LINE))
    return _Token(LABEL if sure else _MAYBE, value.upper(), value.lower(), item, lowered)


def _with_phrases(found: list[_Token]) -> list[_Token]:
    """Words get their signs, phrases one for all their words."""
    kept, k = [], 0
    while k < len(found):
        token = found[k]
        if token.word and token.sign != LABEL:
            for phrase in _PHRASES.get(token.word, ()):
                if tuple(other.word for other in found[k : k + len(phrase)]) == phrase:
                    kept.append(_Token(_SIGNS[" ".join(phrase)], word=phrase[-1]))
                    k += len(phrase)
                    break
            else:
                kept.extend(
                    [token] if token.sign else [_Token(sign, word=token.word) for sign in _signs_of(token.word)]
                )
                k += 1
        else:
            kept.append(token)
            k += 1
    return kept


def _signs_of(word: str) -> str:
    """The signs of a word: "it's" is "pc"; an unknown word is OTHER."""
    if word in _SIGNS:
        return _SIGNS[word]
    for ending, sign in _ENDINGS.items():
        if word.endswith(ending):
            return _SIGNS.get(word.removesuffix(ending), OTHER) + sign
    return _SIGNS.get(word.rpartition("'")[2], OTHER)  # l'opzione


_NOUNS = frozenset(["ale", "can", "car", "fit", "hay", "logo", "look", "match", "moment", "must", "son", "war"])
"""After "A" at the start of a sentence more often things than the words of statements that they are as well."""
_LETTERED = frozenset(["option", "choice", "alternative"])
"""Words after which "A" is a letter whatever follows."""
_IFS = "|".join(re.escape(word) for table in _LANGUAGES.values() for word in table.get(Kind.IF, ()))
_ANOTHER = re.compile(rf"\s+(?:(?:Option )?\(?[A-H](?![A-Za-z0-9.)'])|(?i:{_IFS})(?![^\W{_UNSPACED}]))")
"""After the dot of "C. …" where a sentence of its own follows."""
_COMPOUND = re.compile(r" [a-z]+-[a-z]")
_AFTER_MODAL, _MODAL = frozenset("cPxXeRSrUdQ"), re.compile(r"only|still|\w+ly")
"""Signs and words after "can" where that is no thing."""
_SMALL_WORDS = {"a": Kind.FILLER.value, "e": Kind.AND.value}  # an article; Portuguese and Italian "and"
_SMALL = re.compile(r"(?:^|[\n¶])l(?=[a:]|s?\Z)|^l(?=[,cPR])|(?<=[ncPvkm:rRt])f{0,4}l(?=[\nscPwxeR,?:a¶]|\Z)")


def _without_articles(found: list[_Token]) -> list[_Token]:
    """Letters that are words ("a dog", "A dog") become OTHER."""
    kept = list(found)
    for k, token in enumerate(found):
        if token.sign == LABEL and token.letter in "AEFGH" and token.lowered and _is_article(found, k):
            kept[k] = _Token(OTHER)
    small = {match.end() - 1 for match in _SMALL.finditer("".join(token.sign for token in kept))}
    for k, token in enumerate(kept):
        if token.sign == _MAYBE:
            sure = k in small and not (token.letter in "AEFGH" and token.lowered)
            kept[k] = token._replace(sign=LABEL) if sure else _Token(_SMALL_WORDS.get(token.word, OTHER))
    return kept


def _is_article(found: Sequence[_Token], place: int) -> bool:
    """Whether the letter before a small word is a word itself."""
    if place + 1 == len(found):
        return True
    if place and found[place - 1].word in _LETTERED:
        return False
    following = found[place + 1]
    if following.sign == Kind.RIGHT.value and following.word not in _LANGUAGES["english"][Kind.RIGHT]:
        return False  # "A doğru", not "A correct answer"
    if following.sign not in _AFTER_LETTER:
        return True
    starts = place == 0 or found[place - 1].sign in _STARTS or found[place - 1].sign in (LINE, BLANK_LINE)
    if not starts or following.word not in _NOUNS:
        return False
    if following.word not in ("can", "must") or place + 2 == len(found):
        return True
    return not (found[place + 2].sign in _AFTER_MODAL or _MODAL.fullmatch(found[place + 2].word))


_LEADS_ON = re.compile(r"((?:^|(?<=[\n¶s]))[frFmR]{0,4}[nm]{1,3}[cP:]?|[:])[\n¶](?=[frFm]{0,3}[LTcP:])")


def _joined_lines(signs: str) -> str:
    """A line end after "Answer" or ":" leads on to the letter below it."""
    return _LEADS_ON.sub(lambda match: f"{match[1]}{COLON}", signs)


_GOES_ON = re.compile(r" ?(?:[-–—:=→✅❌✓✗✔✘×√]|\((?![A-H]\)))")
_JUDGED = re.compile(
    r" ?(?:is|are|isn't|seems|looks)(?: (?:not|also|clearly|definitely|the))?"
    r" (?:correct|incorrect|true|false|right|wrong|accurate|inaccurate|not)\b", re.IGNORECASE,
)  # fmt: skip
_OPENING = ("", "\n", ".", ":", ",", ";", "(", "?", "!")
_LEADING_TO = (" is ", " be ", " but ", " so ", " that ", " while ", " whereas ")
_AFTER_LABEL = re.compile(r"(?<!\w)[A-Ha-h](?:[.):,(\-\]\"'\s]{1,4}|\Z)\Z")


def _masked(text: str, options: Sequence[str]) -> str:
    """Option texts left out after a letter, and one sign where they stand apart; elsewhere they stay."""
    keys = [_key(option) for option in options]
    texts = {
        key: number for number, key in enumerate(keys) if keys.count(key) == 1
    }  # a text of two options is neither's
    known = sorted({key for key in keys if len(key) > 1}, key=len, reverse=True)
    if not known:
        return text
    sources = "|".join(r"\s{1,3}".join(map(re.escape, said.split(" "))) for said in known)
    pattern = re.compile(
        rf"(?<!\w)(?P<quote>['\"])?(?P<said>{sources})(?!\w)(?![.,]\d)"
        r"(?P<end>(?(quote)\.?\s['\"]|(?!))|['\"]?\.?['\"]?)",  # a quoted text may end in a blank
        re.IGNORECASE,
    )

    def mask(match: re.Match[str]) -> str:
        before = text[max(0, match.start() - 8) : match.start()]
        after = text[match.end() : match.end() + 1]
        goes_on = _GOES_ON.match(text, match.end()) or _JUDGED.match(text, match.end())
        stop = "." if "." in match["end"] and not goes_on else ""
        if _AFTER_LABEL.search(before):
            return stop
        closed = not (after.isalnum() or after == " ") or match["end"] or goes_on
        opened = before.rstrip(" ")[-1:] in _OPENING or before.endswith(_LEADING_TO) or match["quote"]
        number = texts.get(_key(match["said"]))
        return _TEXTS[number] + stop if closed and opened and number is not None else match[0]

    return pattern.sub(mask, text)


def _key(text: str) -> str:
    return " ".join(text.split()).lstrip("\"'").rstrip(". \"'").casefold()
