"""The device of a judge that runs in this process."""

from __future__ import annotations

import sys


def default_device(wanted: str | None = None) -> str:
    """`wanted`; else "cuda" where there is a GPU; else "cpu". Asks torch only where it must."""
    if wanted is not None:
        return wanted
    import torch

    return "cuda" if torch.cuda.device_count() else "cpu"


def say_idle_gpus(device: str | None) -> None:
    """Say on standard error that --ray would use the other GPUs of this machine. device: the one named; None: none."""
    if device is not None:
        return
    import torch

    if (gpus := torch.cuda.device_count()) > 1:
        what = f"one of {gpus} GPUs is used; --ray uses all of them (pip install 'mmjudge[cluster]')"
        print(f"mmjudge: {what}", file=sys.stderr, flush=True)
