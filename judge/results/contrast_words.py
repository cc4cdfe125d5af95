"""What a contrast means, a plain sentence a condition.

    sentences(found)  ->
        ["It looks: without the picture RA is 14.0 instead of 60.0 (−46.0 [−52.1, −40.0], p <0.001), and 31% of its
          answers stay the same.",
         "It does not look: shown the picture of another question, RA is …"]

What is said follows from two numbers: whether the first metric differs significantly (5%, adjusted), and how many
answers stay the same. Neither is said of too few: the interval of the answers must lie on one side of `MOSTLY`, and
answers of which none can be read count for nothing. Where nothing differs, that may also be for want of questions: how
large a difference so few of them would show is said then.
"""

from __future__ import annotations

from collections.abc import Iterator

from judge.core.metric import Metric
from judge.results.cells import p_value
from judge.results.component import Component
from judge.results.contrast import Against, Asked, Contrast, Line, Shift

ALPHA = 0.05
MOSTLY = 75.0
"""Percent of answers that stay the same, from which on a model is said not to look, or hardly."""
UNALTERED = {"contract": "letter", "procedure": "one call"}
"""What a condition leaves as it is where it alters the picture alone."""
COARSE = 5.0
"""Points; where only a greater difference than this would show, that is said."""
SHOWN = {
    "none": "without the picture",
    "blank": "with a grey picture in place of its own",
    "noise": "with noise in place of the picture",
    "swapped": "shown the picture of another question",
}


def sentences(found: Contrast) -> list[str]:
    """One of every condition against the first, in order."""
    return [sentence(found, other) for other in found.against]


def sentence(found: Contrast, other: Against) -> str:
    """Of one condition."""
    main = found.metrics[0]
    line = other.line(main.name)
    if line.row.paired.difference.value is None:
        return f"{other.asked.name}: no {main.unit} that both have scored."
    if _differ_in_the_picture(found.first, other.asked):
        stay = _most_stay(other.shift)
        if found.benchmark.judged and stay is False:  # whole texts: other words alone say nothing
            stay = None
        said = f"{_whether_it_looks(other, line, main, stay)}{_follows(other)}"
    else:
        said = _what_it_does(found.first, other, line, main)
    said += _too_few(line, main)
    component = found.components.get(other.asked.name)
    return said if component is None else said + _as_a_component(component)


def other_wordings(found: Contrast) -> Iterator[str]:
    """Where more than the picture differs between two conditions, a sentence each."""
    for other in found.against:
        wordings = [asked.wording for asked in (found.first, other.asked)]
        if other.asked.picture != found.first.picture and None not in wordings and wordings[0] != wordings[1]:
            said = " and ".join(map(str, wordings))
            yield f"{other.asked.name} differs from {found.first.name} in its wording as well: {said}."


def better(line: Line, metric: Metric) -> bool | None:
    """Whether the second run is better; None where the two cannot be told apart."""
    value = line.row.paired.difference.value
    if value is None or line.adjusted is None or line.adjusted >= ALPHA:
        return None
    return (value > 0) == metric.higher_is_better


def _differ_in_the_picture(first: Asked, other: Asked) -> bool:
    """Whether the picture was altered and, as far as is known, nothing else."""
    alike = all(first.said.get(part, plain) == other.said.get(part, plain) for part, plain in UNALTERED.items())
    worded_alike = None in (first.wording, other.wording) or first.wording == other.wording
    return first.picture == "real" and other.picture in SHOWN and alike and worded_alike


def _whether_it_looks(other: Against, line: Line, main: Metric, stay: bool | None) -> str:
    """stay: whether most answers stay the same, None where that is not certain."""
    verdict = {
        False: "It hardly looks" if stay else "It looks",
        True: "The picture misleads it",
        None: "Whether it looks cannot be told" if stay is None
        else "It does not look" if stay
        else "It looks, but whether it gains by it is not certain",
    }[better(line, main)]  # fmt: skip
    return f"{verdict}: {SHOWN[other.asked.picture]} {_values(line)}{_stays(other.shift)}."


def _most_stay(shift: Shift | None) -> bool | None:
    """Whether most answers stay the same, of those that can be read; None where that is not certain."""
    readable = None if shift is None else shift.named or shift.same
    if readable is None or readable.ci_low is None or readable.ci_high is None:
        return None
    return True if readable.ci_low >= MOSTLY else False if readable.ci_high < MOSTLY else None


def _stays(shift: Shift | None) -> str:
    if shift is None or shift.same.value is None:
        return ""
    said = f", and {shift.same.value:.0f}% of its answers stay the same"
    if shift.named is None:
        return said
    read = shift.named.value
    return f"{said}, of which none can be read" if read is None else f"{said}, {read:.0f}% of those that can be read"


def _follows(other: Against) -> str:
    if other.shift is None or other.asked.picture != "swapped" or other.shift.same.value is None:
        return ""
    if other.shift.same.value == 100:
        return " None follow the other picture."
    alone = other.shift.alone
    said = f" {100 - other.shift.same.value:.0f}% follow the other picture"
    if alone is not None and alone.value is not None:
        said += f", {alone.value:.0f}% that picture alone (they are not what it says without any either)"
    return f"{said}."


def _what_it_does(first: Asked, other: Against, line: Line, main: Metric) -> str:
    verdict = {True: "is better than", False: "is worse than", None: "cannot be told apart from"}[better(line, main)]
    return f"{other.asked.name} {verdict} {first.name}: {_values(line)}."


def _values(line: Line) -> str:
    """ "RA is 14.0 instead of 60.0 (−46.0 [−52.1, −40.0], p <0.001)"."""
    row = line.row
    there, here = (one.get("value") for one in (row.first, row.second))
    difference = row.paired.difference
    value, low, high = (
        "-" if one is None else f"{one:+.1f}".replace("-", "−")
        for one in (difference.value, difference.ci_low, difference.ci_high)
    )
    p = line.adjusted
    # the interval is not adjusted, so that it may leave out 0 where p is above 0.05
    p_said = "" if p is None else f", p {p_value(p)}" + (" adjusted" if p != row.paired.p else "")
    return f"{line.metric} is {_number(here)} instead of {_number(there)} ({value} [{low}, {high}]{p_said})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _too_few(line: Line, main: Metric) -> str:
    least, value, n = line.row.paired.detectable, line.row.paired.difference.value, line.row.paired.difference.n
    if line.adjusted is None or line.adjusted < ALPHA or least is None or least < COARSE * main.top / 100:
        return ""
    if value is not None and abs(value) >= least:  # great enough but for the adjustment
        return ""
    return f" {n} {main.unit} would only show a difference of about {least:.1f} points or more."


def _as_a_component(component: Component) -> str:
    fits, system = component.values.get("fits"), component.values.get("RA, as a system")
    said = ""
    if fits is not None and fits.value is not None:
        said = f" {fits.value:.0f}% of its answers fit the contract"
        strict = None if system is None else system.value
        said += "." if strict is None else f"; with those that do not counted wrong, RA is {strict:.1f}."
    flips = component.values.get("flips")
    if flips is not None and flips.value is not None:
        said += f" Asked {component.times} times, it changes its answer to {flips.value:.0f}% of the questions."
    return said
