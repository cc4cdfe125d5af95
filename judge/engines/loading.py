"""Which engine a judge's name stands for.

replay:FILE                          judge.engines.replay        recorded feedback
http://a:8000/v1,http://b:8000/v1    judge.engines.server        endpoints
MMIE/MMIE-Score, out/my-judge        judge.engines.local  here; with several devices judge.engines.processes
"""

from __future__ import annotations

import dataclasses
import os

from judge.engines import DEFAULT_OPTIONS, Engine, EngineOptions
from judge.engines.replay import PREFIX, Replay
from judge.errors import UserError

TOKENIZER_VARIABLE = "MMJUDGE_TOKENIZER"


def default_tokenizer() -> str | None:
    return os.environ.get(TOKENIZER_VARIABLE) or None


def is_address(judge: str) -> bool:
    return judge.startswith(("http://", "https://"))


def load_judge_engine(judge: str, options: EngineOptions = DEFAULT_OPTIONS) -> Engine:
    """Load a judge, or connect to it. Raises UserError for whatever the user can mend."""
    if judge.startswith(PREFIX):
        return Replay(judge.removeprefix(PREFIX))
    if is_address(judge):
        from judge.engines.server import connect

        return connect(judge, options.tokenizer, under_way=options.batch_size)
    devices = _devices(options.device, options.workers)
    if len(devices) == 1:
        from judge.engines.local import load_local_engine

        return load_local_engine(judge, dataclasses.replace(options, device=devices[0]))
    from judge.engines.processes import Processes

    return Processes(judge, [each or "cpu" for each in devices], options)


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
