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
    """One question of a pair. question_type: "POS" or "NEG"; right: under the careful extraction, None where it has no
    score; right_reference: under the reference extraction, None where the file had nothing for it."""

    question_type: str
    right: bool | None
    right_reference: bool | None

    def under(self, *, reference: bool) -> bool | None:
        """Whether it is right under one of the two extractions."""
        return self.right_reference if reference else self.right


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
        right = [half for half in self.halves if half.under(reference=reference)]
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


def join(verdicts: Iterable[Verdict], *, reference: bool = False) -> Joined:
    """Verdicts of the rule, in any order, as pairs in order of first appearance.

    reference: whole pairs are then those of which the file had an answer to both questions, whatever it was.
    """
    found: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        found.setdefault(verdict.id, []).append(verdict)
    pairs, alone, unscored = [], [], []
    for id_, halves in found.items():
        if len(halves) > 2:
            raise ValueError(f"{len(halves)} verdicts for {id_}: a pair has two questions")
        if len(halves) == 1:
            alone.append(id_)
            continue
        first, second = (half_of(verdict) for verdict in halves)
        if None in (first.under(reference=reference), second.under(reference=reference)):
            unscored.append(id_)
        else:
            pairs.append(Pair(id_, halves[0].category or "", str(halves[0].details["level"]), (first, second)))
    return Joined(tuple(pairs), tuple(alone), tuple(unscored))


def half_of(verdict: Verdict) -> Half:
    """A verdict as half of a pair."""
    right, reference = verdict.score, verdict.details.get("score_reference")
    return Half(
        str(verdict.details["type"]),
        None if right is None else right == 1,
        None if reference is None else reference == 1,
    )


def count_outcomes(pairs: Sequence[Pair], *, reference: bool = False) -> Mapping[Outcome, int]:
    """How many pairs had each outcome."""
    counts: dict[Outcome, int] = dict.fromkeys(OUTCOMES, 0)
    for pair in pairs:
        counts[pair.outcome(reference=reference)] += 1
    return counts
