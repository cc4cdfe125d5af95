"""The environment's words, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.errors import UserError
from judge.harness import settings
from judge.harness.ranks import Rank


def test_nothing_set() -> None:
    read = settings.read_settings({"XDG_CACHE_HOME": "/cache"})
    assert (read.judge, read.device, read.dtype, read.rubric, read.batch_size) == (None,) * 5
    assert (read.profile, read.journal, read.rank) == ("strict", Path("/cache/mmjudge/journal"), Rank(0, 1, 0))
    assert read.image_root == Path.cwd()


def test_everything_set() -> None:
    read = settings.read_settings(
        {
            "MMJUDGE_JUDGE": "replay:f", "MMJUDGE_DEVICE": "cpu", "MMJUDGE_DTYPE": "float32",
            "MMJUDGE_PROFILE": "reference", "MMJUDGE_RUBRIC": "official", "MMJUDGE_BATCH_SIZE": "3",
            "MMJUDGE_JOURNAL": "/j", "MMJUDGE_IMAGE_ROOT": "/i", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1",
        }
    )  # fmt: skip
    assert read == settings.Settings(
        "replay:f", "cpu", "float32", "reference", "official", 3, Path("/j"), Path("/i"), Rank(5, 8, 1)
    )


def test_empty_is_unset() -> None:
    assert settings.read_settings({"MMJUDGE_JUDGE": "", "MMJUDGE_PROFILE": "", "MMJUDGE_BATCH_SIZE": ""}).judge is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MMJUDGE_PROFILE", "lenient"),
        ("MMJUDGE_BATCH_SIZE", "0"),
        ("MMJUDGE_BATCH_SIZE", "-1"),
        ("MMJUDGE_BATCH_SIZE", "x"),
    ],
)
def test_what_is_refused_names_its_variable(name: str, value: str) -> None:
    with pytest.raises(UserError, match=f"{name} is '{value}'"):
        settings.read_settings({name: value})


@pytest.mark.parametrize(
    ("environment", "rank"),
    [
        ({"SLURM_PROCID": "3", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "8", "SLURM_LOCALID": "1"}, Rank(3, 8, 1)),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, Rank()),  # a batch script, not a step of it
    ],
)
def test_the_rank_is_read_as_everywhere(environment: dict[str, str], rank: Rank) -> None:
    assert settings.read_settings(environment).rank == rank


@pytest.mark.parametrize("number", ["x", "-1", "8"])
def test_a_rank_that_makes_no_sense_is_named(number: str) -> None:
    with pytest.raises(UserError, match=f"RANK={number}, WORLD_SIZE=8, LOCAL_RANK=None: not a rank of a job"):
        settings.read_settings({"RANK": number, "WORLD_SIZE": "8"})
