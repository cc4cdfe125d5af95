"""How often the 95% intervals hold the truth, and how often p is below 5% where there is no difference.

    OMP_NUM_THREADS=1 python benchmarks/interval_coverage.py [--runs 2000] [--json FILE]

Two models answer n questions or pairs in each of 1 or 12 categories. Their true chances of every outcome are known, so
the true difference is; the answers are drawn, compared as `mmjudge compare` does, and it is counted whether the
interval holds the true difference and whether p is below 0.05. The models are weak, middling, strong, or fail rarely
but altogether; they agree by chance alone, on half or on nine tenths of what they could agree on; of 12 categories some
are easier than others, for both. Every pair of models is a scenario. Shares are not drawn but counted: every table of
wins and losses there is, for every pair of chances on a grid.

A line of the table: over all scenarios of a metric, the mean and the worst coverage, in percent; the mean and the worst
share of p < 0.05, of the scenarios without a difference. With 2,000 runs a share near 95% has a standard error of 0.5.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from judge.core.metric import Ratio
from judge.io.files import write_json
from judge.results.paired import Difference, difference_of
from judge.results.statistics import mean_score
from mmie_tasks.metrics import METRICS as MMIE
from mmvu_tasks.metrics import METRICS as MMVU

SIZES = (2, 3, 5, 10, 25)
RATIOS = {metric.name: metric.ratio for metric in (*MMVU, *MMIE)}
PAIRS = {
    "weak": (0.10, 0.30, 0.10, 0.50),
    "middling": (0.45, 0.15, 0.10, 0.30),
    "strong": (0.80, 0.08, 0.05, 0.07),
    "hardly ever misled": (0.60, 0.02, 0.05, 0.33),
}
"""Chances of the outcomes of a pair: PP, PN, NP, NN."""
SCORES = {
    "weak": (0.50, 0.20, 0.10, 0.10, 0.05, 0.03, 0.02),
    "middling": (0.05, 0.08, 0.15, 0.20, 0.25, 0.20, 0.07),
    "strong": (0.01, 0.01, 0.02, 0.04, 0.07, 0.15, 0.70),
    "fails rarely": (0.05, 0.00, 0.00, 0.00, 0.00, 0.15, 0.80),
}
"""Chances of the scores 0 to 6."""
AGREEMENT = (0.0, 0.5, 0.9)
EASIER = 0.4
"""In the easiest of several categories, so many of the units that would not have the best outcome have it."""


class Counted(NamedTuple):
    """Of one scenario: shares of runs whose interval holds the truth and whose p is below 0.05; the true difference."""

    covered: float
    significant: float
    truth: float


def joint_chances(first: Sequence[float], second: Sequence[float], agreement: float) -> np.ndarray:
    """[outcomes, outcomes] with these chances in each run.

    agreement: from independent answers (0) to those that are as equal as can be (1).
    """
    ours, theirs = np.array(first), np.array(second)
    both = np.minimum(ours, theirs)
    equal = np.diag(both)
    if both.sum() < 1 - 1e-9:
        equal = equal + np.outer(ours - both, theirs - both) / (1 - both.sum())
    return np.asarray(agreement * equal + (1 - agreement) * np.outer(ours, theirs))


def easier(chances: Sequence[float], share: float, best: int) -> np.ndarray:
    """The chances in a category where a share of the other units has the best outcome, too."""
    found = (1 - share) * np.array(chances)
    found[best] += share
    return found


def scenarios(of: str, categories: int) -> Iterator[tuple[str, str, list[np.ndarray]]]:
    """Every pair of models and agreement: their names, and the joint chances in each category. of: a metric."""
    models, best = (SCORES, 6) if of == "mean" else (PAIRS, 0)
    for (name, first), (other, second) in itertools.product(models.items(), repeat=2):
        for agreement in AGREEMENT:
            shares = np.linspace(0, EASIER, categories) if categories > 1 else [0.0]
            yield (
                name,
                other,
                [joint_chances(*(easier(model, s, best) for model in (first, second)), agreement) for s in shares],
            )


def drawn(of: str, joint: Sequence[np.ndarray], n: int, runs: int, rng: np.random.Generator) -> Counted:
    """A scenario with n units a category, drawn so many times. Raises AssertionError where p and interval disagree."""
    metric, outcomes = RATIOS[of], len(joint[0])
    counts = sum(rng.multinomial(n, chances.reshape(-1), size=runs) for chances in joint)
    whole = np.mean(joint, axis=0)
    truth = float(metric.of(whole.sum(axis=0)) - metric.of(whole.sum(axis=1)))
    found = [_of_counts(of, tuple(row), outcomes) for row in np.asarray(counts).tolist()]
    known = [one for one in found if one.p is not None]
    return Counted(
        float(np.mean([_holds(one, truth) for one in known])), float(np.mean([one.p < 0.05 for one in known])), truth
    )


@functools.lru_cache(maxsize=200_000)
def _of_counts(of: str, row: tuple[int, ...], outcomes: int) -> Difference:
    found = difference_of(np.array(row).reshape(outcomes, outcomes), RATIOS[of])
    if found.p is not None:
        assert (found.p < 0.05) == (not _holds(found, 0.0)), (of, row)
    return found


def _holds(found: Difference, truth: float) -> bool:
    low, high = found.difference.ci_low, found.difference.ci_high
    assert low is not None
    assert high is not None
    return low - 1e-9 <= truth <= high + 1e-9


def counted_shares(n: int, step: float = 0.05) -> list[Counted]:
    """Exactly, for a share of n units and every chance to win and to lose on a grid: nothing is drawn."""
    from scipy.stats import multinomial

    share = Ratio((0, 1), (1, 1))
    tables = [(wins, losses, n - wins - losses) for wins in range(n + 1) for losses in range(n + 1 - wins)]
    found = [difference_of(np.array([[ties, wins], [losses, 0]]), share) for wins, losses, ties in tables]
    low = np.array([one.difference.ci_low for one in found])
    high = np.array([one.difference.ci_high for one in found])
    significant = np.array([one.p is not None and one.p < 0.05 for one in found])
    assert (significant == ((low > 0) | (high < 0))).all()
    steps = round(1 / step)
    rows = []
    for wins, losses in ((won, lost) for won in range(steps + 1) for lost in range(steps + 1 - won)):
        chances = multinomial.pmf(tables, n, [wins / steps, losses / steps, 1 - (wins + losses) / steps])
        truth = 100 * (wins - losses) / steps
        holds = (low - 1e-9 <= truth) & (truth <= high + 1e-9)
        rows.append(Counted(float(chances[holds].sum()), float(chances[significant].sum()), truth))
    return rows


def single_means(n: int, runs: int, rng: np.random.Generator) -> list[float]:
    """Coverage of the interval of one run's mean of n scores, a number a model of `SCORES`."""
    found = []
    for chances in SCORES.values():
        truth = float(np.array(chances) @ np.arange(7))
        estimates = [mean_score(row) for row in rng.multinomial(n, chances, size=runs).tolist()]
        found.append(float(np.mean([one.ci_low <= truth <= one.ci_high for one in estimates])))
    return found


