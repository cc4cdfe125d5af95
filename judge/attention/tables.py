"""Plain against leading questions: what the model would answer and what it attends to, with intervals.

    summary = summarise_questions(measured)
    summary.kinds["POS"]["p_right"]       Estimate(71.3, 69.0, 73.5, n=893)
    summary.drops["p_right"]              Drop(Estimate(22.1, 19.8, 24.4, n=893), p=0.0001, adjusted=0.0006)
    summary.predictions["picture_last"]   Prediction(misled=Estimate(-0.12, -0.2, -0.04, n=640), …)

A drop is plain minus leading, over pairs. Intervals are percentile bootstraps of whole pairs; p is that of the
permutation test in which the two questions of each pair may be swapped (Efron and Tibshirani 1993, ch. 15), adjusted
over all measures by Holm. Whether attention foretells being misled: Spearman's correlation, over the pairs whose plain
question is right, of the leading question's attention with whether it is answered wrong (1) or not (0); p is that of
the permutation test in which any outcome may belong to any pair (same source), adjusted over all measures of attention.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from judge.attention.choices import LEADING, PLAIN
from judge.attention.measure import Measured
from judge.core.estimate import Estimate
from judge.results.multiple import holm
from judge.validity.coefficients import paired_coefficients
from judge.validity.resampling import DEFAULT, Resampling, estimate_coefficients

PERMUTATIONS = 10_000
BLOCK = 1000
LEVEL = 0.05
"""An adjusted p-value below this is significant."""


@dataclasses.dataclass(frozen=True)
class Measure:
    """A number of one question, in percent. attention: whether it is one of attention to the picture."""

    title: str
    of: Callable[[Measured], float | None]
    attention: bool = False

    @property
    def full_title(self) -> str:
        """The title outside a table."""
        return f"attention from {self.title} layer" if self.attention else self.title


def _attention(layer: str, rows: str, measure: str, found: Measured) -> float | None:
    part = found.attention[layer][rows]["picture"]
    if part is None:
        return None
    return 100 * float(part["share"] if measure == "share" else part["peak"]["mean"])


def _of_before(layer: str, found: Measured) -> float | None:
    share = found.attention[layer]["question"]["of_before"]
    return None if share is None else 100 * float(share)


def _to_picture(title: str, layer: str, rows: str, measure: str) -> Measure:
    return Measure(title, functools.partial(_attention, layer, rows, measure), attention=True)


MEASURES: Mapping[str, Measure] = {
    "p_right": Measure("right letter's probability", lambda found: 100 * found.p_right),
    "margin": Measure("margin to best wrong letter", lambda found: 100 * found.margin),
    "right": Measure("right letter most probable", lambda found: 100.0 * found.is_right),
    "mass": Measure("probability of any letter", lambda found: 100 * found.mass),
    "picture_first": _to_picture("question to picture, first", "first", "question", "share"),
    "picture_first_peak": _to_picture("question's peaks, first", "first", "question", "peak"),
    "picture_last": _to_picture("question to picture, last", "last", "question", "share"),
    "before_last": Measure("question, of before, last", functools.partial(_of_before, "last"), attention=True),
    "answer_last": _to_picture("answer to picture, last", "last", "answer", "share"),
}
"""By the name they have in `analysis.json`. Peaks: the mean over the picture's tokens of the most that any token of the
question attends to each; of before: the picture's share of picture and system (`judge.attention.measure`)."""


@dataclasses.dataclass(frozen=True)
class Drop:
    """Plain minus leading over pairs. p: two-sided; adjusted: after Holm's correction for all measures."""

    difference: Estimate
    p: float | None
    adjusted: float | None


@dataclasses.dataclass(frozen=True)
class Prediction:
    """Spearman's correlations of a measure of attention. misled: of the leading question's with whether it is answered
    wrong, over pairs whose plain question is right, with p two-sided and after Holm's correction, None with the value;
    drops: of its drop with that of the right letter's probability."""

    misled: Estimate
    p: float | None
    adjusted: float | None
    drops: Estimate


@dataclasses.dataclass(frozen=True)
class Summary:
    """questions, pairs: how many; misled: pairs lost to the leading question, of those whose plain one is right."""

    questions: int
    pairs: int
    misled: tuple[int, int]
    kinds: Mapping[str, Mapping[str, Estimate]]
    drops: Mapping[str, Drop]
    predictions: Mapping[str, Prediction]

    def to_json(self) -> dict[str, Any]:
        """The fields by name; estimates as {"value", "ci_low", "ci_high", "n"}."""
        return dataclasses.asdict(self)

    def sentence(self) -> str:
        """What follows, in words: does attention to the picture foretell being misled?"""
        shown = [
            name for name, found in self.predictions.items() if found.adjusted is not None and found.adjusted < LEVEL
        ]
        lost, of = self.misled
        said = f"{lost} of {of} pairs whose plain question is right are lost to the leading one."
        if not shown:
            return f"{said} No measure of attention to the picture is shown to foretell which."
        named = " and ".join(
            f"{'less' if (self.predictions[name].misled.value or 0) < 0 else 'more'} {MEASURES[name].full_title}"
            for name in shown
        )
        return f"{said} They go with {named}."


