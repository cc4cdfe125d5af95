"""A callback behind the execution of a module that somebody else imports."""

from __future__ import annotations

import importlib
import importlib.machinery
import sys
from pathlib import Path
from types import ModuleType

import pytest

from judge.harness.after_import import after_import


@pytest.fixture
def name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of a module that nobody has imported yet."""
    (tmp_path / "waited_for.py").write_text("value = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "waited_for", raising=False)
    return "waited_for"


def test_it_is_called_once_the_module_is_whole(name: str) -> None:
    seen: list[int] = []

    def note(module: ModuleType) -> None:
        seen.append(module.value)

    finders = list(sys.meta_path)
    after_import(name, note)
    after_import(name, note)  # a second time is none
    assert name not in sys.modules
    assert seen == []
    module = importlib.import_module(name)
    assert seen == [7]
    assert sys.meta_path == finders
    # resources, pickling and reloading find the loader that made it
    assert type(module.__loader__) is importlib.machinery.SourceFileLoader
    assert module.__spec__ is not None
    assert module.__spec__.loader is module.__loader__


def test_two_that_wait_are_both_called(name: str) -> None:
    seen: list[str] = []
    after_import(name, lambda module: seen.append("a"))
    after_import(name, lambda module: seen.append("b"))
    importlib.import_module(name)
    assert sorted(seen) == ["a", "b"]


def test_a_module_that_is_there_does_not_keep_anybody_waiting(name: str) -> None:
    module = importlib.import_module(name)
    seen: list[ModuleType] = []
    after_import(name, seen.append)
    assert seen == [module]


def test_a_module_that_does_not_exist_is_still_an_import_error(name: str) -> None:
    after_import(f"{name}_not", lambda module: None)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"{name}_not")
