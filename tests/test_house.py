"""The rules of the house that a program can check, read from the source with `ast`.

What may import what, and where a module lies; how long modules and functions are; that public functions say what they
do; and words that this code does not use. docs/architecture.md shows the layers to people.

Imports inside functions and under TYPE_CHECKING count like all others. A finding is one line that says where, such as

    judge/io/jsonl.py: imports judge.scoring.journal, which lies above judge.io
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("judge", "mmie_tasks", "mmvu_tasks")

LAYERS = (
    ("judge.errors",),
    ("judge.core",),
    ("judge.io",),
    ("judge.model",),
    ("judge.engines",),
    ("judge.results",),
    ("judge.scoring",),
    ("judge.validity",),
    ("judge.attention", "judge.web"),
    ("judge.annotate", "judge.demo", "judge.export", "judge.finetune", "judge.report", "judge.systems", "judge.view"),
    ("judge.publish", "judge.release"),
    ("judge.harness",),
    ("judge.preflight",),
    ("mmie_tasks", "mmvu_tasks"),
    ("judge",),
    ("judge.commands",),
    ("judge.cli",),
)
"""Low to high. A room imports itself and rooms of lower layers: rooms of one layer do not know each other. "judge" is
the Python API in `judge/__init__.py`."""

LOW_IN_MODEL = ("conversation", "images", "judge_files", "precision", "rope", "tokenizer")
"""Modules of judge/model that judge/model/weights may import; the others import it."""

MOST_LINES, MOST_FUNCTION_LINES, MOST_PARAMETERS = 400, 60, 6

WORDS = {"ruler", "effects", "openings", "places", "look", "told", "spoilt"}
"""No part of an identifier."""

BARE_VERBS = {"read", "write", "run", "build", "make", "load", "check"}
"""No function's whole name, for `from … import read` says nothing. A subcommand's `run(args)` is called by name."""


class Module(NamedTuple):
    name: str
    path: Path
    tree: ast.Module

    @property
    def where(self) -> str:
        return self.path.relative_to(ROOT).as_posix()


@functools.cache
def modules() -> dict[str, Module]:
    """Every module of the three packages, by dotted name; a package by its own."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found[name] = Module(name, path, ast.parse(path.read_text(encoding="utf-8"), str(path)))
    return found


def imports(module: Module) -> set[str]:
    """The modules of the house that a module imports anywhere."""
    known, found = modules(), set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module.where}:{node.lineno}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                target = whole if whole in known else str(node.module)
                if target in known:
                    found.add(target)
    return found


def room(name: str) -> str:
    """The layer's name for a module: "judge.io.jsonl" is of "judge.io", "mmie_tasks.records" of "mmie_tasks"."""
    parts = name.split(".")
    return ".".join(parts[:2]) if parts[0] == "judge" else parts[0]


HEIGHT = {name: height for height, layer in enumerate(LAYERS) for name in layer}


def upward() -> Iterator[str]:
    for module in modules().values():
        if module.path.name == "__main__.py":
            continue  # the door to `python -m`: it may call the command line, and nobody imports it
        here = room(module.name)
        for target in sorted(imports(module)):
            there = room(target)
            if there == here or HEIGHT[there] < HEIGHT[here]:
                continue
            side = "above" if HEIGHT[there] > HEIGHT[here] else "beside"
            yield f"{module.where}: imports {target}, which lies {side} {here}"


def test_every_room_has_a_layer():
    assert {room(name) for name in modules()} == set(HEIGHT)


def test_the_page_about_the_architecture_shows_these_layers():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page, re.MULTILINE)
    assert tuple(tuple(re.findall("`([a-z_.]+)`", row)) for row in rows) == LAYERS
    named = set(re.findall(r"\b(?:judge|mmie_tasks|mmvu_tasks|tests)/[a-z_/]+(?:\.[a-z]+)?", page))
    assert {name for name in named if not (ROOT / name).exists()} == set()
    assert len(named) > 20


def test_no_module_lies_outside_a_room():
    loose = {path.name for path in (ROOT / "judge").glob("*.py")}
    assert loose == {"__init__.py", "cli.py", "errors.py"}


