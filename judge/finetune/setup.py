"""What a training run starts from, read and checked before torch is imported: refusals come at once.

setup = find_setup(recipe, resume=False)     rubric, scores and base, or UserError
train_judge(recipe, setup=setup)
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from judge.core import benchmark
from judge.core.rubric import Rubric
from judge.finetune import dataset
from judge.finetune.base import Base
from judge.finetune.checkpoints import refuse_out
from judge.finetune.dataset import Material
from judge.finetune.recipe import Recipe
from judge.model.weights import source


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a run starts from: the recipe and what it names."""

    recipe: Recipe
    base: Base
    rubric: Rubric
    material: Material


def find_setup(recipe: Recipe, *, resume: bool) -> Setup:
    """Read what the recipe names; what is quick to check comes first, fetching the base last. Raises UserError."""
    refuse_out(Path(recipe.out), resume=resume)
    source.check_judge_name(recipe.base)
    bench = benchmark.find(recipe.benchmark)
    material = dataset.load_material(recipe, bench)
    return Setup(recipe, Base.find(recipe.base), bench.rubric(recipe.rubric), material)
