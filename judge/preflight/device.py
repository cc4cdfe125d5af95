"""Which device the judge would run on, and whether it has the memory: without importing torch.

    list_gpus(os.environ)      [Gpu(0, "NVIDIA H200", 150_754_820_096, 150_100_000_000)]
    free_memory()              21_474_836_480     of this machine or of the control group that it is in

GPUs are nvidia-smi's, those that CUDA_VISIBLE_DEVICES leaves. What a judge needs (`Need`) comes from its config: the
weights in the number type that is used, and keys and values of what is judged at once (docs/engine.md).
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from judge.engines.local import CPU_TOKENS, ITEM_BYTES, RESERVED_BYTES
from judge.harness.session import SLOW_ON_CPU
from judge.io.progress import size as shown_bytes
from judge.preflight.finding import Finding, Findings
from judge.preflight.job import Job

DEVICE = "device"
QUERY = "index,uuid,name,memory.total,memory.free"
SMI_SECONDS = 4.0
ACTIVATIONS = 2 << 30
"""Bytes of a GPU that one long prompt takes beside the weights: below that nothing can be judged."""
_WHO = "nvidia-smi shows who holds it; or export CUDA_VISIBLE_DEVICES=N for another GPU"


@dataclasses.dataclass(frozen=True)
class Gpu:
    """total, free: bytes."""

    index: int
    name: str
    total: int
    free: int


@dataclasses.dataclass(frozen=True)
class Need:
    """parameters: how many numbers the judge has; per_token: how many are kept of every token. None: not known."""

    parameters: int
    per_token: int | None = None

    def weights(self, dtype: str) -> int:
        """Bytes."""
        return self.parameters * ITEM_BYTES.get(dtype, 4)

    def cache(self, dtype: str) -> int:
        """Bytes of the tokens that are judged at once on a CPU, and of a modest number on a GPU."""
        return CPU_TOKENS * (self.per_token or 0) * ITEM_BYTES.get(dtype, 4)


def list_gpus(environment: Mapping[str, str]) -> list[Gpu]:
    """The GPUs that a process started with this environment sees. Raises OSError and subprocess.SubprocessError where
    nvidia-smi is there and does not answer."""
    program = shutil.which("nvidia-smi", path=environment.get("PATH"))
    if program is None:
        return []
    command = [program, f"--query-gpu={QUERY}", "--format=csv,noheader,nounits"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=SMI_SECONDS, check=True)
    found: dict[str, Gpu] = {}
    for line in answer.stdout.splitlines():
        index, uuid, name, total, free = (part.strip() for part in line.split(","))
        found[uuid] = Gpu(int(index), name, int(total) << 20, int(free) << 20)
    return _visible(found, environment.get("CUDA_VISIBLE_DEVICES"))


def _visible(found: Mapping[str, Gpu], wanted: str | None) -> list[Gpu]:
    """As CUDA reads the variable: in its order, up to the first that is not there."""
    if wanted is None:
        return list(found.values())
    seen = []
    for word in (word.strip() for word in wanted.split(",")):
        gpus = [gpu for uuid, gpu in found.items() if word and (str(gpu.index) == word or uuid.startswith(word))]
        if len(gpus) != 1:
            break
        seen += gpus
    return seen


def free_memory() -> int | None:
    """Bytes that a process can still take here; None where the system does not say."""
    free = []
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free.append(int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) << 10)
    with contextlib.suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most = int((group / "memory.max").read_text())
        free.append(max(0, most - int((group / "memory.current").read_text())))
    if not free:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            free.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(free, default=None)


def chosen_device(job: Job, gpus: Sequence[Gpu], torch_build: str | None) -> str:
    """What `judge.harness.ranks.rank_device` would say. torch_build: "cpu", "cu132", … as torch's version has it."""
    settings = job.settings
    if settings.device not in (None, "cuda"):
        return settings.device or "cpu"
    if settings.device == "cuda" and settings.rank.alone:
        return "cuda"
    if not gpus or torch_build == "cpu":
        return settings.device or "cpu"
    return "cuda" if settings.rank.alone else f"cuda:{settings.rank.local % len(gpus)}"


