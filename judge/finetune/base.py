"""What is fine-tuned: a judge in the original layout, as a native model with gradients where a recipe wants them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.finetune.recipe import Recipe
from judge.model import conversation
from judge.model.tokenizer import Tokenizer
from judge.model.weights import checkpoint, original_layout, source
from judge.model.weights.original_layout import Layout


@dataclasses.dataclass(frozen=True)
class Base:
    """name: as the recipe has it, a repository with its resolved commit."""

    folder: Path
    name: str
    layout: Layout
    tokenizer: Tokenizer
    weights_sha256: str

    @classmethod
    def find(cls, name: str) -> Base:
        """The base called `name`: a folder, or a repository[@revision], which is fetched. Raises UserError."""
        found = source.resolve_judge(name)
        local = found.revision.startswith("local-")
        described = original_layout.read_layout(found.folder)
        return cls(
            found.folder,
            name if local else str(found),
            described,
            conversation.read_tokenizer(found.folder, described.text["vocab_size"]),
            checkpoint.weights_sha256(found.folder),
        )


def load_trainable(recipe: Recipe, base: Base) -> tuple[Any, Any]:
    """(native model, peft's wrapper of it or None for full fine-tuning).

    With adapters the base is in the recipe's dtype; full fine-tuning keeps weights in float32 whatever the dtype of
    the arithmetic is, because a step is smaller than bfloat16 can hold. Raises UserError for targets that the judge has
    not got.
    """
    dtype = recipe.dtype if recipe.method == "lora" else "float32"
    model = checkpoint.load_model(base.folder, dtype=dtype)
    return model, make_trainable(model, recipe, base.name)


def make_trainable(model: Any, recipe: Recipe, name: str) -> Any:
    """Give a native model gradients where the recipe wants them; peft's wrapper of it, or None for full fine-tuning.

    name: the base's, for the adapter's config. Raises UserError as `load_trainable` does.
    """
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if recipe.method == "full":
        if recipe.freeze_vision:
            model.model.vision_tower.requires_grad_(False)
        return None
    import peft

    endings = [name for name, _ in model.named_modules() if name.split(".")[-1] in recipe.targets]
    if recipe.freeze_vision:
        endings = [name for name in endings if ".vision_tower." not in name]
    unknown = sorted(set(recipe.targets) - {name.split(".")[-1] for name in endings})
    if unknown:
        raise UserError(f"the judge has no modules {', '.join(unknown)} to adapt", field="targets")
    config = peft.LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=endings,
    )
    model.name_or_path = name  # what peft writes into the adapter's config
    return peft.get_peft_model(model, config)
