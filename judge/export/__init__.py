"""Finished runs in the forms of other programs: logs of Inspect, data sets of Hugging Face, tables of Weights & Biases.

    write_inspect_logs(runs, Path("logs"), Content())           a log a run, for `inspect view`
    write_hf_dataset(runs, Path("answers"), Content())          a folder for `datasets.load_dataset`
    write_wandb_table(runs, Path("answers.json"), Content())    {"columns": […], "data": […]} for `wandb.Table`

Every answer is in each of them, with or without a score. Texts of models, judges and data sets are values there, never
markup or paths; pictures are opened in the results folder alone, and only those that can be decoded leave it.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Content:
    """What leaves the results folder. questions: whether questions and reference answers do, which belong to the
    benchmark, not to whoever asked them. pictures: whether pictures do."""

    questions: bool = True
    pictures: bool = True
