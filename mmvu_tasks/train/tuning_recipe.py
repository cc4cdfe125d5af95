"""A recipe for tuning a model on conversations about pictures: recipes/mmvu_stage1.toml and mmvu_stage2.toml.

    train = "connector+lora"
    total_batch = 128
    lr = 2e-4

`base`, `data` and `out` are usually given on the command line. Whatever else trl's SFTConfig takes stands under
[trainer]. Types and ranges are checked by pydantic, strictly, as in `judge.finetune.recipe`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, JsonValue, ValidationError
from pydantic.dataclasses import dataclass

from judge.errors import UserError
from judge.finetune.recipe import AS_LIST, Beta, Count, Given, Rate, Share, Steps
from judge.finetune.recipe_file import Values, find_recipe, first_problem, read_values


@dataclass(frozen=True, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
class TuningRecipe(Values):
    """See the module; the two recipes are the commented examples."""

    base: Given
    """A folder, or repository[@revision], of an image-text-to-text model of transformers."""
    data: Given
    """A mix in LLaVA's form, or trl.jsonl (`mmvu_tasks.train.conversations`)."""
    out: Given
    image_root: str = ""
    """Folder that names of pictures are relative to; "" is the folder of `data`."""

    train: Literal["connector", "lora", "connector+lora", "all"] = "connector+lora"
    connector: Annotated[tuple[str, ...], AS_LIST] = ()
    """Names of the modules between vision tower and language model; () finds them."""
    rank: Count = 128
    alpha: Count = 256
    dropout: Share = 0.05
    targets: Annotated[tuple[str, ...], AS_LIST] = ()
    """LoRA: last parts of names of linear layers of the language model; () is all but its head."""

    epochs: Annotated[float, Field(ge=0, le=10_000)] = 0.0
    max_steps: Steps = 0
    """Optimiser steps; exactly one of `epochs` and `max_steps` is given."""
    total_batch: Count = 128
    """Rows in an optimiser step, on all devices together."""
    batch: Count = 8
    """Rows in one pass on one device."""
    optimizer: Given = "adamw_torch"
    """A name that transformers' TrainingArguments has under `optim`."""
    lr: Annotated[float, Field(gt=0, le=100)] = 2e-4
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Beta = 0.03
    """Share of the steps over which the learning rate rises."""
    weight_decay: Rate = 0.0
    max_grad_norm: Rate = 1.0
    max_length: Annotated[int, Field(ge=0, le=1 << 24)] = 2048
    """Tokens after which a row is cut off; 0: never."""
    dtype: Literal["float32", "bfloat16"] = "bfloat16"
    gradient_checkpointing: bool = True
    save_every: Steps = 0
    """Steps between checkpoints; 0: none."""
    seed: Annotated[int, Field(ge=0, lt=1 << 32)] = 0

    trainer: Mapping[str, JsonValue] = dataclasses.field(default_factory=dict)
    """Arguments for trl's SFTConfig, as they are: deepspeed, dataloader_num_workers, …"""

    def accumulation(self, devices: int) -> int:
        """Passes in an optimiser step. Raises UserError where `total_batch` does not come out."""
        passes, rest = divmod(self.total_batch, self.batch * devices)
        if rest or not passes:
            raise UserError(
                f"is {self.total_batch}, and {devices} devices take {self.batch} rows each at once",
                field="total_batch",
                fix=f"make it a multiple of {self.batch * devices}, or set another batch",
            )
        return passes


OWNED = frozenset(
    {
        *("output_dir", "max_steps", "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps"),
        *("optim", "learning_rate", "lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm", "bf16"),
        *("fp16", "seed", "data_seed", "save_strategy", "save_steps", "gradient_checkpointing", "max_length"),
        *("completion_only_loss", "assistant_only_loss", "packing", "remove_unused_columns", "model_init_kwargs"),
    }
)
"""Trainer arguments that follow from a recipe's own keys, or that decide what is learned."""


def read_tuning_recipe(file: str | Path, overrides: Sequence[str], given: Mapping[str, str]) -> TuningRecipe:
    """The recipe in `file`, with `overrides` ("key=value") and then `given` (base, data, …) in place of its keys.

    A file that is not there is looked for beside this package. Raises UserError that names file and field.
    """
    path = find_recipe(file, Path(__file__).parent)
    values = {**read_values(path, overrides), **given}
    try:
        recipe = TuningRecipe(**values)
    except ValidationError as error:
        problem = first_problem(error, path, [some.name for some in dataclasses.fields(TuningRecipe)])
        if problem.problem == "is missing" and problem.field in ("base", "data", "out"):
            raise UserError("is missing", file=path, field=problem.field, fix=f"give --{problem.field}") from None
        raise problem from None
    for field, what in _conflicts(recipe):
        raise UserError(what, file=path, field=field)
    return recipe


def _conflicts(recipe: TuningRecipe) -> Iterator[tuple[str, str]]:
    """(field, problem) of values that do not go together."""
    if (recipe.epochs > 0) == (recipe.max_steps > 0):
        yield "max_steps", "and epochs: exactly one must be above 0"
    if recipe.targets and "lora" not in recipe.train:
        yield "targets", f"are LoRA's, and train is {recipe.train!r}"
    if recipe.connector and "connector" not in recipe.train:
        yield "connector", f"is not trained alone where train is {recipe.train!r}"
    for name in sorted(recipe.trainer.keys() & OWNED):
        yield f"trainer.{name}", "is set from the recipe's own keys"
