"""What an answer says of each letter, as records.

    "The answer is C. Option A would be right only if they ran."
        Statement("C", ASSERTED, STATED, 0), Statement("A", SUPPOSED, MENTIONED, 1)

Patterns are over the signs of `tokens`, with the names of `Kind` for signs and blanks for reading; what a letter's
sentence says before it is matched at its end, what it says after it at its beginning. Of an answer with more than
`MOST` places, the first quarter of them and the last are read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, IntEnum
from typing import NamedTuple

from mmvu_tasks.extraction.languages import Kind
from mmvu_tasks.extraction.tokens import Tokens

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
    """letters: one, or several that stand together ("A or B"). place: counts letters and corrections. sentence: counts
    sentences. contrasted: after "but", "so" or the like."""

    letters: str
    polarity: Polarity
    strength: Strength
    place: int
    contrasted: bool = False


class Reading(NamedTuple):
    """statements: in order of the text. taken_back: the places of corrections ("wait", "actually"). ending: whether the
    last words are a letter."""

    statements: tuple[Statement, ...]
    taken_back: tuple[int, ...]
    ending: bool


_NAMES = {kind.name.lower(): kind.value for kind in Kind}
_NAMES["is"] = "cP"
_NAMES |= {
    "letter": "L",
    "text": "T",
    "stop": "s",
    "asked": "?",
    "line": "\n¶",
    "comma": ",",
    "colon": ":",
    "other": "o",
}


def _signs(pattern: str, *, at_end: bool = False) -> re.Pattern[str]:
    """A pattern over signs from one over the names of kinds; `[is may]` is a class, `{0,4}` and `(?!…)` as in `re`."""
    source = re.sub(r"[a-z]{2,}", lambda match: re.escape(_NAMES[match[0]]), pattern)
    return re.compile(source.replace(" ", "") + (r"\Z" if at_end else ""))


# --- before the letter ---
_ANSWER_IS = _signs(
    "(?: (?:answer|option) [^letter no]{0,16} [is colon]"
    " [is colon may filler right final it option think because so comma answer]{0,9}"
    r"| answer [filler option choose final right]{0,4}"
    "| (?:^|[comma so but]) [filler it option right]{0,5} [right fits] [filler option]{0,3} [is colon]"
    " [filler option colon right]{0,4})",
    at_end=True,
)
_FINAL_IS = _signs("final [filler right]{0,2} [answer option]", at_end=False)
_CHOICE = _signs("[choose] [filler it option right colon is]{0,5}", at_end=True)
_WAIT = _signs("wait [comma it is may filler wait no yes think so but stop other]{0,6}", at_end=True)
_CONCLUSION = _signs(
    "(?: so [filler right it is may think colon comma option answer other]{0,5}"
    "| it [filler]{0,2} [is may]{1,3} [filler right it option colon is]{0,4}"
    "| think [filler it is may option right comma]{0,5} | [fits so] [filler option right]{0,4}"
    "| but [filler it is may comma option]{0,4}"
    "| (?:^|[comma]) [filler but]{0,2} [is] [filler may is it option right]{0,4})",
    at_end=True,
)
_DENIAL = _signs(
    "(?: [not instead] [filler think it may is choose right answer option colon discard]{0,8}"
    "| [wrong discard] [filler it think may not]{0,4} [answer option options]{0,2} [it filler is colon may]{0,5})",
    at_end=True,
)
_SUPPOSITION = _signs(
    "(?: supposed [^comma letter no]{0,8} | people [^comma]{0,4} may [choose think is filler it answer option]{1,6}"
    "| (?:^|[comma but so]) [but so filler because]{0,2} if (?! comma | .* comma [so but] ) .*"
    "| if [filler it answer option is may right]{0,6} )",
    at_end=True,
)
_EXCEPTION = _signs("(?: [every none] [^letter]{0,4} [except but] | except) [filler option comma]{0,2}", at_end=True)
_EITHER = _signs("^ [filler option it think yes no comma stop may but so wait]*")

# --- after it ---
_MORE = "[filler option it may]"
_NOT_WRONG = _signs(rf"{_MORE}{{0,3}} [is]{{0,2}} not [filler is]{{0,3}} [wrong discard]")
_WRONG = _signs(
    rf"(?: [option filler]{{0,2}} denied"
    rf"| [comma]? [but]? {_MORE}{{0,4}} [is may]{{0,3}} [filler may is every]{{0,4}} "
    r"(?: wrong | discard (?![letter option]) )"
    rf"| [comma]? [but]? {_MORE}{{0,4}} [is may]{{0,3}} [filler may is]{{0,3}} not [filler is may]{{0,4}}"
    rf" (?: [right fits answer wrong] | [stop comma line asked] | $ | because | but | so )"
    rf"| [colon] [filler it is colon]{{0,4}} (?: wrong | not [filler is]{{0,3}} [right fits]) )"
)
_RIGHT = _signs(
    rf"(?: [option comma]? [it]? {_MORE}{{0,3}} [is]{{1,3}} [filler is may option colon]{{0,5}}"
    r" (?: right | fits | answer )"
    rf"| {_MORE}{{0,4}} fits | [filler option]{{0,3}} right (?= [stop comma line right because so but asked] | $ )"
    rf"| [filler option]{{0,2}} [is filler]{{0,2}} chosen | [is may] (?= [stop] | $ )"
    rf"| [colon] [filler it is]{{0,3}} (?: fits | right (?! [other option answer filler] )))"
)
_MIGHT = _signs("[filler it option]{0,3} may")
_IF_AFTER = _signs("[^letter]{0,12} may [^letter]{0,12} if")
_IF_NEXT = _signs("[^letter comma]{0,8} if")
_VERDICT_NEXT = _signs("[filler so but]{0,2} it")
_YES = _signs("[stop colon is comma]{0,3} (?: yes | right (?= [stop comma line colon] | $))")
_NO = _signs(
    "[stop colon is comma]{0,3} (?: no | wrong (?= [stop comma line colon] | $) | not (?= [stop comma line] | $))"
)
_GROUP = _signs("letter (?: (?: comma? and comma? | comma ) [option filler]{0,2} letter | letter )*")
_WONDERING = _signs("[filler it think not comma but wait option]*")
_BOUNDARY = re.compile(r"[s?\n¶]")
_LEAD = _signs("[yes no option filler comma stop line colon and]{0,6}")
_ENDS = _signs("text? (?: [stop line asked] | $ )")
_TICKED = _signs("[^letter line]{0,40}? (tick | cross)")


def read_statements(tokens: Tokens, *, verdicts: bool) -> Reading:
    """verdicts: whether a "yes" or "no" after a letter judges it (no option of the question is itself a yes or no)."""
    signs = tokens.signs
    places = [
        _Place(tokens, start, end) for match in _GROUP.finditer(signs) for start, end in _split(tokens, *match.span())
    ]
    if len(places) > MOST:
        places = places[: MOST // 4] + places[-(MOST - MOST // 4) :]
    judged = sum(bool(_YES.match(place.after) or _NO.match(place.after)) for place in places)
    ticks = _ticks(tokens, places)
    found = [
        ticks.get(place.start) or place.statement(first=number == 0, verdicts=verdicts and judged >= 2)
        for number, place in enumerate(places)
    ]
    for number in _listed(signs, places):
        if found[number].strength < Strength.VERDICT and found[number].polarity in (
            Polarity.ASSERTED,
            Polarity.MENTIONED,
        ):
            found[number] = found[number]._replace(polarity=Polarity.LISTED)
    corrections = tuple(match.start() for match in re.finditer(Kind.WAIT.value, signs))
    ending = bool(places) and bool(re.fullmatch(r"T?[s?\n¶]*", signs[places[-1].end :]))
    return Reading(tuple(found), corrections, ending)


def _split(tokens: Tokens, start: int, end: int) -> list[tuple[int, int]]:
    """A group of letters, with the last one on its own where what follows is said of it alone: "C, A is wrong"."""
    signs = tokens.signs
    last = signs.rfind("L", start, end - 1) if end - start > 1 else -1
    if last < 0:
        return [(start, end)]
    if Kind.AND.value in signs[start:last] and tokens.letters[end - 1] in tokens.letters[start : last + 1]:
        return [(start, last + 1), (end - 1, end)]  # between B and C, B is right
    after = _after(signs, end)
    wrong = _WRONG.match(after)
    together = Kind.AND.value in signs[start:end]
    if re.match("f*P", after) or not (wrong or (_RIGHT.match(after) and not together)):
        return [(start, end)]
    before = _before(signs, start)
    if together and not (_ANSWER_IS.search(before) or _CHOICE.search(before)):
        return [(start, end)]
    return [(start, last + 1), (end - 1, end)]


def _before(signs: str, start: int) -> str:
    return _BOUNDARY.split(signs[max(0, start - _REACH) : start])[-1]


def _after(signs: str, end: int) -> str:
    """Up to the end of the sentence, its sign included."""
    reach = signs[end : end + _REACH]
    boundary = _BOUNDARY.search(reach)
    return reach[: boundary.end()] if boundary else reach


class _Place:
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

    def _next_sentence(self, signs: str, end: int) -> str:
        """The sentence after this one, where this one begins with the letter and that one goes on about it."""
        if not re.fullmatch("[fmt,]*", self.before) or not self.after.endswith("s") or "L" in self.after:
            return ""
        following = _after(signs, end + len(self.after))
        return following if _VERDICT_NEXT.match(following) else ""

    def statement(self, *, first: bool, verdicts: bool) -> Statement:
        polarity, strength = self._claim(first=first, verdicts=verdicts)
        contrasted = bool(re.search("[btg]", self.before))
        return Statement(self.letters, polarity, strength, self.start, contrasted)

    def _claim(self, *, first: bool, verdicts: bool) -> tuple[Polarity, Strength]:
        before, after = self.before, self.after
        if len(self.letters) >= len("ABCD"):
            return Polarity.LISTED, Strength.NAMED
        if exception := self._exception():
            return exception, Strength.JUDGED
        if _NOT_WRONG.match(after):
            return Polarity.MENTIONED, Strength.NAMED
        if _WRONG.match(after) or _DENIAL.search(before) or _WRONG.match(self.verdict):
            return Polarity.DENIED, Strength.JUDGED
        if after == "?" and _WONDERING.fullmatch(before):
            return Polarity.ASSERTED, Strength.NAMED  # "Not sure, maybe B?"
        if after.endswith("?") or _SUPPOSITION.search(before) or self._conditional():
            return Polarity.SUPPOSED, Strength.NAMED
        if _ANSWER_IS.search(before):
            return Polarity.ASSERTED, Strength.FINAL if _FINAL_IS.search(before) else Strength.STATED
        if _CHOICE.search(before) or _WAIT.search(before):
            return Polarity.ASSERTED, Strength.STATED
        if _RIGHT.match(after) or _RIGHT.match(self.verdict):
            return Polarity.ASSERTED, Strength.CONCLUDED if _MIGHT.match(after) else Strength.JUDGED
        if verdicts and (_YES.match(after) or _NO.match(after)):
            return (Polarity.ASSERTED if _YES.match(after) else Polarity.DENIED), Strength.VERDICT
        if first and self.fully and _LEAD.fullmatch(self.lead):
            return Polarity.ASSERTED, Strength.LEADING
        if _CONCLUSION.search(before):
            return Polarity.ASSERTED, Strength.CONCLUDED
        if _ENDS.match(after) and (_EITHER.fullmatch(before) or before.endswith((",", ":"))):
            return Polarity.ASSERTED, Strength.ALONE
        if self.item and not before:
            return Polarity.ASSERTED, Strength.NAMED
        return Polarity.MENTIONED, Strength.NAMED

    def _conditional(self) -> bool:
        """ "would be C if his eyes were closed" """
        may = Kind.MAY.value in self.before
        return bool(_IF_AFTER.match(self.after) or (may and _IF_NEXT.match(self.after)))

    def _exception(self) -> Polarity | None:
        """ "Everything but C is wrong" chooses C, "all except C are right" does not."""
        others = re.match("f*[Eq][Eqf,cP]*", self.after)
        before = _EXCEPTION.search(self.before)
        if not (before or others):
            return None
        after = self.after[others.end() :] if others else self.after
        if before and re.search("[xO]", self.before):
            return Polarity.ASSERTED if _RIGHT.match(after) or Kind.NOT.value in self.before else Polarity.DENIED
        if _WRONG.match(after):
            return Polarity.ASSERTED
        return Polarity.DENIED if _RIGHT.match(after) else None


def _ticks(tokens: Tokens, places: Sequence[_Place]) -> dict[int, Statement]:
    """Statements by ticks and crosses, after a letter's text or before every letter."""
    marks = [k for k, sign in enumerate(tokens.signs) if sign in (Kind.TICK.value, Kind.CROSS.value)]
    if not marks or not places:
        return {}
    found = {}
    ahead = marks[0] < places[0].start and places[0].start - marks[0] <= 3
    for place in places:
        if ahead:
            mark = re.search(r"([YW])[fm:]{0,3}\Z", tokens.signs[max(0, place.start - 4) : place.start])
        else:
            mark = _TICKED.match(tokens.signs[place.end : place.end + 60])
        if mark:
            polarity = Polarity.ASSERTED if mark[1] == Kind.TICK.value else Polarity.DENIED
            found[place.start] = Statement(place.letters, polarity, Strength.VERDICT, place.start)
    return found


def _listed(signs: str, places: Sequence[_Place]) -> set[int]:
    """The numbers of the places that repeat the options: A, B, C, … in order, or all four with nothing in between."""
    listed: set[int] = set()
    for first in range(len(places)):
        if first in listed:
            continue
        run, letters = [first], places[first].letters
        for number in range(first + 1, min(first + 8, len(places))):
            between = signs[places[number - 1].end : places[number].start]
            in_order = places[number].letters == "ABCDEFGH"[len(letters) : len(letters) + 1]
            if not (in_order or re.fullmatch("[s,:]?\n?", between)) or set(letters) & set(places[number].letters):
                break
            run.append(number)
            letters += places[number].letters
            if sorted(letters) == list("ABCD"):
                break
        ordered = letters == "ABCDEFGH"[: len(letters)] and len(run) >= 3
        if (sorted(letters) == list("ABCD") or ordered) and all(places[k].item or not places[k].before for k in run):
            listed.update(run)
    return listed
