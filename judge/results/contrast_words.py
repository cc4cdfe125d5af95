"""What a contrast means, a plain sentence a condition.

    sentences(found)  ->
        ["It looks: without the picture RA is 14.0 instead of 60.0 (−46.0 [−52.1, −40.0], p <0.001), and 31% of its
          answers stay the same.",
         "It does not look: shown the picture of another question, RA is …"]

What is said follows from two numbers: whether the first metric differs significantly (5%, adjusted), and how many
answers stay the same. Where nothing differs, that may also be for want of questions: how large a difference so few of
them would show is said then.
"""

from __future__ import annotations

from judge.core.metric import Metric
from judge.results.component import Component
from judge.results.contrast import Against, Asked, Contrast, Line

ALPHA = 0.05
MOSTLY = 75.0
"""Percent of answers that stay the same, from which on a model is said not to look, or hardly."""
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
    if found.first.picture == "real" and other.asked.picture in SHOWN:
        said = f"{_whether_it_looks(other, line, main)}{_follows(other)}"
    else:
        said = _what_it_does(found.first, other, line, main)
    said += _too_few(line, main)
    component = found.components.get(other.asked.name)
    return said if component is None else said + _as_a_component(component)


def better(line: Line, metric: Metric) -> bool | None:
    """Whether the second run is better; None where the two cannot be told apart."""
    value = line.row.paired.difference.value
    if value is None or line.adjusted is None or line.adjusted >= ALPHA:
        return None
    return (value > 0) == metric.higher_is_better


def _whether_it_looks(other: Against, line: Line, main: Metric) -> str:
    same = None if other.shift is None else other.shift.same.value
    mostly = same is not None and same >= MOSTLY
    verdict = {
        False: "It hardly looks" if mostly else "It looks",
        True: "The picture misleads it",
        None: "Whether it looks cannot be told" if same is None
        else "It does not look" if mostly
        else "It looks, but whether it gains by it is not certain",
    }[better(line, main)]  # fmt: skip
    stays = "" if same is None else f", and {same:.0f}% of its answers stay the same"
    return f"{verdict}: {SHOWN[other.asked.picture]} {_values(line)}{stays}."


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
    p_said = "" if p is None else ", p <0.001" if p < 0.001 else f", p {p:.3f}"
    return f"{line.metric} is {_number(here)} instead of {_number(there)} ({value} [{low}, {high}]{p_said})"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _too_few(line: Line, main: Metric) -> str:
    least = line.row.paired.detectable
    if line.adjusted is None or line.adjusted < ALPHA or least is None or least < COARSE * main.top / 100:
        return ""
    n = line.row.paired.difference.n
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
