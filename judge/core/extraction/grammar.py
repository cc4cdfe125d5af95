"""How claims are worded: patterns over the signs of `tokens`, the same for all languages.

    WRONG matches after the letter in "A is wrong", "A不对", "A ist falsch": "ce", "e", "ce"

`signs` reads the names of `Kind` for their signs, and leaves out blanks: `[is may]` is a class, `{0,4}` and `(?!…)` are
as in `re`. Several names ("is", "right") stand for several signs, so only in a class. Patterns of what comes before a
letter end there, those of what follows begin there. Repetition is bounded.
"""

from __future__ import annotations

import re

from judge.core.extraction.languages import Kind

_NAMES = {kind.name.lower(): kind.value for kind in Kind}
_NAMES["is"] = Kind.IS.value + Kind.ARE.value
_NAMES["filler"] += Kind.PARTLY.value
_NAMES["fits"] += Kind.DESCRIBES.value
_NAMES["right"] += Kind.PLAUSIBLE.value
_NAMES["may"] += Kind.ALSO.value
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


def signs(pattern: str, *, at_end: bool = False) -> re.Pattern[str]:
    """A pattern over signs from one over the names of kinds; `[is may]` is a class, `{0,4}` and `(?!…)` as in `re`."""
    source = re.sub(r"[a-z]{2,}", lambda match: re.escape(_NAMES[match[0]]), pattern)
    return re.compile(source.replace(" ", "") + (r"\Z" if at_end else ""))


# --- before the letter ---
ANSWER_IS = signs(
    "(?: (?:answer|option) [^letter no]{0,16} [is colon]"
    " [is colon may filler right final it option think because so comma answer]{0,9}"
    r"| answer [filler option choose final right]{0,4}"
    "| (?:^|[comma so but although]) [filler it option right]{0,5} [right fits] [filler option]{0,3} [is colon]"
    " [filler option colon right]{0,4})",
    at_end=True,
)
FINAL_IS = signs("final [filler right]{0,2} [answer option]", at_end=False)
CHOICE = signs("[choose] [filler it option right colon is]{0,5}", at_end=True)
WAIT = signs("wait [comma it is may filler wait no yes think so but although stop other]{0,6}", at_end=True)
CONCLUSION = signs(
    "(?: so [filler right it is may think colon comma option answer other]{0,5}"
    "| it [filler]{0,2} [is may]{1,3} [filler right it option colon is]{0,4}"
    "| think [filler it is may option right comma]{0,5} | [fits so] [filler option right]{0,4}"
    "| but [filler it is may comma option]{0,4}"
    "| (?:^|[comma]) [filler but although may]{0,3} [is] [filler may is it option right]{0,4}"
    "| (?:^|[comma]) [filler]{0,2} [right] [filler option]{0,2})",
    at_end=True,
)
DENIAL = signs(
    "(?: [not instead] [filler think it may is choose right answer option colon discard]{0,8}"
    "| [wrong discard] [filler it think may not]{0,4} [answer option options]{0,2} [it filler is colon may]{0,5})",
    at_end=True,
)
SUPPOSITION = signs(
    "(?: (?: supposed | glance comma? ) [^comma letter no]{0,8}"
    "| people [^comma]{0,4} [may] [choose think is filler it answer option]{0,6}"
    "| (?:^|[comma but although so]) [but although so filler because]{0,2} if"
    " (?! comma | .* comma [so but although] ) .*"
    "| if [filler it answer option is may right]{0,6} | (?:^|[comma letter]) because [option filler]{0,2} )",
    at_end=True,
)
COMMA_AND = signs("letter comma [filler]{0,1} and [filler option]{0,2} letter")
NONE_OF = signs("none [filler option options]{0,4}", at_end=True)
EXCEPTION = signs("(?: [every none] [^letter]{0,4} [except but] | except) [filler option comma]{0,2}", at_end=True)
EITHER = signs("^ [filler option it think yes no comma stop may but although so wait]*")

