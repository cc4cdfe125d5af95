"""The metrics of MMIE: one mean of points, as `mean` from 0 to 6 and as `score` = mean / 6 × 100.

Every question weighs the same, in the categories and over all of them; the published table does so too (each average
there is that of its row, weighted with 5,005 / 11,482 / 3,616). Like the official mean, these are over what was
scored; `bounds` says where they would lie had every unscored item been given 0, or 6.

    summarise([Verdict("SA-1", "judge", 4, category="SA"), …]).metrics["score"]  ->  Estimate(value=66.7, …)
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence

from judge.core.benchmark import Dataset, Summary
from judge.core.estimate import Estimate
from judge.core.metric import Metric, Ratio, scores
from judge.core.scale import JUDGE_SCALE
from judge.core.subset import Subset
from judge.core.verdict import Verdict
from judge.results.estimates import estimates
from judge.results.subset_estimate import estimate_whole
from mmie_tasks.by_rule import exact_units, report_rule
from mmie_tasks.records import CATEGORIES, PUBLISHED_COUNTS, PUBLISHED_TOTAL, Record, category_of_id
from mmie_tasks.subset import stratum_of

SCALE = JUDGE_SCALE
_POINTS = Ratio(tuple(SCALE), (1,) * len(SCALE), scale=1)
METRICS = (
    Metric(
        "score", "score", "answers", f"mean of the judge's points, as a share of the {SCALE.highest} that can be had",
        scores, dataclasses.replace(_POINTS, scale=SCALE.percent), by_category=True,
    ),
    Metric("mean", "mean points", "answers", f"mean of the judge's points, {SCALE}", scores, _POINTS),
    Metric(
        "exact", "right by rule", "answers", "answers to reasoning questions that a rule finds right, of those it can "
        "tell; never part of the score", exact_units, Ratio((0, 1), (1, 1)), headline=False, beside=True,
        concerns=lambda record: record.category == "MSR",
    ),
)  # fmt: skip


def published_average(scores: Mapping[str, float]) -> float:
    """The average of the published table from its three columns (category → score)."""
    return math.fsum(scores[name] * count for name, count in PUBLISHED_COUNTS.items()) / PUBLISHED_TOTAL


def summarise(verdicts: Sequence[Verdict], dataset: Dataset | None) -> Summary:
    """Headline, per category, per field and per form of question. dataset None: fields come from the verdicts alone."""
    known: dict[str, Record] = {record.id: record for record in dataset.records} if dataset is not None else {}
    by_category: dict[str, list[Verdict]] = {category: [] for category in CATEGORIES}
    by_field: dict[str, list[Verdict]] = {}
    by_form: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        record = known.get(verdict.id)
        category = verdict.category or (record.category if record else category_of_id(verdict.id))
        if category is not None:
            by_category[category].append(verdict)
        field = verdict.details.get("field") or (record.field if record else None)
        if field is not None:
            by_field.setdefault(str(field), []).append(verdict)
        choice = verdict.details.get("form") or (record is not None and record.multiple_choice)
        by_form.setdefault("multiple choice" if choice else "open", []).append(verdict)

    groups = {"field": {name: estimates(METRICS, of) for name, of in sorted(by_field.items())}}
    if len(by_form) > 1:
        groups["form"] = {name: estimates(METRICS, of) for name, of in sorted(by_form.items())}
    categories = {name: estimates(METRICS, of) for name, of in by_category.items()}
    extra: dict[str, object] = {
        "bounds": {"all": bounds(verdicts), **{name: bounds(of) for name, of in by_category.items()}}
    }
    present = {name: found["score"].value for name, found in categories.items() if found["score"].value is not None}
    if len(verdicts) != PUBLISHED_TOTAL and len(present) == len(CATEGORIES):
        extra["score_published_weights"] = published_average(present)
    if rule := report_rule(by_category["MSR"]):
        extra["by_rule"] = rule
    if dataset is not None and dataset.source.subset is not None:
        extra["subset"] = whole_benchmark(verdicts, known, dataset.source.subset)
    notes = []
    if dataset is not None and len(verdicts) < len(dataset.records):
        notes.append(f"{len(verdicts)} of {len(dataset.records)} questions were answered; the others are left out")
    if unreadable := sum("unreadable" in verdict.details for verdict in verdicts):
        notes.append(
            f"{unreadable} of {len(verdicts)} answers look like lists of parts, could not be read as such and"
            " were judged as text"
        )
    if dataset is not None and dataset.source.note:
        notes.append(dataset.source.note)
    overall = estimates(METRICS, [verdict for of in by_category.values() for verdict in of])
    return Summary(overall, categories, {k: v for k, v in groups.items() if v}, extra, notes)


def whole_benchmark(verdicts: Sequence[Verdict], known: Mapping[str, Record], subset: Subset) -> dict[str, object]:
    """What a run of a subset says of all questions: the part "subset" of `results.json`.

    {"name": "1k@5f0c9a1e", "n": 996, "of": 20103, "estimates": {"score": {…}, "mean": {…}}, "categories": {"SA": {…}},
    "weights": [{"category": "PBL", "field": "Art", "n": 65, "of": 1304, "weight": 0.0649}, …]}
    """
    rows = [(stratum_of(known[verdict.id]), verdict.score) for verdict in verdicts if verdict.id in known]
    whole = estimate_whole(rows, subset.of)
    categories = {
        name: estimate_whole(rows, {stratum: n for stratum, n in subset.of.items() if stratum[0] == name}).mean
        for name in CATEGORIES
    }
    return {
        "name": str(subset),
        "n": whole.mean.n,
        "of": subset.total,
        "estimates": _on_both_scales(whole.mean),
        "categories": {name: _on_both_scales(mean) for name, mean in categories.items()},
        "weights": [
            {"category": category, "field": field or None, **dataclasses.asdict(weight)}
            for (category, field), weight in whole.weights.items()
        ],
    }


def _on_both_scales(mean: Estimate) -> dict[str, object]:
    """{"score", "mean"} of a mean in points."""
    found: dict[str, object] = {}
    for metric in METRICS[:2]:
        value, low, high = (
            None if part is None else metric.ratio.scale * part for part in (mean.value, mean.ci_low, mean.ci_high)
        )
        found[metric.name] = Estimate(value, low, high, mean.n).to_json()
    return found


def bounds(verdicts: Sequence[Verdict]) -> dict[str, float | int | None]:
    """Percent scores with every unscored verdict put at either end of the scale, and how many there are.

    {"n": 6, "unscored": 1, "unscored_at_0": 41.7, "unscored_at_6": 58.3}; None where there is no verdict.
    """
    n, scored = len(verdicts), [verdict.score for verdict in verdicts if verdict.score is not None]
    missing, total = n - len(scored), sum(scored)
    return {
        "n": n,
        "unscored": missing,
        **{
            f"unscored_at_{end}": SCALE.percent * (total + end * missing) / n if n else None
            for end in (SCALE.lowest, SCALE.highest)
        },
    }
