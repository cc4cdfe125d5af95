"""SIMULATED: the engine's own planner and schedule on 20,103 made-up samples, with the roofline in place of a GPU.

    python benchmarks/simulate_schedule.py [--samples 20103] [--out FILE]

No GPU was there when this was written. What is real is the policy: `judge.engines.scheduler.Scheduler` orders, admits
and refills, `judge.model.cache.SlotAllocator` gives out the cache. What is assumed is every time: a pass takes its
operations and bytes (`roofline.py`) over the ceilings of one H200 (780 TF/s, 4.3 TB/s), each reached in part only
(products 0.75, vision tower 0.60, prefill attention 0.45, decode 0.80), and a decode step no less than the host needs
to launch it. The numbers say what the policy leaves on the table, not how fast an H200 is; `gpu.py` measures
that.

The samples (MIX) are a guess too: 82% have three pictures, of 13, 10, 7 or 1 tiles at 35, 40, 15 and 10%; some 900
tokens of text; answers of 200 ± 50 tokens, and one in a hundred runs to the limit of 1,024.

Prints a Markdown table, then JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from output import print_result
from roofline import Ceilings, Shape, Work
from workload import write_description

from judge.engines import Completion
from judge.engines.scheduler import Limits, PreparedPrompt, Scheduler, WaitingPrompt
from judge.model import generate
from judge.model.cache import SlotAllocator

H200 = Ceilings(flops=780e12, bandwidth=4.3e12)
MEMORY = 139 * 2**30
MAX_NEW_TOKENS = 1024


@dataclasses.dataclass(frozen=True)
class Reached:
    """Shares of the ceilings, and the host's seconds for a step of writing."""

    products: float = 0.75
    tower: float = 0.60
    attention: float = 0.45
    writing: float = 0.80
    host: float = 0.010


def mix(count: int, seed: int = 0) -> list[Work]:
    """So many samples as the module describes them, always the same for a seed."""
    rng = random.Random(seed)
    samples = []
    for _ in range(count):
        pictures = rng.choices((3, 2, 1), (0.82, 0.09, 0.09))[0]
        tiles = sum(rng.choices((13, 10, 7, 1), (0.35, 0.40, 0.15, 0.10), k=pictures))
        text = max(650, round(rng.gauss(900, 120)))
        new = MAX_NEW_TOKENS if rng.random() < 0.01 else min(400, max(60, round(rng.gauss(200, 50))))
        samples.append(Work(tiles, text + 256 * tiles + 2 * pictures, new))
    return samples


class Modelled:
    """Stands in for `generate.Generator`: knows how long each answer will be, and what a pass takes."""

    def __init__(self, samples: Sequence[Work], shape: Shape, reached: Reached, tokens: int) -> None:
        self.cache = type("Cache", (), {"slots": SlotAllocator(tokens)})()
        self._samples, self._shape, self._reached = samples, shape, reached
        self._running: dict[int, list[int]] = {}  # number → [start, tokens cached, tokens left to write]
        self.seconds = self.steps = self.rows = self.used = self.offered = 0.0
        self._cached, self._latest, self._admitted = 0, 1, 0

    def can_admit(self, lengths: Sequence[int]) -> bool:
        """As of `generate.Generator`."""
        slots = self.cache.slots
        wanted = [generate.slots_needed(length, MAX_NEW_TOKENS) for length in lengths]
        starts = [slots.allocate(length) for length in wanted]
        for start, length in zip(starts, wanted, strict=True):
            if start is not None:
                slots.release(start, length)
        return None not in starts

    def admit(self, rows: Sequence[tuple[int, Any]]) -> list[tuple[int, int]]:
        """As of `generate.Generator`; the key of a prompt is what it generates."""
        shape, reached, ceilings = self._shape, self._reached, H200
        for number, row in rows:
            work, length = self._samples[number], len(row.ids)
            start = self.cache.slots.allocate(generate.slots_needed(length, MAX_NEW_TOKENS))
            self._running[number] = [start, length, work.new - 1]
            self._cached += length
            self._latest = generate.slots_needed(length, MAX_NEW_TOKENS)
            self._admitted += 1
            self.seconds += work.tiles * shape.tile_flops / (reached.tower * ceilings.flops)
            products = length * shape.token_flops + shape.head_flops
            self.seconds += products / (reached.products * ceilings.flops)
            self.seconds += length**2 * shape.square_flops / (reached.attention * ceilings.flops)
        return self._finished()

    def step(self, max_num_seqs: int | None = None) -> list[tuple[int, int]]:
        """As of `generate.Generator`."""
        active = len(self._running)
        room = active + self.cache.slots.num_free // self._latest
        self.steps, self.rows = self.steps + 1, self.rows + active
        if self._admitted < len(self._samples):  # at the end room is left because nobody wants it
            self.used += active
            self.offered += room if max_num_seqs is None else min(room, max(max_num_seqs, active))
        bytes_ = self._cached * self._shape.token_bytes + self._shape.weight_bytes
        self.seconds += max(self._reached.host, bytes_ / (self._reached.writing * H200.bandwidth))
        for state in self._running.values():
            state[1] += 1
            state[2] -= 1
        self._cached += active
        return self._finished()

    def _finished(self) -> list[tuple[int, int]]:
        done = [number for number, state in self._running.items() if state[2] <= 0]
        for number in done:
            start, cached, _ = self._running.pop(number)
            self._cached -= cached
            self.cache.slots.release(start, generate.slots_needed(self._samples[number].tokens, MAX_NEW_TOKENS))
        return [(number, number) for number in done]


