"""One model under several conditions, as the report has it: the sentences, the tables, the names.

contrast_of([Asked("out/mmvu", …), Asked("out/mmvu_blind", …)])  ->  (Contrast(…), None), the plain condition first
names_of([run, run], ["a", "b"])                                 ->  ["plain", "blind"]
"""

from __future__ import annotations

from collections.abc import Sequence

from judge.core.signature import CONDITION
from judge.errors import UserError
from judge.report.findings import Fragments
from judge.results.cells import Rows
from judge.results.contrast import Asked, Contrast, condition_name, contrast, model_of
from judge.results.contrast_tables import baseline_rows, component_rows, shift_rows
from judge.results.contrast_words import sentences
from judge.results.run_folder import Run


def contrast_of(asked: Sequence[Asked]) -> tuple[Contrast | None, str | None]:
    """The contrast of runs of one benchmark against the one without a condition, else against the first; or why there
    is none.

    (None, None) where there is nothing to contrast: one run alone, or none that was asked under a condition.
    """
    if len(asked) < 2 or all(one.condition is None for one in asked):
        return None, None
    try:
        return contrast(sorted(asked, key=lambda one: one.condition is not None)), None
    except UserError as error:
        return None, error.problem


def lead(found: Contrast) -> list[Fragments]:
    """What a contrast means, a sentence a condition."""
    parts = [said.partition(":") for said in sentences(found)]
    return [[(verdict, True), (colon + rest, False)] for verdict, colon, rest in parts]


def tables(found: Contrast) -> list[Rows]:
    """What became of the answers, what a system gets, what needs no look; those that have a row."""
    return [rows for rows in (shift_rows(found), component_rows(found), baseline_rows(found)) if len(rows) > 1]


def names_of(runs: Sequence[Run], folders: Sequence[str]) -> list[str]:
    """Runs of one benchmark by the names of their folders; of their conditions, where it was asked under any.

    Both are named where the conditions alone do not tell the runs apart.
    """
    if all(CONDITION not in run.signature.parts for run in runs):
        return list(folders)
    conditions = [condition_name(run) for run in runs]
    models = {model for run in runs if (model := model_of(run)) is not None}
    if len(runs) > 1 and len(set(conditions)) == len(runs) and len(models) <= 1:
        return conditions
    return [f"{folder} · {condition}" for folder, condition in zip(folders, conditions, strict=True)]
