"""Answers as a table of Weights & Biases: {"columns": ["run", …], "data": [["hasty", …], …]}, a row an answer.

    table = wandb.Table(**json.load(open("answers.json", encoding="utf-8")))

The columns of `judge.results.answer_rows`, of all benchmarks together; null where a run has no such value. The
values of a column are of one type, as `wandb.Table` wants them. Pictures are not in it, their places are ("<image>").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from judge.export import Content
from judge.io.files import replacing
from judge.io.progress import counted
from judge.results.answer_rows import NamedRun, answer_table

OF_QUESTIONS = ("question", "truth")


def write_wandb_table(runs: Sequence[NamedRun], path: Path, content: Content) -> None:
    """Write the table to `path`, whole or not at all, a row at a time. Raises OSError."""
    table = answer_table(runs)
    columns = [name for name in table.columns if content.questions or name not in OF_QUESTIONS]
    n = sum(len(named.run.verdicts) for named in runs)
    with replacing(path) as file:
        file.write(f'{{"columns": {json.dumps(columns)}, "data": [')
        for number, row in enumerate(counted(table.rows(), "exporting", "answer", total=n)):
            line = json.dumps([row[name] for name in columns], allow_nan=False)
            file.write(f"{',' if number else ''}\n{line}")
        file.write("\n]}\n")
