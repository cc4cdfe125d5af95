"""How much memory does `mmjudge merge` take? python benchmarks/merge_memory.py --megabytes 2048

Writes two models of this size in bfloat16, each in two files, and a LoRA adapter of rank 128 for the first, merges them
in processes of their own, and prints the peak of resident memory and what it was at the start (VmHWM of Linux: unlike
`ru_maxrss` it has nothing of the parent's). Files are not mapped into memory, so pages of the system's cache do not
count.
"""

from __future__ import annotations

import argparse
import json
import struct
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.output import print_result

WIDTH = 4096
RANK = 128
LAYER_BYTES = WIDTH * WIDTH * 2
MERGE = """
import json, re, sys, time
from pathlib import Path
from judge.model.weights.merge import Mixture, merge_weights
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before, began = peak(), time.monotonic()
about = merge_weights(*map(Path, sys.argv[1:4]), Mixture(0.05))
after = peak()
print(json.dumps({"start_mb": before / 1024, "peak_mb": after / 1024, "seconds": time.monotonic() - began,
                  "tensors": about["tensors"]}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=2048, help="of each model")
    parser.add_argument("--folder", type=Path, help="where three times as much is written (default: a temporary one)")
    parser.add_argument("--out", type=Path, help="JSON file")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        found = measure(Path(folder), args.megabytes)
    rows = [
        f"| {name} | {row['megabytes']:,.0f} | {row['start_mb']:.0f} | {row['peak_mb']:.0f} | {row['seconds']:.1f} |"
        for name, row in found.items()
    ]
    head = "| merged | MB each | at start, MB | peak, MB | seconds |\n|---|---:|---:|---:|---:|"
    print_result("\n".join([head, *rows]), found, args.out)


def measure(folder: Path, megabytes: int) -> dict[str, dict[str, Any]]:
    """What was merged → peak and time. folder: an empty one."""
    layers = max(2, (megabytes << 20) // LAYER_BYTES)
    write_model(folder / "base", layers, seed=1)
    write_model(folder / "tuned", layers, seed=2)
    write_adapter(folder / "adapter", layers)
    found = {}
    for name in ("tuned", "adapter"):
        command = [sys.executable, "-c", MERGE, folder / "base", folder / name, folder / "merged"]
        done = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True)
        found[name] = {**json.loads(done.stdout), "megabytes": layers * LAYER_BYTES / 2**20}
        for file in (folder / "merged").iterdir():
            file.unlink()
        (folder / "merged").rmdir()
    return found


def write_model(folder: Path, layers: int, *, seed: int) -> None:
    """A folder as transformers writes it, with an index, whose weights are random square matrices."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    names = [f"model.layers.{number}.proj.weight" for number in range(layers)]
    halves = (names[: layers // 2], names[layers // 2 :])
    where = {}
    for number, half in enumerate(halves, 1):
        file = f"model-0000{number}-of-00002.safetensors"
        where |= dict.fromkeys(half, file)
        write_tensors(folder / file, dict.fromkeys(half, (WIDTH, WIDTH)), rng)
    index = {"metadata": {"total_size": layers * LAYER_BYTES}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text('{"model_type": "llama"}')


def write_adapter(folder: Path, layers: int) -> None:
    """A LoRA adapter of every matrix, as peft writes it."""
    folder.mkdir()
    shapes = {}
    for number in range(layers):
        module = f"base_model.model.model.layers.{number}.proj"
        shapes |= {f"{module}.lora_A.weight": (RANK, WIDTH), f"{module}.lora_B.weight": (WIDTH, RANK)}
    write_tensors(folder / "adapter_model.safetensors", shapes, np.random.default_rng(3))
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": RANK, "lora_alpha": 2 * RANK}))


def write_tensors(file: Path, shapes: Mapping[str, tuple[int, int]], rng: np.random.Generator) -> None:
    """A safetensors file of finite bfloat16 numbers, written tensor by tensor."""
    header, end = {}, 0
    for name, (rows, columns) in shapes.items():
        header[name] = {"dtype": "BF16", "shape": [rows, columns], "data_offsets": [end, end + 2 * rows * columns]}
        end += 2 * rows * columns
    text = json.dumps(header).encode()
    with file.open("wb") as opened:
        opened.write(struct.pack("<Q", len(text)) + text)
        for rows, columns in shapes.values():
            # upper halves of float32: sign and exponent below 2, seven bits of fraction
            numbers = rng.integers(0x3C00, 0x3F80, rows * columns, dtype=np.uint16)
            opened.write(numbers.tobytes())


if __name__ == "__main__":
    main()
