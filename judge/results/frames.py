"""Finished runs as data frames of pandas.

    answers = frame_answers([read_run("out/hasty"), read_run("out/careful")])     one row an answer
    answers.groupby(["run", "category"])["score"].mean()

    frame_leaderboard(runs)[["model", "RA", "RA_ci_low", "RA_ci_high"]]           one row a run

The columns of `judge.results.answer_rows`, and those of `mmjudge table --format csv`. A score that is not there is
missing (`pandas.NA`), so that means leave it out as results do. Needs pandas, of the extra "export".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from judge.errors import UserError
from judge.results.answer_rows import Kind, answer_table, named_runs
from judge.results.leaderboard import leaderboard_records, leaderboards, record_columns
from judge.results.run_folder import Run

if TYPE_CHECKING:
    import pandas

_TYPES: Mapping[Kind, str] = {
    "text": "string", "int": "Int64", "float": "Float64", "bool": "boolean", "floats": "object",
}  # fmt: skip


def frame_answers(runs: Sequence[Run]) -> pandas.DataFrame:
    """One row an answer of every run, scored or not, in the order of the runs and of their files.

    Raises UserError where pandas is not installed, and for unreadable samples.
    """
    pandas = _pandas()
    table = answer_table(named_runs(runs))
    columns: dict[str, list[Any]] = {name: [] for name in table.columns}
    for row in table.rows():
        for name, values in columns.items():
            values.append(row[name])
    typed = {name: pandas.Series(values, dtype=_TYPES[table.columns[name]]) for name, values in columns.items()}
    return pandas.DataFrame(typed)


def frame_leaderboard(runs: Sequence[Run]) -> pandas.DataFrame:
    """One row a run, and one a published system that was measured as they were; runs that were measured alike share
    the number `group`, and are ranked in it. All digits, metrics with the ends of their 95% intervals.

    Raises UserError where pandas is not installed.
    """
    pandas = _pandas()
    records = leaderboard_records(leaderboards(runs))
    return pandas.DataFrame.from_records(records, columns=record_columns(records))


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise UserError(f"a data frame needs {error.name}", fix="pip install 'mmjudge[export]'") from error
    return pandas
