"""Whether the harnesses would find our tasks: of the installed one, and of one that the test writes."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import sys
from types import SimpleNamespace

import pytest
from machines import MMIE, MMVU, distribution, job

from judge.preflight import tasks
from judge.preflight.finding import Finding
from judge.preflight.tasks import TASKS, check_tasks

MANAGER = """
class TaskManager:
    def initialize_tasks(self): ...
    def _get_task_and_group(self): ...
"""
OURS = "judge.harness.lmms_eval.registration:manifests"


@pytest.fixture
def harness(tmp_path, monkeypatch):
    """An lmms-eval, a VLMEvalKit or both with these sources; entry points of ours as given."""

    def harness(*, manager=MANAGER, loads="registry.load_entrypoint_manifests()", points=(OURS,), builtin=True,
                datasets=("MMIE", "MMVU"), installed=("lmms_eval", "ms-vlmeval")):  # fmt: skip
        folder = tmp_path / "site"
        for name in installed:
            distribution(folder, name, "0.7.3")
        package = folder / "lmms_eval"
        for part, text in {"": "", "tasks": manager, "models": loads}.items():
            (package / part).mkdir(parents=True, exist_ok=True)
            (package / part / "__init__.py").write_text(text)
        if builtin:
            (package / "tasks" / "mmie").mkdir()
            (package / "tasks" / "mmie" / "mmie.yaml").write_text("")
        groups = {
            tasks.LMMS_EVAL_GROUP: [
                importlib.metadata.EntryPoint("mmjudge", at, tasks.LMMS_EVAL_GROUP) for at in points
            ],
            tasks.VLMEVAL_GROUP: [SimpleNamespace(attr=name) for name in datasets],
        }
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: groups[group])
        monkeypatch.setattr(tasks, "installed_version", lambda *names: "1" if {*names} & {*installed} else None)
        monkeypatch.setattr(tasks, "_folder_of", {"lmms_eval": package}.get)
        monkeypatch.setattr(tasks.shutil, "which", lambda name: f"/bin/{name}")

    return harness


WELL = Finding(TASKS, "ok", "VLMEvalKit: started as `mmjudge-vlmeval`, it has the datasets MMIE, MMVU")


def test_all_is_ours(harness):
    harness()
    assert list(check_tasks(job())) == [
        Finding(TASKS, "ok", "lmms-eval: mmie and mmvu are ours; its own mmie is overridden"),
        WELL,
    ]


def test_a_harness_that_is_not_installed_is_no_line_here(harness):
    harness(installed=("ms-vlmeval",))
    assert list(check_tasks(job())) == [WELL]
    harness(installed=("lmms_eval",), builtin=False)
    assert list(check_tasks(job(benchmarks=(MMVU,)))) == [Finding(TASKS, "ok", "lmms-eval: mmvu is ours")]


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"points": ()}, "nothing of mmjudge is registered"),
        ({"points": ("another.package:manifests",)}, "nothing of mmjudge is registered"),
        ({"points": ("judge.no_such_module:manifests",)}, "cannot be loaded (ModuleNotFoundError"),
        ({"manager": "class Manager: ..."}, "TaskManager has no _get_task_and_group and no initialize_tasks"),
        ({"manager": MANAGER.replace("initialize_tasks", "index")}, "TaskManager has no initialize_tasks"),
        ({"manager": "def ("}, "its source cannot be read: SyntaxError"),
        ({"loads": "pass"}, "it loads no entry points lmms_eval.models"),
    ],
)
def test_names_that_would_not_be_ours(harness, broken, words):
    harness(**broken)
    line = next(check_tasks(job()))
    assert line.state == "fails"
    assert words in line.found
    assert line.mend
    assert next(check_tasks(job("vlmeval"))).state == "warning"


def test_a_task_file_that_is_lost(harness, tmp_path):
    harness()
    lost = SimpleNamespace(name="mmvu", task_dir=tmp_path)
    line = next(check_tasks(dataclasses.replace(job(), benchmarks=(MMIE, lost))))
    assert (line.state, line.found) == ("fails", "lmms-eval: no task file of mmvu in what is installed of mmjudge")


def test_datasets_of_vlmevalkit(harness, monkeypatch):
    harness(datasets=("MMIE",))
    line = list(check_tasks(job("vlmeval")))[1]
    assert (line.state, line.found) == ("fails", "VLMEvalKit: no dataset MMVU is registered")
    assert list(check_tasks(job()))[1].state == "warning"


def test_commands_that_are_not_on_the_path(harness, monkeypatch, tmp_path):
    harness()
    monkeypatch.setattr(tasks.shutil, "which", lambda name: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    found = list(check_tasks(job()))
    assert [line.state for line in found] == ["fails", "ok", "warning"]
    assert found[0].mend.startswith("python -m lmms_eval, in place of lmms-eval")
    line = list(check_tasks(job("vlmeval")))[-1]
    assert line.state == "fails"
    assert "python -m judge.harness.vlmeval.launcher" in line.mend


def test_the_harnesses_that_are_installed_here():
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")
    assert {line.state for line in check_tasks(job())} == {"ok"}
