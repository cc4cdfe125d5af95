"""From picture files to what the vision tower is given: processor time against the reference's code, bits compared.

    python benchmarks/preprocessing.py [--repeats 15] [--rounds 7] [--out FILE]

Both sides start at the same file and end where the device takes over. The reference (MMIE @eb0fd6e, main.py; written
anew here) decodes, resizes, crops, makes a normalised float32 tensor of every tile with torchvision, stacks them and
rounds to bfloat16. Ours decodes and resizes with the same Pillow and hands over uint8 tiles; the device looks each
level up in a table of 256. `ratio in float32` is that of a CPU judge, whose normalised values are made here too,
against the reference without its rounding.

Equal means: our tiles give the reference's tensor bit for bit, by the table in float32 and in bfloat16, and by
`pixel_values`. It is checked for every picture before it is timed; a difference ends the run.

One thread. The two sides take turns, and the fastest of `--repeats` counts: a shared machine only ever adds time.
Pictures are made up, noise with the spectrum of photographs, so that files are as large as those of photographs. What
both sides share, decoding and Pillow's resizing, is most of the time and bounds the ratio.

Then the way from a folder to the device: four threads that cut ahead, as the engine does, beside four processes that
write into shared memory. Pillow decodes and resizes without the interpreter's lock, numpy copies without it, so threads
wait for each other, and the device's launching thread for them, between calls only. Samples have three of the pictures.
`no device` takes them as fast as they are cut. `one GPU` is a stand-in for an H200 at the simulated 372 ms a sample
(`simulate_schedule.py`): 8 steps of 25 ms, of which the launching thread spends some in `LAUNCHES` short calls into
torch that each let go of the lock, and 170 ms of reading. `nothing to cut` is the same with tiles that are there
already. All take turns; medians of `--rounds`. Starting the processes is not counted.

Prints Markdown tables, then JSON.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import platform
import statistics
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing.shared_memory import SharedMemory
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

WORKERS = 4
AHEAD = 8
"""Samples that are cut, or being cut, and not taken yet."""
PICTURES = 3
ROOM = PICTURES * 13 * TILE * TILE * 3
"""Bytes of a sample's tiles, at most."""
SAMPLES = 24
STEPS, STEP_SECONDS, READING_SECONDS, LAUNCHES = 8, 0.025, 0.170, 640

Tiles = npt.NDArray[np.uint8]


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


def cut(paths: Sequence[Path]) -> Tiles:
    """(T, 448, 448, 3): the tiles of a sample's pictures."""
    return np.concatenate([images.cut_tiles(images.decode_image(path)) for path in paths])


def ahead(submit: Callable[[Sequence[Path], int], Future[Any]], samples: Sequence[Sequence[Path]]) -> Iterator[Any]:
    """(slot, result) of each sample in order. A slot is used again when the sample after its own is asked for."""
    under_way: deque[tuple[int, Future[Any]]] = deque()
    for number, paths in enumerate(samples):
        slot = number % (AHEAD + 1)
        under_way.append((slot, submit(paths, slot)))
        if len(under_way) == AHEAD:
            taken, future = under_way.popleft()
            yield taken, future.result()
    for taken, future in under_way:
        yield taken, future.result()


