"""`results.json`: what a run found, written last, so that its presence means the run is complete.

    {"benchmark": "mmie", "signature": "benchmark:mmie|edition:…", "n": 12,
     "metrics": {"score": {"value": 63.6, "ci_low": 51.2, "ci_high": 74.9, "n": 11}, "mean": {…}},
     "categories": {"SA": {"score": {…}, "mean": {…}}, …}, "groups": {"field": {"Health": {…}}},
     "unscored": {"n": 1, "rate": 0.083, "reasons": {"truncated": 1}, "categories": {"PBL": {"n": 1, "rate": 0.25}}},
     "bounds": {"all": {"unscored_at_0": 58.3, "unscored_at_6": 66.7, …}, "SA": {…}, …},
     "dataset": {"repo": "MMIE/MMIE", "revision": "4f0c…", "edition": "v1"}, "notes": [], "versions": {…}}

The same verdicts give the same bytes: no time, path or duration is in it. What a benchmark adds of its own stands
beside these (`Summary.extra`): `bounds`, the scores with every unscored answer at 0 and at 6; `chance`, the values that
guessing gets; `no_option`, how many answers are wrong because they name no option.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import judge
from judge.core.benchmark import Benchmark, Dataset, Source
from judge.core.estimate import Estimate
from judge.core.signature import Signature
from judge.core.verdict import REASONS, Verdict
from judge.errors import UserError

FILE = "results.json"
WIDTH = 100
Result = dict[str, Any]


def build(
    benchmark: Benchmark,
    verdicts: Sequence[Verdict],
    dataset: Dataset | None,
    source: Source | None,
    signature: Signature,
    *,
    packages: Iterable[str] = (),
) -> Result:
    """The content of `results.json`.

    source: where the questions came from, None if nobody looked at them. packages: distributions whose versions are
    recorded beside numpy's.
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
        "dataset": {
            "repo": source.repo if source is not None else benchmark.repo,
            "revision": source.revision if source is not None else None,
            "edition": source.edition if source is not None else None,
        },
    }
    extra = {name: value for name, value in summary.extra.items() if name not in result}
    return {**result, **extra, "notes": notes, "versions": versions(packages)}


def _estimates(metrics: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.to_json() for name, estimate in metrics.items()}


def _unscored(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    n = sum(verdict.score is None for verdict in verdicts)
    return {"n": n, "rate": n / len(verdicts) if verdicts else None}


def _reasons(verdicts: Sequence[Verdict]) -> dict[str, int]:
    counts = Counter(verdict.unscored for verdict in verdicts)
    return {reason: counts[reason] for reason in REASONS if counts[reason]}


def versions(packages: Iterable[str] = ()) -> dict[str, str]:
    """Versions of this package, Python, numpy and those of `packages` that are installed; imports none of them."""
    found = {"mmjudge": judge.__version__, "python": platform.python_version()}
    for name in ("numpy", *packages):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def write(result: Result, folder: str | Path) -> Path:
    """Write `folder/results.json` as strict JSON, whole or not at all, and return its path."""
    path = Path(folder) / FILE
    unfinished = path.with_name(f".{FILE}.unfinished")
    with unfinished.open("w", encoding="utf-8", newline="\n") as file:
        json.dump(result, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    return path


def discard(folder: str | Path) -> None:
    """Remove an earlier `results.json`: the run that starts now is not complete."""
    (Path(folder) / FILE).unlink(missing_ok=True)


def read(folder: str | Path) -> Result:
    """The results in `folder` (or the file itself). Raises UserError where the run is unfinished or the file broken."""
    path = Path(folder) / FILE if Path(folder).is_dir() else Path(folder)
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            "no results here; the run has not ended", file=path, fix="give its `mmjudge score … --out` again"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read ({error})", file=path, fix="delete it and score again") from error
    missing = {"benchmark", "signature", "n", "metrics", "unscored"} - (
        result.keys() if isinstance(result, dict) else set()
    )
    if missing:
        raise UserError(f"is not a results file: {', '.join(sorted(missing))} missing", file=path)
    checked: Result = result
    return checked


def table(result: Result, title: str, headline: Sequence[str]) -> str:
    """The results for a terminal, at most 100 columns: every number with n, interval, unscored rate and signature.

    headline: metrics to show, in order; the first two also by category.
    """
    edition = result["dataset"]["edition"]
    unscored = result["unscored"]
    named = f"{title}, edition {edition}" if edition else title
    lines = [f"{named}: {result['n']} answers, {_percent(unscored['rate'])} unscored"]
    chance = result.get("chance", {})
    lines += ["", f"{'':<20}{_HEAD}{'unscored':>11}{'chance' if chance else '':>9}".rstrip()]
    for name in headline:
        if name in result["metrics"]:
            beside = f"{chance[name]:>9.2f}" if name in chance else ""
            lines.append(f"{name:<20}{_cells(result['metrics'][name])}{_percent(unscored['rate']):>11}{beside}")
    first = [name for name in headline if any(name in metrics for metrics in result["categories"].values())][:2]
    if first:
        lines += [
            "",
            f"{'category':<20}" + "".join(_HEAD.replace("value", f"{name:>5}") for name in first) + f"{'unscored':>11}",
        ]
        for category, metrics in result["categories"].items():
            cells = "".join(_cells(metrics[name]) if name in metrics else " " * len(_HEAD) for name in first)
            lines.append(f"{category[:19]:<20}{cells}{_percent(unscored['categories'][category]['rate']):>11}")
    lines.append("")
    lines += [f"unscored: {count} {reason} ({REASONS[reason]})" for reason, count in unscored["reasons"].items()]
    bounds = result.get("bounds", {}).get("all", {})
    ends = [(key.rpartition("_")[2], value) for key, value in bounds.items() if key.startswith("unscored_at_")]
    if unscored["n"] and ends:
        (lowest, low), (highest, high) = ends
        lines.append(f"{headline[0]} if every unscored answer got {lowest}: {low:.2f}, if it got {highest}: {high:.2f}")
    if "no_option" in result:
        unread = result["no_option"]
        lines.append(f"counted wrong because no option was named: {unread['n']} ({_percent(unread['rate'])})")
    for note in result["notes"]:
        lines += textwrap.wrap(f"note: {note}", WIDTH, subsequent_indent="      ")
    return "\n".join([*lines, *_signature(result["signature"])])


_HEAD = f"{'value':>8}{'95% interval':>18}{'n':>7}"


def _cells(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return f"{'-':>8}{'-':>18}{estimate['n']:>7}"
    interval = f"[{estimate['ci_low']:.2f}, {estimate['ci_high']:.2f}]"
    return f"{estimate['value']:>8.2f}{interval:>18}{estimate['n']:>7}"


def _percent(rate: float | None) -> str:
    return "-" if rate is None else f"{100 * rate:.1f}%"


def _signature(signature: str) -> list[str]:
    """The signature, broken after `|` only, so that its parts can still be read."""
    lines = [""]
    for part in f"signature: {signature}".replace("|", "|\n").split("\n"):
        if lines[-1] and len(lines[-1]) + len(part) > WIDTH:
            lines.append("           ")
        lines[-1] += part
    return lines
