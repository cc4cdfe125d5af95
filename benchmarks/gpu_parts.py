"""What `gpu.py` measures beside speed (`gpu_speed.py`): a generator a part, run in a process of its own.

    for found in measure_kernel(bench):
        …       {"bfloat16": {"largest_difference": 0.0039, "plain_ms": 9.1, "kernel_ms": 0.31, "ratio": 29.4, …}}

A part yields what it has found as soon as it has it. It raises `NotMeasuredError` where this machine has nothing
to measure, and any other error where something is wrong; what it yielded before stays.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import gc
import os
import platform
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from workload import Sample, make_model, samples, write_description

from judge.errors import UserError
from judge.model import generate, images
from judge.model.tokenizer import Tokenizer
from judge.model.weights import checkpoint, original_layout, shapes

Found = Iterator[dict[str, Any]]

GB = 1e9
ANSWERED = (0, 14, 2, 4, 6, 9, 12, 15)
"""Strata that the loaded judge answers: no picture to four, both sides of the rope's limit and across it."""
COMPARED = (0, 1, 5, 8, 10, 12, 14, 15)
"""Strata whose tokens are compared between the number types."""
FORCED = 32
"""Tokens that both number types are given after each prompt, so that one difference does not make all others."""
LEARNED = 10
"""The stratum that a fine-tuning step learns: three pictures, 30 tiles at the real shape."""


class NotMeasuredError(Exception):
    """This machine has nothing to measure here; says why."""


@dataclasses.dataclass(frozen=True)
class Bench:
    """What the parts share. shape: "real" or "tiny". golden: folder of recorded cases; folder: a part's own, empty.
    deadline: by `time.monotonic`, when the part is ended."""

    device: str
    shape: str
    golden: Path
    folder: Path
    deadline: float

    @property
    def on_gpu(self) -> bool:
        """Whether the device is one of CUDA's."""
        return self.device.startswith("cuda")

    @property
    def dtype(self) -> Any:
        """What the judge computes in: as users run it."""
        import torch

        return torch.bfloat16 if self.on_gpu else torch.float32

    @functools.cached_property
    def described(self) -> original_layout.Layout:
        """The judge's layout, written into the folder `judge` with everything but weights."""
        return write_description(self.folder / "judge", self.shape)

    @functools.cached_property
    def tokenizer(self) -> Tokenizer:
        """The judge's."""
        return Tokenizer.from_folder(self.described and self.folder / "judge")

    def samples(self, name: str, copies: int = 1, strata: Sequence[int] | None = None) -> list[Sample]:
        """As `workload.samples`, pictures in the folder `name`; strata: all of them."""
        chosen = {} if strata is None else {"strata": strata}
        return samples(self.folder / name, self.tokenizer, self.described, self.shape, copies, **chosen)

    def timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        """Seconds until the device has done it, and what `work` returns."""
        self.sync()
        start = time.perf_counter()
        value = work()
        self.sync()
        return time.perf_counter() - start, value

    def sync(self) -> None:
        """Wait until the device has done all it was given."""
        import torch

        if self.on_gpu:
            torch.cuda.synchronize()

    def forget_peak(self) -> None:
        """Give back what is not used, and count the peak from here; on a CPU it counts from the start."""
        import torch

        gc.collect()  # modules know each other in circles
        if self.on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak_gb(self) -> float:
        """Of tensors on a GPU; of the process, mapped files included, on a CPU."""
        import torch

        if self.on_gpu:
            return torch.cuda.max_memory_allocated() / GB
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GB


def describe_machine(bench: Bench) -> Found:
    """Versions, device, driver and host."""
    import torch
    import transformers

    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name(bench.device) if bench.on_gpu else f"cpu ({platform.machine()})",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": os.getloadavg()[0],
    }
    with contextlib.suppress(ImportError):
        import triton

        found["triton"] = triton.__version__
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        found["host"] = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")
    if bench.on_gpu:
        asked = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader"]
        with contextlib.suppress(OSError):
            found["driver"] = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
    yield found


def verify_recorded(bench: Bench) -> Found:
    """`mmjudge verify` on this device, in float32, whose bounds the recording has."""
    from judge.engines import EngineOptions
    from judge.engines.local import load_local_engine
    from judge.model import verify

    judge = bench.golden / "tiny-internvl2"
    if not judge.is_dir():
        raise NotMeasuredError(f"no recorded cases and judge in {bench.golden} (--golden)")
    golden = verify.read_golden(bench.golden)
    engine = load_local_engine(str(judge), EngineOptions(device=bench.device, dtype="float32"))
    results = []
    for result in verify.verify_cases(engine.model, engine.tokenizer, engine.layout, golden):
        results.append(result)
        yield {
            "cases": 2 * len(golden.cases),  # each alone, and in one batch with all others
            "passed": sum(one.passed for one in results),
            "logits": max(one.logits for one in results),
            "vision": max(one.vision or 0.0 for one in results),
        }
    wrong = [result for result in results if not result.passed]
    if wrong:
        raise RuntimeError(f"{len(wrong)} of {len(results)} cases differ, first: {wrong[0]}")


