"""Two models of one shape become one: each number is (1 - w) of the base's and w of the tuned one's.

    merge_weights(Path("base"), Path("tuned"), Path("out/merged"), Mixture(0.05, {"vision_tower": 0.0}))
    ->  {"base": {"name": "base", "weights_sha256": "5f0c…"}, "tuned": {…}, "kind": "model", "weight": 0.05,
         "modules": {"vision_tower": 0.0}, "tensors": {"merged": 291, "copied": 2}, "weights_sha256": "a41d…"}

This is what stands in the new folder's merge.json. The files of weights have the base's names, order and number types;
configuration, tokenizer and processor are the base's. The tuned model may be a LoRA adapter of the base: it is added to
each weight first, in float32, and never becomes a model of its own.

Files are read and written piece by piece, so memory is some `PIECE` numbers, whatever the models have; of an adapter,
the two factors of one weight as well. The folder gets its name when it is whole; what fails leaves nothing.

Source of the rule: BAAI-DCAI/MMVU, merging with 0.05 of the tuned model; supplement to arXiv 2406.10638, Table 13,
"Weight merge".
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np

from judge.errors import UserError
from judge.io import files
from judge.io.progress import counted
from judge.model.judge_files import list_some, read_object
from judge.model.weights import checkpoint, shards
from judge.model.weights.adapters import CONFIG, Adapter, LowRank, is_adapter, read_adapter
from judge.model.weights.module_names import stored_names
from judge.model.weights.number_types import decode_numbers, encode_numbers
from judge.model.weights.shards import ITEM_BYTES, NO_WEIGHTS, StoredTensor

PIECE = 1 << 20
"""Numbers that are in memory at once, some four times over: 4 MiB each."""

ABOUT = "merge.json"
WEIGHT_FILES = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".gguf")
NOT_COPIED = ("readme.md", ABOUT, shards.INDEX)
"""Of the base: its card says nothing true of the merged model, and the index is written with the weights."""

Tensors = Mapping[str, StoredTensor]


@dataclasses.dataclass(frozen=True)
class Mixture:
    """weight: share of the tuned model, 0 to 1. modules: part of a tensor's name → its own share.

    "vision_tower" and "layers.0.mlp" are parts of "model.vision_tower.layers.0.mlp.fc1.weight"; of several, the longest
    counts.
    """

    weight: float
    modules: Mapping[str, float] = dataclasses.field(default_factory=dict)

    def of_tensor(self, name: str) -> float:
        """The share for one tensor."""
        fitting = [part for part in self.modules if f".{part}." in f".{name}."]
        return self.modules[max(fitting, key=len)] if fitting else self.weight

    def require_names(self, names: list[str]) -> None:
        """Raise UserError for a share that is none, or a module that no tensor has."""
        for where, weight in (("weight", self.weight), *self.modules.items()):
            if not 0 <= weight <= 1:
                raise UserError(f"{where}: {weight} is not between 0 (the base) and 1 (the tuned model)")
        for part in self.modules:
            if not any(f".{part}." in f".{name}." for name in names):
                raise UserError(f"no tensor has {part!r} in its name", fix=f"names are like {list_some(names)}")


@dataclasses.dataclass(frozen=True)
class Partner:
    """What the tuned side has for one tensor of the base. tensor: None for the base's own; gain: None without LoRA."""

    tensor: StoredTensor | None
    gain: LowRank | None = None


