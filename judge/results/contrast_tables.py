"""Tables of a contrast as cells, which `mmjudge contrast` and the report both show.

    shift_rows(found)  ->  [["answers, against plain", "n", "same answer"], ["blind", "600", "31.00 [27.3, 34.9]"]]

The head comes first; what there is nothing of has no rows.
"""

from __future__ import annotations

from judge.results.cells import Rows, cell, titled
from judge.results.component import COLUMNS
from judge.results.contrast import Contrast


def baseline_rows(found: Contrast) -> Rows:
    """What needs no look: a row a baseline, and guessing."""
    names = [metric.name for metric in found.metrics]
    rows = [["without a look", "n", *map(titled, found.metrics)]]
    n = str(found.first.run.results["n"])
    for name, of in found.baselines.items():
        rows.append([name, n, *(cell(of[metric].to_json()) if metric in of else "-" for metric in names)])
    if any(metric.chance is not None for metric in found.metrics):
        chances = ["-" if metric.chance is None else f"{metric.chance:.2f}" for metric in found.metrics]
        rows.append(["guessing", "-", *chances])
    return rows


def shift_rows(found: Contrast) -> Rows:
    """What became of the answers, a row a condition; [] where none were kept to compare."""
    shifts = [(other.asked.name, other.shift) for other in found.against if other.shift is not None]
    if not shifts:
        return []
    kept = any(shift.kept is not None for _, shift in shifts)
    alone = any(shift.alone is not None for _, shift in shifts)
    head = [f"answers, against {found.first.name}", "n", "same answer"]
    rows = [[*head, *(["right ones still right"] if kept else []), *(["follow that picture alone"] if alone else [])]]
    for name, shift in shifts:
        row = [name, str(shift.same.n), cell(shift.same.to_json())]
        row += ["-" if shift.kept is None else cell(shift.kept.to_json())] if kept else []
        row += ["-" if shift.alone is None else cell(shift.alone.to_json())] if alone else []
        rows.append(row)
    return rows


def component_rows(found: Contrast) -> Rows:
    """What a system gets, a column a condition: there are more numbers than conditions. [] where there is nothing."""
    if not found.components:
        return []
    present = dict.fromkeys(column for component in found.components.values() for column in component.values)
    names = dict.fromkeys([*(column for column in COLUMNS if column in present), *present])
    rows = [["as a component", *found.components]]
    times = [component.times for component in found.components.values()]
    rows.append(["times asked", *map(str, times)])
    for name in names:
        of = [component.values.get(name) for component in found.components.values()]
        rows.append([name, *("-" if one is None else f"{cell(one.to_json())} n={one.n}" for one in of)])
    return rows
