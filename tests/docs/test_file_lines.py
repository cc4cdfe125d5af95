"""Lines of files that pages show are lines that are read: agreement.md, annotating.md, finetuning.md, preferences.md,
systems.md."""

from __future__ import annotations

import ast
import importlib
import json
import re

import folders
import pytest

from judge.io.human_scores import read_human_scores
from judge.io.pairs import read_pairs

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def blocks(page: str, language: str) -> list[str]:
    text = (folders.ROOT / "docs" / page).read_text(encoding="utf-8")
    return [block for found, block in BLOCK.findall(text) if found == language]


def on_one_line(block: str) -> str:
    """A record that the page breaks, as the file has it."""
    return json.dumps(json.loads(block)) + "\n"


@pytest.mark.parametrize("page", ["agreement.md", "annotating.md", "finetuning.md"])
def test_a_score_by_somebody_is_read(page, tmp_path):
    shown = blocks(page, "json")[0]
    (tmp_path / "humans.jsonl").write_text(on_one_line(shown))
    (score,) = read_human_scores(tmp_path / "humans.jsonl")
    given = json.loads(shown)
    assert (score.id, score.model, score.annotator, score.score) == (
        given["id"], given["model"], given["annotator"], given["score"]
    )  # fmt: skip


def test_the_settings_of_deepspeed_are_json():
    assert json.loads(blocks("finetuning.md", "json")[1])["zero_optimization"] == {"stage": 2}


def test_a_pair_is_read(tmp_path):
    (shown,) = blocks("preferences.md", "json")
    (tmp_path / "pairs.jsonl").write_text(on_one_line(shown))
    (pair,) = read_pairs(str(tmp_path / "pairs.jsonl")).pairs
    assert (pair.id, pair.a.system, pair.b.system, pair.chosen) == ("p17", "anole-7b", "emu-2", "A")


def test_the_python_of_preferences_names_what_there_is():
    (code,) = blocks("preferences.md", "python")
    imported = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    assert len(imported) == 4
    for node in imported:
        module = importlib.import_module(str(node.module))
        assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []


def test_the_lines_to_and_from_a_program_are_json():
    asked, answered = (json.loads(block) for block in blocks("systems.md", "text") if block.startswith('{"id"'))
    assert asked["id"] == answered["id"]
    assert set(asked["question"][0]) == {"text", "image"}
    assert {"text", "image"} <= set(answered["response"][0])
