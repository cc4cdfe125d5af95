"""LoRA adapters as peft saves them: what each adds to which weight of the base, read weight by weight.

    adapter = read_adapter(Path("out/stage2/adapter"))
    left, right = adapter.changes["model.language_model.layers.0.self_attn.q_proj.weight"].read_factors()
    left[:512] @ right                                                 what its first 512 rows gain, float32
    adapter.replaced["model.multi_modal_projector.linear_1.weight"]    modules_to_save: whole tensors

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
OTHER_KINDS = (
    "use_dora", "lora_bias", "trainable_token_indices", "alora_invocation_tokens", "use_qalora", "use_bdlora",
    "arrow_config", "kasa_config", "monteclora_config",
)  # fmt: skip
"""Fields of adapter_config.json that make of LoRA something else."""
OF_ANOTHER_BASE = ("pissa", "corda", "olora", "loftq", "lora_ga")
"""What `init_lora_weights` begins with where peft took a part out of the base's own weights before it trained: the
adapter belongs to what was left of them. Saved with `path_initial_model_for_weight_conversion`, it says true."""
AS_PLAIN = "save it as plain LoRA with peft: save_pretrained(folder, path_initial_model_for_weight_conversion=…)"
_LOW_RANK = re.compile(r"(.+)\.lora_([AB])\.weight")


@dataclasses.dataclass(frozen=True)
class LowRank:
    """What a weight gains, in its files until it is wanted: lora_B (outputs, rank) @ lora_A (rank, inputs) * scale.

    transposed: the weight is stored (inputs, outputs).
    """

    lora_a: StoredTensor
    lora_b: StoredTensor
    scale: float
    transposed: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Of the weight."""
        outputs, inputs = self.lora_b.shape[0], self.lora_a.shape[1]
        return (inputs, outputs) if self.transposed else (outputs, inputs)

    def read_factors(self) -> tuple[np.ndarray, np.ndarray]:
        """(rows of the weight, rank), scaled, and (rank, columns), float32; the gain is their product."""
        right, left = read_matrix(self.lora_a), read_matrix(self.lora_b)
        if self.transposed:
            left, right = right.T, left.T
        return np.asarray(left, np.float32) * np.float32(self.scale), np.asarray(right, np.float32)


@dataclasses.dataclass(frozen=True)
class Adapter:
    """changes: name of a weight → what it gains. replaced: name of a tensor → the one that takes its place."""

    folder: Path
    changes: Mapping[str, LowRank]
    replaced: Mapping[str, StoredTensor]

    @property
    def names(self) -> set[str]:
        """Of all tensors that it changes, as they are called in memory."""
        return {*self.changes, *self.replaced}


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds an adapter and no whole model."""
    return (folder / CONFIG).is_file()


def read_adapter(folder: Path) -> Adapter:
    """The adapter in a folder, from its headers; no tensor is read. Raises UserError."""
    config = read_object(folder / CONFIG)
    _refuse_others(config, folder)
    stored = find_tensors(folder)
    if not stored:
        raise UserError("holds no tensors", file=folder, fix="see how it was saved: nothing would be merged")
    halves: dict[str, dict[str, StoredTensor]] = {}
    replaced: dict[str, StoredTensor] = {}
    strange = []
    for full, tensor in stored.items():
        name = full.removeprefix(PREFIX)
        if match := _LOW_RANK.fullmatch(name):
            halves.setdefault(match[1], {})[match[2]] = tensor
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
        raise UserError(
            f"is {kind!r}, and only LORA is merged here", file=folder / CONFIG, field="peft_type", fix=BY_PEFT
        )
    for field in OTHER_KINDS:
        if config.get(field):
            raise UserError("is not merged here", file=folder / CONFIG, field=field, fix=BY_PEFT)
    if str(made := config.get("init_lora_weights")).lower().startswith(OF_ANOTHER_BASE):
        raise UserError(f"is {str(made)[:40]!r}, which changes the base", file=folder / CONFIG,
                        field="init_lora_weights", fix=AS_PLAIN)  # fmt: skip


def _low_rank(module: str, pair: Mapping[str, StoredTensor], config: Mapping[str, Any], folder: Path) -> LowRank:
    lora_a, lora_b = pair["A"], pair["B"]
    if len(lora_a.shape) != 2 or len(lora_b.shape) != 2 or lora_b.shape[1] != lora_a.shape[0]:
        raise UserError(
            f"{module}: lora_B {list(lora_b.shape)} and lora_A {list(lora_a.shape)} do not make a matrix",
            file=folder,
            fix=BY_PEFT,
        )
    rank = lora_a.shape[0]
    try:
        alpha = float(_of_module(config.get("alpha_pattern") or {}, module, config.get("lora_alpha")))
    except (AttributeError, TypeError, ValueError, re.error) as error:
        raise UserError(f"gives {module} no alpha ({error})", file=folder / CONFIG, field="lora_alpha") from None
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    return LowRank(lora_a, lora_b, scale, bool(config.get("fan_in_fan_out")))


def _of_module(patterns: Mapping[str, Any], module: str, default: Any) -> Any:
    """The value whose pattern ends the module's name, as peft finds it (`get_pattern_key`)."""
    return next((value for key, value in patterns.items() if re.fullmatch(rf"(?:.*\.)?(?:{key})", module)), default)
