"""Whether the answer to a question of multi-step reasoning is right by a rule, beside the judge's points.

    check_exact(record, "The total is **21.6** m.")   reference "21.60"          Exact(True, "number", "21.6")
    check_exact(record, "So it is (B).")              reference "B", options     Exact(True, "letter", "B")
    check_exact(record, "Sunny, and it fell.")        "(Sunny, decreased)"       Exact(False, "tuple", …)
    check_exact(record, "…")                          a reference of sentences   Exact(None, None, None)

References of MSR are short: most come from MathVista and ReMI. The reference says which rule applies:

letter   a letter, or the text of one of the question's options: `judge.core.option_letter`, as MMVU is read
number   MathVista's tolerance: an integer is met by what truncates to it, a number with decimals by what rounds to it
         at as many decimals (`normalize_extracted_answer` in evaluation/calculate_score.py, lupantech/MathVista
         @2a249bb, where a record says its precision; here the reference's own decimals do). A unit is not looked at
tuple    in brackets; every part by its own rule, number or text
text     at most `MOST_WORDS` words, compared without case, articles and punctuation; what is denied is not said

What of an answer is compared: what it sets apart (boxed, <answer>, JSON), else what it states ("the answer is …"), else
its last line. MathVista has a language model extract it; a rule cannot, and in doubt says wrong.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, NamedTuple

from judge.core.extraction import clean
from judge.core.option_letter import LETTERS, careful
from mmie_tasks.records import Part, Record

VERSION = "2"
"""Stands in every signature; a change of what is read changes it, here or in `judge.core.option_letter`."""
RULES = ("letter", "number", "tuple", "text")
MOST_WORDS = 12
MOST_CHARACTERS = 100
READ = 80
"""Characters of an answer that a verdict keeps."""


class Exact(NamedTuple):
    """right: None where no rule applies to the question. rule: of `RULES`. read: what was compared, None: nothing."""

    right: bool | None
    rule: str | None = None
    read: str | None = None

    def details(self) -> dict[str, Any]:
        """What a verdict says of it: `exact`, and where a rule applies `exact_rule` and `exact_read`."""
        if self.rule is None:
            return {"exact": None}
        return {"exact": self.right, "exact_rule": self.rule, "exact_read": self.read and self.read[:READ]}


NO_RULE = Exact(None)

_AS_LINES = re.compile(r"^[ \t]*\(?([A-H])[.):][ \t]*(?=\S)", re.MULTILINE)
_IN_BRACKETS = re.compile(r"\(([A-H])\)[ \t]*")
_LETTERED = re.compile(r"\(?([A-H])\)?(?:[.:)]?\s*|[.:)]\s*(.+))", re.DOTALL)
_LEAD = re.compile(r"(?:the )?(?:final |correct )?answer(?: is|\s*[:=])\s*", re.IGNORECASE)
_STATED = re.compile(
    r"\b(?:answer|result|solution|value|total|output)\b(?: \w+){0,4}?(?: is| are| was| equals| would be|\s*[:=≈])+\s*"
    r"([^\n]{1,300}?)(?=[.;!](?:\s|\Z)|\n|\Z)",
    re.IGNORECASE,
)
_WHOLE = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_POWER = r"(?:\s?[×x*·]\s?10\s?\^?\s?\{?([-+]?\d{1,3})\}?|[eE]([-+]?\d{1,3}))?"
_GOES_ON = r"[.,]?\d|[eE][-+]?\d|\s?(?:[√π]|\^\s?\{?[-+]?\d)"  # 1,2,3 and 5.5.5 and 2√3 and 5^2: no number of its own
_NUMBER = re.compile(
    rf"(?<![\w.,^/√])([-+]?)[$€£¥]?({_WHOLE}){_POWER}(?:\s?/\s?(\d+(?:\.\d+)?)(?![\d/]))?(?!{_GOES_ON})"
)
_ONLY_A_NUMBER = re.compile(rf"{_NUMBER.pattern}\s*(?:%|°|m\^?[23](?!\w)|[^\W\d_](?!\d)|[/·$€£ ()\-](?!\d)){{0,20}}")
_TEX = (  # what LaTeX says of a number and would be lost with its backslashes
    (re.compile(r"\s?\^\s?\{?\s?\\circ\s?\}?"), "°"),
    (re.compile(r"\{,\}"), ","),
    (re.compile(r"\\pi(?![a-zA-Z])"), "π"),
    (re.compile(r"\\sqrt\s?\{([^{}]{0,40})\}"), r"√\1"),
    (re.compile(r"\\[dtc]?frac\s?\{([^{}]{0,40})\}\s?\{([^{}]{0,40})\}"), r"\1/\2"),
    (re.compile(r"\\[dtc]?frac\s?(\d)\s?(\d)"), r"\1/\2"),
)
_COUNTED = {
    word: float(number)
    for number, word in enumerate(
        ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
    )
}
_LARGER = re.compile(
    r"\b(?:(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|millions?|billions?|dozens?)\b",
    re.IGNORECASE,
)
_NOBODY = re.compile(
    r"\b(?:no|any|some|every|each|which|that|this|the|other|another) one\b"
    r"|\bone (?:of|can\w*|could|would|should|may|might|must)\b",
    re.IGNORECASE,
)
"""Where "one" counts nothing."""
_BRACKETED = re.compile(r"[(\[{]([^()\[\]{}\n]{1,200})[)\]}]")
_DENIED = re.compile(
    r"\b(?:not|no|never|neither|nor|than|without|isn't|aren't|wasn't|cannot|can't)\b"
    r"(?: (?!but\b)\w+){0,2} ?\Z",
    re.IGNORECASE,
)
_ARTICLES = re.compile(
    # "a" and "A" may be a name: group A, (a, b), A and B
    r"\b(?:[Tt]he|THE|[Aa]n|AN)\b|\ba(?=\s+\w\w)"
    r"|(?:\A|(?<=[.!?:\n]))\s*A(?=\s+(?!(?:and|or|is|to|then|but|has|was|plus|minus)\b)[a-z]{2})"
)


def check_exact(record: Record, said: str) -> Exact:
    """Whether `said`, the text of an answer, is right. `NO_RULE` outside MSR and where no rule fits the reference."""
    reference = "\n".join(part.text for part in record.answer if part.text)
    if record.category != "MSR" or any(part.image for part in record.answer):
        return NO_RULE
    options = read_options(_with_plain_numbers("\n".join(part.text for part in record.question if part.text)))
    said = _with_plain_numbers(said)
    rule, expected = _rule_of(_tidied(_with_plain_numbers(reference)), options)
    if rule is None:
        return NO_RULE
    if rule == "letter":
        letter = careful(said, options or [""] * len(LETTERS)).letter
        return Exact(letter == expected, rule, letter)
    for candidate in _candidates(said):
        compared = _COMPARED[rule](candidate, expected)
        if compared.read is not None:
            return compared
    return Exact(False, rule, None)


def text_of(parts: Sequence[Part]) -> str:
    """The text of an answer, a line a part."""
    return "\n".join(part.text for part in parts if part.text)


def read_options(question: str) -> list[str]:
    """The texts of the options A, B, … of a question, [] where it lists none: "A. …" a line, or "(A) … (B) …"."""
    for pattern in (_AS_LINES, _IN_BRACKETS):
        found = list(pattern.finditer(question))
        letters = "".join(match[1] for match in found)
        start = letters.rfind("A", 0, max(letters.rfind("B"), 0))
        if start < 0:
            continue
        run = [found[start]]  # what stands last is the list; before it a text may mention letters
        for match in found[start + 1 :]:
            if len(run) < len(LETTERS) and match[1] == LETTERS[len(run)]:
                run.append(match)
        ends = [match.start() for match in run[1:]] + [len(question)]
        texts = [question[match.end() : end].strip(" \t\n,;") for match, end in zip(run, ends, strict=True)]
        return [*texts[:-1], texts[-1].split("\n")[0].strip()]
    return []


def _with_plain_numbers(text: str) -> str:
    r"""\frac{1}{2} as 1/2, 90^\circ as 90°: what says more than the digits in it."""
    for pattern, plain in _TEX:
        text = pattern.sub(plain, text)
    return text


def _tidied(reference: str) -> str:
    """A reference without markup, "Answer:" in front, and a full stop at its end."""
    text = clean.plain("\n".join(clean.parts(reference))).strip()
    return _LEAD.sub("", text, count=1).strip().removesuffix(".").strip()


def _rule_of(reference: str, options: Sequence[str]) -> tuple[str | None, str]:
    """(rule, what it expects); (None, "") where none applies."""
    if not reference or len(reference) > MOST_CHARACTERS or "\n" in reference:
        return None, ""
    if letter := _letter_of(reference, options):
        return "letter", letter
    if _number_alone(reference) is not None:
        return "number", reference
    bracketed = _BRACKETED.fullmatch(reference)
    if bracketed and "," in bracketed[1] and all(map(_normal, bracketed[1].split(","))):
        return "tuple", bracketed[1]
    if 0 < len(_normal(reference).split()) <= MOST_WORDS:
        return "text", reference
    return None, ""


def _letter_of(reference: str, options: Sequence[str]) -> str | None:
    """The option's letter that a reference names, by the letter or by the option's text."""
    same = [letter for letter, option in zip(LETTERS, options, strict=False) if _normal(option) == _normal(reference)]
    if len(same) == 1:
        return same[0]
    match = _LETTERED.fullmatch(reference)
    if match is None or (options and match[1] not in LETTERS[: len(options)]):
        return None
    if match[2] is None:
        return match[1]
    named = [option for letter, option in zip(LETTERS, options, strict=False) if letter == match[1]]
    return match[1] if named and _normal(named[0]) == _normal(match[2]) else None


def _candidates(said: str) -> list[str]:
    """What of an answer may be its result, what says most first."""
    parts = clean.parts(said)
    if not parts:
        return []
    found = [text for _, inside in clean.marked(parts[0]) for text in reversed(inside[-3:])]
    plain = clean.plain(parts[0])
    found += [match[1] for match in reversed(list(_STATED.finditer(plain))[-3:])]
    lines = [line.strip() for line in plain.split("\n") if line.strip()]
    return [text for each in [*found, *lines[-1:], plain] if (text := clean.plain(each).strip())]


def _value(match: re.Match[str]) -> float | None:
    """The number of a match of `_NUMBER`; None where it is none that a float can hold."""
    sign, digits, power, exponent, below = match.groups()
    try:
        value = float(digits.replace(",", "")) * 10.0 ** int(power or exponent or 0) / (float(below) if below else 1.0)
    except (OverflowError, ZeroDivisionError, ValueError):
        return None
    return (-value if sign == "-" else value) if math.isfinite(value) else None


def _number_alone(text: str) -> float | None:
    """The number that a text is, a unit behind it or not."""
    match = _ONLY_A_NUMBER.fullmatch(text)
    return None if match is None else _value(match)


def _numbers(text: str) -> list[tuple[float, str]]:
    """(value, as written) of the numbers that a text does not deny, small ones in words where none is in digits."""
    digits = list(_NUMBER.finditer(text))
    found = [
        (value, match[0].strip())
        for match in digits
        if (value := _value(match)) is not None and not _DENIED.search(text[max(match.start() - 60, 0) : match.start()])
    ]
    if digits or _LARGER.search(text):
        return found
    return [(_COUNTED[word], word) for word in re.findall(r"[a-z]+", _NOBODY.sub("", text).lower()) if word in _COUNTED]


def _same_number(value: float, expected: str) -> bool:
    """MathVista's comparison; a fraction is met by itself and by its decimals, two or more of them not zero."""
    match = _NUMBER.search(expected)
    wanted = None if match is None else _value(match)
    if match is None or wanted is None:
        return False
    if match[5]:
        return math.isclose(value, wanted, abs_tol=0.005) and bool(value) == bool(wanted)
    decimals = len(match[2].partition(".")[2])
    if not decimals and not (match[3] or match[4]):
        return math.trunc(value) == wanted
    return round(value, decimals) == round(wanted, decimals) if decimals else math.isclose(value, wanted, rel_tol=1e-9)


