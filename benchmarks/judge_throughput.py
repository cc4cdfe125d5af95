"""How fast is judging, beside the reference loop, beside the best plain transformers can do, and beside the hardware?

    python benchmarks/judge_throughput.py --device cuda [--out FILE]       # one H200, whole, under 9 minutes
    python benchmarks/judge_throughput.py --device cpu --tiny              # the same stages in small: that it runs
    python benchmarks/judge_throughput.py --counters                       # a CPU: counts, no times (see `counting.py`)

**It has not been run on a GPU yet**: there was none. What runs in the tests is `--tiny`, whose times mean nothing.

Stages, each written to `--out` as soon as it is done; one that fails says why and the others go on:

    environment   versions, device, driver, host
    model         weights of the real shape, normal with standard deviation 0.02 (norms 1, biases 0), shared by all
    ceilings      matrix products (8192³ and the model's own), a copy, attention of a prompt: what this device can do
    gate          logits of forced tokens, engine against transformers: no further apart than twice what two kernels of
                  transformers are
    reference     the published loop, written anew: one sample at a time, pictures prepared in line, generate() with a
                  growing cache, all records dumped as JSON every 10 samples
    static        generate(), one at a time, static cache; transformers compiles it on CUDA
    batched       generate(), 8 at a time, padded on the left, sorted by length, rope sets never mixed
    engine        `judge.engines.local` on the same samples, `--copies` of each with pixels of their own, no
                  shared prefix; the median of 3 runs. Then with shared prefixes, and without its decode kernel

All write the same number of tokens for a sample: the end token is switched off. `serial roofline` is operations over
the measured rate of products plus bytes over the measured bandwidth of a copy (`roofline.py`). The ratio to the
reference loop depends on the host's processor, the share of the roofline does not.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import counting
import plain_loops
from ceilings import measure_ceilings
from fixed_lengths import Clock
from output import print_result
from real_shape import SCALES, write_description
from roofline import Ceilings, Shape
from workload import Sample, make_model, samples

from judge.engines import MAX_NEW_TOKENS, EngineOptions
from judge.engines.local import LocalEngine
from judge.model.tokenizer import Tokenizer

RUNS = 3


@dataclasses.dataclass(frozen=True)
class How:
    """A way to run the engine. prefixes: with shared prefixes."""

    prefixes: bool = False
    without_kernel: bool = False
    max_num_seqs: int | None = None


class Bench:
    """What the stages share. `found` is what is written."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        import torch

        self.args, self.folder, self.device = args, folder, args.device
        self.on_gpu = args.device.startswith("cuda")
        self.scale = "tiny" if args.tiny else "real"
        self.found: dict[str, Any] = {"stages": {}, "failed": {}}
        self.dtype = torch.bfloat16 if self.on_gpu else torch.float32
        self.described = write_description(folder / "judge", SCALES[self.scale])
        self.tokenizer = Tokenizer.from_folder(folder / "judge")
        self.shape = Shape.of_layout(self.described, 2 if self.on_gpu else 4)
        self.samples: list[Sample] = []
        self.model: Any = None
        self.start = time.monotonic()
        self.ceilings: Ceilings | None = None

    def sync(self) -> None:
        """Wait until the device has done all it was given."""
        import torch

        if self.on_gpu:
            torch.cuda.synchronize()

    def timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Seconds, and what `work` returns."""
        self.sync()
        start = time.perf_counter()
        value = work()
        self.sync()
        return time.perf_counter() - start, value

    def engine(self, copies: Sequence[Sample], how: How) -> tuple[LocalEngine, Clock]:
        """An engine whose answers have the lengths of `copies`, and the clock of its run."""
        budget = None if self.on_gpu else 4096
        options = EngineOptions(max_new_tokens=self.most_new, batch_size=how.max_num_seqs, cache_tokens=budget)
        made = LocalEngine(self.model, self.tokenizer, self.described, {}, options)
        lengths = {number: sample.work.new for number, sample in enumerate(copies)}
        clock = Clock(lengths, without_kernel=how.without_kernel)
        made._generator = functools.partial(clock.generator, made)  # type: ignore[method-assign]
        if not how.prefixes:
            made._shared_prefixes = lambda prompts: {}  # type: ignore[method-assign]
        return made, clock

    def in_time(self) -> bool:
        """Whether there is time for another run of the engine; one takes a tenth of it at most."""
        return time.monotonic() - self.start < 0.85 * 60 * self.args.minutes

    @property
    def most_new(self) -> int:
        """New tokens of the longest answer that the engine allows."""
        return MAX_NEW_TOKENS if self.scale == "real" else 32


def environment(bench: Bench) -> dict[str, Any]:
    """Versions, device, driver and host."""
    import torch
    import transformers

    found: dict[str, Any] = {
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
        "flash_attention": str(torch.ops.aten._flash_attention_forward.default._schema),
    }
    with contextlib.suppress(ImportError):
        import triton

        found["triton"] = triton.__version__
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found["host"] = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    if bench.on_gpu:
        found["device"] = torch.cuda.get_device_name(bench.device)
        asked = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
        with contextlib.suppress(OSError):
            found["driver"] = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    return found


def model(bench: Bench) -> dict[str, Any]:
    """Make the model and the samples."""
    seconds, bench.model = bench.timed(lambda: make_model(bench.described, bench.device, bench.dtype))
    bench.samples = samples(bench.folder / "pictures", bench.tokenizer, bench.described, bench.scale)
    return {"seconds": seconds, "samples": [vars(sample.work) for sample in bench.samples]}


def ceilings(bench: Bench) -> dict[str, Any]:
    """What this device can do."""
    found = measure_ceilings(bench.device, bench.dtype, bench.described, small=bench.scale == "tiny")
    bench.ceilings = Ceilings(found["product_flops"], found["copy_bandwidth"])
    return found


def reference(bench: Bench) -> dict[str, Any]:
    """The published loop."""
    records = 20_103 if bench.scale == "real" else 100
    loop = plain_loops.reference(bench.model, bench.samples, bench.device, bench.dtype, bench.folder, records)
    return rated(bench, bench.samples, *bench.timed(lambda: _exhaust(loop)))


def static(bench: Bench) -> dict[str, Any]:
    """One at a time, with a static cache."""
    work = functools.partial(plain_loops.static, bench.model, device=bench.device, dtype=bench.dtype)
    largest = max(bench.samples, key=lambda sample: len(sample.ids))
    warm, _ = bench.timed(lambda: work([largest]))  # compiles
    return rated(bench, bench.samples, *bench.timed(lambda: work(bench.samples))) | {"warm_up_s": warm}


def batched(bench: Bench) -> dict[str, Any]:
    """Several at a time, sorted by length."""
    limit = bench.described.text["original_max_position_embeddings"]
    work = functools.partial(plain_loops.batched, bench.model, bench.samples, bench.device, bench.dtype, limit)
    return rated(bench, bench.samples, *bench.timed(work))


def engine(bench: Bench) -> dict[str, Any]:
    """The engine: the median of several runs, and variants as long as there is time."""
    make = functools.partial(samples, bench.folder / "copies", bench.tokenizer, bench.described, bench.scale)
    copies = make(copies=bench.args.copies)
    few = copies[: len(bench.samples)]
    warm, _ = bench.timed(lambda: judged(bench, few))
    runs = [judged(bench, copies)]
    while len(runs) < RUNS and bench.in_time():
        runs.append(judged(bench, copies))
    found = sorted(runs, key=lambda run: run["samples_per_s"])[len(runs) // 2]
    variants = {
        f"shared prefixes ({len(copies)} samples)": lambda: judged(bench, copies, How(prefixes=True)),
        f"{len(few)} samples only": lambda: judged(bench, few),
        f"{len(few)} samples, decode without the kernel": lambda: judged(bench, few, How(without_kernel=True)),
        f"{len(few)} samples, 8 at most": lambda: judged(bench, few, How(max_num_seqs=8)),
    }
    rates = {name: variant()["samples_per_s"] for name, variant in variants.items() if bench.in_time()}
    return (
        found
        | {"warm_up_s": warm, "of_runs": [run["samples_per_s"] for run in runs], "variants": rates}
        | idle(bench, few)
    )


def judged(bench: Bench, some: Sequence[Sample], how: How = How()) -> dict[str, Any]:
    """One run of the engine."""
    import torch

    made, clock = bench.engine(some, how)
    if bench.on_gpu:
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    seconds, done = bench.timed(lambda: dict(made.complete([sample.prompt for sample in some])))
    failed = [item.note for item in done.values() if item.unscored]
    if failed or any(done[n].new_tokens != sample.work.new for n, sample in enumerate(some)):
        raise RuntimeError(f"{len(failed)} samples failed, first: {failed[:1]}")
    spent, rows, cached = (sum(column) for column in zip(*clock.steps, strict=True))
    read = cached * bench.shape.token_bytes + len(clock.steps) * bench.shape.weight_bytes
    peak = torch.cuda.max_memory_allocated() / 1e9 if bench.on_gpu else None
    return rated(bench, some, seconds, None) | {
        "decode_gb_per_s": read / spent / 1e9,
        "of_copy_bandwidth": read / spent / bench.ceilings.bandwidth if bench.ceilings else None,
        "rows_a_step": rows / len(clock.steps),
        "step_ms": 1e3 * spent / len(clock.steps),
        "host_ms_a_step": 1e3 * statistics.median(clock.launches),
        "first_result_s": (clock.first or start) - start,
        "peak_gb": peak,
        "counters": vars(made.counters),
    }


def idle(bench: Bench, some: Sequence[Sample]) -> dict[str, Any]:
    """Share of a run in which the GPU did nothing, by the profiler; None on a CPU."""
    if not bench.on_gpu:
        return {"idle_share": None}
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA]) as seen:
        run = judged(bench, some)
    busy = sum(event.self_device_time_total for event in seen.key_averages()) / 1e6
    return {"idle_share": max(0.0, 1 - busy * run["samples_per_s"] / len(some))}


def rated(bench: Bench, some: Sequence[Sample], seconds: float, _: Any) -> dict[str, Any]:
    """Seconds as samples a second, and as a share of the serial roofline."""
    found = {"samples": len(some), "seconds": seconds, "samples_per_s": len(some) / seconds}
    if bench.ceilings is not None:
        # as many side by side as the memory would hold
        room = (0.94 * _memory(bench) - bench.shape.weight_bytes - 6 * 2**30) / bench.shape.token_bytes
        least = sum(bench.shape.seconds(s.work, bench.ceilings, room / (s.work.tokens + s.work.new)) for s in some)
        found["of_serial_roofline"] = least / seconds
    return found


def table(found: dict[str, Any]) -> str:
    """The stages' rates in Markdown."""
    stages, failed = found["stages"], found["failed"]
    words = {
        "reference": "reference loop, one at a time",
        "static": "transformers, static cache, one at a time",
        "batched": "transformers, 8 at a time, sorted",
        "engine": "**the engine**",
    }
    base = stages.get("reference", {}).get("samples_per_s")
    lines = [
        f"| {found['what']} | samples/s | x reference | of the serial roofline |",
        "|---|---:|---:|---:|",
    ]
    for name, text in words.items():
        if name in failed:
            lines.append(f"| {text} | failed: {failed[name].splitlines()[0][:80]} | | |")
        elif name in stages:
            rate = stages[name]["samples_per_s"]
            share = stages[name].get("of_serial_roofline")
            times = f"{rate / base:.2f}" if base else ""
            lines.append(f"| {text} | {rate:.3f} | {times} | {'' if share is None else f'{share:.1%}'} |")
    plain = [stages[name]["samples_per_s"] for name in ("static", "batched") if name in stages]
    if "engine" in stages:
        row = stages["engine"]
        if plain:
            lines.append(f"| engine / best plain transformers | {row['samples_per_s'] / max(plain):.2f} | | |")
        idle_share = "" if row["idle_share"] is None else f"{row['idle_share']:.1%}"
        peak = "" if row["peak_gb"] is None else f"{row['peak_gb']:.1f}"
        lines += [
            "",
            "| engine | |",
            "|---|---:|",
            f"| decode, GB/s | {row['decode_gb_per_s']:,.1f} |",
            f"| GPU idle | {idle_share} |",
            f"| host, ms a step | {row['host_ms_a_step']:.2f} of {row['step_ms']:.2f} |",
            f"| peak memory, GB | {peak} |",
            f"| warm-up, s | {row['warm_up_s']:.1f} |",
            *(f"| samples/s, {name} | {rate:.3f} |" for name, rate in row["variants"].items()),
        ]
    return "\n".join(lines)


