"""Pairs of verdicts, joined by id, and their outcome as the reference tally counts it.

The positive question shows whether the model sees; the leading (negative) one, whether it stands by what it sees:

    PP  both right                        a robust answer
    PN  the positive one right, alone     misled
    NP  the negative one right, alone     right by luck
    NN  both wrong

    RA = PP / pairs        MR = PN / (PP + PN)

Source: `calculate_mc` in evaluation/evaluation/models/calculation.py of BAAI-DCAI/Multimodal-Robustness-Benchmark
@b85b573. It joins halves by position; here they are joined by id. In a pair that was published as POS/POS
(`attribute/number/04`) it counts a lone right answer, whichever half it is, as PN; so does `outcome`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, get_args

from judge.core.verdict import Verdict

Outcome = Literal["PP", "PN", "NP", "NN"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclasses.dataclass(frozen=True, slots=True)
class Half:
    """One scored question of a pair. question_type: "POS" or "NEG"; right: under the careful extraction;
    right_reference: under the reference extraction."""

    question_type: str
    right: bool
    right_reference: bool


@dataclasses.dataclass(frozen=True, slots=True)
class Pair:
    """Two scored questions of one id."""

    id: str
    category: str
    level: str
    halves: tuple[Half, Half]

    @property
    def twin(self) -> bool:
        """Both halves are of one type."""
        return self.halves[0].question_type == self.halves[1].question_type

    def outcome(self, *, reference: bool = False) -> Outcome:
        """Which of its questions are right. reference: under the reference extraction."""
        right = [half for half in self.halves if (half.right_reference if reference else half.right)]
        if len(right) == 1:
            return "PN" if right[0].question_type == "POS" else "NP"
        return "PP" if right else "NN"


@dataclasses.dataclass(frozen=True, slots=True)
class Joined:
    """pairs: whole ones. alone: ids with one answer only (--limit, a shard); unscored: ids of two answers of which
    at least one has no score. Neither takes part in RA or MR."""

    pairs: tuple[Pair, ...]
    alone: tuple[str, ...]
    unscored: tuple[str, ...]


def join(verdicts: Iterable[Verdict]) -> Joined:
    """Verdicts of the rule, in any order, as pairs in order of first appearance."""
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.id, []).append(verdict)
    pairs, alone, unscored = [], [], []
    for id_, halves in found.items():
        if len(halves) > 2:
            raise ValueError(f"{len(halves)} verdicts for {id_}: a pair has two questions")
        if len(halves) == 1:
            alone.append(id_)
        elif any(half.score is None for half in halves):
            unscored.append(id_)
        else:
            first, second = (half_of(verdict) for verdict in halves)
            pairs.append(Pair(id_, halves[0].category or "", str(halves[0].details["level"]), (first, second)))
    return Joined(tuple(pairs), tuple(alone), tuple(unscored))


def half_of(verdict: Verdict) -> Half:
    """A scored verdict as half of a pair."""
    details = verdict.details
    return Half(str(details["type"]), verdict.score == 1, details["score_reference"] == 1)


def count_outcomes(pairs: Sequence[Pair], *, reference: bool = False) -> Mapping[Outcome, int]:
    """How many pairs had each outcome."""
    counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    for pair in pairs:
        counts[pair.outcome(reference=reference)] += 1
    return counts
