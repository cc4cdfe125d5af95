"""Who a name belongs to: our files, in every task manager that scores, or nobody's."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from judge.harness.lmms_eval import registration
from judge.harness.lmms_eval.tasks import Documents
from mmvu_tasks.benchmark import BENCHMARK as MMVU

NAMES = ("mmie", "mmvu", "mmie_score", "mmvu_robust", "mmie_1k", "mmie_demo", "mmvu_demo")


class Manager:
    """The part of lmms-eval 0.7.3's TaskManager that matters: a built-in `mmie`, and an index made in one method."""

    def __init__(self, include_defaults: bool = True) -> None:
        self._task_index = self.initialize_tasks(include_defaults=include_defaults)
        self._all_tasks = sorted(self._task_index)

    def initialize_tasks(self, include_path: Any = None, include_defaults: bool = True) -> dict[str, Any]:
        return {name: {"type": "task", "yaml_path": "builtin"} for name in ("mmie", "mmmu") if include_defaults}

    def _get_task_and_group(self, folder: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for path in Path(folder).glob("*.yaml"):
            found[path.stem] = {"type": "task", "yaml_path": str(path)}
            if "tag: [mmjudge, " in path.read_text():
                found["mmjudge"] = {"type": "tag", "task": [path.stem], "yaml_path": -1}
        return found


@pytest.fixture
def manager() -> Any:
    """A fresh class, since it will be changed."""
    return type("Manager", (Manager,), dict(Manager.__dict__))


def taken_over(manager: Any) -> Any:
    registration.take_over(SimpleNamespace(TaskManager=manager))  # type: ignore[arg-type]
    return manager


def test_our_tasks_take_their_names_and_leave_the_others(manager: Any) -> None:
    index = taken_over(manager)()._task_index
    for name in NAMES:
        assert Path(index[name]["yaml_path"]).name == f"{name}.yaml"
    assert index["mmmu"]["yaml_path"] == "builtin"


class WithFiles(Manager):
    """One that reads a task's file when it is asked for, and is handed the names of `--tasks`."""

    def __init__(self) -> None:
        super().__init__()
        self.task_index, self.all_tasks = self._task_index, self._all_tasks

    def _get_config(self, name: str) -> dict[str, Any]:
        base = Path(self.task_index[name]["yaml_path"]).stem
        documents = Documents(None, base, lambda asks: None)  # type: ignore[arg-type, return-value]
        return {"task": base, "process_docs": documents, "generation_kwargs": {"until": ["x"], "max_new_tokens": 7}}

    def match_tasks(self, names: list[str]) -> list[str]:
        return [name for name in names if name in self.all_tasks]


def test_conditions_are_tasks_without_a_file() -> None:
    made = taken_over(type("Made", (WithFiles,), dict(WithFiles.__dict__)))()
    assert made.task_index["mmvu_conditions"]["task"] == [
        f"mmvu_{name}" for name, condition in MMVU.conditions.items() if "var" not in condition.procedure
    ]
    config = made._get_config("mmvu_demo_blind")
    blind = MMVU.conditions["blind"]
    assert config["process_docs"].condition is blind
    assert config["process_docs"].name == config["task"] == "mmvu_demo_blind"
    assert config["generation_kwargs"] == {"until": ["<mmjudge:mmvu_demo_blind>"], "max_new_tokens": 7}
    assert config["metadata"] == {"asked": blind.wording, "condition": blind.identity}
    assert made._get_config("mmvu_demo")["task"] == "mmvu_demo"
    assert {"mmie_blind", "mmie_demo_swapped", "mmvu_cgr_var"} < made.task_index.keys()


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    made = taken_over(type("Made", (WithFiles,), dict(WithFiles.__dict__)))()
    assert made.match_tasks(["mmvu_blind", "mmmu", "other", "mmvu_*", "mmvu_mine.yaml"]) == ["mmvu_blind", "mmmu"]
    with pytest.raises(SystemExit, match="mmjudge: there is no 'mmvu_blnd'\n→ did you mean 'mmvu_blind'"):
        made.match_tasks(["mmie", "mmvu_blnd"])


def test_the_tag_spans_the_benchmarks_and_names_no_task_that_could_be_a_built_in(manager: Any) -> None:
    """With --include_path and without the hook, the name `mmie` is lmms-eval's own."""
    assert sorted(taken_over(manager)()._task_index["mmjudge"]["task"]) == ["mmie_score", "mmvu_robust"]


def test_without_the_defaults_we_stay_out(manager: Any) -> None:
    assert taken_over(manager)(include_defaults=False)._task_index == {}


def test_taking_over_twice_changes_nothing(manager: Any) -> None:
    once = taken_over(manager).initialize_tasks
    assert taken_over(manager).initialize_tasks is once


@pytest.mark.parametrize("broken", ["import", "no task files", "unreadable task files"])
def test_a_broken_benchmark_loses_its_name_and_only_its(
    broken: str, manager: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if broken == "import":
        monkeypatch.setitem(sys.modules, "mmie_tasks.benchmark", None)
    elif broken == "no task files":
        monkeypatch.setattr("mmie_tasks.benchmark.MMIE.task_dir", tmp_path)
    else:
        (tmp_path / "mmie.yaml").write_bytes(b"\xff\xfe")
        monkeypatch.setattr("mmie_tasks.benchmark.MMIE.task_dir", tmp_path)
    index = taken_over(manager)()._task_index
    assert "mmie" not in index
    assert Path(index["mmvu"]["yaml_path"]).name == "mmvu.yaml"
    error = capsys.readouterr().err
    assert "the task 'mmie' is not available" in error
    assert 'lmms-eval --include_path "$(python -m mmie_tasks)" --tasks mmjudge' in error


class LaterManager:
    """A task manager that makes its index elsewhere."""

    def __init__(self) -> None:
        self._index = {"mmie": "builtin", "mmmu": "builtin"}
        self._names = ["mmie", "mmmu"]


def test_a_manager_that_cannot_be_extended_loses_our_names(capsys: pytest.CaptureFixture[str]) -> None:
    made = taken_over(LaterManager)()
    assert (made._index, made._names) == ({"mmmu": "builtin"}, ["mmmu"])
    assert "cannot extend this lmms-eval" in capsys.readouterr().err


def test_the_entry_point_never_raises(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """An exception would drop every plug-in that lmms-eval has yet to load."""

    def fail() -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(registration, "enable", fail)
    assert registration.manifests() == []
    assert "could not register with lmms-eval: RuntimeError: no" in capsys.readouterr().err


# The real one, in processes of its own; the ways in by command line are in test_lmms_eval_runs


def python(script: str) -> dict[str, Any]:
    """What `script` prints as its last line, JSON."""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def folder(path: str) -> str:
    return Path(path).parent.parent.name


def test_registering_is_lazy() -> None:
    """That the evaluator's own manager then has our files is asked by the doctor, in tests/test_package.py."""
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")
    found = python("""
import json, sys
import lmms_eval.models
heavy = [name for name in ("torch", "lmms_eval.tasks", "mmie_tasks", "numpy") if name in sys.modules]
from lmms_eval.models import MODEL_REGISTRY_V2
model = MODEL_REGISTRY_V2.resolve("mmjudge_replay")
simple = MODEL_REGISTRY_V2.resolve("mmjudge_replay", force_simple=True)
print(json.dumps({"heavy": heavy, "types": [model.model_type, simple.model_type]}))
""")
    assert found == {"heavy": [], "types": ["chat", "simple"]}


def test_the_way_in_for_a_program_that_never_imports_the_evaluator() -> None:
    """lmms-eval loads no plug-ins there: the include path brings the alias. `enable` brings the name, as in
    examples/from_python.py."""
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")
    found = python("""
import json, subprocess, sys
from lmms_eval.tasks import TaskManager
folder = subprocess.run([sys.executable, "-m", "mmie_tasks"], capture_output=True, text=True).stdout.strip()
included = TaskManager(include_path=folder).task_index
from judge.harness.lmms_eval.registration import enable
enable()
print(json.dumps({"name": included["mmie"]["yaml_path"], "alias": included["mmie_score"]["yaml_path"],
                  "tag": included["mmjudge"]["task"],
                  "hooked": TaskManager.initialize_tasks.__wrapped__.__module__}))
""")
    assert folder(found["name"]) == "tasks"  # what the fallback cannot mend, and why the tag names the alias
    assert folder(found["alias"]) == "mmie_tasks"
    assert found["tag"] == ["mmie_score"]
    assert found["hooked"] == "lmms_eval.tasks"  # although the module had been there before
