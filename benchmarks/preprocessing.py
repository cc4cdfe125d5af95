"""From picture files to what the vision tower is given: processor time against the reference's code, bits compared.

    python benchmarks/preprocessing.py [--repeats 15] [--out FILE]

Both sides start at the same file and end where the device takes over. The reference (MMIE @eb0fd6e, main.py; written
anew here) decodes, resizes, crops, makes a normalised float32 tensor of every tile with torchvision, stacks them and
rounds to bfloat16. Ours decodes and resizes with the same Pillow and hands over uint8 tiles; the device looks each
level up in a table of 256. `ratio in float32` is that of a CPU judge, whose normalised values are made here too,
against the reference without its rounding.

Equal means: our tiles give the reference's tensor bit for bit, by the table in float32 and in bfloat16, and by
`pixel_values`. It is checked for every picture before it is timed; a difference ends the run.

One thread. The two sides take turns, and the fastest of `--repeats` counts: a shared machine only ever adds time.
Pictures are made up, noise with the spectrum of photographs, so that files are as large as those of photographs. What
both sides share, decoding and Pillow's resizing, is most of the time and bounds the ratio. Prints a Markdown table,
then JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL
from PIL import Image

from judge.model import images

TILE = 448
GOAL = 1.4
KINDS = (
    ("728 x 546 JPEG", 728, 546, "JPEG"),
    ("1024 x 1024 PNG", 1024, 1024, "PNG"),
    ("1024 x 1024 JPEG", 1024, 1024, "JPEG"),
    ("640 x 480 JPEG", 640, 480, "JPEG"),
    ("1280 x 720 JPEG", 1280, 720, "JPEG"),
)


def photograph(width: int, height: int, seed: int) -> Image.Image:
    """Noise whose strength falls with its frequency as in photographs: octave upon octave of coarse grids, enlarged."""
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width, 3), dtype=np.float32)
    cells = 2
    while cells <= max(width, height):
        shape = max(1, cells * height // max(width, height)), max(1, cells * width // max(width, height))
        for channel in range(3):
            grid = Image.fromarray(rng.normal(size=shape).astype(np.float32))
            total[..., channel] += np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC)) / cells**0.9
        cells *= 2
    levels = 120 + 55 * (total - total.mean()) / total.std()
    return Image.fromarray(np.clip(levels, 0, 255).astype(np.uint8))


def reference(path: Path, size: int = TILE) -> Any:
    """(T, 3, size, size) float32: a picture the way of the official scorer."""
    from torch import stack
    from torchvision import transforms

    steps = transforms.Compose(
        [
            transforms.Lambda(lambda image: image if image.mode == "RGB" else image.convert("RGB")),
            transforms.Resize((size, size), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        ]
    )
    image = Image.open(path).convert("RGB")
    columns, rows = images.tile_grid(*image.size, size)
    whole = image.resize((columns * size, rows * size))
    corners = [(x * size, y * size) for y in range(rows) for x in range(columns)]
    cut = [whole.crop((x, y, x + size, y + size)) for x, y in corners]
    if len(cut) > 1:
        cut.append(image.resize((size, size)))
    return stack([steps(tile) for tile in cut])


def on_device(tiles: npt.NDArray[np.uint8], dtype: Any) -> Any:
    """(T, 3, 448, 448): what a device makes of uint8 tiles, by the table of levels in its own type."""
    import torch

    levels = torch.from_numpy(images.NORMALISED).to(dtype)
    channels = [levels[:, channel][torch.from_numpy(tiles[..., channel]).long()] for channel in range(3)]
    return torch.stack(channels, dim=1)


def check(path: Path) -> int:
    """Tiles of the picture. Raises RuntimeError where one bit of them is not the reference's."""
    import torch

    cut, wanted = images.cut_tiles(images.decode_image(path)), reference(path)
    ways = {
        "float32 here": (torch.from_numpy(images.pixel_values(cut)), wanted),
        "float32 by the table": (on_device(cut, torch.float32), wanted),
        "bfloat16 by the table": (on_device(cut, torch.bfloat16), wanted.to(torch.bfloat16)),
    }
    for way, (ours, theirs) in ways.items():
        if ours.dtype != theirs.dtype or not torch.equal(ours, theirs):
            raise RuntimeError(f"{path.name}: {way} differs from the reference")
    return len(cut)


def fastest(works: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """Processor milliseconds of each, the fastest of `repeats` rounds in which they take turns."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for work, taken in zip(works, times, strict=True):
            start = time.process_time()
            work()
            taken.append(1e3 * (time.process_time() - start))
    return [min(taken) for taken in times]


def measure(folder: Path, repeats: int) -> list[dict[str, Any]]:
    import torch

    torch.set_num_threads(1)
    found = []
    for seed, (name, width, height, kind) in enumerate(KINDS):
        path = folder / f"{seed}.{kind.lower()}"
        data = io.BytesIO()
        photograph(width, height, seed).save(data, kind, quality=90)
        path.write_bytes(data.getvalue())
        tiles = check(path)
        works: list[Callable[[], object]] = [
            lambda path=path: reference(path).to(torch.bfloat16),  # type: ignore[misc]
            lambda path=path: images.cut_tiles(images.decode_image(path)),  # type: ignore[misc]
            lambda path=path: reference(path),  # type: ignore[misc]
            lambda path=path: images.pixel_values(images.cut_tiles(images.decode_image(path))),  # type: ignore[misc]
            lambda path=path: images.decode_image(path),  # type: ignore[misc]
            lambda path=path: images.count_tiles(*images.read_image_size(path)),  # type: ignore[misc]
        ]
        names = ("reference_ms", "ours_ms", "reference_float32_ms", "ours_float32_ms", "decode_ms", "probe_ms")
        taken = dict(zip(names, fastest(works, repeats), strict=True))
        found.append({"picture": name, "bytes": path.stat().st_size, "tiles": tiles, "equal": True, **taken})
    return found


def table(rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        "| picture | tiles | reference, ms | ours, ms | ratio | ratio in float32 | of it decoding, ms | bits equal |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]

    def line(name: str, tiles: int, row: dict[str, Any]) -> str:
        ratio, plain = row["reference_ms"] / row["ours_ms"], row["reference_float32_ms"] / row["ours_float32_ms"]
        return (
            f"| {name} | {tiles} | {row['reference_ms']:.1f} | {row['ours_ms']:.1f} | {ratio:.2f} | {plain:.2f} "
            f"| {row['decode_ms']:.1f} | yes |"
        )

    lines += [line(row["picture"], row["tiles"], row) for row in rows]
    numbers = [name for name in rows[0] if name.endswith("_ms")]
    together = {name: sum(row[name] for row in rows) for name in numbers}
    lines.append(line("**all five**", sum(row["tiles"] for row in rows), together))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    import torch
    import torchvision

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there as well")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), args.repeats)
    found = {
        "goal": GOAL,
        "ratio": sum(row["reference_ms"] for row in rows) / sum(row["ours_ms"] for row in rows),
        "pictures": rows,
        "pillow": PIL.__version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(f"{table(rows)}\n")
    print(json.dumps(found))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
