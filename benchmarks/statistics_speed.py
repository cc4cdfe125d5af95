"""All intervals of a 20,103-question run and one paired comparison, against the same in plain Python.

    OMP_NUM_THREADS=1 python benchmarks/statistics_speed.py [--json FILE]

Two synthetic MMIE runs with the published counts of categories and fields. Ours: `score` and `mean` of one run (over
all, by category and by field), then the paired differences of both runs (over all and by category) with interval,
p-value and detectable difference. Plain Python: an ordinary bootstrap with `random.choices` for each of these, and for
the paired differences a sign-flip test as well; percentages are read off the same resamples, so each mean is resampled
once. A few resamples are timed and scaled to 10,000: the next one costs the same. Processor time of one process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from judge.core.metric import scores as units
from judge.core.verdict import Verdict
from judge.io.files import write_json
from judge.results.paired import differences, join_units
from judge.results.statistics import mean_score
from mmie_tasks.metrics import METRICS, SCALE
from mmie_tasks.records import PUBLISHED_COUNTS

# data.png of the project page (mmie-bench/mmie-bench.github.io @2287883); the fields of MSR are published as one lump.
FIELDS = {
    "SA": {"Literature": 5005},
    "PBL": {
        "Education": 2835, "Finance": 2604, "Health": 2000, "EECS": 1792, "Art": 1304, "Sports": 895, "Philosophy": 52,
    },
    "MSR": {"MSR": 3616},
}  # fmt: skip
REPEATS = 5
RESAMPLES = 10_000
PLAIN_RESAMPLES = 10
RATIOS = {metric.name: metric.ratio for metric in METRICS}


Row = tuple[str, str, int, int]
"""Category, field, score in the first run, score in the second."""


def synthetic() -> list[Row]:
    rng = np.random.default_rng(20_103)
    rows: list[Row] = []
    for category, fields in FIELDS.items():
        assert sum(fields.values()) == PUBLISHED_COUNTS[category]
        for field, n in fields.items():
            first = rng.choice(7, size=n, p=[0.05, 0.08, 0.15, 0.2, 0.25, 0.2, 0.07])
            second = np.clip(first + rng.choice([-1, 0, 0, 1], size=n), 0, 6)
            rows += [(category, field, int(a), int(b)) for a, b in zip(first, second, strict=True)]
    return rows


def groups(rows: list[Row]) -> list[dict[str, list[int]]]:
    """Strata of every published number of the first run: all (by category), each category, each field → scores."""
    by_category: dict[str, list[int]] = {}
    by_field: dict[str, list[int]] = {}
    for category, field, score, _ in rows:
        by_category.setdefault(category, []).append(score)
        by_field.setdefault(field, []).append(score)
    return [by_category, *({name: scores} for name, scores in [*by_category.items(), *by_field.items()])]


def ours(published: list[dict[str, list[int]]], first: list[Verdict], second: list[Verdict]) -> None:
    for strata in published:
        counts = SCALE.histogram(score for scores in strata.values() for score in scores)
        for ratio in RATIOS.values():
            mean_score(counts, scale=ratio.scale)
    differences(join_units(units(first), units(second), len(SCALE)), RATIOS)


def plain(published: list[dict[str, list[int]]], rows: list[Row], resamples: int) -> None:
    """The textbook: `resamples` draws for everything that `ours` computes."""
    rng = random.Random(0)
    for strata in published:
        n = sum(map(len, strata.values()))
        sorted(sum(sum(rng.choices(scores, k=len(scores))) for scores in strata.values()) / n for _ in range(resamples))
    by_category: dict[str, list[int]] = {}
    for category, _, first, second in rows:
        by_category.setdefault(category, []).append(second - first)
    for gains in (by_category, *({name: gains} for name, gains in by_category.items())):
        n = sum(map(len, gains.values()))
        sorted(sum(sum(rng.choices(g, k=len(g))) for g in gains.values()) / n for _ in range(resamples))
        for _ in range(resamples):
            abs(sum(gain if rng.random() < 0.5 else -gain for g in gains.values() for gain in g)) / n


def seconds(work: Callable[[], None], repeats: int) -> float:
    """Median processor time."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    args = parser.parse_args()
    rows = synthetic()
    published = groups(rows)
    first, second = (
        [Verdict(str(number), "judge", row[run], category=row[0]) for number, row in enumerate(rows)] for run in (2, 3)
    )
    fast = seconds(lambda: ours(published, first, second), REPEATS)
    slow = seconds(lambda: plain(published, rows, PLAIN_RESAMPLES), 1) * RESAMPLES / PLAIN_RESAMPLES
    found = {
        "questions": len(rows),
        "resamples": RESAMPLES,
        "intervals": len(RATIOS) * len(published),
        "differences": len(RATIOS) * (1 + len(PUBLISHED_COUNTS)),
        "ours_s": round(fast, 3),
        "plain_python_s": round(slow, 1),
        "ratio": round(slow / fast),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    print(
        f"| {found['questions']:,} questions | processor seconds, one core |\n|---|---|\n"
        f"| {found['intervals']} intervals and {found['differences']} paired differences | {fast:.2f} |\n"
        f"| the same in plain Python, {RESAMPLES:,} resamples ({PLAIN_RESAMPLES} timed) | {slow:,.0f} |\n"
        f"| ratio | {found['ratio']:,} |\n"
    )
    print(json.dumps(found))
    if args.json:
        write_json(args.json, found)


if __name__ == "__main__":
    sys.exit(main())