def measure_kernel(bench: Bench) -> Found:
    """The Triton decode kernel beside the plain path, on one layer of the judge's cache. Raises ArithmeticError where
    they differ by more than the engine accepts."""
    import torch

    from judge.model import attention

    if not bench.on_gpu:
        raise NotMeasuredError("no CUDA")
    from judge.model.decode_kernel import launch_decode_attention

    text = bench.described.text
    heads, key_heads = text["num_attention_heads"], text["num_key_value_heads"]
    size, most = text["hidden_size"] // heads, 8192 if bench.shape == "real" else 512
    lengths = [1, most - 1, *(most - 37 * n % (most // 4) for n in range(30))]
    starts = [sum(lengths[:n]) for n in range(len(lengths))]
    random = torch.Generator(bench.device).manual_seed(0)
    off = {}
    for dtype in ("float32", "bfloat16"):
        shapes_ = ((len(lengths), heads, size), *2 * ((sum(lengths), key_heads, size),))
        q, keys, values = (
            torch.randn(shape, generator=random, device=bench.device, dtype=getattr(torch, dtype)) for shape in shapes_
        )
        first, counts = torch.tensor([starts, lengths], device=bench.device)
        paths = {
            "kernel": lambda: launch_decode_attention(q, keys, values, first, counts, most),  # noqa: B023
            "plain": lambda: attention.decode_attention(q, keys, values, starts, lengths),  # noqa: B023
        }
        out = {name: path() for name, path in paths.items()}  # compiles
        off[dtype] = float((out["kernel"] - out["plain"]).abs().max())
        ms = {name: 1e3 * min(bench.timed(path)[0] for _ in range(20)) for name, path in paths.items()}
        yield {
            dtype: {
                "largest_difference": off[dtype],
                "plain_ms": ms["plain"],
                "kernel_ms": ms["kernel"],
                "ratio": ms["plain"] / ms["kernel"],
                "kernel_gb_per_s": (keys.nbytes + values.nbytes) / ms["kernel"] / 1e6,
                "sequences": len(lengths),
                "longest": max(lengths),
            }
        }
    if wrong := [dtype for dtype, value in off.items() if not value <= attention.TOLERANCE[dtype]]:
        raise ArithmeticError(f"the kernel is off by {off}, too much in {', '.join(wrong)}")


def load_and_answer(bench: Bench) -> Found:
    """A judge of this shape from disk to answers, in bfloat16. Raises UserError where room is missing.

    Its weights are made on the device and written once, in shards; so they are read from the page cache.
    """
    import torch
    from huggingface_hub import save_torch_state_dict

    described, folder = bench.described, bench.folder / "judge"
    new = 200 if bench.shape == "real" else 16
    rows = [_model_input(sample, described) for sample in bench.samples("pictures", strata=ANSWERED)]
    parameters = shapes.count_parameters(described)
    stored = 2 * parameters
    if (free := shutil.disk_usage(bench.folder).free) < 1.01 * stored:
        raise UserError(f"needs {stored / GB:.1f} GB of disk, and {free / GB:.1f} GB are free", fix="give --folder")
    wrote, _ = bench.timed(
        lambda: save_torch_state_dict(
            checkpoint.original_tensors(make_model(described, bench.device, torch.bfloat16)),
            folder,
            filename_pattern="model{suffix}.safetensors",
            max_shard_size=int(min(GB, stored / 2)),  # several, as the published judge has
        )
    )
    yield {"parameters": parameters, "stored_gb": stored / GB, "write_s": wrote}
    bench.forget_peak()
    load, model = bench.timed(lambda: checkpoint.load_model(folder, device=bench.device, dtype="bfloat16"))
    yield {"load_s": load, "load_peak_gb": bench.peak_gb()}
    yield {"hash_s": bench.timed(lambda: checkpoint.weights_sha256(folder))[0]}
    answer(model, rows, 1)  # the first time, libraries are opened and memory is taken from the system
    bench.forget_peak()
    read, whole = (bench.timed(lambda n=n: answer(model, rows, n))[0] for n in (1, new))  # type: ignore[misc]
    yield {
        "prompt_tokens": [len(row.ids) for row in rows],
        "tiles": [0 if row.tiles is None else len(row.tiles) for row in rows],
        "new_tokens": new,
        "read_s": read,
        "batch_s": whole,
        "answer_s": whole / len(rows),
        "batch_peak_gb": bench.peak_gb(),
    }


def answer(model: Any, rows: Sequence[generate.ModelInput], new_tokens: int) -> None:
    """Answer one batch. Raises RuntimeError where an answer is not what it must be."""
    import torch
    from fixed_lengths import NEVER

    done = dict(generate.generate_all(model, rows, stop=NEVER, max_new_tokens=new_tokens))
    for number in range(len(rows)):
        if len(done[number].ids) != new_tokens or not torch.isfinite(done[number].prefill_logits).all():
            raise RuntimeError(f"prompt {number}: {len(done[number].ids)} tokens, or logits that are not finite")


def compare_bfloat16(bench: Bench) -> Found:
    """Random weights of this shape in both number types; then the demo's tiny judge, which has learned to score.

    Random weights score nothing: what can be compared is the likeliest of all tokens and, after the prompt, the
    likeliest of the seven that spell a score, given the same tokens before. Their logits lie closer together than a
    trained judge's, so more of them change than would.
    """
    import bfloat16
    import torch
    from plain_loops import packed_logits

    from judge.model import distribution
    from judge.results.statistics import proportion
    from mmie_tasks.demo import judge_dir

    model = make_model(bench.described, bench.device, torch.bfloat16)
    chosen = bench.samples("pictures", strata=COMPARED)
    random = torch.Generator().manual_seed(0)
    forced = torch.randint(5, 900, (len(chosen), FORCED), generator=random).tolist()
    digits = list(distribution.score_tokens(bench.tokenizer))
    tokens: dict[Any, list[int]] = {}
    scores: dict[Any, list[int]] = {}
    for dtype in (torch.bfloat16, torch.float32):
        if dtype == torch.float32:
            model = model.float()  # the same weights: float32 holds all that bfloat16 does
        logits = [packed_logits(model, [s], [f], bench.device)[0] for s, f in zip(chosen, forced, strict=True)]
        tokens[dtype] = torch.cat(logits).argmax(-1).tolist()
        scores[dtype] = torch.stack([each[0, digits] for each in logits]).argmax(-1).tolist()

    def equal(found: dict[Any, list[int]]) -> dict[str, Any]:
        one, other = found.values()
        return proportion(sum(a == b for a, b in zip(one, other, strict=True)), len(one)).to_json()

    yield {"random": {"tokens": equal(tokens), "scores": equal(scores)}}
    del model
    bench.forget_peak()
    count, new = (30, 256) if bench.shape == "real" else (1, 3)
    some = bfloat16.prompts(count, "mmjudge", bench.folder)[: None if bench.shape == "real" else 2]
    yield {"demo": bfloat16.measure(some, str(judge_dir()), bench.device, 8, new)[0]}


def finetune_step(bench: Bench) -> Found:
    """One step of LoRA as docs/finetuning.md has it: rank 16, gradient checkpointing, bfloat16 (float32 on a CPU)."""
    import torch

    from judge.core.request import Picture
    from judge.finetune.base import make_trainable
    from judge.finetune.batches import Collator
    from judge.finetune.dataset import Encoder, Row
    from judge.finetune.loss import Lesson
    from judge.finetune.recipe import Recipe
    from mmie_tasks.benchmark import BENCHMARK

    (sample,) = bench.samples("pictures", strata=[LEARNED])
    encoder = Encoder(bench.tokenizer, BENCHMARK.rubric("mmjudge"), bench.described)
    said, position = encoder.completion("### Feedback\nThe second picture shows a closed lid.", 4)
    pictures = tuple(piece for piece in sample.prompt.pieces if isinstance(piece, Picture))
    row = Row(("step", ""), "PBL", sample.ids, said, pictures, 4.0, position)
    batch = {name: value.to(bench.device) for name, value in Collator(encoder)([(row, ())]).items()}
    recipe = Recipe(base="random", data="none", out="none", max_steps=1)
    model = make_model(bench.described, bench.device, bench.dtype)
    make_trainable(model, recipe, "random")
    lesson = Lesson(model).train()
    weights = [weight for weight in lesson.parameters() if weight.requires_grad]
    optimiser = torch.optim.AdamW(weights, lr=recipe.lr)

    def step() -> float:
        with torch.autocast(model.device.type, torch.bfloat16, enabled=bench.dtype == torch.bfloat16):
            loss = lesson(**batch)["loss"]
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        return float(loss.detach())

    step()  # the first time, libraries are opened
    bench.forget_peak()
    seconds, loss = bench.timed(step)
    if not np.isfinite(loss):
        raise RuntimeError(f"the loss is {loss}")
    yield {
        "step_s": seconds,
        "peak_gb": bench.peak_gb(),
        "tokens": len(sample.ids) + len(said),
        "tiles": sample.work.tiles,
        "trained": sum(weight.numel() for weight in weights),
        "loss": loss,
    }


def _model_input(sample: Sample, described: original_layout.Layout) -> generate.ModelInput:
    cut = [images.cut_tiles(images.decode_image(file), described.tile_size) for file in sample.files]
    return generate.ModelInput(sample.ids, np.concatenate(cut) if cut else None)