def merge_weights(base: Path, tuned: Path, out: Path, mixture: Mixture) -> dict[str, Any]:
    """Write the merged model to `out`, which must not exist, and return what its merge.json says.

    base: a folder of a transformers model. tuned: another of the same shape, or a LoRA adapter. Raises UserError for
    folders that do not go together and for a disk that is full, before and after which nothing is left in `out`.
    """
    ours = shards.find_tensors(base, NO_WEIGHTS)
    partners = _partners(base, ours, tuned)
    mixture.require_names(list(ours))
    with files.new_folder(out) as folder:
        _require_room(ours, folder, out)
        _copy_description(base, folder)
        counts = {"merged": 0, "copied": 0}
        by_file: dict[Path, dict[str, StoredTensor]] = {}
        for name, tensor in ours.items():
            by_file.setdefault(tensor.file, {})[name] = tensor
        for file, tensors in counted(by_file.items(), "merging weights", "file", after=0):
            counts["copied"] += _write_shard(file, tensors, partners, mixture, folder / file.name)
        counts["merged"] = len(ours) - counts["copied"]
        about = {
            "base": {"name": base.resolve().name, "weights_sha256": checkpoint.weights_sha256(base)},
            "tuned": {"name": tuned.resolve().name, "weights_sha256": checkpoint.weights_sha256(tuned)},
            "kind": "adapter" if is_adapter(tuned) else "model",
            "weight": mixture.weight,
            "modules": dict(mixture.modules),
            "tensors": counts,
            "weights_sha256": files.sha256(*shards.find_shards(folder)),
        }
        files.write_json(folder / ABOUT, about, indent=2)
    return about


def _partners(base: Path, ours: Tensors, tuned: Path) -> dict[str, Partner]:
    """What the tuned side has for each tensor of the base that it changes. Raises UserError."""
    if is_adapter(tuned):
        return _of_adapter(base, ours, read_adapter(tuned))
    theirs = shards.find_tensors(tuned, NO_WEIGHTS)
    missing, extra = sorted(ours.keys() - theirs.keys()), sorted(theirs.keys() - ours.keys())
    if missing or extra:
        found = [
            (f"{len(names)} tensors {what}", names) for what, names in (("missing", missing), ("more", extra)) if names
        ]
        raise UserError(
            "is no tuned form of the base: " + "; ".join(f"{what}: {list_some(names)}" for what, names in found),
            file=tuned,
            fix="give the base it was tuned from; where only names differ, load and save both with one transformers",
        )
    other = [
        f"{name} is {list(theirs[name].shape)}, in the base {list(tensor.shape)}"
        for name, tensor in ours.items()
        if theirs[name].shape != tensor.shape
    ]
    if other:
        raise UserError(
            f"tensors of other shapes: {list_some(other)}", file=tuned, fix="give the base it was tuned from"
        )
    whole = [name for name, one in ours.items() if (one.dtype in NO_WEIGHTS) != (theirs[name].dtype in NO_WEIGHTS)]
    if whole:
        raise UserError(f"whole numbers on one side only: {list_some(whole)}", file=tuned)
    return {name: Partner(tensor) for name, tensor in theirs.items()}


def _of_adapter(base: Path, ours: Tensors, adapter: Adapter) -> dict[str, Partner]:
    """Adapter names become those of the base's files. Raises UserError for an adapter of another base."""
    spelt = {name: name for name in ours}
    if not adapter.names <= spelt.keys():
        spelt |= stored_names(base, ours)
    unknown = sorted(adapter.names - spelt.keys())
    gave = {**{name: gain.shape for name, gain in adapter.changes.items()},
            **{name: tensor.shape for name, tensor in adapter.replaced.items()}}  # fmt: skip
    other = [
        f"{name} is for {list(shape)}, in the base {list(ours[spelt[name]].shape)}"
        for name, shape in gave.items()
        if name in spelt and ours[spelt[name]].shape != shape
    ]
    if unknown or other:
        what = f"adapts what the base has not: {list_some(unknown)}" if unknown else list_some(other)
        raise UserError(f"is an adapter of another base: {what}", file=adapter.folder, fix=_named_base(adapter.folder))
    partners = {spelt[name]: Partner(None, gain) for name, gain in adapter.changes.items()}
    return partners | {spelt[name]: Partner(tensor) for name, tensor in adapter.replaced.items()}


def _named_base(folder: Path) -> str:
    name = read_object(folder / CONFIG).get("base_model_name_or_path")
    return f"it says it was made for {name}" if isinstance(name, str) and name else "give the base it was made for"


def _require_room(ours: Tensors, folder: Path, out: Path) -> None:
    needed, free = sum(tensor.bytes for tensor in ours.values()), shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"needs {needed:,} bytes, and {free:,} are free", file=out, fix="make room, or give another --out"
        )


