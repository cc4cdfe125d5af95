"""Which process of a training run this is: `accelerate launch` sets RANK to its number, WORLD_SIZE to how many.

Both are asked before torch's process group is there: what a recipe comes to depends on how many devices learn. Scoring
runs ask `judge.harness.ranks`, which knows SLURM as well.
"""

from __future__ import annotations

import os


def first_process() -> bool:
    """Whether this is the process of a run that writes and prints."""
    return os.environ.get("RANK", "0") == "0"


def count_processes() -> int:
    """Processes of this run, one a device; 1 where nobody launched several."""
    return int(os.environ.get("WORLD_SIZE", "1"))
