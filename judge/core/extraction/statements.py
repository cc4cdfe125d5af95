"""What an answer says of each letter, as records.

    "The answer is C. Option A would be right only if they ran."
        Statement("C", ASSERTED, STATED, 0), Statement("A", SUPPOSED, MENTIONED, 1)

What a letter's sentence says before it and after it is held against `grammar`. Of an answer with more than `MOST`
mentions, the first quarter of them and the last are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import NamedTuple

from judge.core.extraction import grammar
from judge.core.extraction.languages import Kind
from judge.core.extraction.tokens import Tokens

MOST = 200
_REACH = 40  # signs read before a letter, and after it


class Polarity(Enum):
    ASSERTED = "asserted"
    DENIED = "denied"
    SUPPOSED = "supposed"  # a question, a hypothesis, somebody else's view
    LISTED = "listed"  # one of the options, repeated in their order
    MENTIONED = "mentioned"


class Strength(IntEnum):
    """How firmly: the higher decides."""

    NAMED = 0  # not a claim by itself
    ALONE = 1  # a sentence that is the letter
    CONCLUDED = 2  # so C · it's C
    LEADING = 3  # the first words are the letter
    VERDICT = 4  # C: yes, in a list of verdicts
    JUDGED = 5  # C is correct
    STATED = 6  # the answer is C · I choose C
    FINAL = 7  # final answer: C


class Statement(NamedTuple):
    """letters: one, or several that stand together ("A or B"). place: counts letters and corrections. contrasted: after
    "but", "so" or the like. hedged: a claim only where no letter is claimed without a hedge."""

    letters: str
    polarity: Polarity
    strength: Strength
    place: int
    contrasted: bool = False
    hedged: bool = False


class Reading(NamedTuple):
    """statements: in order of the text. taken_back: where corrections stand ("wait", "actually"). ending: whether the
    last words are a letter."""

    statements: tuple[Statement, ...]
    taken_back: tuple[int, ...]
    ending: bool


def read_statements(tokens: Tokens, *, verdicts: bool) -> Reading:
    """verdicts: whether a "yes" or "no" after a letter judges it (no option of the question is itself a yes or no)."""
    signs = tokens.signs
    mentions = [
        _Mention(tokens, start, end)
        for match in grammar.GROUP.finditer(signs)
        for start, end in _split(tokens, *match.span())
    ]
    if len(mentions) > MOST:
        mentions = mentions[: MOST // 4] + mentions[-(MOST - MOST // 4) :]
    judged = sum(mention.yes or mention.no for mention in mentions)
    ticks = _ticks(tokens, mentions)
    found = [
        ticks.get(mention.start) or mention.statement(first=number == 0, verdicts=verdicts and judged >= 2)
        for number, mention in enumerate(mentions)
    ]
    for number in _listed(signs, mentions):
        if found[number].strength < Strength.VERDICT and found[number].polarity in (
            Polarity.ASSERTED,
            Polarity.MENTIONED,
        ):
            found[number] = found[number]._replace(polarity=Polarity.LISTED)
    corrections = tuple(match.start() for match in re.finditer(Kind.WAIT.value, signs))
    ending = bool(mentions) and bool(re.fullmatch(r"T?[s?\n¶]*", signs[mentions[-1].end :]))
    return Reading(tuple(found), corrections, ending)


def _split(tokens: Tokens, start: int, end: int) -> list[tuple[int, int]]:
    """A group of letters, with the last one on its own where what follows is said of it alone: "C, A is wrong"."""
    signs = tokens.signs
    last = signs.rfind("L", start, end - 1) if end - start > 1 else -1
    if last < 0:
        return [(start, end)]
    if Kind.AND.value in signs[start:last] and tokens.letters[end - 1] in tokens.letters[start : last + 1]:
        return [(start, last + 1), (end - 1, end)]  # between B and C, B is right
    if grammar.NONE_OF.search(_before(signs, start)):
        return [(start, end)]
    if grammar.INSTEAD_OF.search(_before(signs, start)) and Kind.AND.value not in signs[start:end]:
        return [(start, start + 1), (end - 1, end)]  # rather than A, B
    after = _after(signs, end)
    wrong = grammar.WRONG.match(after)
    together = Kind.AND.value in signs[start:end]
    if wrong and grammar.COMMA_AND.fullmatch(signs, start, end) and not re.match("f*P", after):
        return [(start, last + 1), (end - 1, end)]  # B, and C is wrong
    chosen = grammar.RIGHT.match(after) or grammar.HEDGED.match(after)
    if re.match("f*P", after) or not (wrong or (chosen and not together)):
        return [(start, end)]
    before = _before(signs, start)
    if together and not (grammar.ANSWER_IS.search(before) or grammar.CHOICE.search(before)):
        return [(start, end)]
    return [(start, last + 1), (end - 1, end)]


def _before(signs: str, start: int) -> str:
    return grammar.BOUNDARY.split(signs[max(0, start - _REACH) : start])[-1]


def _after(signs: str, end: int) -> str:
    """Up to the end of the sentence, its sign included."""
    reach = signs[end : end + _REACH]
    boundary = grammar.BOUNDARY.search(reach)
    return reach[: boundary.end()] if boundary else reach


class _Mention:
    """A letter, or several together, with what its sentence says before and after it."""

    def __init__(self, tokens: Tokens, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.lead, self.before, self.after = (
            tokens.signs[:start][-7:],
            _before(tokens.signs, start),
            _after(tokens.signs, end),
        )
        self.fully = start <= 6
        self.letters = "".join(sorted(set(filter(None, tokens.letters[start:end]))))
        self.item = tokens.items[start]
        self.verdict = self._next_sentence(tokens.signs, end)  # "Option A: he reads. This is wrong."
        self.yes = bool(grammar.YES.match(self.after) or grammar.YES.match(self.verdict))
        self.no = bool(grammar.NO.match(self.after) or grammar.NO.match(self.verdict))

    def _next_sentence(self, signs: str, end: int) -> str:
        """The sentence after this one, where this one begins with the letter and that one goes on about it."""
        if not re.fullmatch("[fmt,]*", self.before) or not self.after.endswith(("s", "?")) or "L" in self.after:
            return ""
        following = _after(signs, end + len(self.after))
        return following if grammar.VERDICT_NEXT.match(following) else ""

    def statement(self, *, first: bool, verdicts: bool) -> Statement:
        polarity, strength = self._claim(first=first, verdicts=verdicts)
        contrasted = bool(re.search("[btgG]", self.before))
        return Statement(self.letters, polarity, strength, self.start, contrasted, self._hedged())

    def _claim(self, *, first: bool, verdicts: bool) -> tuple[Polarity, Strength]:
        before, after = self.before, self.after
        if len(self.letters) >= len("ABCD"):
            return Polarity.LISTED, Strength.NAMED
        if exception := self._exception():
            return exception, Strength.JUDGED
        if grammar.NOT_WRONG.match(after):
            return Polarity.MENTIONED, Strength.NAMED
        denied = grammar.DENIAL.search(before) or grammar.NONE_OF.search(before)
        if grammar.WRONG.match(after) or denied or grammar.WRONG.match(self.verdict):
            return Polarity.DENIED, Strength.JUDGED
        answered = after == "?" and verdicts and (self.yes or self.no)
        if after == "?" and not answered and grammar.WONDERING.fullmatch(before):
            return Polarity.ASSERTED, Strength.NAMED  # "Not sure, maybe B?"
        if (
            (after.endswith("?") and not answered and not (self.item and not before))
            or grammar.SUPPOSITION.search(before)
            or self._conditional()
        ):
            return Polarity.SUPPOSED, Strength.NAMED
        if grammar.ANSWER_IS.search(before):
            return Polarity.ASSERTED, Strength.FINAL if grammar.FINAL_IS.search(before) else Strength.STATED
        if grammar.CHOICE.search(before) or grammar.WAIT.search(before):
            return Polarity.ASSERTED, Strength.STATED
        if grammar.RIGHT.match(after) or grammar.RIGHT.match(self.verdict):
            return Polarity.ASSERTED, Strength.CONCLUDED if grammar.MIGHT.match(after) else Strength.JUDGED
        if self.no and len(self.letters) > 1:
            return Polarity.DENIED, Strength.VERDICT
        if verdicts and (self.yes or self.no):
            return (Polarity.ASSERTED if self.yes else Polarity.DENIED), Strength.VERDICT
        if first and self.fully and grammar.LEAD.fullmatch(self.lead) and not grammar.DESCRIBED.match(after):
            return Polarity.ASSERTED, Strength.LEADING
        if grammar.CONCLUSION.search(before):
            return Polarity.ASSERTED, Strength.CONCLUDED
        if grammar.ENDS.match(after) and (grammar.EITHER.fullmatch(before) or before.endswith((",", ":"))):
            return Polarity.ASSERTED, Strength.ALONE
        if self.item and not before:
            return Polarity.ASSERTED, Strength.NAMED
        return Polarity.MENTIONED, Strength.NAMED

    def _hedged(self) -> bool:
        """ "C is plausible", "though C could be it, too", "whereas C describes the roof" """
        return bool(
            grammar.HEDGED.match(self.after)
            or grammar.BUT_MAYBE.search(self.before)
            or grammar.DESCRIBES_A_PART.match(self.after)
            or (grammar.ALTHOUGH.search(self.before) and grammar.FITS_A_PART.match(self.after))
        )

    def _conditional(self) -> bool:
        """ "would be C if his eyes were closed" """
        may = bool(re.search("[wZ]", self.before))
        return bool(grammar.IF_AFTER.match(self.after) or (may and grammar.IF_NEXT.match(self.after)))

    def _exception(self) -> Polarity | None:
        """ "Everything but C is wrong" chooses C, "all except C are right" does not."""
        others = re.match("f*[Eq][Eqf,cP]*", self.after)
        before = grammar.EXCEPTION.search(self.before)
        if not (before or others):
            return None
        after = self.after[others.end() :] if others else self.after
        if before and re.search("[xO]", self.before):
            return Polarity.ASSERTED if grammar.RIGHT.match(after) or Kind.NOT.value in self.before else Polarity.DENIED
        if grammar.WRONG.match(after):
            return Polarity.ASSERTED
        return Polarity.DENIED if grammar.RIGHT.match(after) else None


def _ticks(tokens: Tokens, mentions: Sequence[_Mention]) -> dict[int, Statement]:
    """Statements by ticks and crosses, after a letter's text or before every letter."""
    marks = [k for k, sign in enumerate(tokens.signs) if sign in (Kind.TICK.value, Kind.CROSS.value)]
    if not marks or not mentions:
        return {}
    found = {}
    ahead = marks[0] < mentions[0].start and mentions[0].start - marks[0] <= 3
    for mention in mentions:
        if ahead:
            mark = re.search(r"([YW])[fm:]{0,3}\Z", tokens.signs[max(0, mention.start - 4) : mention.start])
        else:
            mark = grammar.TICKED.match(tokens.signs[mention.end : mention.end + 60])
        if mark:
            polarity = Polarity.ASSERTED if mark[1] == Kind.TICK.value else Polarity.DENIED
            found[mention.start] = Statement(mention.letters, polarity, Strength.VERDICT, mention.start)
    return found


def _listed(signs: str, mentions: Sequence[_Mention]) -> set[int]:
    """The numbers of the mentions that repeat the options: A, B, C, … in order, or all four with nothing in between."""
    listed: set[int] = set()
    for first in range(len(mentions)):
        if first in listed:
            continue
        run, letters = [first], mentions[first].letters
        for number in range(first + 1, min(first + 8, len(mentions))):
            between = signs[mentions[number - 1].end : mentions[number].start]
            in_order = mentions[number].letters == "ABCDEFGH"[len(letters) : len(letters) + 1]
            if not (in_order or re.fullmatch("[s,:]?\n?", between)) or set(letters) & set(mentions[number].letters):
                break
            run.append(number)
            letters += mentions[number].letters
            if sorted(letters) == list("ABCD"):
                break
        ordered = letters == "ABCDEFGH"[: len(letters)] and len(run) >= 3
        if (sorted(letters) == list("ABCD") or ordered) and all(
            mentions[k].item or not mentions[k].before for k in run
        ):
            listed.update(run)
    return listed
