"""How often do the intervals of `mmjudge agree` hold the true value? python benchmarks/agreement_coverage.py

Draws scores from 0 to 6 by a judge and by people from a population whose agreement is known, asks for intervals, and
counts. With `--simulations 600` a share of 0.95 comes out between 0.93 and 0.97, two times in three within 0.01.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from judge.validity.agreement import measure_agreement
from judge.validity.resampling import Resampling

NAMES = ("pearson", "spearman", "kappa_quadratic", "icc_a1", "bias", "mae", "mse", "cosine")
POPULATION = 200_000
MODELS = 4
Draw = Callable[[int], np.ndarray]
"""How many answers → scores [answers, 2] by judge and people."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=600)
    parser.add_argument("--resamples", type=int, default=1000)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{'answers':<34}" + "".join(f"{name:>17}" for name in NAMES))
    independent = _independent(rng)
    for n in (10, 20, 50, 100, 200):
        shares = coverage(independent, n, None, args.simulations, args.resamples)
        print(f"{n:<34}" + "".join(f"{shares[name]:>17.3f}" for name in NAMES), flush=True)
    clustered = _clustered(rng)
    questions = [str(number // MODELS) for number in range(200)]
    for label, clusters in (("200 to 50 questions", questions), ("the same, questions ignored", None)):
        shares = coverage(clustered, 200, clusters, args.simulations, args.resamples)
        print(f"{label:<34}" + "".join(f"{shares[name]:>17.3f}" for name in NAMES), flush=True)


def coverage(draw: Draw, n: int, clusters: list[str] | None, simulations: int, resamples: int) -> dict[str, float]:
    """Share of samples of n answers whose interval holds the population's value, by coefficient."""
    truth = measure_agreement(*draw(POPULATION).T, resampling=Resampling(0))
    held = dict.fromkeys(NAMES, 0)
    for seed in range(simulations):
        found = measure_agreement(*draw(n).T, clusters, Resampling(resamples, seed))
        for name in NAMES:
            low, value, high = found[name].ci_low, truth[name].value, found[name].ci_high
            held[name] += low is not None and high is not None and value is not None and low <= value <= high
    return {name: count / simulations for name, count in held.items()}


def _independent(rng: np.random.Generator) -> Draw:
    """Correlation near 0.5, a bias of -0.6."""
    return lambda n: rng.multivariate_normal([3.2, 3.8], [[2, 1], [1, 2]], n).round().clip(0, 6)


def _clustered(rng: np.random.Generator) -> Draw:
    """Four models a question; what judge and people make of the question itself is shared by all four."""

    def draw(n: int) -> np.ndarray:
        question = rng.multivariate_normal([0, 0], [[1, 0.1], [0.1, 1]], n // MODELS).repeat(MODELS, axis=0)
        answer = rng.multivariate_normal([3.2, 3.6], [[1, 0.5], [0.5, 1]], n)
        return (question + answer).round().clip(0, 6)

    return draw


if __name__ == "__main__":
    main()
