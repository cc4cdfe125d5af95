"""docs/settings.md has every environment variable of ours that the code reads, and every extra."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import folders

from judge.harness import settings

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = (folders.ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
ROWS = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
OURS = re.compile(r"MMJUDGE_[A-Z_]+|MMIE_DATA|MMVU_DATA")


def test_every_variable_of_the_code_is_in_a_table():
    """Every text of the source that is the name of a variable; in `judge.harness.settings` they lack the prefix."""
    source = Path(settings.__file__).read_text(encoding="utf-8")
    read = {f"MMJUDGE_{name}" for name in re.findall(r'value\("([A-Z_]+)"\)', source)}
    assert len(read) > 8
    for package in ("judge", "mmie_tasks", "mmvu_tasks"):
        for path in sorted((folders.ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and OURS.fullmatch(node.value):
                    read.add(node.value)
    # texts in an answer's place, in `judge/harness`, are no variables
    read -= {"MMJUDGE_NOT_ANSWERED", "MMJUDGE_NO_RESPONSE"}
    shown = set(OURS.findall(" ".join(ROWS)))
    assert shown == read


def test_every_extra_is_in_the_table():
    with open(folders.ROOT / "pyproject.toml", "rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    table = PAGE.partition("\n## Extras")[2]
    assert set(re.findall(r"^\| `([a-z-]+)`", table, re.MULTILINE)) == set(extras)
