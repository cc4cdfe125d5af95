"""The mark of a run, the same in every table and chart: a shape and a colour, no two alike for twelve runs.

    MARKERS[0], HOLLOW[0]   "o", False     a filled circle in the colour --series-0
    MARKERS[8], HOLLOW[8]   "^", True      a triangle's outline in --series-8

Six shapes, filled and then hollow, so that a mark is told from the others without its colour; the colours (style.css)
keep two marks of one shape apart for colour-blind eyes, too.
"""

from __future__ import annotations

SHAPES = {
    "o": '<circle cx="6" cy="6" r="4.3"/>',
    "s": '<path d="M2 2h8v8H2z"/>',
    "^": '<path d="M6 1.3 10.9 10H1.1z"/>',
    "D": '<path d="M6 1 11 6 6 11 1 6z"/>',
    "v": '<path d="M6 10.7 10.9 2H1.1z"/>',
    "P": '<path d="M4.4 1.2h3.2v3.2h3.2v3.2H7.6v3.2H4.4V7.6H1.2V4.4h3.2z"/>',
}
"""matplotlib's marker → what is drawn on a field of 12 by 12."""
SERIES = 2 * len(SHAPES)
"""Marks before they repeat."""
MARKERS = [*SHAPES] * 2
HOLLOW = [False] * len(SHAPES) + [True] * len(SHAPES)


def symbols() -> str:
    """SVG symbols `mark-0` … for the page, in the current colour."""
    drawn = [
        f'<symbol id="mark-{number}" viewBox="0 0 12 12"><g {_paint(HOLLOW[number])}>{SHAPES[MARKERS[number]]}</g>'
        "</symbol>"
        for number in range(SERIES)
    ]
    return f'<svg width="0" height="0" aria-hidden="true" focusable="false" class="symbols">{"".join(drawn)}</svg>'


def _paint(hollow: bool) -> str:
    return 'fill="none" stroke="currentColor" stroke-width="1.8"' if hollow else 'fill="currentColor"'
