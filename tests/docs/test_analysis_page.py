"""docs/analysis.md names every row of the table, every family and commands that are taken."""

from __future__ import annotations

import ast
import re

import folders
import pytest

from judge import cli
from judge.attention import families, refinement
from judge.attention.tables import MEASURES

PAGE = (folders.ROOT / "docs" / "analysis.md").read_text(encoding="utf-8")
TITLES = {
    "llava": "LLaVA-1.5", "llava_next": "LLaVA-NeXT", "llava_onevision": "LLaVA-OneVision", "qwen2_vl": "Qwen2-VL",
    "qwen2_5_vl": "Qwen2.5-VL", "qwen3_vl": "Qwen3-VL", "qwen3_vl_moe": "with experts", "internvl": "InternVL",
    "idefics3": "Idefics3", "smolvlm": "SmolVLM", "gemma3": "Gemma 3",
}  # fmt: skip


def test_every_row_of_the_table_is_explained_and_shown():
    (printed,) = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    explained = "\n".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| "))
    for measure in MEASURES.values():
        assert f"\n{measure.title} " in printed
        # "question to picture, first" and "…, last" are one row
        assert measure.title.removesuffix(", first").removesuffix(", last") in explained


def test_every_family_is_named():
    assert TITLES.keys() == families.FAMILIES.keys()
    models = PAGE.partition("## Which models")[2].partition("\n## ")[0]
    assert [name for name, title in TITLES.items() if title not in models] == []


@pytest.mark.parametrize("command", re.findall(r"^mmjudge (analyse .*)$", PAGE, re.MULTILINE))
def test_commands_are_taken(command):
    words = command.replace('"$(python -m mmvu_tasks.demo)"', "data").split()
    assert cli.make_parser(words).parse_args(words).command == "analyse"


def test_the_python_on_it_names_what_there_is():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (imported,) = (node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom))
    assert imported.module == refinement.__name__
    assert all(hasattr(refinement, alias.name) for alias in imported.names)
    assert refinement.VAR.identity in code
