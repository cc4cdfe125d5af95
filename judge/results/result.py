"""What a run found: the content of `results.json`.

    {"benchmark": "mmie", "signature": "benchmark:mmie|edition:…", "n": 12,
     "metrics": {"score": {"value": 63.6, "ci_low": 51.2, "ci_high": 74.9, "n": 11}, "mean": {…}},
     "categories": {"SA": {"score": {…}, "mean": {…}}, …}, "groups": {"field": {"Health": {…}}},
     "unscored": {"n": 1, "rate": 0.083, "reasons": {"truncated": 1}, "categories": {"PBL": {"n": 1, "rate": 0.25}}},
     "failures": {"model": {"n": 2, "rate": 0.167, "reasons": {"empty_answer": 2}}, "call": {…}, "judge": {…}},
     "bounds": {"all": {"unscored_at_0": 58.3, "unscored_at_6": 66.7, …}, "SA": {…}, …},
     "dataset": {"repo": "MMIE/MMIE", "revision": "4f0c…", "edition": "v1"}, "notes": [],
     "run": {"model": "anole-7b", "answers": {…}, "date": …}}

A judge that gives points for single criteria adds their means (`judge.results.criteria`), over all and by category:

    "criteria": {"all": {"Text quality": {"value": 0.83, "ci_low": 0.66, "ci_high": 0.93, "n": 30}, …}, "SA": {…}, …}

The same verdicts give the same values: what differs between two runs of the same stands in `run` alone. A run of a
subset has `dataset.subset`, and what it says of all questions in `subset` (`judge.results.subset_estimate`). What a
benchmark adds of its own stands beside these (`Summary.extra`): `bounds`, the scores with every unscored answer at 0
and at 6; `chance`, the values that guessing gets; `no_option`, how many answers are wrong because they name no option.
`condition` is there where the questions were asked under one (`judge.core.condition.Condition.to_json`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core import failure
from judge.core.benchmark import Benchmark, Dataset, Source
from judge.core.condition import Condition
from judge.core.estimate import Estimate
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.results.criteria import summarise_criteria

Result = dict[str, Any]


def build_result(
    benchmark: Benchmark,
    verdicts: Sequence[Verdict],
    dataset: Dataset | None,
    source: Source | None,
    signature: Signature,
    *,
    run: Mapping[str, Any] | None = None,
) -> Result:
    """The content of `results.json`.

    source: where the questions came from, None if nobody looked at them. run: where the answers came from
    (`judge.results.run_info`).
    """
    summary = benchmark.summarise(verdicts, dataset)
    notes = list(summary.notes)
    if source is not None and source.note and source.note not in notes:
        notes.append(source.note)
    by_category: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        if verdict.category is not None:
            by_category.setdefault(verdict.category, []).append(verdict)
    result: Result = {
        "benchmark": benchmark.name,
        "signature": str(signature),
        "n": len(verdicts),
        "metrics": _estimates(summary.metrics),
        "categories": {name: _estimates(metrics) for name, metrics in summary.categories.items()},
        "groups": {
            group: {name: _estimates(metrics) for name, metrics in members.items()}
            for group, members in summary.groups.items()
        },
        "unscored": {
            **_unscored(verdicts),
            "reasons": _reasons(verdicts),
            "categories": {name: _unscored(by_category.get(name, [])) for name in summary.categories},
        },
        "failures": _failures(verdicts),
        "dataset": {
            "repo": source.repo if source is not None else benchmark.repo,
            "revision": source.revision if source is not None else None,
            "edition": source.edition if source is not None else None,
            **({"subset": str(source.subset)} if source is not None and source.subset is not None else {}),
        },
    }
    if criteria := summarise_criteria(verdicts, list(summary.categories)):
        result["criteria"] = {name: _estimates(found) for name, found in criteria.items()}
    extra = {name: value for name, value in summary.extra.items() if name not in result}
    return {**result, **extra, "notes": notes, "run": dict(run) if run is not None else None}


def note_condition(result: Result, condition: Condition) -> Result:
    """`result` with the condition that its questions were asked under; as it is where there is none."""
    return result if condition.plain else {**result, "condition": condition.to_json()}


def _estimates(metrics: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.to_json() for name, estimate in metrics.items()}


def _unscored(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    n = sum(verdict.score is None for verdict in verdicts)
    return {"n": n, "rate": n / len(verdicts) if verdicts else None}


def _reasons(verdicts: Sequence[Verdict]) -> dict[str, int]:
    counts = Counter(verdict.unscored for verdict in verdicts)
    return {reason: counts[reason] for reason in failure.UNSCORED if counts[reason]}


def _failures(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Who failed, and how often: {"model": {"n": 2, "rate": 0.01, "reasons": {…}}, "call": {…}, "judge": {…}}."""
    counts = Counter(verdict.reason for verdict in verdicts)
    failures = {}
    for side, known in (("model", failure.MODEL), ("call", failure.CALL), ("judge", failure.JUDGE)):
        reasons = {reason: counts[reason] for reason in known if counts[reason]}
        n = sum(reasons.values())
        failures[side] = {"n": n, "rate": n / len(verdicts) if verdicts else None, "reasons": reasons}
    return failures
