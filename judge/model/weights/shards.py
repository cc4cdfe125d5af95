"""The safetensors files of a judge folder, and what their headers say.

    find_shards(folder)                  [judge/model-00001-of-00002.safetensors, …]
    read_headers(folder)["mlp1.0.bias"]  (judge/model-00002-of-00002.safetensors, (128,))

A file is 8 bytes with the length of its header, the header, and the tensors' bytes one behind the other:

    {"__metadata__": {"format": "pt"}, "mlp1.0.bias": {"dtype": "BF16", "shape": [128], "data_offsets": [0, 256]}, …}

Everything a header says is compared with the bytes there are before anything of that size is made. Source:
huggingface/safetensors, README, "Format".
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from judge.errors import UserError
from judge.io.files import open_file
from judge.model.judge_files import MAX_JSON, Fields, list_some, parse_object, read_object, require_file, shown

ITEM_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
"""Number types of safetensors that weights may have, and bytes of one number."""

INDEX = "model.safetensors.index.json"

NO_WEIGHTS = {"I64": 8, "I32": 4, "BOOL": 1}
"""Number types of what a model keeps beside its weights: positions, masks."""

Headers = dict[str, tuple[Path, tuple[int, ...]]]
"""Original tensor name → (file, shape)."""


@dataclasses.dataclass(frozen=True)
class StoredTensor:
    """Where a tensor's bytes lie. start: its first byte in `file`; dtype: as safetensors writes it, such as "BF16"."""

    file: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    bytes: int


def find_shards(folder: Path) -> list[Path]:
    """The safetensors files of a judge folder, in order of name. Raises UserError where there are none."""
    index = folder / INDEX
    found = _indexed(index) if index.exists() else sorted(folder.glob("*.safetensors"))
    missing = [file.name for file in found if not file.exists()]
    if missing:
        raise UserError(f"shards are missing: {list_some(missing)}", file=index, fix="download the judge folder again")
    if not found:
        pickles = sorted(file.name for pattern in ("*.bin", "*.pt", "*.pth") for file in folder.glob(pattern))
        raise UserError(
            f"holds weights only as pickle ({list_some(pickles)}), which can run code when opened"
            if pickles
            else "holds no *.safetensors",
            file=folder,
            fix="give a folder with safetensors weights",
        )
    for file in found:
        require_file(file)
    return found


def indexed_names(folder: Path) -> list[str]:
    """Names of the safetensors files that a folder's index names, sorted; none where it has no index. Raises UserError
    for an index that cannot be read."""
    index = folder / INDEX
    return [file.name for file in _indexed(index)] if index.exists() else []


def _indexed(index: Path) -> list[Path]:
    """The files that an index names. Raises UserError for what is no name of a file beside it."""
    files = read_object(index).get("weight_map", {})
    if not isinstance(files, Mapping):
        raise Fields({"weight_map": files}, index).error("weight_map", "an object")
    for tensor, name in files.items():
        if not isinstance(name, str) or not name.endswith(".safetensors") or "\0" in name or Path(name).name != name:
            raise UserError(
                f"names files outside the folder: {shown(name)}", file=index, field=f"weight_map.{tensor[:100]}"
            )
    return [index.parent / name for name in sorted(set(files.values()))]


def read_headers(folder: Path) -> Headers:
    """Original tensor name → (file, shape), from the headers alone. Raises UserError for what is no safetensors file of
    weights."""
    return {name: (stored.file, stored.shape) for name, stored in find_tensors(folder).items()}


def find_tensors(folder: Path, also: Mapping[str, int] = MappingProxyType({})) -> dict[str, StoredTensor]:
    """Tensor name → where its bytes are, file by file in the order of bytes, from the headers alone.

    also: number types that are taken beside those of weights, with the bytes of a number. Raises UserError as
    `read_headers` does.
    """
    found: dict[str, StoredTensor] = {}
    for file in find_shards(folder):
        try:
            rows = _read_header(file, {**ITEM_BYTES, **also})
        except (OSError, ValueError) as error:
            raise UserError(
                f"is not a safetensors file of weights: {error}", file=file, fix="download it again"
            ) from None
        twice = sorted(found.keys() & rows.keys())
        if twice:
            raise UserError(f"tensors given twice: {list_some(twice)}", file=file)
        found |= rows
    return found


@contextlib.contextmanager
def open_shard(file: Path) -> Iterator[Any]:
    """The tensors of one file, as `safetensors.safe_open` gives them. Raises UserError for what it does not read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="pt") as tensors:
            yield tensors
    except SafetensorError as error:
        raise UserError(f"is not a safetensors file of weights: {error}", file=file, fix="download it again") from None


def _read_header(file: Path, sizes: Mapping[str, int]) -> dict[str, StoredTensor]:
    """The tensors of one file. Raises OSError, ValueError for what its bytes do not bear out."""
    size = file.stat().st_size
    with open_file(file) as stream:
        start = stream.read(8)
        if len(start) < 8:
            raise ValueError(f"it has {size} bytes")
        (length,) = struct.unpack("<Q", start)
        if length > min(size - 8, MAX_JSON):
            raise ValueError(f"its header would have {length:,} of {size:,} bytes, and at most {MAX_JSON:,} are read")
        entries = parse_object(stream.read(length))
    if entries is None:
        raise ValueError("its header is no object")
    entries.pop("__metadata__", None)
    for name, entry in entries.items():
        _check_entry(name, entry)
    quantised = sorted({entry["dtype"] for entry in entries.values()} - sizes.keys())
    if quantised:  # copied as they are, such numbers are not what was trained
        raise ValueError(f"it holds {list_some(quantised)}, and only {', '.join(sorted(sizes))} can be read")
    end = _check_offsets(entries, sizes)
    if size != 8 + length + end:
        raise ValueError(f"{size} bytes instead of {8 + length + end}")
    in_order = sorted(entries.items(), key=lambda item: item[1]["data_offsets"])
    return {
        name: StoredTensor(file, entry["dtype"], tuple(entry["shape"]), 8 + length + first, last - first)
        for name, entry in in_order
        for first, last in [entry["data_offsets"]]
    }


def _check_entry(name: str, entry: Any) -> None:
    """Raise ValueError unless a header's entry has its three parts, of the right kinds."""
    parts = entry if isinstance(entry, Mapping) else {}
    lists = [parts.get("shape"), parts.get("data_offsets")]
    whole = all(isinstance(part, list) and all(type(n) is int and 0 <= n < 2**63 for n in part) for part in lists)
    few = whole and len(parts["shape"]) <= 8 and len(parts["data_offsets"]) == 2
    if not few or not isinstance(parts.get("dtype"), str):
        raise ValueError(f"{list_some([name])} is given as {shown(entry)}, not by dtype, shape and data_offsets")


def _check_offsets(entries: Mapping[str, Any], sizes: Mapping[str, int]) -> int:
    """Bytes of all tensors. Raises ValueError unless they lie one behind the other, each as long as its shape says."""
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        first, last = entry["data_offsets"]
        size = math.prod(entry["shape"]) * sizes[entry["dtype"]]
        if first != end or last != first + size:
            wanted = [end, end + size]
            raise ValueError(f"data_offsets of {list_some([name])} are {[first, last]} and should be {wanted}")
        end = last
    return end