def simulate(
    samples: Sequence[Work], shape: Shape, budget: int, reached: Reached, most: int | None = None
) -> dict[str, Any]:
    """The real schedule over the samples; what it would have taken."""
    made: list[Modelled] = []

    def generator(tokens: int) -> Any:
        made.append(Modelled(samples, shape, reached, tokens))
        return made[-1]

    planned = [WaitingPrompt(number, work.tiles, work.tokens) for number, work in enumerate(samples)]
    planned.sort(key=lambda item: (-item.tokens, item.number))
    scheduler = Scheduler(
        planned,
        lambda item: PreparedPrompt(item.number, generate.ModelInput(range(samples[item.number].tokens))),
        generator,
        lambda number: Completion(str(number)),
        Limits(budget, MAX_NEW_TOKENS, tile_bytes=3 * 448**2, max_num_seqs=most),
    )
    done = sorted(number for number, _ in scheduler.completions())
    assert done == list(range(len(samples)))  # everyone, once
    seconds = sum(part.seconds for part in made)
    # the least that could be: as many side by side as the memory holds
    capacity = (0.94 * MEMORY - 8.3e9 - 6 * 2**30) / shape.token_bytes
    least = sum(shape.seconds(work, H200, capacity / (work.tokens + work.new)) for work in samples)
    steps = sum(part.steps for part in made)
    return {
        "ms_a_sample": 1e3 * seconds / len(samples),
        "hours": seconds / 3600,
        "roofline_ms_a_sample": 1e3 * least / len(samples),
        "of_roofline": least / seconds,
        "slots_used": sum(part.used for part in made) / max(1, sum(part.offered for part in made)),
        "together": sum(part.rows for part in made) / steps,
    }


def policies(share: float) -> list[tuple[str, int, int | None, Reached]]:
    """Name, budget of cached tokens, most sequences, shares reached."""
    free = (MEMORY - 8.3e9) / 393_216
    usual, host = int(share * free), Reached()
    return [
        ("one at a time, host 20 ms a step", usual, 1, dataclasses.replace(host, host=0.020)),
        ("8 at a time", usual, 8, host),
        ("budget 40,000 tokens", 40_000, None, host),
        ("budget 80,000 tokens", 80_000, None, host),
        (f"**the engine: {share:.0%} of the memory, {usual:,} tokens**", usual, None, host),
        ("the same, host 30 ms a step", usual, None, dataclasses.replace(host, host=0.030)),
        ("the same, writing at 0.5 of the bandwidth", usual, None, dataclasses.replace(host, writing=0.5)),
        ("budget 300,000 tokens", 300_000, None, host),
    ]


def table(found: dict[str, Any]) -> str:
    """The policies in Markdown."""
    lines = [
        f"| SIMULATED, {found['samples']:,} samples, one H200 assumed | ms a sample | hours | of the serial roofline "
        "| side by side | slots used while prompts wait |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in found["policies"].items():
        lines.append(
            f"| {name} | {row['ms_a_sample']:,.0f} | {row['hours']:.2f} | {row['of_roofline']:.0%} "
            f"| {row['together']:.1f} | {row['slots_used']:.3f} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """The command: exit code 0."""
    from judge.engines.local import CACHE_SHARE

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20_103)
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there as well")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        shape = Shape.of_layout(write_description(Path(folder) / "judge", "real"))
    samples = mix(args.samples)
    found: dict[str, Any] = {
        "simulated": True,
        "samples": len(samples),
        "mean_tiles": sum(work.tiles for work in samples) / len(samples),
        "mean_tokens": sum(work.tokens for work in samples) / len(samples),
        "mean_new": sum(work.new for work in samples) / len(samples),
        "ceilings": dataclasses.asdict(H200),
        "reached": dataclasses.asdict(Reached()),
        "policies": {},
    }
    for name, budget, most, reached in policies(CACHE_SHARE):
        found["policies"][name] = simulate(samples, shape, budget, reached, most)
    print_result(table(found), found, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
