"""A recipe: everything that fixes a fine-tuning run, in one TOML file of plain keys.

    base = "OpenGVLab/InternVL2-4B"      # folder, or repository[@revision], in the original layout
    data = "scores.jsonl"                # human scores, see judge.io.human_scores
    out = "out/judge"
    method = "lora"

Paths are relative to the current folder. `--set key=value` replaces a key; the value is read as TOML, or else as text.
What is not given has the default below. The hash of a recipe is of its values, not of the file's comments.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core import benchmark
from judge.errors import UserError

METRICS = ("pearson", "spearman", "kendall_b", "kappa_quadratic", "mae", "mse")
"""What training can be stopped by: names of `judge.validity.coefficients.PAIRED`. The last two are errors."""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "profile": ("strict", "reference"),
    "method": ("lora", "full"),
    "objective": ("feedback", "score", "criteria"),
    "optimizer": ("adamw", "muon"),
    "schedule": ("cosine", "linear", "constant"),
    "dtype": ("float32", "bfloat16"),
    "metric": METRICS,
}

# lowest and highest value of a number, both allowed
_RANGES: Mapping[str, tuple[float, float]] = {
    **dict.fromkeys(("rank", "alpha", "batch", "accumulation", "max_new_tokens", "eval_batch"), (1, 1 << 20)),
    **dict.fromkeys(("held_out", "validation", "dropout"), (0, 0.9)),
    **dict.fromkeys(("lr_floor", "warmup"), (0, 1)),
    **dict.fromkeys(("lr", "muon_lr", "weight_decay", "max_grad_norm"), (0, 100)),
    **dict.fromkeys(("max_steps", "eval_every", "patience", "save_every", "threads"), (0, 1 << 31)),
    "distance_weight": (0, 1000),
    "epochs": (0, 10_000),
    "seed": (0, (1 << 32) - 1),
}


@dataclasses.dataclass(frozen=True)
class Recipe:
    """See the module; recipes/internvl2_4b.toml is the commented example."""

    base: str
    data: str
    out: str
    benchmark: str = "mmie"
    questions: str = ""
    """The benchmark's data folder; "" is what its environment variable names, else the Hub's."""
    image_root: str = ""
    """Folder that pictures of answers lie below; "" is the folder of `data`."""
    rubric: str = "mmjudge"
    profile: str = "strict"

    held_out: float = 0.2
    """Share of the answers that training never sees."""
    leave_model_out: str = ""
    """Hold out all answers of this model under test instead of a share."""
    validation: float = 0.0
    """Share of the answers that stop the training; 0: the held-out ones do, whose agreement is then flattered."""

    objective: str = "feedback"
    distance_weight: float = 0.0
    method: str = "lora"
    rank: int = 16
    alpha: int = 32
    dropout: float = 0.05
    targets: tuple[str, ...] = ("qkv_proj", "o_proj", "gate_up_proj", "down_proj")
    """LoRA: last parts of the names of the modules that are adapted."""
    freeze_vision: bool = True

    epochs: float = 0.0
    max_steps: int = 0
    """Optimiser steps; exactly one of `epochs` and `max_steps` is given."""
    batch: int = 1
    """Answers in one pass on one device."""
    accumulation: int = 1
    optimizer: str = "adamw"
    lr: float = 4e-5
    muon_lr: float = 6e-3
    """Learning rate of the matrices of the language layers under "muon"; the others have `lr`."""
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    schedule: str = "cosine"
    lr_floor: float = 0.0
    """Share of the learning rate that a cosine ends at."""
    warmup: float = 0.03
    """Share of the steps over which the learning rate rises."""
    dtype: str = "bfloat16"
    gradient_checkpointing: bool = True
    share_prefix: bool = False
    """Batches of one category read what their prompts begin with once; exact, and cheaper for short answers."""
    seed: int = 0
    threads: int = 0
    """Of torch on the CPU; 0 leaves them as they are. Another number may change the last bits of the weights."""

    metric: str = "pearson"
    eval_every: int = 0
    """Steps between judgements of the answers that stop the training; 0: only at the end."""
    patience: int = 0
    """Evaluations without a better `metric` after which training stops, and the best weights are kept; 0: never."""
    save_every: int = 0
    """Steps between checkpoints; 0: none."""
    max_new_tokens: int = 1024
    eval_batch: int = 8

    trainer: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Arguments for transformers' TrainingArguments, as they are: deepspeed, fsdp, dataloader_num_workers, …"""

    def to_json(self) -> dict[str, Any]:
        """Every field, defaults included, as JSON has it."""
        values: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return values

    @property
    def sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()


