"""What tuning a model starts from, read and checked before torch is imported: refusals come at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from judge.errors import UserError
from judge.finetune.checkpoints import refuse_out
from judge.systems.checkpoints import Checkpoint, find_checkpoint
from mmvu_tasks.train.conversations import Conversation, read_conversations
from mmvu_tasks.train.tuning_recipe import TuningRecipe


@dataclasses.dataclass(frozen=True)
class TuningSetup:
    """base: the model that is tuned, found and not loaded. conversations: what it learns, in the file's order."""

    base: Checkpoint
    conversations: Sequence[Conversation]


def find_tuning_setup(recipe: TuningRecipe, *, resume: bool) -> TuningSetup:
    """Read what the recipe names; of the base, what describes it. Raises UserError."""
    refuse_out(Path(recipe.out), resume=resume)
    data = Path(recipe.data)
    if not data.is_file():
        raise UserError("is no file", file=data, fix="give --data a mix of `mmjudge mmvu-data`")
    base = find_checkpoint(recipe.base)
    return TuningSetup(base, read_conversations(data, Path(recipe.image_root) if recipe.image_root else data.parent))