def line(metric: str, categories: int, n: int, found: Sequence[Counted]) -> dict[str, Any]:
    """What the table says of the scenarios of a metric, in percent; no type I error where every scenario differs."""
    covered = [100 * one.covered for one in found]
    nothing = [100 * one.significant for one in found if abs(one.truth) < 1e-9]
    return {
        "metric": metric,
        "categories": categories,
        "n": n,
        "scenarios": len(found),
        "mean": float(np.mean(covered)),
        "worst": min(covered),
        "type_1_mean": float(np.mean(nothing)) if nothing else None,
        "type_1_worst": max(nothing, default=None),
    }


def lines(runs: int, seed: int = 0) -> Iterator[dict[str, Any]]:
    """All lines of the table, in order."""
    rng = np.random.default_rng(seed)
    for categories, n in itertools.product((1, 12), SIZES):
        yield line("a share, counted", categories, n, counted_shares(n * categories))
    for metric, categories, n in itertools.product(("RA", "MR", "mean"), (1, 12), SIZES):
        found = [drawn(metric, joint, n, runs, rng) for _, _, joint in scenarios(metric, categories)]
        yield line(metric, categories, n, found)
    for n in (*SIZES, 60, 300):
        found = [Counted(covered, 0.0, 1.0) for covered in single_means(n, runs, rng)]
        yield line("mean of one run", 1, n, found)


def table_row(found: dict[str, Any]) -> str:
    """A line as Markdown."""
    cells = [found["metric"], str(found["categories"]), str(found["n"]), str(found["scenarios"])]
    cells += ["-" if found[name] is None else f"{found[name]:.1f}" for name in ("mean", "worst")]
    cells += ["-" if found[name] is None else f"{found[name]:.1f}" for name in ("type_1_mean", "type_1_worst")]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=2000, metavar="N", help="of each scenario (default: 2000)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there as well")
    args = parser.parse_args()
    print("| metric | categories | n in each | scenarios | coverage | worst | p < 0.05, no difference | worst |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    found = []
    for row in lines(args.runs):
        print(table_row(row), flush=True)
        found.append(row)
    print()
    print(json.dumps({"runs": args.runs, "numpy": np.__version__}))
    if args.json:
        write_json(args.json, {"runs": args.runs, "lines": found})


if __name__ == "__main__":
    sys.exit(main())