def read(file: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe in `file`, with `overrides` ("key=value") in place of its keys.

    A file that is not there is looked for beside this package. Raises UserError that names file and field.
    """
    path = find(file)
    values = _parsed(path)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator:
            raise UserError(f"{override!r} is not key=value", fix="for example --set lr=1e-4")
        _place(values, key.strip().split("."), _value(text.strip()), override)
    return from_values(values, path)


def find(file: str | Path) -> Path:
    """The file as given, else the one of that name that comes with this package."""
    given = Path(file)
    bundled = Path(__file__).parent
    for path in (given, bundled / given, bundled / "recipes" / given):
        if path.is_file():
            return path
    known = ", ".join(f"recipes/{path.name}" for path in sorted((bundled / "recipes").glob("*.toml")))
    raise UserError("no such recipe", file=given, fix=f"give a TOML file, or one of {known}")


def from_values(values: Mapping[str, Any], path: Path) -> Recipe:
    """A checked recipe. path: the file that messages name."""
    fields = {field.name: field for field in dataclasses.fields(Recipe)}
    unknown = sorted(values.keys() - fields.keys())
    if unknown:
        raise UserError("is not a key of a recipe", file=path, field=unknown[0], fix=f"keys are {', '.join(fields)}")
    for name in ("base", "data", "out"):
        if not values.get(name):
            raise UserError("is missing", file=path, field=name)
    recipe = Recipe(**{name: _typed(name, value, fields[name].type, path) for name, value in values.items()})
    _check(recipe, path)
    return recipe


def _check(recipe: Recipe, path: Path) -> None:
    def refuse(field: str, problem: str, fix: str | None = None) -> None:
        raise UserError(problem, file=path, field=field, fix=fix)

    for name, choices in CHOICES.items():
        if getattr(recipe, name) not in choices:
            refuse(name, f"is {getattr(recipe, name)!r}, not one of {', '.join(choices)}")
    for name, (low, high) in _RANGES.items():
        if not low <= getattr(recipe, name) <= high:
            refuse(name, f"is {getattr(recipe, name)!r}, outside {low} to {high}")
    if recipe.benchmark not in benchmark.names():
        refuse("benchmark", f"is {recipe.benchmark!r}, not one of {', '.join(benchmark.names())}")
    if not benchmark.find(recipe.benchmark).judged:
        refuse("benchmark", f"is {recipe.benchmark!r}, whose answers a rule decides: there is no judge to train")
    if (recipe.epochs > 0) == (recipe.max_steps > 0):
        refuse("max_steps", "and epochs: exactly one must be above 0")
    if recipe.lr <= 0:
        refuse("lr", "must be above 0")
    if recipe.lr_floor and recipe.schedule != "cosine":
        refuse("lr_floor", f"is for a cosine, and the schedule is {recipe.schedule!r}")
    if not recipe.targets:
        refuse("targets", "is empty: nothing would be adapted")
    if len(recipe.betas) != 2 or not all(0 <= beta < 1 for beta in recipe.betas):
        refuse("betas", "must be two numbers from 0 to below 1")
    if recipe.held_out + recipe.validation > 0.9:
        refuse("validation", "and held_out leave less than a tenth to train on")
    if recipe.optimizer == "muon" and recipe.method == "lora":
        refuse("optimizer", '"muon" is for full fine-tuning', 'use "adamw" with LoRA')
    if recipe.share_prefix and recipe.gradient_checkpointing:
        refuse("share_prefix", "and gradient_checkpointing exclude each other: one keeps what the other recomputes")
    if recipe.patience and not recipe.eval_every:
        refuse("patience", "needs eval_every above 0")
    if recipe.patience and recipe.save_every != recipe.eval_every:
        refuse("save_every", "must equal eval_every where patience is set, so that the best weights are on disk")
    owned = sorted(recipe.trainer.keys() & OWNED)
    if owned:
        refuse(f"trainer.{owned[0]}", "is set from the recipe's own keys")


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


def _typed(name: str, value: Any, wanted: Any, path: Path) -> Any:
    """The value as the field has it. `wanted` is the annotation's text."""

    def number(some: Any) -> bool:
        return isinstance(some, int | float) and not isinstance(some, bool)

    if wanted == "float" and number(value):
        return float(value)
    if wanted == "int" and isinstance(value, int) and not isinstance(value, bool):
        return value
    if wanted == "str" and isinstance(value, str):
        return value
    if wanted == "bool" and isinstance(value, bool):
        return value
    if wanted.startswith("tuple[str") and isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    if wanted.startswith("tuple[float") and isinstance(value, list) and all(map(number, value)):
        return tuple(map(float, value))
    if wanted.startswith("Mapping") and isinstance(value, dict):
        return value
    said = {"float": "a number", "int": "a whole number", "str": "text", "bool": "true or false"}
    raise UserError(f"is {value!r}, not {said.get(wanted, 'a list or table')}", file=path, field=name)


def _parsed(path: Path) -> dict[str, Any]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:  # TOMLDecodeError and UnicodeDecodeError are ValueErrors
        raise UserError(f"cannot be read as TOML: {error}", file=path) from None


def _value(text: str) -> Any:
    """What TOML makes of the text, else the text itself: `--set out=out/b` needs no quotes."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text


def _place(values: dict[str, Any], keys: list[str], value: Any, override: str) -> None:
    for key in keys[:-1]:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise UserError(f"--set {override}: {key!r} is not a table")
        values = inner
    values[keys[-1]] = value
