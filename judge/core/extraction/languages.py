"""Which words count in a statement, of what kind, by language: the table is languages.ini beside this file.

[german]
answer = antwort, lösung
wrong = falsch, scheidet aus
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from enum import Enum
from pathlib import Path


class Kind(str, Enum):
    """What a word does in a statement. The value is its sign in `statements`' patterns."""

    ANSWER = "n"  # the answer, 答案: may stand right before a letter
    OPTION = "m"  # option, choice: with a copula like "answer", else part of the letter's name
    OPTIONS = "M"  # several: a list may follow
    IS = "c"
    MAY = "w"  # would, could
    CHOOSE = "v"  # before a letter
    CHOSEN = "V"  # after a letter
    THINK = "k"
    NOT = "x"
    DENIED = "X"  # a denial after its letter, ではない
    RIGHT = "r"
    PLAUSIBLE = "U"  # as RIGHT, with a hedge
    FITS = "R"
    DESCRIBES = "S"  # as FITS, with a hedge where it is a part that is described
    WRONG = "e"
    DISCARD = "d"  # eliminate, before its letter
    INSTEAD = "z"  # instead of, rather than
    EXCEPT = "q"
    EVERY = "E"
    NONE = "O"
    IF = "h"
    SUPPOSED = "H"  # what follows is not the speaker's view
    GLANCE = "D"  # as SUPPOSED, also before a comma: at first glance
    PEOPLE = "u"
    AND = "j"
    SO = "t"
    BUT = "b"
    ALTHOUGH = "G"
    ALSO = "Z"  # as MAY, with a hedge: could also
    GRANTED = "Q"  # after a letter that is not the answer, if another is: a close second
    WAIT = "g"  # takes back what was said
    YES = "y"
    NO = "N"
    FILLER = "f"
    PARTLY = "I"  # as FILLER, with a hedge
    IT = "p"
    BECAUSE = "a"
    FINAL = "F"
    ARE = "P"  # as IS, of several
    THING = "i"  # before a letter that names no option
    TICK = "Y"
    CROSS = "W"


def read_languages() -> Mapping[str, Mapping[Kind, list[str]]]:
    """Words and phrases by kind, by language."""
    table = configparser.ConfigParser(delimiters=("=",), comment_prefixes=("#",), interpolation=None)
    table.read_string(Path(__file__).with_suffix(".ini").read_text(encoding="utf-8"))
    return {
        language: {Kind[kind.upper()]: " ".join(words.split()).split(", ") for kind, words in table[language].items()}
        for language in table.sections()
    }