def test_imports_find_what_they_name():
    """Also in tests, benchmarks and examples; mypy passes over a module that is not there."""
    known = modules()
    missing = []
    for folder in (*PACKAGES, "tests", "benchmarks", "examples"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
                    there = defined(known[node.module].tree) if node.module in known else set()
                    wholes = {alias.name: f"{node.module}.{alias.name}" for alias in node.names}
                    named = [whole for name, whole in wholes.items() if name not in there]
                missing += [
                    f"{path.relative_to(ROOT)}:{node.lineno}: {name}"
                    for name in named
                    if name.split(".")[0] in PACKAGES and name not in known
                ]
    assert missing == []


def defined(tree: ast.Module) -> set[str]:
    """Names that a module has, wherever in it they are given; for this purpose a local one counts too."""
    stored = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            stored.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            stored.update(alias.asname or alias.name for alias in node.names)
    return stored


def test_imports_point_down():
    assert list(upward()) == []


def test_nobody_imports_a_main_module():
    assert [name for name, module in modules().items() if any("__main__" in found for found in imports(module))] == []


def weights_of_the_model() -> Iterator[str]:
    """What judge/model/weights imports of judge/model though it is not low, and what is low imports of weights."""
    low = {f"judge.model.{name}" for name in LOW_IN_MODEL}
    for name, module in modules().items():
        mine = {target for target in imports(module) if room(target) == "judge.model"}
        weights = {target for target in mine if target.startswith("judge.model.weights")}
        wrong = mine - weights - low if name.startswith("judge.model.weights") else weights if name in low else ()
        yield from (f"{module.where}: {target}" for target in sorted(wrong))


def test_imports_have_no_circle():
    graph = {name: imports(module) - {name} for name, module in modules().items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, "a circle: " + " → ".join((*path[path.index(name) :], name))
        if name not in done:
            for target in sorted(graph[name]):
                visit(target, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


# Size, docstrings, words: a finding is named "path: function", so that what is known can be listed ------------------

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Defined(NamedTuple):
    """A function and where it stands: "Class.method" or "function"; nested functions are not public."""

    name: str
    node: Function
    owner: ast.ClassDef | None
    public: bool


def functions(tree: ast.Module) -> Iterator[Defined]:
    def inside(node: ast.AST, prefix: str, owner: ast.ClassDef | None, public: bool) -> Iterator[Defined]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                mine = public and not child.name.startswith("_")
                yield Defined(prefix + child.name, child, owner, mine)
                yield from inside(child, f"{prefix}{child.name}.", None, False)
            elif isinstance(child, ast.ClassDef):
                yield from inside(child, f"{prefix}{child.name}.", child, public and not child.name.startswith("_"))
            else:
                yield from inside(child, prefix, owner, public)

    yield from inside(tree, "", None, True)


def too_long() -> Iterator[str]:
    for module in modules().values():
        if len(module.path.read_text(encoding="utf-8").splitlines()) > MOST_LINES:
            yield module.where
        for one in functions(module.tree):
            if (one.node.end_lineno or 0) - one.node.lineno + 1 > MOST_FUNCTION_LINES:
                yield f"{module.where}: {one.name}"


def too_many_parameters() -> Iterator[str]:
    for module in modules().values():
        for one in functions(module.tree):
            given = one.node.args
            names = [each.arg for each in (*given.posonlyargs, *given.args)]
            static = any(isinstance(each, ast.Name) and each.id == "staticmethod" for each in one.node.decorator_list)
            count = len(names) - (one.owner is not None and not static) + len(given.kwonlyargs)
            count += (given.vararg is not None) + (given.kwarg is not None)
            if count > MOST_PARAMETERS and room(module.name) != "judge.commands":
                yield f"{module.where}: {one.name}"


@functools.cache
def documented_elsewhere() -> frozenset[str]:
    """Names of methods that a Protocol of the house documents: who implements one need not say it again."""
    return frozenset(
        one.node.name
        for module in modules().values()
        for one in functions(module.tree)
        if one.owner is not None
        and any(isinstance(base, ast.Name) and base.id == "Protocol" for base in one.owner.bases)
        and ast.get_docstring(one.node)
    )


def undocumented() -> Iterator[str]:
    for module in modules().values():
        for one in functions(module.tree):
            if not one.public or ast.get_docstring(one.node):
                continue
            overrides = one.owner is not None and one.node.name in documented_elsewhere()
            command = room(module.name) == "judge.commands" and one.name in ("add_arguments", "run")
            if not (overrides or command):
                yield f"{module.where}: {one.name}"


def identifiers(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        for field in ("id", "name", "arg", "attr", "asname"):
            if isinstance(value := getattr(node, field, None), str):
                yield value


def banned_words() -> Iterator[str]:
    for module in modules().values():
        found = {*identifiers(module.tree), *module.name.split(".")}
        for name in sorted(found):
            if WORDS & {word.lower() for word in re.findall("[A-Z]?[a-z]+|[A-Z]+", name)}:
                yield f"{module.where}: {name}"


def bare_verbs() -> Iterator[str]:
    for module in modules().values():
        for one in functions(module.tree):
            command = room(module.name) == "judge.commands" and one.name == "run"
            if one.name in BARE_VERBS and not command:
                yield f"{module.where}: {one.name}"


REASONS = {
    "judge/finetune/loss.py: Lesson.forward": "the columns of a batch: transformers' Trainer passes them by name",
    "judge/model/decode_kernel.py: _join": "a Triton kernel takes pointers, strides and sizes one by one",
    "judge/model/decode_kernel.py: _parts": "a Triton kernel takes pointers, strides and sizes one by one",
}
"""What has more parameters than six and shall have them."""


@pytest.mark.parametrize(
    "find", [weights_of_the_model, too_long, too_many_parameters, undocumented, banned_words, bare_verbs]
)
def test_nothing_is_over(find):
    """But for what has a reason, and that must still be so."""
    assert sorted(find()) == sorted(REASONS if find is too_many_parameters else {})
