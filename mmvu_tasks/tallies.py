"""What a paired comparison counts for MMVU: pairs for RA and MR, questions for POS and NEG, under both extractions.

    {"attribute/color/07": Unit("Color/Texture", 1), …}               the pair is PN: misled
    {"attribute/color/07 (index 12)": Unit("Color/Texture", 1), …}    its positive question is right

Pairs with a single or an unscored answer take no part in RA and MR, as in `metrics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from judge.core.tally import Ratio, Tally, Unit
from judge.core.verdict import Verdict
from mmvu_tasks.metrics import REFERENCE
from mmvu_tasks.pairs import Joined, Outcome, half_of, join

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
RA = Ratio(numerator=(1, 0, 0, 0), denominator=(1, 1, 1, 1))
MR = Ratio(numerator=(0, 1, 0, 0), denominator=(1, 1, 0, 0), higher_is_better=False)
RIGHT = Ratio(numerator=(0, 1), denominator=(1, 1))


def tallies(verdicts: Sequence[Verdict]) -> list[Tally]:
    """RA and MR, POS, NEG, then the same under the reference extraction."""
    joined = join(verdicts)
    found = []
    for reference in (False, True):
        suffix = REFERENCE * reference
        found.append(Tally(_pairs(joined, reference), {f"RA{suffix}": RA, f"MR{suffix}": MR}))
        found += [Tally(_questions(verdicts, kind, reference), {f"{kind}{suffix}": RIGHT}) for kind in ("POS", "NEG")]
    return found


def _pairs(joined: Joined, reference: bool) -> dict[str, Unit]:
    return {pair.id: Unit(pair.category, OUTCOMES.index(pair.outcome(reference=reference))) for pair in joined.pairs}


def _questions(verdicts: Sequence[Verdict], kind: str, reference: bool) -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for verdict in verdicts:
        if verdict.details["type"] == kind:
            outcome = None
            if verdict.score is not None:
                half = half_of(verdict)
                outcome = int(half.right_reference if reference else half.right)
            units[f"{verdict.id} (index {verdict.index})"] = Unit(verdict.category or "", outcome)
    return units
