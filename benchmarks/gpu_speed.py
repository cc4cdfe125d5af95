"""The part of `gpu.py` about speed: the engine beside the reference loop, beside plain transformers, beside the device.

Found in this order, the engine's first run before the slow loops:

    samples     tiles, tokens and new tokens of each of the 16
    ceilings    matrix products (8192³ and the model's own), a copy, attention of a prompt: what this device can do
    gate        logits of forced tokens, engine against transformers: no further apart than twice what two kernels of
                transformers are, or the part ends here, since other numbers would say nothing
    engine      `judge.engines.local` on `COPIES` of each sample with pixels of their own, no shared prefix
    reference   the published loop, written anew: one sample at a time, pictures prepared in line, generate() with a
                growing cache, all records dumped as JSON every 10 samples
    batched     generate(), up to 8 at a time, padded on the left, sorted by length, rope sets never mixed
    static      generate(), one at a time, static cache; transformers compiles it on CUDA
    engine      again: the median of up to `RUNS` runs, while there is time

All write the same number of tokens for a sample: the end token is switched off. `serial roofline` is operations over
the measured rate of products plus bytes over the measured bandwidth of a copy (`roofline.py`). The ratio to the
reference loop depends on the host's processor, the share of the roofline does not.
"""

from __future__ import annotations

import collections
import functools
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import plain_loops
from ceilings import measure_ceilings
from fixed_lengths import Clock
from gpu_parts import Bench, Found
from roofline import Ceilings, Shape
from workload import Sample, make_model

from judge.engines import MAX_NEW_TOKENS, EngineOptions
from judge.engines.local import LocalEngine

RUNS = 3
COPIES = 4


def measure_speed(bench: Bench) -> Found:
    """See the module. Raises RuntimeError at the end where one of the loops failed; the others have been yielded."""
    real = bench.shape == "real"
    model, some = make_model(bench.described, bench.device, bench.dtype), bench.samples("pictures")
    yield {"samples": [vars(sample.work) for sample in some]}
    found = measure_ceilings(bench.device, bench.dtype, bench.described, small=not real)
    yield {"ceilings": found}
    runs = EngineRuns(bench, model, Ceilings(found["product_flops"], found["copy_bandwidth"]))
    yield {"gate": plain_loops.gate(model, some, bench.device)}
    copies = bench.samples("copies", COPIES if real else 1)
    runs.judge(some)  # compiles
    first = runs.judge(copies)
    yield {"engine": first}

    given = model, some, bench.device, bench.dtype
    limit = bench.described.text["original_max_position_embeddings"]
    records = 20_103 if real else 100
    loops: dict[str, Callable[[], Any]] = {
        "reference": lambda: collections.deque(plain_loops.reference(*given, bench.folder, records), maxlen=0),
        "batched": lambda: plain_loops.batched(*given, limit),
        "static": lambda: plain_loops.static(*given),
    }
    failed = []
    for name, loop in loops.items():
        try:
            if name == "static" and bench.on_gpu:  # compiles
                plain_loops.static(model, [max(some, key=lambda sample: len(sample.ids))], bench.device, bench.dtype)
            yield {name: runs.rate(some, bench.timed(loop)[0])}
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
        bench.forget_peak()
    done = [first]
    while len(done) < RUNS and time.monotonic() + 2 * first["seconds"] < bench.deadline:
        done.append(first | runs.judge(copies))
        median = sorted(done, key=lambda run: run["samples_per_s"])[len(done) // 2]
        yield {"engine": median | {"of_runs": [run["samples_per_s"] for run in done]}}
    if failed:
        raise RuntimeError("; ".join(failed))


class EngineRuns:
    """Runs the engine on a model, and gives seconds as rates beside the device's ceilings."""

    def __init__(self, bench: Bench, model: Any, ceilings: Ceilings) -> None:
        self.bench, self.model, self.ceilings = bench, model, ceilings
        self.costs = Shape.of_layout(bench.described, 2 if bench.on_gpu else 4)

    def judge(self, some: Sequence[Sample]) -> dict[str, Any]:
        """One run, without shared prefixes. Raises RuntimeError where an answer has not the length it must have."""
        bench = self.bench
        options = EngineOptions(
            max_new_tokens=MAX_NEW_TOKENS if bench.shape == "real" else 32,
            cache_tokens=None if bench.on_gpu else 4096,
        )
        bench.forget_peak()
        engine = LocalEngine(self.model, bench.tokenizer, bench.described, {}, options)
        clock = Clock({number: sample.work.new for number, sample in enumerate(some)})
        engine._generator = functools.partial(clock.generator, engine)  # type: ignore[method-assign]
        engine._shared_prefixes = lambda prompts: {}  # type: ignore[method-assign]
        start = time.perf_counter()
        seconds, done = bench.timed(lambda: dict(engine.complete([sample.prompt for sample in some])))
        failed = [item.note for item in done.values() if item.unscored]
        if failed or any(done[n].new_tokens != sample.work.new for n, sample in enumerate(some)):
            raise RuntimeError(f"{len(failed)} samples failed, first: {failed[:1]}")
        spent, rows, cached = (sum(column) for column in zip(*clock.steps, strict=True))
        read = cached * self.costs.token_bytes + len(clock.steps) * self.costs.weight_bytes
        return self.rate(some, seconds) | {
            "decode_gb_per_s": read / spent / 1e9,
            "of_copy_bandwidth": read / spent / self.ceilings.bandwidth,
            "rows_a_step": rows / len(clock.steps),
            "step_ms": 1e3 * spent / len(clock.steps),
            "host_ms_a_step": 1e3 * statistics.median(clock.launches),
            "first_result_s": (clock.first or start) - start,
            "peak_gb": bench.peak_gb(),
            "counters": vars(engine.counters),
        }

    def rate(self, some: Sequence[Sample], seconds: float) -> dict[str, Any]:
        """Samples a second, and the share of the serial roofline, with as many side by side as the memory would hold.

        That is the device's memory (on a CPU: 64 GB) but for a twentieth, the weights and 6 GiB.
        """
        import torch

        gpu = self.bench.on_gpu
        memory = torch.cuda.get_device_properties(self.bench.device).total_memory if gpu else 64e9
        room = (0.94 * memory - self.costs.weight_bytes - 6 * 2**30) / self.costs.token_bytes
        works = [sample.work for sample in some]
        least = sum(self.costs.seconds(work, self.ceilings, room / (work.tokens + work.new)) for work in works)
        return {
            "samples": len(some),
            "seconds": seconds,
            "samples_per_s": len(some) / seconds,
            "of_serial_roofline": least / seconds,
        }
