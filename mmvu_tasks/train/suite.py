"""MMVU beside the ten general benchmarks of the supplement: several models' lmms-eval runs, and Table 13 for reference.

    lmms-eval --config examples/general_suite.yaml
    read_suite(Path("out/merged"))      {"RA": Value(58.3, 2.9), "MME P": Value(1515.1, None), "MMB test": None, …}

A column is what the paper has, made of what lmms-eval 0.7.3 prints: POPE is the mean F1 of random, popular and
adversarial, percentages are 0 to 100. MMBench test, MMMU test and VQAv2 test-dev are scored by their own servers:
lmms-eval writes the file that is sent there, and here their column stays empty.

Source: supplement to arXiv 2406.10638, Tables 12 and 13 (table13.json), measured there with other harnesses.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.io.files import read_bytes

BY_SERVER = "submission"
"""The metric of tasks whose answers are scored elsewhere."""


@dataclasses.dataclass(frozen=True)
class Column:
    """name: as table13.json has it. tasks: names in lmms-eval; their mean is the value. scale: to the paper's unit."""

    name: str
    tasks: tuple[str, ...]
    metric: str
    scale: float = 1.0


COLUMNS = (
    Column("RA", ("mmvu",), "RA"),
    Column("MR", ("mmvu",), "MR"),
    Column("MME P", ("mme",), "mme_perception_score"),
    Column("MME C", ("mme",), "mme_cognition_score"),
    Column("MMB test", ("mmbench_en_test",), BY_SERVER),
    Column("MMB dev", ("mmbench_en_dev",), "gpt_eval_score"),
    Column("SEED", ("seedbench",), "seed_all", 100),
    Column("MMMU val", ("mmmu_val",), "mmmu_acc", 100),
    Column("MMMU test", ("mmmu_test",), BY_SERVER),
    Column("VQAv2", ("vqav2_test",), BY_SERVER),
    Column("GQA", ("gqa",), "exact_match", 100),
    Column("POPE", ("pope_random", "pope_pop", "pope_adv"), "pope_f1_score", 100),
)
TASKS = tuple(dict.fromkeys(task for column in COLUMNS for task in column.tasks))


@dataclasses.dataclass(frozen=True)
class Value:
    """A number in the paper's unit, and lmms-eval's standard error of it, None where it has none."""

    value: float
    stderr: float | None


@dataclasses.dataclass(frozen=True)
class Published:
    """A row of Table 13: what was trained on, which language model, and its numbers."""

    data: str
    llm: str
    values: Mapping[str, float]


Suite = Mapping[str, "Value | None"]


def read_suite(folder: Path) -> Suite:
    """Column → value of a model's runs, None for what was not run or is scored elsewhere.

    folder: an --output_path of lmms-eval; of several runs of a task the last one, by the date in its name, counts.
    Raises UserError where it has no results.
    """
    found: dict[str, Mapping[str, Any]] = {}
    files = sorted(folder.rglob("*_results.json"), key=lambda path: path.name)
    for file in files:
        try:
            results = json.loads(read_bytes(file))["results"]
            for task, row in results.items():
                found[task] = {key.partition(",")[0]: value for key, value in row.items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"is no results file of lmms-eval ({error!r})", file=file) from None
    if not any(task in found for task in TASKS):
        fix = "give the --output_path of a run of examples/general_suite.yaml"
        raise UserError("holds no results of lmms-eval on these benchmarks", file=folder, fix=fix)
    return {column.name: _value(column, found) for column in COLUMNS}


def read_published() -> list[Published]:
    """The rows of Table 13, in its order."""
    rows = json.loads(Path(__file__).with_name("table13.json").read_text(encoding="utf-8"))
    return [Published(**row) for row in rows]


def _value(column: Column, found: Mapping[str, Mapping[str, Any]]) -> Value | None:
    if column.metric == BY_SERVER or not all(task in found for task in column.tasks):
        return None
    values: list[Any] = [found[task].get(column.metric) for task in column.tasks]
    if not all(isinstance(value, int | float) for value in values):
        return None
    row = found[column.tasks[0]]
    errors = [row[key] for key in row if key.startswith(f"{column.metric}_stderr")]
    stderr = next((column.scale * float(error) for error in errors if isinstance(error, int | float)), None)
    mean = column.scale * sum(values) / len(values)
    return Value(mean, stderr if len(column.tasks) == 1 else None)


def format_rows(suites: Mapping[str, Suite], llm: str | None = None) -> list[list[str]]:
    """A table: head, a row a model, then the rows of Table 13 (of one language model, where that is named)."""
    rows = [["model", *(column.name for column in COLUMNS)]]
    rows += [[name, *(_shown(suite[column.name]) for column in COLUMNS)] for name, suite in suites.items()]
    for row in read_published():
        if llm is None or row.llm == llm:
            rows.append([f"{row.data} ({row.llm})", *(f"{row.values[column.name]:g}" for column in COLUMNS)])
    return rows


def _shown(value: Value | None) -> str:
    if value is None:
        return "-"
    return f"{value.value:.2f}" + (f" ± {1.96 * value.stderr:.2f}" if value.stderr is not None else "")
