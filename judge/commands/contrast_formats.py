"""A contrast as text, Markdown, CSV and JSON.

    FORMATS["text"](Shown(found, published), None)         what it means, then a table a kind of number
    FORMATS["text"](Shown(found, published), "category")   the differences by category instead

Text and Markdown have the same cells; CSV has a line a number, JSON an object a condition, both with all digits.
"""

from __future__ import annotations

import dataclasses
import json
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from judge.core.foreign_text import on_one_line
from judge.results.cells import MARKDOWN, WIDTH, Rows, aligned, cell, comma_separated, escaped, p_value, piped, titled
from judge.results.contrast import Against, Asked, Contrast, Line
from judge.results.contrast_tables import baseline_rows, component_rows, shift_rows
from judge.results.contrast_words import other_wordings, sentences
from judge.results.published import Table
from judge.results.remarks import remarks

FOLLOWS = (
    "same answer: of all questions that both have scored{what}. Which answer would be right for a picture that was "
    "swapped in is not known; an answer follows it where it is another one than with the question's own picture{alone}."
)
HOLM = "p (Holm): two-sided, paired by {units}, adjusted for {many}, each metric on its own."


@dataclasses.dataclass(frozen=True)
class Shown:
    """A contrast, and by name of a condition the published systems that were asked under it."""

    found: Contrast
    published: Mapping[str, Table]


def as_text(shown: Shown, by: str | None) -> str:
    """For a terminal; wide where there are many metrics."""
    parts = [_title(shown.found)]
    parts += ["\n".join(textwrap.wrap(said, WIDTH, subsequent_indent="  ")) for said in sentences(shown.found)]
    parts += ["\n".join(aligned(rows)) for rows in _tables(shown, by)]
    notes = [f"- {note}" for note in _notes(shown, by)]
    parts.append("\n".join(line for note in notes for line in textwrap.wrap(note, WIDTH, subsequent_indent="  ")))
    parts.append(f"signature: {shown.found.first.run.results['signature']}")
    return "\n\n".join(parts)


def as_markdown(shown: Shown, by: str | None) -> str:
    """What it means, a table a kind of number, notes."""
    parts = [f"### {escaped(_title(shown.found), MARKDOWN)}"]
    parts += [escaped(said, MARKDOWN) for said in sentences(shown.found)]
    parts += ["\n".join(piped(rows)) for rows in _tables(shown, by)]
    notes = [f"- {escaped(note, MARKDOWN)}" for note in _notes(shown, by)]
    parts.append("\n".join([*notes, f"- signature: `{shown.found.first.run.results['signature']}`"]))
    return "\n\n".join(parts)


def as_csv(shown: Shown, by: str | None) -> str:
    """A line a number: what it is, of which condition, metric and category."""
    names = ("kind", "condition", "metric", "category", "value", "ci_low", "ci_high", "n", "p", "p_holm", "source")
    return comma_separated(names, _records(shown))


def as_json(shown: Shown, by: str | None) -> str:
    """{"benchmark", "model", "signature", "first", "conditions", "baselines", "published", "notes"}."""
    found = shown.found
    words = [None, *sentences(found)]
    against = [None, *found.against]
    content = {
        "benchmark": found.benchmark.name,
        "model": found.model,
        "signature": found.first.run.results["signature"],
        "first": found.first.name,
        "conditions": [
            _condition(found, asked, other, said) for asked, other, said in zip(found.all, against, words, strict=True)
        ],
        "baselines": {
            name: {metric: one.to_json() for metric, one in of.items()} for name, of in found.baselines.items()
        },
        "published": {
            name: {"title": table.title, "source": table.source, "systems": _systems(table)}
            for name, table in shown.published.items()
        },
        "notes": list(_notes(shown, by)),
    }
    return json.dumps(content, indent=1, allow_nan=False)


def _title(found: Contrast) -> str:
    edition = found.first.run.results.get("dataset", {}).get("edition")
    title = f"{found.benchmark.title}, edition {edition}" if edition else found.benchmark.title
    model = f" · {on_one_line(found.model)}" if found.model else ""
    return f"{title}{model}: {found.first.run.results['n']} questions, {len(found.all)} conditions"


def _tables(shown: Shown, by: str | None) -> Iterator[Rows]:
    found = shown.found
    if by is not None:
        yield _by_category(found)
        return
    yield _values(shown)
    yield _differences(found)
    yield from filter(None, (shift_rows(found), component_rows(found)))


def _values(shown: Shown) -> Rows:
    """What every condition got, and beside it what needs no picture: baselines, guessing, published text-only rows."""
    found = shown.found
    names = [metric.name for metric in found.metrics]
    rows = [["condition", "n", "unscored", *map(titled, found.metrics)]]
    for asked in found.all:
        results = asked.run.results
        rows.append(
            [
                asked.name, str(results["n"]), str(results["unscored"]["n"]),
                *(cell(asked.run.estimate(name)) for name in names),
            ]
        )  # fmt: skip
    rows += [[name, n, "-", *cells] for name, n, *cells in baseline_rows(found)[1:]]
    for condition, table in shown.published.items():
        for name, values in _systems(table).items():
            cells = [f"{values[metric]:.2f}" if metric in values else "-" for metric in names]
            rows.append([f"{name}, {condition}", str(table.answers), "-", *cells])
    return rows


def _systems(table: Table) -> dict[str, dict[str, float]]:
    """System → published value by published metric."""
    return {system.name: dict(system.metrics) for system in table.systems}


