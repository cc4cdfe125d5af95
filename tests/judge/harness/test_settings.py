"""The environment's words, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from judge.errors import UserError
from judge.harness import settings


def test_nothing_set() -> None:
    read = settings.read({"XDG_CACHE_HOME": "/cache"})
    assert (read.judge, read.device, read.dtype, read.rubric, read.batch_size) == (None,) * 5
    assert (read.profile, read.journal, read.rank, read.local_rank) == ("strict", Path("/cache/mmjudge/journal"), 0, 0)
    assert read.image_root == Path.cwd()


def test_everything_set() -> None:
    read = settings.read(
        {
            "MMJUDGE_JUDGE": "replay:f", "MMJUDGE_DEVICE": "cpu", "MMJUDGE_DTYPE": "float32",
            "MMJUDGE_PROFILE": "reference", "MMJUDGE_RUBRIC": "official", "MMJUDGE_BATCH_SIZE": "3",
            "MMJUDGE_JOURNAL": "/j", "MMJUDGE_IMAGE_ROOT": "/i", "RANK": "5", "LOCAL_RANK": "1",
        }
    )  # fmt: skip
    assert read == settings.Settings(
        "replay:f", "cpu", "float32", "reference", "official", 3, Path("/j"), Path("/i"), local_rank=1, rank=5
    )


def test_empty_is_unset() -> None:
    assert settings.read({"MMJUDGE_JUDGE": "", "MMJUDGE_PROFILE": "", "MMJUDGE_BATCH_SIZE": ""}).judge is None


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
        settings.read({name: value})
