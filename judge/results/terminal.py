"""A result for a terminal, at most 100 columns: every number with n, interval, unscored rate and signature.

MMIE, edition v1: 20103 answers, 0.4% unscored

                       value      95% interval      n   unscored
score                  64.40    [64.08, 64.72]  20023       0.4%
"""

from __future__ import annotations

import collections
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.failure import MODEL, UNSCORED
from judge.core.foreign_text import MOST_OF_A_LINE, on_one_line, shortened
from judge.core.signature import Signature
from judge.core.verdict import Verdict

WIDTH = 100
"""Columns."""


def result_table(result: Mapping[str, Any], title: str, headline: Sequence[str]) -> str:
    """The results for a terminal, at most 100 columns: every number with n, interval, unscored rate and signature.

    headline: metrics to show, in order; the first two also by category.
    """
    edition = result["dataset"]["edition"]
    unscored = result["unscored"]
    named = f"{title}, edition {edition}" if edition else title
    part = _part(result["signature"])
    lines = [f"{named}: {result['n']} answers, {_percent(unscored['rate'])} unscored{part}"]
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
    lines += _criteria(result.get("criteria", {}))
    lines.append("")
    lines += [f"unscored: {count} {reason} ({UNSCORED[reason]})" for reason, count in unscored["reasons"].items()]
    failed = result.get("failures", {}).get("model", {})
    lines += [
        f"counted as the worst: {count} {reason} ({MODEL[reason]}; {_percent(count / result['n'])})"
        for reason, count in failed.get("reasons", {}).items()
    ]
    bounds = result.get("bounds", {}).get("all", {})
    ends = [(key.rpartition("_")[2], value) for key, value in bounds.items() if key.startswith("unscored_at_")]
    if unscored["n"] and ends:
        (lowest, low), (highest, high) = ends
        lines.append(f"{headline[0]} if every unscored answer got {lowest}: {low:.2f}, if it got {highest}: {high:.2f}")
    if "no_option" in result:
        unread = result["no_option"]
        lines.append(f"counted wrong because no option was named: {unread['n']} ({_percent(unread['rate'])})")
    if by_rule := result.get("by_rule"):
        lines += textwrap.wrap(by_rule_sentence(by_rule), WIDTH, subsequent_indent="      ")
    lines += _whole(result.get("subset"))
    for note in result["notes"]:
        lines += textwrap.wrap(f"note: {shortened(note, MOST_OF_A_LINE)}", WIDTH, subsequent_indent="      ")
    return "\n".join([*lines, *_signature(result["signature"])])


def _criteria(found: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Mean points for every criterion, over all answers and in a column for each category."""
    if not found:
        return []
    whole, *others = found.items()
    lines = ["", f"{'criterion (points)':<28}{_HEAD}" + "".join(f"{name[:7]:>8}" for name, _ in others)]
    for name, estimate in whole[1].items():
        values = [members.get(name, {}).get("value") for _, members in others]
        cells = "".join(f"{'-' if value is None else f'{value:.2f}':>8}" for value in values)
        lines.append(f"{name[:27]:<28}{_cells(estimate)}{cells}")
    return lines


def engine_failures(verdicts: Sequence[Verdict], most: int) -> str | None:
    """One line on how often the engine failed and what it said most often; None where it did not.

        8 of 15 answers have no score because the engine failed: most often (8): http://localhost:8001/v1: …

    most: answers in all. Notes that differ in numbers alone count as one, and the first of them is shown.
    """
    notes = [str(verdict.details.get("note") or "?") for verdict in verdicts if verdict.unscored == "engine_error"]
    if not notes:
        return None
    alike = collections.Counter(re.sub(r"\d+", "#", note) for note in notes)
    ((kind, count),) = alike.most_common(1)
    first = next(note for note in notes if re.sub(r"\d+", "#", note) == kind)
    failed = f"{len(notes)} of {most} answers have no score because the engine failed"
    return f"{failed}: most often ({count}): {on_one_line(first, MOST_OF_A_LINE)}"


def _whole(found: Mapping[str, Any] | None) -> list[str]:
    """What a subset says of all questions, and with which weights."""
    if not found:
        return []
    heads = found["estimates"]
    lines = ["", f"{'all ' + str(found['of']) + ' questions':<20}" + "".join(f"{name:>28}" for name in heads)]
    for label, row in (("estimate", heads), *found["categories"].items()):
        lines.append(f"{label:<20}" + "".join(f"{_number(row[name], 2):>28}" for name in heads))
    lines += textwrap.wrap(
        f"from the {found['n']} scored answers of the subset {found['name']}, post-stratified, with intervals for a "
        "finite population; not comparable with scores of all questions",
        WIDTH,
    )
    lines.append(f"{'weights':<8}{'field':<28}{'scored':>8}{'of':>8}{'weight':>9}")
    return [
        *lines,
        *(
            f"{row['category']:<8}{on_one_line(row['field'] or '-')[:27]:<28}"
            f"{row['n']:>8}{row['of']:>8}{row['weight']:>9.4f}"
            for row in found["weights"]
        ),
        "",
    ]


def by_rule_sentence(found: Mapping[str, Any]) -> str:
    """What rules say beside the judge. found: the part "by_rule" of a result."""
    judge = found["judge"]
    rules = ", ".join(f"{count} {rule}" for rule, count in found["rules"].items())
    counted = f"{found['ruled']} of {found['questions']} {found['category']} answers ({found['coverage']:.1f}%: "
    counted += f"{rules})"
    said = f"by rule, which can tell {counted}: {_number(found['exact'], 2)} % right. The judge gives right ones "
    said += f"{_number(judge['right'], 2)} points, wrong ones {_number(judge['wrong'], 2)}; a right one has more than "
    said += f"a wrong one with a chance of {_number(judge['superiority'], 2)} (0.5: the judge cannot tell them apart)"
    return said


def _number(estimate: Mapping[str, Any], digits: int) -> str:
    if estimate["value"] is None:
        return "-"
    low, high = estimate["ci_low"], estimate["ci_high"]
    interval = "" if low is None else f" [{low:.{digits}f}, {high:.{digits}f}]"
    return f"{estimate['value']:.{digits}f}{interval}"


_HEAD = f"{'value':>8}{'95% interval':>18}{'n':>7}"


def _cells(estimate: Mapping[str, Any]) -> str:
    if estimate["value"] is None:
        return f"{'-':>8}{'-':>18}{estimate['n']:>7}"
    interval = f"[{estimate['ci_low']:.2f}, {estimate['ci_high']:.2f}]"
    return f"{estimate['value']:>8.2f}{interval:>18}{estimate['n']:>7}"


def _part(signature: str) -> str:
    """That only some of the questions were asked, where it is so."""
    subset = Signature.parse(signature).parts.get("subset")
    if subset:
        return f"; the subset {subset} of the questions"
    part = Signature.parse(signature).parts.get("part")
    return f"; PARTIAL: only {part} questions were asked" if part else ""


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
