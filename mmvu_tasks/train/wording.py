"""What the words of a question and its answer say: a refusal, a type of question, a question that was there before.

    refusal("I'm sorry, I can't see it.", REFUSALS)         ->  "sorry"
    question_type("How many bowls are on the counter?")     ->  "number_position"
    likeness(words("Is there a red cup?"), words("Is there a blue cup?"))   ->  0.667

**Likeness** of two texts is the Jaccard index of their sets of words, in lower case and without punctuation: words of
both, over words of either. Types are those of Fig. 10, guessed from the words of the positive question: a reply does
not say which it meant.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set

AUTHORS = (
    "sorry", "not provided", "is not visible", "I cannot", "I can't", "not discernible", "described in the image",
    "can be found in the image",
)  # fmt: skip
"""What the authors' filter looks for, upper and lower case told apart, as far as it is known: their script has about 27
phrases, of which these are documented."""
REFUSALS = (
    *AUTHORS, "as an ai", "cannot determine", "can't determine", "cannot be determined", "cannot tell", "can't tell",
    "unable to", "not able to", "not possible to", "not specified", "not mentioned", "no information", "hard to tell",
    "difficult to determine",
)  # fmt: skip
"""What is looked for by default, in any case."""

TYPES = ("presence", "attribute", "number_position", "knowledge", "activity", "other")
_TYPES = (
    ("number_position", r"how many|number of|which side|\b(count|where|left|right|above|below|behind|under|beside|"
     r"between|position|located|next to|in front of|one|two|three|four|five|six|seven|eight|nine|ten|\d+)\b"),
    ("knowledge", r"\b(emotion|feel\w*|mood|symbol\w*|culture|cultural|famous|landmark|celebrity|brand|season|occasion|"
     r"event|purpose|used for|function|profession|occupation|sport|genre|holiday|century|country|city)\b"),
    ("activity", r"\b(doing|activity|activities|holding|riding|playing|interact\w*|relationship|eating|walking|running|"
     r"sitting|standing|cooking|preparing|talking|looking|using)\b"),
    ("attribute", r"\b(colou?r\w*|texture|pattern|shaped?|material|made of|name|kind|type|wearing|pose|posture|style|"
     r"red|blue|green|yellow|orange|purple|pink|black|white|grey|gray|brown|round|square|what|which|who)\b"),
    ("presence", r"^(is|are|was|were) (there|any)|\b(have|has|contain\w*|show\w*|see|visible|present|exist\w*)\b"),
)  # fmt: skip
_COMPILED = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _TYPES)
_WORD = re.compile(r"\w+(?:'\w+)?")


def refusal(answer: str, phrases: Iterable[str], *, any_case: bool = True) -> str | None:
    """The phrase of a refusal that an answer has, None where it has none."""
    text = answer.replace("’", "'")
    text = text.casefold() if any_case else text
    return next((phrase for phrase in phrases if (phrase.casefold() if any_case else phrase) in text), None)


def question_type(question: str) -> str:
    """One of `TYPES`."""
    return next((name for name, pattern in _COMPILED if pattern.search(question)), "other")


def words(text: str) -> tuple[str, ...]:
    """Its words in lower case, in their order."""
    return tuple(_WORD.findall(text.casefold().replace("’", "'")))


def likeness(one: Iterable[str], other: Iterable[str]) -> float:
    """The Jaccard index of two sets of words; 1 for two empty ones."""
    first, second = set(one), set(other)
    return len(first & second) / len(first | second) if first or second else 1.0


class Likenesses:
    """Texts as sets of words, among which the ones like another are found without comparing all with all.

    Two sets with a Jaccard index of t or more share a word among the rarest ones of each: of n words, the first
    n - ceil(t n) + 1 in any order that is the same for all (prefix filtering; Chaudhuri et al., ICDE 2006, Bayardo et
    al., WWW 2007). What is found is then compared, so that the result is exact.
    """

    def __init__(self, threshold: float, counts: Counter[str]) -> None:
        """counts: how often words occur, rare ones first."""
        self._threshold, self._counts = threshold, counts
        self._ids: dict[str, int] = {}
        self._sets: list[frozenset[int]] = []
        self._names: list[str] = []
        self._having: defaultdict[int, list[int]] = defaultdict(list)

    def add_unless_like(self, text: Sequence[str], name: str) -> str | None:
        """The name of an earlier text that this one is like; None where there is none, and it is added."""
        order = sorted(set(text), key=lambda word: (self._counts[word], word))
        ids = [self._ids.setdefault(word, len(self._ids)) for word in order]
        mine = frozenset(ids)
        prefix = ids[: len(ids) - math.ceil(self._threshold * len(ids) - 1e-9) + 1]
        seen: set[int] = set()
        for word in prefix:
            for number in self._having[word]:
                if number not in seen and _index(mine, self._sets[number]) >= self._threshold:
                    return self._names[number]
                seen.add(number)
        for word in prefix:
            self._having[word].append(len(self._sets))
        self._sets.append(mine)
        self._names.append(name)
        return None


def _index(one: Set[int], other: Set[int]) -> float:
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared) if one or other else 1.0
