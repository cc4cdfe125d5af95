"""The letter a careful reader would take from an answer, or none; and the one the published script takes.

    careful("**B**", options)                        -> Extracted("B", "bare")
    careful("A man is running, so D.", options)      -> Extracted("D", "conclusion")     reference: "A"
    careful("There are two people.", options)        -> Extracted("C", "option_text")    reference: None
    careful("I cannot see the image.", options)      -> Extracted(None, None)            reference: None

`RULES` is tried in order; the first rule that applies decides, even where it decides that the answer names no single
option ("The answer is A or B", "The answer is E"). The table in tests/mmvu_tasks/test_mmvu_extract.py is the
specification; a change of what is read changes `VERSION`, which stands in every signature. Repetition in the patterns
is bounded or over one class of characters, so that time grows with the length of an answer only.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import NamedTuple

VERSION = "careful-1"
LETTERS = ("A", "B", "C", "D")
SEVERAL = ""
"""What a rule returns where the answer names more than one option."""

Rule = Callable[[str, Sequence[str]], str | None]
"""(cleaned answer, options) → letter, SEVERAL, or None where the rule does not apply."""


class Extracted(NamedTuple):
    """letter: A to D, or None. rule: the name of the rule that decided, None where none applied."""

    letter: str | None
    rule: str | None


def careful(answer: str, options: Sequence[str]) -> Extracted:
    """options: the texts of A, B, C and D."""
    text = _clean(answer)
    for name, rule in RULES:
        found = rule(text, options)
        if found is not None:
            return Extracted(found if found in LETTERS else None, name)
    return Extracted(None, None)


def reference(answer: str) -> str | None:
    """What the published script takes: cut at the first ".", commas to spaces, split on spaces, the first of A, B, C, D
    that is a word; None stands for its "E", which is never right.

    Source: `eval_mma` in evaluation/evaluation/models/calculation.py, BAAI-DCAI/Multimodal-Robustness-Benchmark
    @b85b573. "(B)", "B)", "**B**", "b" and "No. D" are wrong answers to it, "D, not A" is A.
    """
    words = set(answer.split(".")[0].replace(",", " ").split(" "))
    return next((letter for letter in LETTERS if letter in words), None)


# --- an answer without its dress ---

_THOUGHTS = re.compile(r"<(think|thinking|thought|reasoning)>.*?(?:</\1>|\Z)", re.IGNORECASE | re.DOTALL)
_THOUGHT_END = re.compile(r"</(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
_CONTROL = re.compile(r"<\|[^<>|\n]{1,40}\|>|</?s>|<end_of_turn>|<eos>")
_TEX = re.compile(r"\\(?:text|textbf|mathrm|mathbf|mathsf|rm|bf)\b ?")
_EMPHASIS = re.compile(r"[*`$]|__")
_BLANKS = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")


def _clean(answer: str) -> str:
    """Full-width letters as plain ones; no thoughts, end tokens or emphasis; blanks and line ends single."""
    text = unicodedata.normalize("NFKC", answer)
    text = _THOUGHTS.sub(" ", text)
    text = _THOUGHT_END.split(text)[-1]  # the opening tag may have been part of the prompt
    text = _EMPHASIS.sub("", _TEX.sub("", _CONTROL.sub(" ", text)))
    text = text.replace("’", "'").replace("‘", "'")
    return _LINES.sub("\n", _BLANKS.sub(" ", text)).strip()


# --- a letter that is a label, not a word ---
# E to H are read too: an answer that chooses one of them chooses none of ours.

_OPEN, _CLOSE = r"[(\[{\"'“「<]{0,2}", r"[)\]}\"'”」>]{0,2}"
# "a" is an article before another word, unless that word goes on about the choice
_GOES_ON = r"(?:because|since|as|for|due|based|given|which|and|or|but|not|is|so|would|seems|looks)\b"
_ARTICLE = rf"(?<=[Aa]) (?!{_GOES_ON})\w"
_WORD = r"(?<=[E-He-h]) \w"  # an initial or half a word, as in "E Street"
_BEFORE, _AFTER = r"(?<!\w)(?<!\w['\-])", rf"(?!\w|['\-]\w|\.\w\.|{_ARTICLE}|{_WORD})"
_ANY = rf"{_OPEN}{_BEFORE}([A-Ha-h]){_AFTER}{_CLOSE}"
_CAPITAL = rf"{_OPEN}{_BEFORE}((?-i:[A-H])){_AFTER}{_CLOSE}"

_LISTED_AFTER = re.compile(
    r"[.):\"']{0,2} ?(?:,|/|&|\+|or\b|and\b)(?: or| and)? ?(?:possibly |maybe |option |choice )?[(\"'“]?"
    r"(?-i:[A-H])(?![\w'])",
    re.IGNORECASE,
)
_LISTED_BEFORE = re.compile(r"(?<!\w)[A-H][)\"']?,? ?(?:and|or|nor|/|&) ?(?:option |choice )?[(\"'“]?\Z")
_DENIED_AFTER = re.compile(
    r"[.):\"']{0,2}(?: \([^()\n]{0,80}\))?(?:\?| ?(?:incorrect|wrong|false)(?= ?(?:[.,;:\n]|\Z))"
    r"| (?:(?:is|was|are|were|can|could|would|must|should|may|seems?|looks?)"
    r"(?: to)?(?: be)?(?: (?:also|clearly|definitely|likely|simply|therefore|obviously))? "
    r"(?:not|wrong|incorrect|false|out|ruled|eliminated|excluded|impossible|invalid|unlikely|inaccurate)\b"
    r"|(?:isn't|aren't|wasn't|cannot|can't|couldn't|doesn't|does not|do not|don't|won't)(?!\w)))",
    re.IGNORECASE,
)
_DENIED_BEFORE = re.compile(
    r"(?:\b(?:not|neither|nor|never|except|without|than|instead of|rules? out|ruled out|ruling out|incorrect|wrong"
    r"|eliminat(?:e|es|ed|ing)|exclud(?:e|es|ed|ing))|n't)[:,]? (?:the )?(?:(?:option|choice|answer)s? )?[(\"'“]?\Z",
    re.IGNORECASE,
)


def _named(text: str, patterns: Sequence[re.Pattern[str]]) -> list[str]:
    """Letters at the matches of the patterns, in order of the text; denied ones left out, SEVERAL for lists."""
    found: dict[int, str] = {}
    for pattern in patterns:
        for match in pattern.finditer(text):
            start, end = match.span(1)
            before = text[max(0, start - 40) : start]
            if _DENIED_BEFORE.search(before) or _DENIED_AFTER.match(text, end):
                continue
            listed = _LISTED_AFTER.match(text, end) or _LISTED_BEFORE.search(before)
            found[start] = SEVERAL if listed else match[1].upper()
    return [found[start] for start in sorted(found)]


def _patterns(*sources: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(source, re.IGNORECASE | re.MULTILINE) for source in sources)


# --- the rules: what an answer states, how it begins, concludes and ends, whose text it repeats ---

_IS = r"(?:is|'s|was|must be|should be|would be|will be|has to be|could be|may be|might be|:|=|-|–|—|→|->)"
_ON_THE_WAY = (
    r"(?:(?:most likely|probably|likely|clearly|definitely|therefore|thus|simply|option|choice|letter|answer|the"
    r"|correct|it's|it is|that's|must be|should be|with|rather|i think|i believe|i guess|i say|i choose) ?:? ?){0,4}"
)
_RIGHT = (
    r"[.)]? (?:is|seems|looks|would be|must be|should be|appears)(?: to be)?"
    r"(?: (?:the|my|most|clearly|definitely|likely|probably|also|therefore)){0,3}"
    r" (?:correct|right|best|true|accurate|appropriate|answer|final answer)\b"
)
_BARE = re.compile(r"[\W_]*([A-H])(?:[\W_]+\1)*[\W_]*", re.IGNORECASE)
_BOXED = re.compile(r"\\boxed ?\{[{(\[ ]{0,4}([^{}\n]{0,200})")
_TAGGED = re.compile(r"<answer>([^<]{0,200})", re.IGNORECASE)
_STATED = _patterns(
    # The correct answer is (B) · Answer:B · {"answer": "B"}
    rf"\b(?:answer|choice|option|letter|selection|conclusion)[\"']?[^.,;:!?\n]{{0,40}}? ?{_IS}(?: ?{_IS})?[ \n]?"
    rf"{_ON_THE_WAY}{_ANY}",
    rf"\banswer (?:with )?(?:option )?{_CAPITAL}",
    r"\AA: ?\(?((?-i:[A-H]))\)?[.!]?\Z",  # a model that goes on with "Q: … A:"
    r"(?:答案|选择|选项|选)(?:是|为)?:? ?\(?([A-H])(?![A-Za-z])",
    # I would go with option B · option b is correct
    rf"\b(?:choose|chose|pick|select|selected|go with|going with|opt for|vote for|would say|'d say) "
    rf"(?:the )?(?:(?:option|choice|answer|letter) )?{_CAPITAL}",
    rf"\b(?:option|choice|answer) {_ANY}{_RIGHT}",
    rf"{_CAPITAL}{_RIGHT}",
    # B. Wait, it is C
    rf"\b(?:actually|correction|wait|no wait|sorry)[,.:]? (?:no, )?(?:it's |it is |the answer is |i mean )?{_CAPITAL}",
)
_LEADING = re.compile(
    rf"(?:(?i:yes|no|sure|ok|okay|certainly)[,.!:] ?)?(?:(?i:option|choice) ?:? ?)?{_OPEN}(?:"
    # B) … · B. … · (B) … · B, not A · B - … · B because … · B The clock
    r"([A-H])(?!\w|['\-]\w|\.\w\.)(?:(?=[.:;,)\n。、]|\Z| ?[–—] ?| - | \(| because\b| since\b)"
    r"|[\]}\"'”」>]|(?<=[B-D])(?= \w))"
    r"|([a-h])(?=[.:)\]]| because\b))"
)
_NEXT_LABEL = re.compile(r"[.)]? ?[A-H][.),]")
_CONCLUDED = _patterns(
    rf"\b(?:so|therefore|thus|hence|consequently|finally|in conclusion|but)[,:]? {_ON_THE_WAY}{_CAPITAL}",
)
_CLOSING = re.compile(rf"(?:\A|[.!?:;,\n]) ?{_OPEN}{_BEFORE}([A-H]){_CLOSE}[.!]?\Z")
_LABELS = _patterns(
    r"\(((?-i:[A-H]))\)",
    rf"\b(?:option|choice|letter) ?{_ANY}",
    rf"^{_CAPITAL}[.):]",
    rf"(?:^|[.!?] ){_CAPITAL}[.!]?$",
    r"\b(?:it's|it is|that's|maybe|perhaps|i think|i believe|i guess|probably|likely|looks like|must be|should be"
    rf"|would be) {_ON_THE_WAY}{_CAPITAL}",
)
_NOT_THAT = re.compile(r"(?:\b(?:not|no|never|neither|nor|without|than)|n't)(?: (?:an?|the|any))? \Z")


def _last(letters: Sequence[str]) -> str | None:
    return letters[-1] if letters else None


def _within(pattern: re.Pattern[str]) -> Rule:
    """A rule that reads the last place set apart for the answer as if it were the whole."""

    def rule(text: str, options: Sequence[str]) -> str | None:
        inside = [match[1] for match in pattern.finditer(text)]
        return (
            _first((_bare, _verbatim, _stated, _leading, _option_text), inside[-1].strip(), options) if inside else None
        )

    return rule


def _first(rules: Sequence[Rule], text: str, options: Sequence[str]) -> str | None:
    return next((found for rule in rules if (found := rule(text, options)) is not None), None)


def _bare(text: str, options: Sequence[str]) -> str | None:
    match = _BARE.fullmatch(text)
    return match[1].upper() if match else None


def _verbatim(text: str, options: Sequence[str]) -> str | None:
    """The whole answer is one option's text, which may itself speak of letters."""
    said = _plain(text)
    same = [letter for letter, option in zip(LETTERS, options, strict=True) if _plain(option) == said]
    return same[0] if len(same) == 1 else None