def _copy_description(base: Path, folder: Path) -> None:
    """Everything of the base that is no weights: configuration, tokenizer, processor, chat template."""
    for path in sorted(base.iterdir()):
        hidden = path.name.startswith(".")
        if path.is_file() and not hidden and path.suffix not in WEIGHT_FILES and path.name.lower() not in NOT_COPIED:
            shutil.copyfile(path, folder / path.name)
    if (base / shards.INDEX).is_file():
        shutil.copyfile(base / shards.INDEX, folder / shards.INDEX)


def _write_shard(
    source: Path, tensors: Tensors, partners: Mapping[str, Partner], mixture: Mixture, target: Path
) -> int:
    """One file of the base, merged; how many of its tensors were copied."""
    copied = 0
    with ExitStack() as stack:
        ours = stack.enter_context(files.open_file(source))
        merged = stack.enter_context(files.replacing_bytes(target))
        opened: dict[Path, IO[bytes]] = {}
        merged.write(ours.read(min(tensor.start for tensor in tensors.values())))  # its header
        for name, tensor in tensors.items():
            partner, weight = partners.get(name), mixture.of_tensor(name)
            if partner is None or weight == 0 or tensor.dtype in NO_WEIGHTS:
                copied += 1
                for first, last in _pieces(tensor, 1):
                    merged.write(_bytes(ours, tensor, first, last, 1))
                continue
            other = partner.tensor
            if other is not None and other.file not in opened:
                opened[other.file] = stack.enter_context(files.open_file(other.file))
            theirs = None if other is None else opened[other.file]
            for data in _merged_pieces(name, (ours, tensor), (theirs, partner), weight):
                merged.write(data)
    return copied


def _merged_pieces(
    name: str, ours: tuple[IO[bytes], StoredTensor], theirs: tuple[IO[bytes] | None, Partner], weight: float
) -> Iterator[bytes]:
    """The merged tensor's bytes, some rows at a time. Raises UserError for numbers that are not finite."""
    file, tensor = ours
    other, partner = theirs
    factors = None if partner.gain is None else partner.gain.read_factors()
    width = 1 if factors is None else tensor.shape[1]
    for first, last in _pieces(tensor, width):
        base = decode_numbers(_bytes(file, tensor, first, last, width), tensor.dtype)
        if partner.tensor is not None and other is not None:
            data = _bytes(other, partner.tensor, first, last, width)
            tuned = decode_numbers(data, partner.tensor.dtype)
        else:
            tuned = base
        if factors is not None:
            tuned = tuned + (factors[0][first:last] @ factors[1]).ravel()
        mixed = base.dtype.type(1 - weight) * base + base.dtype.type(weight) * tuned
        encoded = encode_numbers(mixed, tensor.dtype)
        if not np.isfinite(decode_numbers(encoded, tensor.dtype)).all():  # 1e6 is finite, and no float16
            where = tensor.file if partner.tensor is None else partner.tensor.file
            fix = "see whether training diverged"
            raise UserError(f"{name} holds numbers that are not finite in {tensor.dtype}", file=where, fix=fix)
        yield encoded


def _pieces(tensor: StoredTensor, width: int) -> Iterator[tuple[int, int]]:
    """(first row, row after the last) of pieces of some `PIECE` numbers; a row has `width` numbers."""
    rows = tensor.bytes // (_SIZES[tensor.dtype] * max(width, 1))
    step = max(1, PIECE // max(width, 1))
    for first in range(0, rows, step):
        yield first, min(first + step, rows)


_SIZES = {**ITEM_BYTES, **NO_WEIGHTS}


def _bytes(file: IO[bytes], tensor: StoredTensor, first: int, last: int, width: int) -> bytes:
    """Rows first to last - 1 of a tensor as they stand in its file. Raises OSError where they are not there."""
    size = _SIZES[tensor.dtype] * width
    data = os.pread(file.fileno(), (last - first) * size, tensor.start + first * size)
    if len(data) != (last - first) * size:
        raise OSError(f"{tensor.file} ended early")
    return data
