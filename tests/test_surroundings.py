"""The suite passes from any shell: its collection and the tests that the environment changed, in a hostile one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
import surroundings
from folders import ROOT

HOSTILE = {
    "HF_HUB_OFFLINE": "1",
    "HF_TOKEN": "hf_somebody_elses",
    "HF_HOME": "/nowhere/hf",
    "HF_ENDPOINT": "http://127.0.0.1:9",
    "HUGGINGFACE_CO_RESOLVE_ENDPOINT": "http://127.0.0.1:9",
    "TRANSFORMERS_OFFLINE": "1",
    "TRANSFORMERS_CACHE": "/nowhere/transformers",
    "HF_DATASETS_OFFLINE": "1",
    "MMJUDGE_JUDGE": "http://127.0.0.1:9",
    "MMJUDGE_DEVICE": "cuda:7",
    "MMJUDGE_PROFILE": "neither",
    "MMJUDGE_TOKENIZER": "neither",
    "MMJUDGE_API_KEY": "somebody else's",
    "MMVU_DATA": "/nowhere/mmvu",
    "MMIE_DATA": "/nowhere/mmie",
    "RANK": "3",
    "WORLD_SIZE": "8",
    "LOCAL_RANK": "3",
    "SLURM_PROCID": "3",
    "SLURM_NTASKS": "8",
    "SLURM_LOCALID": "3",
    "CUDA_VISIBLE_DEVICES": "7",
    "OMP_NUM_THREADS": "3",
    **{f"{scheme}_proxy": "http://127.0.0.1:9" for scheme in ("http", "https", "all", "HTTP", "HTTPS", "ALL")},
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9"),
    "LC_ALL": "C",
    "LANG": "tr_TR.ISO-8859-9",
    "TZ": "Pacific/Kiritimati",
    "XDG_CACHE_HOME": "/nowhere/cache",
    "PYTHONWARNINGS": "error::UserWarning,error::DeprecationWarning",
    "PYTHONIOENCODING": "ascii",
    "COLUMNS": "20",
    "FORCE_COLOR": "1",
    "LMUData": "/nowhere/lmu",
    "MMEVAL_ROOT": "/nowhere/outputs",
}

KEPT = {"PATH": "/bin", "HOME": "/home/u", "TMPDIR": "/tmp", "PYTHONPATH": "/src", "OPENBLAS_CORETYPE": "HASWELL"}

CHANGED = (  # by one of the variables above, before they were cleared
    "tests/test_surroundings.py::test_this_process_has_a_plain_environment",
    "tests/judge/publish/test_publish_push.py",
    "tests/judge/harness/test_settings.py",
    "tests/judge/harness/test_session.py",
    "tests/judge/harness/test_ranks.py",
    "tests/judge/commands/test_options.py",
    "tests/mmvu_tasks/test_mmvu_location.py",
    "tests/mmie_tasks/test_mmie_rubrics.py",
)


def test_what_changes_a_test_is_cleared_or_set_and_the_rest_is_kept() -> None:
    assert surroundings.plain(HOSTILE | KEPT, "/cache") == KEPT | surroundings.SET | {"XDG_CACHE_HOME": "/cache"}


def test_this_process_has_a_plain_environment() -> None:
    """Run in a hostile shell by the test below. Libraries may have set variables of their own since."""
    assert [name for name, value in HOSTILE.items() if os.environ.get(name) == value] == []
    assert surroundings.SET.items() <= os.environ.items()
    assert Path(os.environ["XDG_CACHE_HOME"]).is_dir()
    assert time.tzname == ("UTC", "UTC")
    with pytest.warns(UserWarning, match="not an error"):
        warnings.warn("not an error", UserWarning, stacklevel=1)


def pytest_in_a_hostile_shell(*arguments: str) -> str:
    """Run pytest with every hostile variable; return what it printed. It must have passed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *arguments]
    done = subprocess.run(command, env=os.environ | HOSTILE, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_collection_in_a_hostile_shell() -> None:
    found = pytest_in_a_hostile_shell("--collect-only", "tests")
    assert "tests/judge/publish/test_publish_push.py" in found
    assert "error" not in found.splitlines()[-1]


def test_tests_in_a_hostile_shell() -> None:
    assert " passed" in pytest_in_a_hostile_shell(*CHANGED)