def _differences(found: Contrast) -> Rows:
    head = [f"difference from {found.first.name}", "", "95% interval", "n", "p", "p (Holm)", "won", "lost", "tied"]
    rows = [head]
    for other in found.against:
        rows += [
            [f"{other.asked.name} · {line.metric}", *_difference(line), *_wins(line)]
            for line in other.lines
            if line.category is None
        ]
    return rows


def _by_category(found: Contrast) -> Rows:
    rows = [[f"difference from {found.first.name}", "", "95% interval", "n", "p", "p (Holm)"]]
    for other in found.against:
        rows += [
            [f"{other.asked.name} · {line.metric} · {line.category}", *_difference(line)]
            for line in sorted(other.lines, key=lambda line: [m.name for m in found.metrics].index(line.metric))
            if line.category is not None
        ]
    return rows


def _difference(line: Line) -> list[str]:
    difference = line.row.paired.difference
    value = "-" if difference.value is None else f"{difference.value:+.2f}"
    low, high = difference.ci_low, difference.ci_high
    interval = "-" if low is None or high is None else f"[{low:+.2f}, {high:+.2f}]"
    return [value, interval, str(difference.n), p_value(line.row.paired.p), p_value(line.adjusted)]


def _wins(line: Line) -> list[str]:
    return [str(count) for count in (line.row.paired.wins, line.row.paired.losses, line.row.paired.ties)]


def _notes(shown: Shown, by: str | None) -> Iterator[str]:
    """What a reader must know of the numbers, a sentence or two each."""
    found = shown.found
    units = " and ".join(dict.fromkeys(metric.unit for metric in found.metrics))
    conditions = f"{len(found.against)} condition{'s' if len(found.against) > 1 else ''}"
    yield HOLM.format(units=units, many=conditions if by is None else f"{conditions} and all categories")
    if by is None and any(other.shift is not None for other in found.against):
        what = ", which letter it is" if not found.benchmark.judged else ", letter by letter"
        alone = any(other.shift is not None and other.shift.alone is not None for other in found.against)
        yield FOLLOWS.format(
            what=what, alone=", and that picture alone where it is also another one than without any" if alone else ""
        )
    if by is None and not found.baselines and not found.benchmark.judged:
        yield "No baselines: not all questions are in the folders' samples.jsonl; score again with this version."
    yield from other_wordings(found)
    for name, table in shown.published.items() if by is None else ():
        yield f"Published, {name}: {table.title} ({table.source}). {table.protocol} {' '.join(table.remarks)}".strip()
    for asked in found.all:
        if asked.repeats:
            yield f"{asked.name} was asked {len(asked.repeats)} times; the first is compared."
    yield from remarks([(asked.name, asked.run) for asked in found.all], wordings=False)


def _records(shown: Shown) -> Iterator[dict[str, Any]]:
    found = shown.found
    for asked in found.all:
        of = {"condition": asked.name, "source": str(asked.folder)}
        for metric in found.metrics:
            yield {"kind": "value", **of, "metric": metric.name, **asked.run.estimate(metric.name)}
    for other in found.against:
        of = {"condition": other.asked.name, "source": str(other.asked.folder)}
        for line in other.lines:
            paired = line.row.paired
            yield {
                "kind": "difference", **of, "metric": line.metric, "category": line.category,
                **paired.difference.to_json(), "p": paired.p, "p_holm": line.adjusted,
            }  # fmt: skip
        for name, one in _shift(other).items():
            yield {"kind": "answers", **of, "metric": name, **one}
    for condition, component in found.components.items():
        for name, estimate in component.values.items():
            yield {"kind": "component", "condition": condition, "metric": name, **estimate.to_json()}
    for baseline, metrics in found.baselines.items():
        for name, estimate in metrics.items():
            yield {"kind": "baseline", "condition": baseline, "metric": name, **estimate.to_json()}
    for condition, table in shown.published.items():
        for system, values in _systems(table).items():
            for name, value in values.items():
                yield {
                    "kind": "published", "condition": condition, "metric": name, "value": value,
                    "source": f"{system}, {table.source}",
                }  # fmt: skip


def _shift(other: Against) -> dict[str, dict[str, Any]]:
    if other.shift is None:
        return {}
    of = dataclasses.fields(other.shift)
    found = {field.name: getattr(other.shift, field.name) for field in of}
    return {name: one.to_json() for name, one in found.items() if one is not None}


def _condition(found: Contrast, asked: Asked, other: Against | None, said: str | None) -> dict[str, Any]:
    component = found.components.get(asked.name)
    lines = [] if other is None else other.lines
    categories: dict[str, dict[str, Any]] = {}
    for line in lines:
        if line.category is not None:
            categories.setdefault(line.category, {})[line.metric] = _line(line)
    return {
        "name": asked.name,
        "folder": str(asked.folder),
        "condition": dict(asked.said) or None,
        "signature": asked.run.results["signature"],
        "n": asked.run.results["n"],
        "unscored": asked.run.results["unscored"]["n"],
        "metrics": {metric.name: asked.run.estimate(metric.name) for metric in found.metrics},
        "differences": {line.metric: _line(line) for line in lines if line.category is None},
        "categories": categories,
        "answers": None if other is None or other.shift is None else _shift(other),
        "component": None
        if component is None
        else {"times": component.times, **{name: one.to_json() for name, one in component.values.items()}},
        "sentence": said,
    }


def _line(line: Line) -> dict[str, Any]:
    return {**line.row.to_json(), "p_holm": line.adjusted}


FORMATS: Mapping[str, Callable[[Shown, str | None], str]] = {
    "text": as_text,
    "markdown": as_markdown,
    "csv": as_csv,
    "json": as_json,
}