class Threads:
    """Samples cut by threads of this process."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(WORKERS)

    def samples(self, wanted: Sequence[Sequence[Path]]) -> Iterator[Tiles]:
        """(T, 448, 448, 3) of each sample, in order, valid until the next is asked for."""
        return (tiles for _, tiles in ahead(lambda paths, _: self.pool.submit(cut, paths), wanted))

    def close(self) -> None:
        self.pool.shutdown()


class Processes:
    """The same by processes, through memory that all have mapped."""

    def __init__(self) -> None:
        self.memory = SharedMemory(create=True, size=(AHEAD + 1) * ROOM)
        context = multiprocessing.get_context("spawn")
        self.pool = ProcessPoolExecutor(WORKERS, context, initializer=attach, initargs=(self.memory.name,))

    def samples(self, wanted: Sequence[Sequence[Path]]) -> Iterator[Tiles]:
        for slot, count in ahead(lambda paths, slot: self.pool.submit(cut_there, paths, slot), wanted):
            yield np.ndarray((count, TILE, TILE, 3), np.uint8, self.memory.buf, slot * ROOM)

    def close(self) -> None:
        self.pool.shutdown()
        self.memory.close()
        self.memory.unlink()


def attach(name: str) -> None:
    """What a process of `Processes` begins with."""
    global _memory
    _memory = SharedMemory(name)


def cut_there(paths: Sequence[Path], slot: int) -> int:
    """Tiles of the sample, which then lie in the slot."""
    tiles = cut(paths)
    np.ndarray(tiles.shape, np.uint8, _memory.buf, slot * ROOM)[:] = tiles
    return len(tiles)


def exhaust(samples: Iterable[Tiles]) -> None:
    """Take samples as fast as they come."""
    for _ in samples:
        pass


def gpu(samples: Iterable[Tiles]) -> None:
    """A stand-in for one GPU and the thread that launches its work. See the module."""
    import torch

    some = torch.zeros(64)
    for _ in samples:
        time.sleep(READING_SECONDS)
        for _ in range(STEPS):
            end = time.perf_counter() + STEP_SECONDS
            for _ in range(LAUNCHES):
                some.add_(1)
            time.sleep(max(0.0, end - time.perf_counter()))


def measure_ahead(folder: Path, rounds: int) -> dict[str, dict[str, float]]:
    """Median seconds of a sample, by consumer and way. Raises RuntimeError where the two ways differ in a bit."""
    files = sorted(file for file in folder.iterdir() if file.is_file())
    wanted = [[files[(number + n) % len(files)] for n in range(PICTURES)] for number in range(SAMPLES)]
    threads, processes = Threads(), Processes()
    try:
        pairs = zip(threads.samples(wanted), processes.samples(wanted), strict=True)  # starts the processes, too
        if not all(np.array_equal(one, other) for one, other in pairs):
            raise RuntimeError("processes and threads cut different tiles")
        ready = cut(wanted[0])
        ways: dict[str, Callable[[], Iterable[Tiles]]] = {
            "threads": lambda: threads.samples(wanted),
            "processes": lambda: processes.samples(wanted),
            "nothing to cut": lambda: [ready] * SAMPLES,
        }
        consumers: dict[str, Callable[[Iterable[Tiles]], object]] = {"no device": exhaust, "one GPU": gpu}
        taken: dict[str, dict[str, list[float]]] = {name: {way: [] for way in ways} for name in consumers}
        for turn in range(rounds):
            for consumer, consume in consumers.items():
                for way in list(ways)[:: 1 if turn % 2 else -1]:
                    start = time.perf_counter()
                    consume(ways[way]())
                    taken[consumer][way].append((time.perf_counter() - start) / SAMPLES)
    finally:
        threads.close()
        processes.close()
    return {name: {way: statistics.median(times) for way, times in by.items()} for name, by in taken.items()}


def table_ahead(found: dict[str, dict[str, float]]) -> str:
    lines = [
        "| a sample of three pictures, ms | threads | processes | nothing to cut | threads / processes |",
        "|---|---:|---:|---:|---:|",
    ]
    for consumer, by in found.items():
        times = " | ".join(f"{1e3 * by[way]:.1f}" for way in ("threads", "processes", "nothing to cut"))
        lines.append(f"| {consumer} | {times} | {by['threads'] / by['processes']:.2f} |")
    return "\n".join(lines)


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
    parser.add_argument("--rounds", type=int, default=7, help="of threads and processes side by side (default 7)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there as well")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(Path(folder), args.repeats)
        ahead_of_device = measure_ahead(Path(folder), args.rounds)
    found = {
        "goal": GOAL,
        "ratio": sum(row["reference_ms"] for row in rows) / sum(row["ours_ms"] for row in rows),
        "pictures": rows,
        "seconds_a_sample": ahead_of_device,
        "threads_over_processes": {name: by["threads"] / by["processes"] for name, by in ahead_of_device.items()},
        "pillow": PIL.__version__,
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
    }
    print(f"{table(rows)}\n\n{table_ahead(ahead_of_device)}\n")
    print(json.dumps(found))
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
