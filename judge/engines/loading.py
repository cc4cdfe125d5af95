"""Which engine a judge's name stands for.

replay:FILE                          judge.engines.replay        recorded feedback
http://a:8000/v1,http://b:8000/v1    judge.engines.server        endpoints
MMIE/MMIE-Score, out/my-judge        judge.engines.local  here; with several devices judge.engines.processes
"""

from __future__ import annotations

import os
from typing import Any

from judge.engines import Engine
from judge.engines.replay import PREFIX, Replay
from judge.errors import UserError

TOKENIZER_VARIABLE = "MMJUDGE_TOKENIZER"


def default_tokenizer() -> str | None:
    return os.environ.get(TOKENIZER_VARIABLE) or None


def is_address(judge: str) -> bool:
    return judge.startswith(("http://", "https://"))


def load(
    judge: str,
    *,
    device: str | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    tokenizer: str | None = None,
    **options: Any,
) -> Engine:
    """Load or connect to a judge. Raises UserError for whatever the user can mend.

    workers: processes, or None for one a GPU. tokenizer: for endpoints, the judge that they serve, a folder or a
    repository. options: for `judge.engines.local.load_engine`.
    """
    if judge.startswith(PREFIX):
        return Replay(judge.removeprefix(PREFIX))
    if is_address(judge):
        from judge.engines.server import connect

        return connect(judge, tokenizer, under_way=batch_size)
    devices = _devices(device, workers)
    if len(devices) == 1:
        from judge.engines.local import load_engine

        return load_engine(judge, device=devices[0], batch_size=batch_size, **options)
    from judge.engines.processes import Processes

    return Processes(judge, [each or "cpu" for each in devices], batch_size=batch_size, **options)


def _devices(device: str | None, workers: int | None) -> list[str | None]:
    """A device for every process: the GPUs, in turn, or the one device that was named as often as wanted."""
    if device is None or device == "cuda":
        import torch

        gpus = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
        if gpus:
            count = len(gpus) if workers is None else workers
            if count > len(gpus):
                raise UserError(f"--workers {count}: there are {len(gpus)} GPUs", fix="one process a GPU: leave it out")
            return [*gpus[:count]] if count > 1 else [device]
        device = device or "cpu"
    return [device] * (workers or 1)
