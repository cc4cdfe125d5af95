"""Which answers are held out: whole questions, in proportion from every category and every model under test.

    choose_held_out([("SA-1", "gill"), ("SA-1", "emu-2"), ("PBL-7", "gill"), …], category, share=0.2, seed=0)
    ->  {("SA-1", "gill"), ("SA-1", "emu-2"), …}

A question is held out with all its answers: a judge that has read the good answer to a question in training knows what
a bad one lacks. Questions answered by the same models form a stratum within their category, so the share holds for
categories and models alike. The choice depends on names, seed and share alone, never on the order of a file.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Collection, Mapping

Key = tuple[str, str]
"""(question id, model under test)."""


def choose_held_out(keys: Collection[Key], category: Mapping[str, str], share: float, seed: int) -> set[Key]:
    """About `share` of the questions with all their answers; category: question id → category.

    Every stratum gives its share rounded down; what is left to the share of the whole comes from the strata with the
    largest remainders.
    """
    models: defaultdict[str, set[str]] = defaultdict(set)
    for name, model in keys:
        models[name].add(model)
    strata: defaultdict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for name in sorted(models):
        strata[category[name], tuple(sorted(models[name]))].append(name)
    exact = {stratum: share * len(names) for stratum, names in strata.items()}
    counts = {stratum: int(number) for stratum, number in exact.items()}
    by_remainder = sorted(exact, key=lambda stratum: (counts[stratum] - exact[stratum], stratum))
    for stratum in by_remainder[: round(share * len(models)) - sum(counts.values())]:
        counts[stratum] += 1
    chosen: set[str] = set()
    for stratum, names in strata.items():
        random.Random(f"{seed}/{stratum}").shuffle(names)
        chosen.update(names[: counts[stratum]])
    return {key for key in keys if key[0] in chosen}


def answers_of_model(keys: Collection[Key], model: str) -> set[Key]:
    """All answers of one model under test."""
    return {key for key in keys if key[1] == model}
