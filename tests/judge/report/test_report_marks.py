"""Twelve runs are told apart: by shape without colour, and by colour where a shape comes again, for all eyes."""

import math
import re

import pytest

from judge.report import build, marks

STYLE = (build._FOLDER / "style.css").read_text(encoding="utf-8")

# Machado, Oliveira and Fernandes (2009), severity 1.0, on linear RGB
SEEN = {
    "all colours": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "no red": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "no green": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "no blue": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}


def colours(scheme):
    light, dark = STYLE.split("@media screen and (prefers-color-scheme: dark)", 1)
    found = dict(
        re.findall(r"--([\w-]+): (#[0-9a-f]{6})", light if scheme == "light" else dark.split("color-scheme")[0])
    )
    return [found[f"series-{number}"] for number in range(marks.SERIES)], [found["surface"], found["page"]]


def linear(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]


def contrast(one, other):
    lights = sorted(sum(w * p for w, p in zip((0.2126, 0.7152, 0.0722), linear(c), strict=True)) for c in (one, other))
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def lab(colour, seen):
    r, g, b = (min(1, max(0, sum(m * p for m, p in zip(row, linear(colour), strict=True)))) for row in seen)
    white = ((0.4124, 0.3576, 0.1805, 0.95047), (0.2126, 0.7152, 0.0722, 1), (0.0193, 0.1192, 0.9505, 1.08883))
    x, y, z = ((a * r + b_ * g + c * b) / w for a, b_, c, w in white)
    x, y, z = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


def test_no_two_of_twelve_marks_have_one_shape():
    shapes = list(zip(marks.MARKERS, marks.HOLLOW, strict=True))
    assert marks.SERIES == len(set(shapes)) == 12
    drawn = re.findall(r'<symbol id="mark-(\d+)".*?</symbol>', marks.symbols())
    assert drawn == [str(number) for number in range(12)]
    assert len(set(re.findall(r'<symbol id="mark-\d+" (.*?)</symbol>', marks.symbols()))) == 12


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_marks_are_seen(scheme):
    series, grounds = colours(scheme)
    assert len(set(series)) == 12
    # WCAG 1.4.11: 3 to 1 for what is needed to understand a drawing
    assert [colour for colour in series if min(contrast(colour, ground) for ground in grounds) < 3] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("eyes", SEEN)
def test_two_marks_of_one_shape_differ_in_colour_for_all_eyes(scheme, eyes):
    series, _ = colours(scheme)
    pairs = [(n, n + 6) for n in range(6)]
    assert all(marks.MARKERS[one] == marks.MARKERS[other] for one, other in pairs)
    # differences of CIELAB; 2.3 is just noticeable
    near = [p for p in pairs if math.dist(*(lab(series[number], SEEN[eyes]) for number in p)) < 15]
    assert near == []