STAGES = {
    "environment": environment,
    "model": model,
    "ceilings": ceilings,
    "gate": lambda bench: plain_loops.gate(bench.model, bench.samples, bench.device),
    "reference": reference,
    "static": static,
    "batched": batched,
    "engine": engine,
}
NEEDED = ("environment", "model", "gate")
"""Stages without which the others would say nothing."""


def run_stages(bench: Bench) -> dict[str, Any]:
    """All stages, written as they end. Raises what a stage raises that others need."""
    kind = "TINY: says that it runs, and nothing else" if bench.scale == "tiny" else bench.device
    bench.found["what"] = kind
    for name, stage in STAGES.items():
        start = time.perf_counter()
        try:
            bench.found["stages"][name] = stage(bench)
        except Exception as error:
            if name in NEEDED:
                raise
            bench.found["failed"][name] = f"{type(error).__name__}: {error}"
            print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        bench.found.setdefault("stage_s", {})[name] = time.perf_counter() - start
        print(f"{name}: {time.perf_counter() - start:.1f} s", file=sys.stderr)
        if bench.args.out:
            bench.args.out.write_text(json.dumps(bench.found, indent=1) + "\n", encoding="utf-8")
    return bench.found


def _memory(bench: Bench) -> float:
    import torch

    if bench.on_gpu:
        return float(torch.cuda.get_device_properties(bench.device).total_memory)
    return 64e9


def _exhaust(loop: Iterator[Any]) -> None:
    for _ in loop:
        pass


def main(argv: Sequence[str] | None = None) -> int:
    """The command: exit code 0, 2 where it cannot be run here, or as `counting.main`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a tiny model and tiny pictures")
    parser.add_argument("--counters", action="store_true", help="count on a CPU instead of timing")
    parser.add_argument("--copies", type=int, default=4, help="of the 16 samples, for the engine")
    parser.add_argument(
        "--minutes", type=float, default=8.5, help="after which further runs of the engine are left out"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there, stage by stage")
    args = parser.parse_args(argv)
    if args.counters:
        return counting.main()
    import torch

    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("no CUDA device here\n→ --device cpu --tiny for the same stages in small; --counters", file=sys.stderr)
        return 2
    if args.device == "cpu" and not args.tiny:
        print("the real shape takes a CPU days\n→ --tiny, or --counters", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        found = run_stages(Bench(args, Path(folder)))
    print_result(table(found), found, None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
