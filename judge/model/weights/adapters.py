"""LoRA adapters as peft saves them: what each adds to which weight of the base, made row by row when it is asked for.

    adapter = read_adapter(Path("out/stage2/adapter"))
    adapter.changes["model.language_model.layers.0.self_attn.q_proj.weight"].rows(0, 512)   (512, inputs), float32
    adapter.replaced["model.multi_modal_projector.linear_1.weight"]                         modules_to_save: whole tensors

Names are those of the model that was adapted, in memory; `judge.model.weights.module_names` says how they are spelt in
files. What is not plain LoRA is refused: peft itself merges it.

Source: huggingface/peft, `tuners/lora/layer.py`: B @ A * alpha / r, with rsLoRA alpha / sqrt(r).
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from judge.errors import UserError
from judge.io.files import open_file
from judge.model.judge_files import list_some, read_object
from judge.model.weights.number_types import decode_numbers
from judge.model.weights.shards import StoredTensor, find_tensors

CONFIG = "adapter_config.json"
PREFIX = "base_model.model."
BY_PEFT = "merge it with peft: PeftModel.from_pretrained(base, adapter).merge_and_unload().save_pretrained(folder)"
_LOW_RANK = re.compile(r"(.+)\.lora_([AB])\.weight")


@dataclasses.dataclass(frozen=True)
class LowRank:
    """left (outputs, rank) @ right (rank, inputs) is what a weight of that shape gains."""

    left: np.ndarray
    right: np.ndarray

    @property
    def shape(self) -> tuple[int, int]:
        return self.left.shape[0], self.right.shape[1]

    def rows(self, first: int, last: int) -> np.ndarray:
        """Rows first to last - 1 of the product, float32."""
        return np.asarray(self.left[first:last] @ self.right, np.float32)


@dataclasses.dataclass(frozen=True)
class Adapter:
    """changes: name of a weight → what it gains. replaced: name of a tensor → the one that takes its place."""

    folder: Path
    changes: Mapping[str, LowRank]
    replaced: Mapping[str, StoredTensor]

    @property
    def names(self) -> set[str]:
        return {*self.changes, *self.replaced}


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model."""
    return (folder / CONFIG).is_file()


def read_adapter(folder: Path) -> Adapter:
    """The adapter in a folder; its low-rank matrices are read, whole tensors are not. Raises UserError."""
    config = read_object(folder / CONFIG)
    _refuse_others(config, folder)
    stored = find_tensors(folder)
    halves: dict[str, dict[str, np.ndarray]] = {}
    replaced: dict[str, StoredTensor] = {}
    strange = []
    for full, tensor in stored.items():
        name = full.removeprefix(PREFIX)
        if match := _LOW_RANK.fullmatch(name):
            halves.setdefault(match[1], {})[match[2]] = read_matrix(tensor)
        elif ".lora_" in name or not full.startswith(PREFIX):
            strange.append(full)
        else:
            replaced[name] = tensor
    strange += [module for module, pair in halves.items() if pair.keys() != {"A", "B"}]
    if strange:
        raise UserError(f"holds what is no plain LoRA: {list_some(sorted(strange))}", file=folder, fix=BY_PEFT)
    changes = {f"{module}.weight": _low_rank(module, pair, config, folder) for module, pair in halves.items()}
    return Adapter(folder, changes, replaced)


def read_matrix(tensor: StoredTensor) -> np.ndarray:
    """A whole tensor, in its shape. Raises OSError."""
    with open_file(tensor.file) as file:
        file.seek(tensor.start)
        return decode_numbers(file.read(tensor.bytes), tensor.dtype).reshape(tensor.shape)


def _refuse_others(config: Mapping[str, Any], folder: Path) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise UserError(f"is {kind!r}, and only LORA is merged here", file=folder / CONFIG, field="peft_type", fix=BY_PEFT)
    for field in ("use_dora", "lora_bias", "trainable_token_indices"):
        if config.get(field):
            raise UserError("is not merged here", file=folder / CONFIG, field=field, fix=BY_PEFT)


def _low_rank(module: str, pair: Mapping[str, np.ndarray], config: Mapping[str, Any], folder: Path) -> LowRank:
    right, left = pair["A"], pair["B"]
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0]:
        raise UserError(
            f"{module}: lora_B {list(left.shape)} and lora_A {list(right.shape)} do not make a matrix",
            file=folder,
            fix=BY_PEFT,
        )
    rank = right.shape[0]
    alpha = float(_of_module(config.get("alpha_pattern") or {}, module, config.get("lora_alpha", rank)))
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    if config.get("fan_in_fan_out"):  # the weight is stored (inputs, outputs)
        left, right = right.T, left.T
    return LowRank(np.asarray(left, np.float32) * np.float32(scale), np.asarray(right, np.float32))


def _of_module(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """The value whose pattern ends the module's name, as peft finds it (`get_pattern_key`)."""
    return next((value for key, value in patterns.items() if re.fullmatch(rf"(?:.*\.)?{key}", module)), default)
