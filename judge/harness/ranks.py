"""Which process of a job this is, and which device is its own.

RANK=3 WORLD_SIZE=8 LOCAL_RANK=1      set by `accelerate launch` and `torchrun`   -> Rank(3, 8, 1), on cuda:1
SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=8 SLURM_LOCALID=1   set by a step of `srun`   -> the same
(none of these)                                                                   -> Rank(0, 1, 0), on cuda
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

from judge.engines.devices import default_device
from judge.errors import UserError


@dataclasses.dataclass(frozen=True)
class Rank:
    """One process of a job of `size`. local: its number on this machine, which chooses its GPU."""

    number: int = 0
    size: int = 1
    local: int = 0

    @property
    def alone(self) -> bool:
        """Whether the job has no other process."""
        return self.size == 1


ALONE = Rank()


def this_rank(environment: Mapping[str, str] | None = None) -> Rank:
    """Which rank this process is. Raises UserError for numbers that make no sense.

    A batch script of SLURM has SLURM_NTASKS and SLURM_PROCID=0 itself; only in a step (`srun`) do they say more.
    """
    values = os.environ if environment is None else environment
    if "RANK" in values:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    elif "SLURM_PROCID" in values and "SLURM_STEP_ID" in values:
        size = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in values else "SLURM_NTASKS"
        names = ("SLURM_PROCID", size, "SLURM_LOCALID")
    else:
        return ALONE
    number, size_, local = (values.get(name, default) for name, default in zip(names, ("0", "1", "0"), strict=True))
    if not all(value.isdecimal() for value in (number, size_, local)) or int(number) >= int(size_):
        said = ", ".join(f"{name}={values.get(name)}" for name in names)
        raise UserError(f"{said}: not a rank of a job", fix=f"unset {names[0]} and {names[1]} to run alone")
    return Rank(int(number), int(size_), int(local))


def rank_device(wanted: str | None, rank: Rank) -> str:
    """`wanted`; else, or for "cuda" among other ranks, this rank's GPU; else "cpu". Asks torch only where it must."""
    if rank.alone or wanted not in (None, "cuda"):
        return default_device(wanted)
    import torch

    gpus = torch.cuda.device_count()
    return f"cuda:{rank.local % gpus}" if gpus else wanted or "cpu"
