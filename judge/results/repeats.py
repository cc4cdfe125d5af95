"""Questions that were asked several times: the mean over the repeats, and how far apart they are.

    OUT/mmjudge/MODEL/mmie/repeat-1/, repeat-2/, …    a results folder each, like any other
    OUT/mmjudge/MODEL/mmie/repeats.json               written last:

    {"benchmark": "mmie", "signature": "benchmark:mmie|…", "repeats": 3, "folders": ["repeat-1", "repeat-2", …],
     "metrics": {"score": {"mean": 63.6, "sd": 1.2, "ci_low": 51.2, "ci_high": 74.9, "values": [62.4, 63.6, 64.8]}, …},
     "categories": {"SA": {"score": {…}}, …},
     "stability": {"repeats": 3, "flip_rate": {…}, "agreement": {…}, "majority": {…}}}     (mmvu_tasks.stability)

`sd` is the standard deviation between repeats (n - 1 in the denominator): what sampling the answers again changes. The
interval says what other questions would change, and is the mean of the repeats' own: answers to one question vary
together, so many of them are no substitute for many questions. It is exact where all repeats agree, and cautious where
they do not, since the mean of several varies less than one.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.io import files
from judge.results.result import Result

FILE = "repeats.json"


def folder_of_repeat(number: int) -> str:
    """The name of the results folder of a repeat, counted from 1."""
    return f"repeat-{number}"


def summarise_repeats(results: Sequence[Result], stability: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The content of `repeats.json`. results: of every repeat, in order, two or more; stability: see
    `judge.core.benchmark.Benchmark.stability`."""
    first = results[0]
    return {
        "benchmark": first["benchmark"],
        "signature": first["signature"],
        "repeats": len(results),
        "folders": [folder_of_repeat(number) for number in range(1, len(results) + 1)],
        "metrics": _spread([result["metrics"] for result in results]),
        "categories": {
            name: _spread([result["categories"].get(name, {}) for result in results]) for name in first["categories"]
        },
        **({"stability": dict(stability)} if stability else {}),
    }


def write_repeats(folder: Path, summary: Mapping[str, Any]) -> Path:
    """Write `summarise_repeats` as `folder/repeats.json` and return its path. Raises UserError."""
    path = folder / FILE
    try:
        files.write_json(path, dict(summary))
    except OSError as error:
        raise files.cannot_write(path, error) from error
    return path


def repeats_table(summary: Mapping[str, Any], title: str, headline: Sequence[str]) -> str:
    """The metrics of `headline` for a terminal: mean, standard deviation between repeats, interval and every value."""
    lines = [f"{title}: every question asked {summary['repeats']} times", ""]
    lines.append(f"{'':<12}{'mean':>8}{'sd':>8}{'95% interval':>18}   values")
    for name in headline:
        row = summary["metrics"].get(name)
        if row is None or row["mean"] is None:
            lines.append(f"{name:<12}{'-':>8}")
            continue
        sd = "-" if row["sd"] is None else f"{row['sd']:.2f}"
        interval = f"[{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
        values = ", ".join("-" if value is None else f"{value:.2f}" for value in row["values"])
        lines.append(f"{name:<12}{row['mean']:>8.2f}{sd:>8}{interval:>18}   {values}")
    return "\n".join([*lines, *_stability(summary.get("stability", {}))])


def _stability(found: Mapping[str, Any]) -> list[str]:
    """Two lines on how alike the answers are, where somebody counted."""
    if not found or found["flip_rate"]["value"] is None:
        return []
    flips, alike, majority = found["flip_rate"], found["agreement"], found["majority"]["RA"]
    return [
        "",
        f"answers that change between repeats: {_said(flips)} of {flips['n']} questions; two answers agree: "
        f"{_said(alike)}",
        f"RA of the answer given most often: {_said(majority)} of {majority['n']} pairs",
    ]


def _said(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return "-"
    return f"{estimate['value']:.1f}% [{estimate['ci_low']:.1f}, {estimate['ci_high']:.1f}]"


def _spread(estimates: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Metric → its mean and spread; None where too few repeats have a value."""
    names = dict.fromkeys(name for of in estimates for name in of)
    return {name: _spread_of([of.get(name, {}) for of in estimates]) for name in names}


def _spread_of(estimates: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    values = [estimate.get("value") for estimate in estimates]
    there = [estimate for estimate in estimates if estimate.get("value") is not None]
    found = [value for value in values if value is not None]
    return {
        "mean": statistics.fmean(found) if found else None,
        "sd": statistics.stdev(found) if len(found) > 1 else None,
        "ci_low": statistics.fmean(estimate["ci_low"] for estimate in there) if there else None,
        "ci_high": statistics.fmean(estimate["ci_high"] for estimate in there) if there else None,
        "values": values,
    }
