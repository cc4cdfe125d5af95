"""A small run that tests change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scored import scored_rows, write_rows

from mmie_tasks.demo import demo_dir, judge_dir

if TYPE_CHECKING:
    from judge.finetune.recipe import Recipe


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A few steps of full fine-tuning of the bundled judge; tests replace fields."""
    from judge.finetune.recipe import Recipe

    data = write_rows(tmp_path / "scored.jsonl", scored_rows())
    return Recipe(
        base=str(judge_dir()),
        data=str(data),
        out=str(tmp_path / "out"),
        questions=str(demo_dir()),
        image_root=str(demo_dir()),
        method="full",
        freeze_vision=False,
        max_steps=4,
        batch=4,
        optimizer="muon",
        lr=2e-3,
        warmup=0.0,
        dtype="float32",
        gradient_checkpointing=False,
        share_prefix=True,
        threads=1,
        max_new_tokens=40,
    )
