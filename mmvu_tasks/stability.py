"""Whether the same question gets the same answer: the part `stability` of `repeats.json`.

    {"repeats": 5, "flip_rate": {"value": 12.5, "ci_low": 6.1, "ci_high": 23.9, "n": 48},
     "agreement": {"value": 93.0, …, "n": 480}, "majority": {"RA": {"value": 58.3, …, "n": 24}}}

flip_rate: questions whose letter is not the same in all repeats, of those answered in all of them; an answer without a
letter is a letter of its own. agreement: pairs of answers to one question that have the same letter, of all such pairs.
majority: RA where every question is answered with the letter given most often; a tie names none and is wrong. In
percent; intervals take questions about one picture as a cluster.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

from judge.core.verdict import Verdict
from judge.results.estimates import estimate
from judge.results.statistics import clustered_proportion
from mmvu_tasks.metrics import METRICS


def stability(repeats: Sequence[Sequence[Verdict]]) -> dict[str, Any]:
    """The numbers of two or more repeats of the same questions, in any order."""
    questions: dict[int | None, list[Verdict]] = {}
    for verdict in itertools.chain.from_iterable(repeats):
        questions.setdefault(verdict.index, []).append(verdict)
    whole = [of for of in questions.values() if len(of) == len(repeats) and all(v.score is not None for v in of)]
    flips: dict[str, list[bool]] = {}
    alike: dict[str, list[bool]] = {}
    for of in whole:
        letters = [verdict.details.get("letter") for verdict in of]
        flips.setdefault(of[0].id, []).append(len(set(letters)) > 1)
        alike.setdefault(of[0].id, []).extend(a == b for a, b in itertools.combinations(letters, 2))
    return {
        "repeats": len(repeats),
        "flip_rate": _share(flips),
        "agreement": _share(alike),
        "majority": {"RA": estimate(METRICS[0], [_majority(of) for of in whole]).to_json()},
    }


def _share(clusters: dict[str, list[bool]]) -> dict[str, Any]:
    found = list(clusters.values())
    return clustered_proportion([sum(of) for of in found], [len(of) for of in found]).to_json()


def _majority(of: Sequence[Verdict]) -> Verdict:
    """The verdict on the letter given most often."""
    counts = Counter(verdict.details.get("letter") for verdict in of).most_common(2)
    letter = counts[0][0]
    if letter is None or (len(counts) > 1 and counts[0][1] == counts[1][1]):
        return dataclasses.replace(of[0], score=0, failure=None)
    return next(verdict for verdict in of if verdict.details.get("letter") == letter)