def _compare_number(candidate: str, expected: str) -> Exact:
    """The number behind the last "=", else the only one or the last of a candidate."""
    numbers = _numbers(re.split("[=≈]", candidate)[-1]) or _numbers(candidate)
    if not numbers:
        return Exact(False, "number", None)
    value, written = numbers[0] if "=" in candidate or "≈" in candidate else numbers[-1]
    return Exact(_same_number(value, expected), "number", written)


def _compare_tuple(candidate: str, expected: str) -> Exact:
    """The last brackets with as many parts, else a candidate that has as many parts between commas."""
    wanted = [part.strip() for part in expected.split(",")]
    groups = [match[1] for match in _BRACKETED.finditer(candidate)][::-1] or [candidate.rstrip(".")]
    for group in groups:
        parts = re.split(r",(?: and )?|;", group)
        if len(parts) == len(wanted):
            right = all(_same_part(part.strip(), one) for part, one in zip(parts, wanted, strict=True))
            return Exact(right, "tuple", group)
    return Exact(False, "tuple", None)


def _same_part(part: str, wanted: str) -> bool:
    if _number_alone(wanted) is not None:
        numbers = _numbers(part)
        return len(numbers) == 1 and _same_number(numbers[0][0], wanted)
    return _normal(part) == _normal(wanted)


def _compare_text(candidate: str, expected: str) -> Exact:
    """A candidate that is the reference, or says it somewhere without denying it; yes and no only as the first word."""
    said, wanted = _normal(candidate), _normal(expected)
    if wanted in ("yes", "no", "true", "false"):
        return Exact(said.split(" ")[0] == wanted, "text", said or None)
    place = f" {said} ".rfind(f" {wanted} ")
    right = said == wanted or (place >= 0 and not _DENIED.search(f" {said} "[: place + 1]))
    return Exact(right, "text", said or None)


_COMPARED = {"number": _compare_number, "tuple": _compare_tuple, "text": _compare_text}


def _normal(text: str) -> str:
    """Without case, markup, articles, quotes and punctuation; signs and points of numbers stay."""
    low = _ARTICLES.sub(" ", unicodedata.normalize("NFKC", text)).casefold().replace("−", "-").replace("’", "'")
    low = re.sub(r"(?<!\w)-(?!\d)|(?<=\w)-(?=\D)|[^\w\s.%°√+/'-]|\.(?!\d)|'(?!\w)|(?<!\w)'", " ", low)
    return " ".join(low.split())
