"""Which form of a condition a model class can be asked under, and what becomes of the task files for it.

    configured(config_of_mmvu, "mmvu_blind", CONDITIONS["blind"])  ->  the configuration of the task "mmvu_blind"

A condition's task is its base task with another name, other documents and generation arguments of its own; no task file
is written for it. The base tasks are NAME and NAME_demo of every benchmark, the tags NAME_conditions and
NAME_demo_conditions: all conditions that need nothing of a model but answers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

from judge.core.benchmark import Benchmark
from judge.core.condition import Condition
from judge.core.question import Question
from judge.errors import UserError
from judge.harness.condition_names import named_conditions
from judge.harness.lmms_eval.payloads import can_send
from judge.harness.lmms_eval.procedures import Conduct
from judge.harness.lmms_eval.run import Run
from judge.harness.lmms_eval.visual_refinement import refiner_for
from judge.harness.session import say

CONDITION = "mmjudge_condition"
"""The key of a condition in an entry of lmms-eval's index of tasks."""


def entries(benchmark: Benchmark, ours: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Entries of the index for a benchmark's conditions, and for the tags of them. ours: those of its task files."""
    tags: dict[str, list[str]] = {}
    for name, (base, condition) in named_conditions(benchmark).items():
        if base not in ours:
            continue
        yield name, {"type": "task", "yaml_path": ours[base]["yaml_path"], CONDITION: condition}
        if condition.procedure in ("one call", "cgr"):
            tags.setdefault(f"{base}_conditions", []).append(name)
    for name, tasks in tags.items():
        yield name, {"type": "tag", "task": tasks, "yaml_path": -1}


def configured(config: Mapping[str, Any], name: str, condition: Condition) -> dict[str, Any]:
    """The configuration of the task `name`, from that of its base."""
    condition = _variant(condition, _model_of_run())
    metadata = {"asked": condition.wording, "condition": condition.identity}
    return {
        **config,
        "task": name,
        "tag": None,
        "process_docs": config["process_docs"].under(name, condition),
        # no other task may have the same, see the base's file
        "generation_kwargs": {**config["generation_kwargs"], "until": [f"<mmjudge:{name}>"]},
        "metadata": {**config.get("metadata", {}), **metadata},
    }


def condition_for(condition: Condition, run: Run, task: str) -> Condition:
    """`condition` as the model of this run can be asked under it.

    Raises UserError where it cannot be; says where a contract is asked for by the prompt alone.
    """
    if condition.plain or not run.asks:
        return condition
    model = type(run.model).__name__
    if getattr(run.model, "asks_as_published", False):
        raise UserError(
            f"{task}: {model} is asked the questions as they are published, under no condition",
            fix=f"--tasks {task.removesuffix(f'_{condition.name}')}, or another model",
        )
    if condition.picture == "none" and run.needs_picture:
        raise UserError(
            f"{task}: the model class {model} cannot be asked without a picture",
            fix=f"--tasks {task.removesuffix('none').removesuffix(condition.name)}blank shows it a blank one;"
            " or take a class that can (--force_simple, another --model)",
        )
    condition = _variant(condition, run.model)
    if condition.contract != "letter" and not condition.payload:
        say(f"mmjudge: {task}: {model} cannot be held to the contract by its endpoint: the prompt alone asks for it")
    return condition


def takes_conduct(condition: Condition) -> bool:
    """Whether lmms-eval's own requests are not enough."""
    return bool(condition.payload) or condition.procedure != "one call"


def conduct_of(condition: Condition, run: Run, question: Callable[[Mapping[str, Any]], Question]) -> Conduct:
    """How the requests of such a task are asked. Raises UserError for a model that cannot be."""
    return Conduct(condition, run, question, refiner_for(condition, run.model))


def _variant(condition: Condition, model: object) -> Condition:
    other = condition.by_endpoint
    return other if other is not None and can_send(model) else condition


def _model_of_run() -> object:
    """The model of the `simple_evaluate` that is loading tasks now; None where nobody is (a listing of tasks)."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "simple_evaluate":
            found: object = frame.f_locals.get("lm")
            return found
        frame = frame.f_back
    return None