def _stated(text: str, options: Sequence[str]) -> str | None:
    return _last(_named(text, _STATED))


def _leading(text: str, options: Sequence[str]) -> str | None:
    match = _LEADING.match(text)
    if match is None:
        return None
    end = match.end(match.lastindex or 0)
    letter = (match[1] or match[2]).upper()
    if _DENIED_AFTER.match(text, end) or _LISTED_AFTER.match(text, end) or _NEXT_LABEL.match(text, end):
        return None
    # all options repeated from A on: a list, not a choice
    if letter == "A" and text[end : end + 1] != "\n" and all(_plain(option) in _plain(text) for option in options):
        return None
    return letter


def _concluded(text: str, options: Sequence[str]) -> str | None:
    return _last(_named(text, _CONCLUDED))


def _closing(text: str, options: Sequence[str]) -> str | None:
    match = _CLOSING.search(text, max(0, len(text) - 12))
    if match is None:
        return None
    before = text[max(0, match.start(1) - 12) : match.start(1)]
    # "… D.C." and "A, B" are no choices
    if re.search(r"(?<!\w)[A-H](?:\.|[)\"']?,) ?\Z", before) or _DENIED_BEFORE.search(before):
        return None
    return match[1]


def _option_text(text: str, options: Sequence[str]) -> str | None:
    """The one option whose text stands in the answer; a text inside a longer option's text does not count."""
    said, texts = _plain(text), [_plain(option) for option in options]
    there = []
    for letter, option in zip(LETTERS, texts, strict=True):
        rest = said
        for longer in sorted((other for other in texts if option in other and option != other), key=len, reverse=True):
            rest = rest.replace(longer, "\n")
        if _stands_in(option, rest):
            there.append(letter)
    return there[0] if len(there) == 1 else None


