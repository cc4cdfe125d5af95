"""A recipe: everything that fixes a fine-tuning run, in one TOML file of plain keys.

    base = "OpenGVLab/InternVL2-4B"      # folder, or repository[@revision], in the original layout
    data = "scores.jsonl"                # human scores, see judge.io.human_scores
    out = "out/judge"
    method = "lora"

Paths are relative to the current folder. `--set key=value` replaces a key; the value is read as TOML, or else as text.
What is not given has the default below. The hash of a recipe is of its values, not of the file's comments.

Types and ranges are checked by pydantic, strictly: "3" is no number, 1 is not true.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError
from pydantic.dataclasses import dataclass

from judge.core import benchmark
from judge.core.benchmark import Profile
from judge.errors import UserError
from judge.finetune.metric import Metric
from judge.finetune.recipe_file import Values, find_recipe, first_problem, read_values

Given = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1, le=1 << 20)]
Steps = Annotated[int, Field(ge=0, le=1 << 31)]
Share = Annotated[float, Field(ge=0, le=0.9)]
Part = Annotated[float, Field(ge=0, le=1)]
Rate = Annotated[float, Field(ge=0, le=100)]
Beta = Annotated[float, Field(ge=0, lt=1)]
AS_LIST = Field(strict=False)
"""For tuples, which TOML and JSON write as lists; what is in them is checked strictly all the same."""


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
class Recipe(Values):
    """See the module; recipes/internvl2_4b.toml is the commented example."""

    base: Given
    data: Given
    out: Given
    benchmark: str = "mmie"
    questions: str = ""
    """The benchmark's data folder; "" is what its environment variable names, else the Hub's."""
    image_root: str = ""
    """Folder that pictures of answers lie below; "" is the folder of `data`."""
    rubric: str = "mmjudge"
    profile: Profile = "strict"

    held_out: Share = 0.2
    """Share of the answers that training never sees."""
    leave_model_out: str = ""
    """Hold out all answers of this model under test instead of a share."""
    validation: Share = 0.0
    """Share of the answers that stop the training; 0: the held-out ones do, whose agreement is then flattered."""

    objective: Literal["feedback", "score", "criteria"] = "feedback"
    distance_weight: Annotated[float, Field(ge=0, le=1000)] = 0.0
    method: Literal["lora", "full"] = "lora"
    rank: Count = 16
    alpha: Count = 32
    dropout: Share = 0.05
    targets: Annotated[tuple[str, ...], AS_LIST, Field(min_length=1)] = (
        "qkv_proj",
        "o_proj",
        "gate_up_proj",
        "down_proj",
    )
    """LoRA: last parts of the names of the modules that are adapted."""
    freeze_vision: bool = True

    epochs: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    max_steps: Steps = 0
    """Optimiser steps; exactly one of `epochs` and `max_steps` is given."""
    batch: Count = 1
    """Answers in one pass on one device."""
    accumulation: Count = 1
    optimizer: Literal["adamw", "muon"] = "adamw"
    lr: Annotated[float, Field(gt=0, le=100)] = 4e-5
    muon_lr: Rate = 6e-3
    """Learning rate of the matrices of the language layers under "muon"; the others have `lr`."""
    betas: Annotated[tuple[Beta, Beta], AS_LIST] = (0.9, 0.999)
    weight_decay: Rate = 0.0
    max_grad_norm: Rate = 1.0
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    lr_floor: Part = 0.0
    """Share of the learning rate that a cosine ends at."""
    warmup: Part = 0.03
    """Share of the steps over which the learning rate rises."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    gradient_checkpointing: bool = True
    share_prefix: bool = False
    """Batches of one category read what their prompts begin with once; exact, and cheaper for short answers."""
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0
    threads: Steps = 0
    """Of torch on the CPU; 0 leaves them as they are. Another number may change the last bits of the weights."""

    metric: Metric = "pearson"
    eval_every: Steps = 0
    """Steps between judgements of the answers that stop the training; 0: only at the end."""
    patience: Steps = 0
    """Evaluations without a better `metric` after which training stops, and the best weights are kept; 0: never."""
    save_every: Steps = 0
    """Steps between checkpoints; 0: none."""
    max_new_tokens: Count = 1024
    eval_batch: Count = 8

    trainer: Mapping[str, JsonValue] = dataclasses.field(default_factory=dict)
    """Arguments for transformers' TrainingArguments, as they are: deepspeed, fsdp, dataloader_num_workers, …"""


OWNED = frozenset(
    {
        *("output_dir", "max_steps", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps"),
        *("learning_rate", "adam_beta1", "adam_beta2", "weight_decay", "max_grad_norm", "lr_scheduler_type"),
        *("lr_scheduler_kwargs", "warmup_steps", "bf16", "fp16", "seed", "eval_strategy", "eval_steps"),
        *("save_strategy", "save_steps", "load_best_model_at_end", "metric_for_best_model", "greater_is_better"),
        *("gradient_checkpointing", "remove_unused_columns"),
    }
)
"""Trainer arguments that follow from a recipe's own keys."""


def read_recipe(file: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in `file`, with `overrides` ("key=value") in place of its keys.

    A file that is not there is looked for beside this package. Raises UserError that names file and field.
    """
    path = find_recipe(file, Path(__file__).parent)
    return make_recipe(read_values(path, overrides), path)


def make_recipe(values: Mapping[str, Any], path: Path) -> Recipe:
    """A recipe of these values, checked. path: the file that messages name. Raises UserError."""
    try:
        recipe = Recipe(**values)
    except ValidationError as error:
        raise first_problem(error, path, [some.name for some in dataclasses.fields(Recipe)]) from None
    for field, problem in _conflicts(recipe):
        raise UserError(problem, file=path, field=field)
    return recipe


def _conflicts(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """(field, problem) of values that do not go together."""
    if recipe.benchmark not in benchmark.names():
        yield "benchmark", f"is {recipe.benchmark!r}, not one of {', '.join(benchmark.names())}"
    elif not benchmark.find(recipe.benchmark).judged:
        yield "benchmark", f"is {recipe.benchmark!r}, whose answers a rule decides: there is no judge to train"
    if (recipe.epochs > 0) == (recipe.max_steps > 0):
        yield "max_steps", "and epochs: exactly one must be above 0"
    if recipe.lr_floor and recipe.schedule != "cosine":
        yield "lr_floor", f"is for a cosine, and the schedule is {recipe.schedule!r}"
    if recipe.held_out + recipe.validation > 0.9:
        yield "validation", "and held_out leave less than a tenth to train on"
    if recipe.optimizer == "muon" and recipe.method == "lora":
        yield "optimizer", '"muon" is for full fine-tuning; use "adamw" with LoRA'
    if recipe.share_prefix and recipe.gradient_checkpointing:
        yield "share_prefix", "and gradient_checkpointing exclude each other: one keeps what the other recomputes"
    if recipe.patience and not recipe.eval_every:
        yield "patience", "needs eval_every above 0"
    if recipe.patience and recipe.save_every != recipe.eval_every:
        yield "save_every", "must equal eval_every where patience is set, so that the best weights are on disk"
    for name in sorted(recipe.trainer.keys() & OWNED):
        yield f"trainer.{name}", "is set from the recipe's own keys"
