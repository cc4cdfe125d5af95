"""MMIE's fixed subset of 1,000 questions: a twentieth of the cost of all 20,103, and an estimate of their score.

    take_subset(dataset, "1k").source.subset   ->  Subset("1k", "5f0c9a1e", 1000, {("PBL", "Art"): 1304, …})

Its strata are category and field, each with its share of the questions; which of a stratum, the hash of the id says
(`judge.core.subset`). Scores of a subset are not comparable with scores of all questions, nor published as such.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping

from judge.core.benchmark import Dataset
from judge.core.subset import Stratum, Subset, choose_by_hash, digest_of
from judge.errors import UserError
from mmie_tasks.records import Record

SUBSETS: Mapping[str, int] = {"1k": 1000}


def stratum_of(record: Record) -> Stratum:
    """Category and field; "" where the record has no field."""
    return record.category, record.field or ""


def take_subset(dataset: Dataset, name: str) -> Dataset:
    """See `judge.core.benchmark.Benchmark.take_subset`."""
    size = SUBSETS.get(name)
    if size is None:
        raise UserError(f"--subset {name}: there is no such subset", fix=f"--subset {' | '.join(SUBSETS)}")
    if len(dataset.records) <= size:
        raise UserError(
            f"the subset {name} has {size} questions, the data only {len(dataset.records)}", fix="leave out --subset"
        )
    strata = [stratum_of(record) for record in dataset.records]
    ids = [record.id for record in dataset.records]
    chosen = choose_by_hash(list(zip(ids, strata, strict=True)), size)
    digest = digest_of([ids[position] for position in chosen])
    subset = Subset(name, digest, size, dict(sorted(Counter(strata).items())))
    return dataclasses.replace(
        dataset,
        source=dataclasses.replace(dataset.source, subset=subset),
        records=[dataset.records[position] for position in chosen],
    )
