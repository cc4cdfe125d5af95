"""How `lmms-eval --tasks mmie` comes to mean ours, although lmms-eval 0.7 ships its own `mmie` (token F1, no judge).

lmms-eval loads the entry-point group `lmms_eval.models` before it builds a `TaskManager`. Ours is `manifests`: it
returns the manifest of the model `mmjudge_replay`, and wraps `TaskManager.initialize_tasks` so that the index
`{"mmie": {"type": "task", "yaml_path": ".../lmms_eval/tasks/mmie/mmie.yaml"}, …}` names our files instead.

Two rules. Lazy: `lmms-eval models` must not pay for the task machinery, so an import hook wraps the class once it
exists. Closed: whatever breaks, a benchmark's name is then *not found*; it never falls back to a built-in of that name,
whose numbers mean something else.

Python users whose program makes a `TaskManager` without importing `lmms_eval.evaluator` call `enable()` first.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any

from judge.core.foreign_text import shown
from judge.errors import UserError
from judge.harness.after_import import after_import

TASKS_MODULE = "lmms_eval.tasks"
_MARK = "_mmjudge"


def manifests() -> list[Any]:
    """The payload of the entry point: enable our tasks, return our models. Never raises (that drops other plug-ins)."""
    try:
        enable()
        from lmms_eval.models.registry_v2 import ModelManifest

        return [
            ModelManifest(
                model_id="mmjudge_replay",
                simple_class_path="judge.harness.lmms_eval.replay_model.Replay",
                chat_class_path="judge.harness.lmms_eval.replay_model.ReplayChat",
            ),
            ModelManifest(
                model_id="mmjudge_system", chat_class_path="judge.harness.lmms_eval.system_model.SystemModel"
            ),
            ModelManifest(model_id="mmjudge_demo", chat_class_path="judge.harness.lmms_eval.demo_model.Demo"),
        ]
    except Exception as error:
        warn(f"could not register with lmms-eval: {_words(error)}", fallback(_benchmarks()))
        return []


def enable() -> None:
    """Make the benchmarks' names ours in every `TaskManager` built from now on. Calling it again changes nothing."""
    after_import(TASKS_MODULE, take_over)


def take_over(module: ModuleType) -> None:
    """Put our tasks into the task manager of `module` (`lmms_eval.tasks`, executed), else keep our names out of it."""
    try:
        wrap(module.TaskManager)
    except Exception as error:
        points = _benchmarks()
        withhold(module.TaskManager, [point.name for point in points])
        names = ", ".join(point.name for point in points)
        warn(f"cannot extend this lmms-eval ({_words(error)}); not available: {names}", fallback(points))


def wrap(manager: Any) -> None:
    """Let `manager.initialize_tasks`, where the index of tasks is made, add ours.

    A benchmark's conditions are tasks without a file: they are there where `_get_config` can be extended, too.
    """
    original = manager.initialize_tasks
    if getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def initialize_tasks(self: Any, include_path: Any = None, include_defaults: bool = True) -> dict[str, Any]:
        index = original(self, include_path=include_path, include_defaults=include_defaults)
        return with_ours(self, index) if include_defaults else index

    if hasattr(manager, "_get_config"):
        _make_conditions(manager)
    if hasattr(manager, "match_tasks"):
        _refuse_unknown_names(manager)
    setattr(initialize_tasks, _MARK, True)
    manager.initialize_tasks = initialize_tasks


def _make_conditions(manager: Any) -> None:
    """Let `manager._get_config`, which reads a task's file, make the configuration of tasks that have none."""
    configuration = manager._get_config

    @functools.wraps(configuration)
    def _get_config(self: Any, name: str) -> dict[str, Any]:
        from judge.harness.lmms_eval.conditions import CONDITION, configured

        config: dict[str, Any] = configuration(self, name)
        condition = self.task_index[name].get(CONDITION)
        return config if condition is None else configured(config, name, condition)

    setattr(_get_config, _MARK, True)
    manager._get_config = _get_config


def _refuse_unknown_names(manager: Any) -> None:
    """Let `manager.match_tasks`, which is handed `--tasks`, say which name was meant."""
    matching = manager.match_tasks

    @functools.wraps(matching)
    def match_tasks(self: Any, task_list: Sequence[str]) -> Any:
        from judge.harness.condition_names import refuse_unknown
        from judge.harness.lmms_eval.run import Refusal

        try:
            for point in _benchmarks():
                refuse_unknown(task_list, point.name, self.all_tasks)
        except UserError as error:
            raise Refusal(error) from None
        return matching(self, task_list)

    manager.match_tasks = match_tasks


def withhold(manager: Any, names: Sequence[str]) -> None:
    """Where the index cannot be extended: take `names` out of whatever a new task manager has in its tables."""
    original = manager.__init__

    @functools.wraps(original)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        original(self, *args, **kwargs)
        for table in vars(self).values():
            for name in names:
                if isinstance(table, dict):
                    table.pop(name, None)
                elif isinstance(table, list) and name in table:
                    table.remove(name)

    manager.__init__ = __init__


def with_ours(manager: Any, index: dict[str, Any]) -> dict[str, Any]:
    """`index` with every benchmark's tasks in it; a benchmark that fails loses its name instead."""
    index = dict(index)
    for point in _benchmarks():
        try:
            ours = _tasks_of(manager, point)
        except Exception as error:
            index.pop(point.name, None)
            warn(f"the task {point.name!r} is not available: {_words(error)}", fallback([point]))
            continue
        for task, entry in ours.items():
            if entry["type"] == "tag" and index.get(task, {}).get("type") == "tag":
                entry = {**entry, "task": [*index[task]["task"], *entry["task"]]}  # a tag spans benchmarks
            index[task] = entry
    return index


def _tasks_of(manager: Any, point: EntryPoint) -> dict[str, Any]:
    from judge.harness.lmms_eval.conditions import entries

    benchmark = point.load()
    tasks: dict[str, Any] = manager._get_task_and_group(str(benchmark.task_dir))
    if point.name not in tasks:
        raise FileNotFoundError(f"no task file for it in {benchmark.task_dir}")
    if not getattr(getattr(manager, "_get_config", None), _MARK, False):
        return tasks
    return {**tasks, **dict(entries(benchmark, tasks))}


def _benchmarks() -> list[EntryPoint]:
    return sorted(entry_points(group="mmjudge.benchmarks"), key=lambda point: point.name)


def fallback(points: Iterable[EntryPoint]) -> str:
    """The commands that reach our tasks without this hook: by tag, whose members have names no built-in has."""
    packages = [point.module.partition(".")[0] for point in points]
    return "; ".join(f'lmms-eval --include_path "$(python -m {package})" --tasks mmjudge …' for package in packages)


def warn(problem: str, fix: str) -> None:
    """To stderr: lmms-eval resets its logger twice while it starts."""
    print(f"mmjudge: {shown(problem)}\n→ {shown(fix)}", file=sys.stderr, flush=True)


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
