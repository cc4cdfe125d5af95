"""How sure the judge was: the probabilities of 0…6 where it wrote its score.

    … ### Score \\n 4   ->   (0.0012, 0.0021, 0.0102, 0.1294, 0.7119, 0.1381, 0.0071)

Taken at the first token of the score, over the seven tokens that spell a single digit, and renormalised over them. It
stands beside the integer and never enters it (compare G-Eval, arXiv 2303.16634, which scores by the expectation).
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence

from judge.core.scale import JUDGE_SCALE
from judge.model.tokenizer import Tokenizer

SCORES = "".join(map(str, JUDGE_SCALE))

# The last score heading, what may stand between it and its number, and the number's first digit.
_POSITION = re.compile(rf".*(?<!#)#+[ \t]*score\b[\s:=*_`\[(]*([{SCORES}])(?!\d)", re.IGNORECASE | re.DOTALL)


def score_tokens(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Ids that spell "0" to "6"; empty for a vocabulary that has no token for each."""
    ids = [tokenizer.encode_untrusted(digit) for digit in SCORES]
    if any(len(spelled) != 1 for spelled in ids) or tokenizer.text_of(i for (i,) in ids) != SCORES:
        return ()
    return tuple(i for (i,) in ids)


def score_distribution(
    tokenizer: Tokenizer, ids: Sequence[int], watched: Sequence[Sequence[float]]
) -> tuple[float, ...] | None:
    """Probabilities of 0…6 for generated `ids`, to four digits, or None where there is no score.

    watched: the logits of `score_tokens` at each id. A batch of another size changes later digits.
    """
    if not watched or not watched[0]:
        return None
    # a padded head may emit ids that no token has
    spelled = [tokenizer.text_of([i]) if i < len(tokenizer) else "" for i in ids]
    match = _POSITION.match("".join(spelled))
    if match is None:
        return None
    starts = [0, *itertools.accumulate(map(len, spelled))]
    if match.start(1) not in starts:
        return None  # the digit is inside a longer token
    place = starts.index(match.start(1))
    if spelled[place] not in SCORES:
        return None
    top = max(watched[place])
    weights = [math.exp(logit - top) for logit in watched[place]]
    return tuple(round(weight / sum(weights), 4) for weight in weights)
