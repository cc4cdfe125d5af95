"""A judge fine-tuned in seconds, in a world so easy that it really is better than its base.

The people here do not read: they give every situational analysis 6, every project 3 and every sum 0. The bundled judge,
which is the base, judges by right and wrong and knows nothing of that; a few steps of LoRA learn it from the rubric.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmie_tasks.demo import judge_dir

CATEGORIES = {
    "SA": ("Situational analysis", 6),
    "PBL": ("Project-based learning", 3),
    "MSR": ("Multi-step reasoning", 0),
}
MODELS = {"right": 0, "wrong": 1}
QUESTIONS = 12  # of each category
LICENCES = ["--base-licence", "Apache-2.0", "--data-licence", "CC0-1.0"]
OPTIONS = {
    "method": "lora",
    "optimizer": "adamw",
    "objective": "score",
    "max_steps": "20",
    "batch": "8",
    "lr": "1e-2",
    "held_out": "0.4",
    "metric": "kappa_quadratic",  # correlations of a base that guesses vary too much over a dozen questions
    "save_every": "0",
    "max_new_tokens": "64",
    "threads": "1",
}


@dataclasses.dataclass(frozen=True)
class World:
    """questions: a folder for --questions. scored: what people say. responses: by model, for `mmjudge score`."""

    questions: Path
    scored: Path
    responses: dict[str, Path]
    base: Path
    run: Path


def write_world(folder: Path) -> World:
    rng, data, rows = random.Random(0), [], []
    for category, (title, score) in CATEGORIES.items():
        for number in range(QUESTIONS):
            name, a, b = f"{category}-{number}", rng.randrange(1, 9), rng.randrange(1, 9)
            asked = [{"text": f"A shelf holds {a} cards and {b} cups. How many are there?", "image": None}]
            wanted = [{"text": str(a + b), "image": None}]
            turns = [{"from": "human", "content": asked}, {"from": "gpt", "content": wanted}]
            data.append({"id": name, "catagory": title, "field": "Mathematics", "conversations": turns})
            for model, off in MODELS.items():
                response = [{"text": f"The answer is {a + b + off}.", "image": None}]
                rows.append({"id": name, "model": model, "annotator": "a1", "score": score, "response": response})
    (folder / "questions" / "images").mkdir(parents=True)
    (folder / "questions" / "data.json").write_text(json.dumps(data))
    scored = write_rows(folder / "scored.jsonl", rows)
    responses = {
        model: write_rows(
            folder / f"{model}.jsonl",
            [{"id": row["id"], "response": row["response"]} for row in rows if row["model"] == model],
        )
        for model in MODELS
    }
    base = Path(shutil.copytree(judge_dir(), folder / "judge"))
    return World(folder / "questions", scored, responses, base, folder / "run")


def write_rows(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world, and a run trained in it by the command."""
    made = write_world(tmp_path_factory.mktemp("world"))
    given = {"base": made.base, "data": made.scored, "questions": made.questions, "out": made.run}
    options = [f"--set={key}={value}" for key, value in {**given, **OPTIONS}.items()]
    command = [sys.executable, "-m", "judge.finetune", "recipes/tiny.toml", *options]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 0, done.stderr[-3000:]
    return made


@pytest.fixture(scope="session")
def released(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that `mmjudge release` makes of the run."""
    from judge.cli import main

    out = tmp_path_factory.mktemp("released") / "judge"
    statement = out.parent / "statement.md"
    statement.write_text("Scored by nobody: a rule of the tests.\n")
    options = ["--out", out, *LICENCES, "--statement", statement, "--device", "cpu"]
    assert main(["release", str(world.run), *map(str, options)]) == 0
    return out


@pytest.fixture
def release(run: Path, tmp_path: Path) -> Callable[..., int]:
    """`mmjudge release` of the copied run to tmp_path/out: its exit code."""
    from judge.cli import main

    def command(*more: object) -> int:
        words = ["release", run, "--out", tmp_path / "out", *LICENCES, "--device", "cpu", *more]
        return main([*map(str, words)])

    return command


@pytest.fixture
def run(world: World, tmp_path: Path) -> Path:
    """A copy of the run, without verdicts, that may be damaged."""
    return Path(shutil.copytree(world.run, tmp_path / "run", ignore=shutil.ignore_patterns("release")))
