"""Configurations of `accelerate launch` for training on many GPUs: zero2.yaml, zero3.yaml, gpus.yaml.

accelerate launch --config_file "$(python -m mmvu_tasks.train.launch)/zero3.yaml" -m judge.cli mmvu-train …
"""

from __future__ import annotations

from pathlib import Path


def launch_dir() -> Path:
    """The folder of these files."""
    return Path(__file__).parent
