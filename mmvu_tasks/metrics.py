"""RA, MR, POS and NEG in percent, with Wilson intervals: overall, per category and per level.

    RA   robustness accuracy ↑   both questions of a pair right, of all pairs
    MR   misleading rate ↓       the leading question wrong, of the pairs whose positive one is right
    POS  ↑, NEG ↑                right answers, of the scored questions of that type

Overall values pool the pairs; they are not means over categories (all published rows agree with that). The same four
with the suffix `_reference` are what the published extraction makes of the same answers. Chance, for four options and
independent guesses: RA 1/4 · 1/4 = 6.25, MR 3/4 = 75, POS and NEG 25. (The paper's tables print 25 and 50.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from judge.core.benchmark import Dataset, Summary
from judge.core.estimate import Estimate
from judge.core.verdict import Verdict
from judge.results.statistics import clustered_proportion, proportion
from mmvu_tasks.categories import LEVELS, NAMES
from mmvu_tasks.pairs import Half, Joined, Pair, half_of, join, tally

HEADLINE = ("RA", "MR", "POS", "NEG")
REFERENCE = "_reference"
CHANCE = {"RA": 6.25, "MR": 75.0, "POS": 25.0, "NEG": 25.0}
NO_OPTION = "no_option"


def summarise(verdicts: Sequence[Verdict], dataset: Dataset | None) -> Summary:
    """All metrics. A pair counts when both its halves are scored; a question, when it is. The rest is counted in
    `extra["pairs"]` and said in the notes. dataset None: unanswered pairs go unmentioned."""
    joined = join(verdicts)
    scored = [verdict for verdict in verdicts if verdict.score is not None]
    categories = {
        name: estimates((p for p in joined.pairs if p.category == name), (v for v in scored if v.category == name))
        for name in NAMES
    }
    levels = {
        name: estimates((p for p in joined.pairs if p.level == name), (v for v in scored if v.details["level"] == name))
        for name in LEVELS
    }
    return Summary(
        metrics=estimates(joined.pairs, scored),
        categories=categories,
        groups={"level": levels},
        extra=_extra(joined, scored),
        notes=_notes(joined, verdicts, dataset),
    )


def estimates(pairs: Iterable[Pair], scored: Iterable[Verdict]) -> dict[str, Estimate]:
    """The eight metrics over whole pairs (RA, MR) and scored verdicts (POS, NEG)."""
    pairs, halves = list(pairs), [(verdict.id, half_of(verdict)) for verdict in scored]
    return {**_four(pairs, halves, reference=False), **_four(pairs, halves, reference=True)}


def ra(both: int, pairs: int) -> Estimate:
    """RA from counts: PP of all pairs."""
    return proportion(both, pairs)


def mr(misled: int, both: int) -> Estimate:
    """MR from counts: PN of PP + PN."""
    return proportion(misled, misled + both)


def _four(pairs: list[Pair], halves: list[tuple[str, Half]], *, reference: bool) -> dict[str, Estimate]:
    counts = tally(pairs, reference=reference)
    found = {"RA": ra(counts["PP"], len(pairs)), "MR": mr(counts["PN"], counts["PP"])}
    for name in ("POS", "NEG"):
        pictures: dict[str, list[bool]] = {}  # an id is a picture, and v1 asks two positive questions about one
        for id_, half in halves:
            if half.question_type == name:
                pictures.setdefault(id_, []).append(half.right_reference if reference else half.right)
        found[name] = clustered_proportion([*map(sum, pictures.values())], [*map(len, pictures.values())])
    return {name + REFERENCE * reference: estimate for name, estimate in found.items()}


def _extra(joined: Joined, scored: Sequence[Verdict]) -> dict[str, object]:
    no_option = sum(verdict.details.get("reason") == NO_OPTION for verdict in scored)
    return {
        "pairs": {
            "whole": len(joined.pairs),
            "alone": len(joined.alone),
            "unscored": len(joined.unscored),
            "outcomes": dict(tally(joined.pairs)),
            "outcomes_reference": dict(tally(joined.pairs, reference=True)),
        },
        # a share like `unscored.rate`, of the scored answers
        NO_OPTION: {"n": no_option, "rate": no_option / len(scored) if scored else None},
        "chance": dict(CHANCE),
    }


def _notes(joined: Joined, verdicts: Sequence[Verdict], dataset: Dataset | None) -> list[str]:
    notes = ["chance with four options: RA 6.25, MR 75, POS and NEG 25"]
    for ids, what in (
        (joined.alone, "one question only was answered"),
        (joined.unscored, "a question has no score"),
    ):
        if ids:
            left_out = "1 pair is" if len(ids) == 1 else f"{len(ids)} pairs are"
            notes.append(f"{left_out} left out of RA and MR because {what}: {_some(ids)}")
    twins = [pair for pair in joined.pairs if pair.twin]
    for pair in twins:
        types = "/".join(half.question_type for half in pair.halves)
        notes.append(
            f"{pair.id} was published as {types}; as in the reference tally, one right answer of POS type counts as"
            " misled, whichever half it is"
        )
    if dataset is not None:
        if len(verdicts) < len(dataset.records):
            notes.append(f"{len(verdicts)} of {len(dataset.records)} questions were answered; the others are left out")
        if dataset.source.note:
            notes.append(dataset.source.note)
    return notes


def _some(ids: Sequence[str], shown: int = 3) -> str:
    return ", ".join(ids[:shown]) + (f" and {len(ids) - shown} more" if len(ids) > shown else "")
