"""The device of a judge that runs in this process, found without importing torch wherever that can be had.

    default_device()        "cuda" where torch would find a GPU, else "cpu"
    check_device("gpu")     UserError: --device gpu: not one of cpu, cuda, cuda:N
    count_gpus()            2

torch takes seconds to import. A command that must refuse, or has nothing left to judge, does without it: whether torch
is built for CUDA stands in its version.py, and how many GPUs there are is NVML's word, as it is for torch.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from judge.errors import UserError
from judge.io.progress import say

OTHERS = ("mps", "xpu")
VISIBLE = "CUDA_VISIBLE_DEVICES"
_DEVICE = re.compile(r"cpu|cuda(?::(?P<number>\d{1,4}))?")


def default_device(wanted: str | None = None) -> str:
    """`wanted`; else "cuda" where there is a GPU; else "cpu". Asks torch only where it must."""
    if wanted is not None:
        return wanted
    return "cuda" if count_gpus() else "cpu"


def check_device(device: str | None, where: str = "--device", also: Sequence[str] = ()) -> None:
    """Raise UserError for what names no device, and for a GPU that is not here.

    device: None for whatever there is. where: how the user gave it. also: other kinds of device that are taken as they
    are (`OTHERS`: the judge runs on none of them, models of transformers do).
    """
    if device is None or device.partition(":")[0] in also:
        return
    found = _DEVICE.fullmatch(device)
    if found is None:
        raise UserError(f"{where} {device}: not one of {', '.join(('cpu', 'cuda', 'cuda:N', *also))}")
    if device == "cpu":
        return
    gpus = count_gpus()
    if not gpus:
        raise UserError(f"no CUDA device here for {where} {device}", fix=f"leave {where} out, or give {where} cpu")
    if int(found["number"] or 0) >= gpus:
        last = f" to cuda:{gpus - 1}" if gpus > 1 else ""
        raise UserError(f"no such GPU for {where} {device}", fix=f"give one of cuda:0{last}, or cpu")


def count_gpus() -> int:
    """The GPUs that torch would find, 0 without torch. torch is imported only where nothing else can tell."""
    if "torch" not in sys.modules:
        built = _cuda_of_torch()
        if built == "None":
            return 0
        gpus = None if built is None else _count_visible()
        if gpus is not None:
            return gpus
    import torch

    return int(torch.cuda.device_count())


def require_torch() -> None:
    """Raise ModuleNotFoundError where torch is not installed, as importing it would."""
    if "torch" not in sys.modules and importlib.util.find_spec("torch") is None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")


def require_cuda(device: str) -> None:
    """Raise UserError for a GPU that torch, which is imported, cannot use: a driver may be too old for it, and still
    count its GPUs."""
    if not device.startswith("cuda"):
        return
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            f"torch {torch.__version__} cannot use the GPUs here (device {device})",
            fix="python -c 'import torch; torch.zeros(1, device=\"cuda\")' says why; or give --device cpu",
        )


def say_idle_gpus(device: str | None) -> None:
    """Say on standard error that --ray would use the other GPUs of this machine. device: the one named; None: none."""
    if device is None and (gpus := count_gpus()) > 1:
        say(f"one of {gpus} GPUs is used; --ray uses all of them (pip install 'mmjudge[cluster]')")


def _cuda_of_torch() -> str | None:
    """The CUDA that the installed torch is built for, "None" for none or without torch; None where it cannot be told,
    and for one that is built for other GPUs."""
    spec = importlib.util.find_spec("torch")
    if spec is None:
        return "None"
    try:
        text = Path(spec.origin or "").with_name("version.py").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
    found = dict(re.findall(r"^(cuda|hip|xpu)\b[^=\n]*= *'?([\w.]+)", text, re.MULTILINE))
    return found.get("cuda") if found.get("hip", "None") == "None" else None


def _count_visible() -> int | None:
    """What NVML counts, as far as `VISIBLE` names them; None where that cannot be told."""
    visible = os.environ.get(VISIBLE)
    if visible is not None and not visible.strip():
        return 0
    there = _count_nvml()
    if there is None or visible is None:
        return there
    names = [name.strip() for name in visible.split(",")]
    if names[0] == "-1":
        return 0
    if not all(name.isdecimal() for name in names) or len(set(names)) < len(names):
        return None
    numbers = [int(name) for name in names]
    return next((place for place, number in enumerate(numbers) if number >= there), len(numbers))


def _count_nvml() -> int | None:
    """The NVIDIA GPUs of this machine; None where its driver is there but does not tell."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        try:
            ctypes.CDLL("libcuda.so.1")
        except OSError:
            return 0  # no driver
        return None
    count = ctypes.c_uint()
    try:
        if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)):
            return None
        return count.value
    except AttributeError:
        return None