def chosen_dtype(job: Job, device: str) -> str:
    """What the judge's numbers would be."""
    return job.settings.dtype or ("float32" if device == "cpu" else "bfloat16")


def check_device(job: Job, gpus: Sequence[Gpu], torch_build: str | None, need: Need | None) -> Findings:
    """Lines about the device of a judge that runs here. need: None where nothing is known of the judge."""
    device = chosen_device(job, gpus, torch_build)
    dtype = chosen_dtype(job, device)
    if gpus and torch_build == "cpu":
        yield Finding(
            DEVICE, "fails" if device != "cpu" else "warning",
            f"{gpus[0].name} is here, and this torch is built for CPUs alone",
            "pip install --force-reinstall torch torchvision",
        )  # fmt: skip
    if device == "cpu":
        yield from _cpu(job, dtype, need)
        return
    number = int(device.partition(":")[2] or 0)
    if number >= len(gpus):
        there = ", ".join(f"cuda:{n} ({gpu.name})" for n, gpu in enumerate(gpus)) or "none"
        yield Finding(
            DEVICE, "fails", f"no GPU {device} here; nvidia-smi and CUDA_VISIBLE_DEVICES give: {there}",
            "unset MMJUDGE_DEVICE, or export MMJUDGE_DEVICE=cpu",
        )  # fmt: skip
        return
    yield _gpu(device, gpus[number], dtype, need)
    if len(gpus) > 1 and job.harness == "none":
        yield Finding(DEVICE, "ok", f"{len(gpus)} GPUs, of which one is used without --ray", "mmjudge score --ray …")


def _gpu(device: str, gpu: Gpu, dtype: str, need: Need | None) -> Finding:
    said = f"{device}, {gpu.name}: {shown_bytes(gpu.free)} of {shown_bytes(gpu.total)} are free"
    if need is None:
        return Finding(DEVICE, "ok", f"{said}; what the judge needs is not known yet")
    weights = need.weights(dtype)
    said += f"; the judge's weights take {shown_bytes(weights)} in {dtype}"
    if gpu.total < weights + ACTIVATIONS:
        mend = "export MMJUDGE_JUDGE=http://HOST:PORT/v1 (a judge on another machine: docs/scale.md)"
        return Finding(DEVICE, "fails", f"{said}, more than this GPU has", mend)
    if gpu.free < weights + ACTIVATIONS:
        return Finding(DEVICE, "fails", f"{said}, more than is free now", _WHO)
    if gpu.free < weights + RESERVED_BYTES + need.cache(dtype):
        return Finding(DEVICE, "warning", f"{said}: it runs, with few answers at once, hence slowly", _WHO)
    return Finding(DEVICE, "ok", said)


def _cpu(job: Job, dtype: str, need: Need | None) -> Findings:
    free = free_memory()
    said = "the CPU" if free is None else f"the CPU, {shown_bytes(free)} of memory free"
    if need is None:
        yield Finding(DEVICE, "ok", f"{said}; what the judge needs is not known yet")
        return
    weights, cache = need.weights(dtype), need.cache(dtype)
    said += f"; the judge's weights take {shown_bytes(weights)} in {dtype}"
    elsewhere = "export MMJUDGE_JUDGE=http://HOST:PORT/v1 (a judge on another machine)"
    split = "lmms-eval … --predict_only here, then `mmjudge score` where there is a GPU"
    if free is not None and free < weights:
        yield Finding(DEVICE, "fails", f"{said}, more than there is", elsewhere)
    elif weights > SLOW_ON_CPU:
        refused = job.harness != "none" and job.settings.device is None
        yield Finding(
            DEVICE, "fails" if refused else "warning", f"{said}; without a GPU it takes days",
            f"{split}; or {elsewhere}" + ("; or export MMJUDGE_DEVICE=cpu, and wait" if refused else ""),
        )  # fmt: skip
    else:
        little = free is not None and free < weights + cache
        yield Finding(DEVICE, "warning" if little else "ok", said + (" and leave little" if little else ""))
