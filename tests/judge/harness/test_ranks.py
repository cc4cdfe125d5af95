"""Which process of a job this is, and its device."""

from __future__ import annotations

import pytest

from judge.errors import UserError
from judge.harness.ranks import Rank, rank_device, this_rank


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({}, Rank()),
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, Rank(3, 8, 1)),
        ({"RANK": "0", "WORLD_SIZE": "1"}, Rank()),
        # a step of srun
        ({"SLURM_PROCID": "5", "SLURM_NTASKS": "8", "SLURM_STEP_ID": "0", "SLURM_LOCALID": "1"}, Rank(5, 8, 1)),
        (
            {"SLURM_PROCID": "1", "SLURM_NTASKS": "8", "SLURM_STEP_NUM_TASKS": "2", "SLURM_STEP_ID": "4"},
            Rank(1, 2, 0),
        ),
        # the batch script itself, which runs once
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, Rank()),
        # torchrun started by srun, once a machine
        (
            {"RANK": "9", "WORLD_SIZE": "16", "SLURM_PROCID": "1", "SLURM_STEP_ID": "0", "SLURM_NTASKS": "2"},
            Rank(9, 16),
        ),
    ],
)
def test_this_rank(environment, rank):
    assert this_rank(environment) == rank


@pytest.mark.parametrize("number", ["2", "-1", "x", ""])
def test_no_rank(number):
    with pytest.raises(UserError, match="not a rank of a job"):
        this_rank({"RANK": number, "WORLD_SIZE": "2"})


@pytest.mark.parametrize(
    ("rank", "wanted", "gpus", "found"),
    [
        (Rank(), None, 8, "cuda"),
        (Rank(), None, 0, "cpu"),
        (Rank(5, 16, 5), None, 8, "cuda:5"),
        (Rank(5, 16, 5), "cuda", 8, "cuda:5"),
        (Rank(5, 16, 5), None, 1, "cuda:0"),  # srun --gpus-per-task=1 shows each its own
        (Rank(5, 16, 5), "cuda:2", 8, "cuda:2"),
        (Rank(5, 16, 5), "cpu", 8, "cpu"),
        (Rank(1, 2, 1), None, 0, "cpu"),
    ],
)
def test_device(rank, wanted, gpus, found, monkeypatch):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    assert rank_device(wanted, rank) == found
