"""The judge that training left, in both layouts, each read again and compared before anything is judged by it.

    LoRA   W + B·A, merged in float32; the merged judge must give the logits of base and adapter
    full   the files as training wrote them

The number type is the one that the base's config.json names, as after full fine-tuning: what is released, judged and
measured is the rounded judge. How far the rounding moves logits is reported.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.io import files
from judge.model.weights import checkpoint, convert, original_layout
from judge.release.trained import Trained
from judge.scoring.pipeline import RUBRIC_FILE

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")

MERGE_TOLERANCE = 1e-4
"""Of the largest logit, in float32. Merging adds in another order; a wrong scale is off by as much as it adapts."""


@dataclasses.dataclass(frozen=True)
class Merged:
    """Largest absolute differences of float32 logits. merge: of base and adapter against the merged judge; effect: of
    the base against it; rounding: of the merged judge against what was written."""

    merge: float
    effect: float
    rounding: float


def write_original(trained: Trained, folder: Path, *, device: str = "cpu") -> Merged | None:
    """Write the original layout into `folder`; what merging did, None after full fine-tuning.

    Raises UserError for a run without its files, and where what was written does not compute what was trained.
    """
    from judge.finetune.train import COPIED

    if trained.adapter is None:
        original_layout.read_layout(trained.model)
        shutil.copytree(trained.model, folder)
        checkpoint.check_weights(folder, original_layout.read_layout(folder))
        return None
    model, differences = merge_adapter(trained.base, trained.adapter, device=device)
    described = original_layout.read_layout(trained.base)
    exact = convert.last_logits(model, described, device)
    import torch

    model = model.to(getattr(torch, str(described.raw.get("torch_dtype", "bfloat16"))))
    checkpoint.save_original(model, folder, described.raw)
    for name in COPIED:
        if (trained.base / name).exists():
            shutil.copyfile(trained.base / name, folder / name)
    rounded = convert.last_logits(model.float(), described, device)
    del model  # one model in memory at a time: at the real size it is 17 GB
    again = convert.last_logits(checkpoint.load_model(folder, device=device), described, device)
    off = largest_difference(rounded, again)
    if not off <= convert.LOGIT_TOLERANCE:
        raise UserError(f"logits of what was written are off by {off:.1e}", file=folder)
    return dataclasses.replace(differences, rounding=largest_difference(exact, again))


def merge_adapter(base: Path, adapter: Path, *, device: str = "cpu") -> tuple[Any, Merged]:
    """The base with its adapter merged in, float32; Merged.rounding is still 0.

    Raises UserError for an adapter that is missing, kept as pickle, or whose merge computes something else.
    """
    import peft

    missing = [name for name in ADAPTER_FILES if not (adapter / name).is_file()]
    if missing:
        raise UserError(f"lacks {', '.join(missing)}", file=adapter, fix="train again, or copy the whole folder")
    described = original_layout.read_layout(base)
    plain = checkpoint.load_model(base, device=device)
    untuned = convert.last_logits(plain, described, device)
    try:
        adapted = peft.PeftModel.from_pretrained(plain, str(adapter), torch_device=device).eval()
    except (RuntimeError, ValueError, KeyError) as error:  # peft has no error of its own
        raise UserError(f"does not fit the base: {' '.join(str(error).split())[:300]}", file=adapter) from None
    # peft itself only warns about adapters that it has no numbers for
    unset = peft.get_peft_model_state_dict(adapted, save_embedding_layers=False).keys() ^ _names(adapter)
    if unset:
        raise UserError(f"does not fit the base: {sorted(unset)[:5]}", file=adapter)
    wanted = convert.last_logits(adapted, described, device)
    model = adapted.merge_and_unload(safe_merge=True)
    found = convert.last_logits(model, described, device)
    merge = largest_difference(wanted, found)
    largest = max(float(logits.abs().max()) for logits in wanted.values())
    if not merge <= MERGE_TOLERANCE * largest:
        raise UserError(f"merged into the base it gives logits that are off by {merge:.1e}", file=adapter)
    return model, Merged(merge, largest_difference(untuned, found), 0.0)


def _names(adapter: Path) -> set[str]:
    from safetensors import safe_open

    with safe_open(str(adapter / ADAPTER_FILES[1]), framework="pt") as tensors:
        return set(tensors.keys())


def write_description(folder: Path, about: Mapping[str, Any], card: str) -> None:
    """Write mmjudge.json, which names the rubric, and the card beside the weights in `folder`."""
    files.write_json(folder / RUBRIC_FILE, about, indent=2)
    files.write_text(folder / "README.md", card)


def largest_difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Largest absolute difference of logits over all prompts; both: prompt → tensor, the same names and shapes."""
    return max(float((one[name] - other[name]).abs().max()) for name in one)