def _stands_in(option: str, said: str) -> bool:
    if option in ("yes", "no"):  # common words: only as the answer's first one
        return re.match(rf"{option}(?:[,.;:!]|\Z)", said) is not None
    # "2" is neither in "-2" nor in "2.5"
    places = re.finditer(rf"(?<![\w\-])(?<!\d[.,]){re.escape(option)}(?!\w|[.,]\d)", said)
    return any(not _NOT_THAT.search(said[max(0, place.start() - 20) : place.start()]) for place in places)


def _plain(text: str) -> str:
    """Lower case, single blanks, no quotes and no stop at the end; signs and inner stops stay."""
    folded = _EMPHASIS.sub("", unicodedata.normalize("NFKC", text)).replace("’", "'").casefold()
    return " ".join(folded.split()).strip("\"' ").rstrip(".,;:! \"'")


def _only_label(text: str, options: Sequence[str]) -> str | None:
    letters = set(_named(text, _LABELS))
    return None if not letters else letters.pop() if len(letters) == 1 else SEVERAL


RULES: tuple[tuple[str, Rule], ...] = (
    ("boxed", _within(_BOXED)),  # \boxed{B}
    ("tagged", _within(_TAGGED)),  # <answer>B</answer>
    ("bare", _bare),  # B · (b) · "B"
    ("verbatim", _verbatim),  # an option's text and nothing else
    ("stated", _stated),  # … the answer is B …: the last such statement
    ("leading", _leading),  # B. Because … · D, not A
    ("conclusion", _concluded),  # …, so B: the last such word
    ("closing", _closing),  # No. D
    ("option_text", _option_text),  # I see two people.
    ("only_label", _only_label),  # Not A; option B looks good
)