# --- after it ---
MORE = "[filler option it may]"
SAYS = "[other filler it is text]{1,12} comma [it so]"
"""Its text in other words, and what is to be said of it: "says blue, which matches"."""
NOT_WRONG = signs(rf"{MORE}{{0,3}} [is]{{0,2}} not [filler is]{{0,3}} [wrong discard]")
WRONG = signs(
    rf"(?: [option filler]{{0,2}} denied"
    rf"| [comma]? [but although]? {MORE}{{0,4}} [is may]{{0,3}} [filler may is every]{{0,4}} "
    r"(?: wrong | discard (?![letter option]) )"
    rf"| [comma]? [but although]? {MORE}{{0,4}} [is may]{{0,3}} [filler may is]{{0,3}} not [filler is may]{{0,4}}"
    r" (?: [right fits answer wrong] | [stop comma line asked] | $ | [but although] | so )"
    rf"| {MORE}{{0,4}} [is may]{{0,3}} [filler may is]{{0,3}} not [filler is may]{{0,4}} because"
    rf"| [colon] [filler it is colon]{{0,4}} (?: wrong | not [filler is]{{0,3}} [right fits])"
    rf"| {SAYS} (?: [is filler]{{0,2}} wrong | [is filler may]{{0,2}} not [filler is]{{0,2}} [right fits] ) )"
)
RIGHT = signs(
    rf"(?: [option comma]? [it]? {MORE}{{0,3}} [is]{{1,3}} [filler is may option colon]{{0,5}}"
    r" [right fits answer granted]"
    rf"| {MORE}{{0,4}} [fits]"
    rf"| [filler option]{{0,3}} [right] (?= [stop comma line right because so but although asked] | $ )"
    rf"| [filler option]{{0,2}} [is filler]{{0,2}} chosen | [is may] (?= [stop] | $ )"
    rf"| {SAYS} [is filler]{{0,3}} [right fits] (?= [filler]{{0,4}} (?: [stop line] | $ ))"
    rf"| [colon] [filler it is]{{0,3}} (?: [fits] | [right] (?! [other option answer filler] )))"
)
MIGHT = signs("[filler it option]{0,3} [may]")
IF_AFTER = signs("[^letter]{0,12} [may] [^letter]{0,12} if")
IF_NEXT = signs("[^letter comma]{0,8} if")
VERDICT_NEXT = signs("(?: [filler so but although]{0,2} it | yes | no )")
YES = signs("[stop colon is comma so]{0,3} (?: yes | [right] (?= [stop comma line colon] | $))")
NO = signs(
    "[stop colon is comma so]{0,3} (?: no | wrong (?= [stop comma line colon] | $) | not (?= [stop comma line] | $))"
)
GROUP = signs("letter (?: (?: comma? and comma? | comma ) [option filler]{0,2} letter | letter )*")
DESCRIBED = signs("[filler]{0,2} [may not]")
INSTEAD_OF = signs("instead [filler option]{0,3}", at_end=True)
ALTHOUGH = signs("although [filler option]{0,2}", at_end=True)
DESCRIBES_A_PART = signs("[filler it]{0,2} describes [filler and]{0,3} other")
FITS_A_PART = signs("[filler it]{0,2} [fits] [filler and]{0,3} other")
BUT_MAYBE = signs(
    "(?: although [filler option it people]{0,4} [may] [filler option it is may think choose]{0,5}"
    "| but [filler option it people comma]{0,4} [may] [filler is]{1,4} )",
    at_end=True,
)
HEDGED = signs(
    "(?: [filler option it]{0,3} (?: also | [is may]{0,3} [filler is]{0,3} [plausible granted] )"
    "| [filler option it is may right fits]{0,5} partly | [^letter comma]{0,10} (?: [supposed glance] | but not ) )"
)
WONDERING = signs("[filler it think not comma but wait option]* (?: think [filler it is]* )?")
BOUNDARY = re.compile(r"[s?\n¶]")
LEAD = signs("[yes no option filler comma stop line colon and]{0,6}")
ENDS = signs("text? (?: [stop line asked] | $ )")
TICKED = signs("[^letter line]{0,40}? (tick | cross)")
