"""Packages that fine-tuning needs and the core does without: what is missing is said in one line.

with needs_finetune():
    from judge.finetune.recipe import read_recipe     # pydantic
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from judge.errors import UserError

PACKAGES = (
    "accelerate",
    "datasets",
    "peft",
    "pydantic",
    "safetensors",
    "sentencepiece",
    "torch",
    "transformers",
    "trl",
)


@contextlib.contextmanager
def needs_finetune(extra: str = "finetune") -> Iterator[None]:
    """Raises UserError with the command that installs what an import in the block did not find, as an extra of ours."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise UserError(f"{error.name} is not installed", fix=f"pip install 'mmjudge[{extra}]'") from None
