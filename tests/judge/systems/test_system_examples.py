"""The files of examples/systems are read, and the one that needs no model answers."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from judge.core.benchmark import find
from judge.core.request import Text
from judge.systems import Reply, Workspace
from judge.systems.settings import KINDS, read_settings
from mmie_tasks.demo import demo_dir

FOLDER = Path(__file__).parents[3] / "examples" / "systems"
FILES = sorted(FOLDER.glob("*.toml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_an_example_is_read(file):
    assert read_settings(file).kind in KINDS


def test_there_is_one_of_every_kind():
    assert {read_settings(file).kind for file in FILES} == KINDS.keys()


def test_the_program_of_the_example_answers(tmp_path):
    benchmark = find("mmie")
    questions = benchmark.questions(benchmark.load(demo_dir(), images=True), range(2))
    settings = read_settings(FOLDER / "pipe.toml").model_copy(update={"command": (sys.executable, "answer.py")})
    workspace = Workspace(tmp_path)
    workspace.pictures.mkdir()
    with settings.open(workspace) as system:
        found = dict(system.answer(questions))
    for question in questions:
        reply = found[question]
        assert isinstance(reply, Reply)
        assert reply.note is None
        assert reply.parts[0] == Text(f"I saw {len(question.pictures)} pictures. Here is mine.")