def summarise_questions(measured: Sequence[Measured], resampling: Resampling = DEFAULT) -> Summary:
    """All measures by kind, their drops, and the correlations. Pairs are two questions of one id and both kinds."""
    by_kind = {kind: [found for found in measured if found.kind == kind] for kind in (PLAIN, LEADING)}
    pairs = _pairs(measured)
    held = [pair for pair in pairs if pair[0].is_right]
    values = {name: [_both(measure, pair) for pair in pairs] for name, measure in MEASURES.items()}
    drops = {name: [plain - leading for plain, leading in filter(None, of)] for name, of in values.items()}
    p_values = {name: sign_flip(np.array(of), seed=resampling.seed) for name, of in drops.items()}
    adjusted = dict(zip(p_values, holm(list(p_values.values())), strict=True))
    return Summary(
        len(measured),
        len(pairs),
        (sum(not leading.is_right for _, leading in held), len(held)),
        {
            kind: {name: _mean(measure, of, resampling) for name, measure in MEASURES.items()}
            for kind, of in by_kind.items()
        },
        {name: Drop(_mean_of(of, None, resampling), p_values[name], adjusted[name]) for name, of in drops.items()},
        _predictions(values, held, resampling),
    )


def _predictions(
    values: Mapping[str, Sequence[tuple[float, float] | None]],
    held: Sequence[tuple[Measured, Measured]],
    resampling: Resampling,
) -> dict[str, Prediction]:
    """Of every measure of attention. values: by measure, of every pair; held: pairs whose plain question is right."""
    names = [name for name, measure in MEASURES.items() if measure.attention]
    points = {
        name: [
            (value, not leading.is_right) for _, leading in held if (value := MEASURES[name].of(leading)) is not None
        ]
        for name in names
    }
    p_values = [shuffled(np.array(points[name], dtype=float), seed=resampling.seed) for name in names]
    return {
        name: Prediction(
            _correlation(points[name], resampling), p, adjusted,
            _correlation(_gaps(values[name], values["p_right"]), resampling),
        )
        for name, p, adjusted in zip(names, p_values, holm(p_values), strict=True)
    }  # fmt: skip


def shuffled(points: np.ndarray, *, seed: int = 0) -> float | None:
    """Two-sided p of Spearman's correlation of points [pairs, 2] under the permutation test; None where it has none.

    (permutations at least as extreme + 1) / (permutations + 1), as in `sign_flip`.
    """
    one, other = (_centred_ranks(column) for column in points.reshape(-1, 2).T)
    if not one.any() or not other.any():
        return None
    rng = np.random.default_rng(seed)
    observed, extreme = abs(one @ other), 0
    for start in range(0, PERMUTATIONS, BLOCK):
        drawn = rng.permuted(np.tile(other, (min(BLOCK, PERMUTATIONS - start), 1)), axis=1)
        extreme += int(np.count_nonzero(np.abs(drawn @ one) >= observed - 1e-9))
    return (extreme + 1) / (PERMUTATIONS + 1)


def _centred_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of values [n], equal ones with the mean of theirs, from which the mean rank is taken away."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks: np.ndarray = (np.cumsum(counts) - (counts - 1) / 2)[which] - (len(values) + 1) / 2
    return ranks


def sign_flip(differences: np.ndarray, *, seed: int = 0) -> float | None:
    """Two-sided p of differences [pairs] under the permutation test; None without a pair.

    (permutations at least as extreme + 1) / (permutations + 1): the observed arrangement is one of them.
    """
    if not len(differences):
        return None
    rng = np.random.default_rng(seed)
    observed, extreme = abs(differences.sum()), 0
    for start in range(0, PERMUTATIONS, BLOCK):
        signs = rng.integers(0, 2, (min(BLOCK, PERMUTATIONS - start), len(differences))) * 2 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ differences) >= observed - 1e-9))
    return (extreme + 1) / (PERMUTATIONS + 1)


def _pairs(measured: Sequence[Measured]) -> list[tuple[Measured, Measured]]:
    by_id: dict[str, dict[str, Measured]] = {}
    for found in measured:
        by_id.setdefault(found.id, {})[found.kind] = found
    return [(kinds[PLAIN], kinds[LEADING]) for kinds in by_id.values() if kinds.keys() == {PLAIN, LEADING}]


def _both(measure: Measure, pair: tuple[Measured, Measured]) -> tuple[float, float] | None:
    plain, leading = (measure.of(found) for found in pair)
    return None if plain is None or leading is None else (plain, leading)


def _gaps(
    of: Sequence[tuple[float, float] | None], other: Sequence[tuple[float, float] | None]
) -> list[tuple[float, float]]:
    both = [(a, b) for a, b in zip(of, other, strict=True) if a is not None and b is not None]
    return [(a[0] - a[1], b[0] - b[1]) for a, b in both]


def _mean(measure: Measure, of: Sequence[Measured], resampling: Resampling) -> Estimate:
    known = [(value, found.id) for found in of if (value := measure.of(found)) is not None]
    return _mean_of([value for value, _ in known], [id_ for _, id_ in known], resampling)


def _mean_of(values: Sequence[float], clusters: Sequence[str] | None, resampling: Resampling) -> Estimate:
    points = np.array(values, dtype=float).reshape(-1, 1)
    return estimate_coefficients(points, clusters, _weighted_mean, ["mean"], resampling)["mean"]


def _weighted_mean(weights: np.ndarray, points: np.ndarray) -> dict[str, np.ndarray]:
    return {"mean": weights @ points[:, 0] / weights.sum(axis=1)}


def _correlation(points: Sequence[tuple[float, float]], resampling: Resampling) -> Estimate:
    known = np.array(points, dtype=float).reshape(-1, 2)
    return estimate_coefficients(known, None, _paired, ["spearman"], resampling)["spearman"]


def _paired(weights: np.ndarray, points: np.ndarray) -> Mapping[str, np.ndarray]:
    return paired_coefficients(weights, points[:, 0], points[:, 1])
