"""Conditions through real classes of lmms-eval on transformers, chat and simple, with random weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from surroundings import ABSENT

from judge.core.reply import read_reply

HERE = Path(__file__).parent
TESTS = HERE.parents[2]

pytestmark = pytest.mark.skipif("lmms_eval" in ABSENT, reason="lmms-eval is not installed")


def test_four_families_are_asked_under_conditions(tmp_path: Path) -> None:
    environment = {
        **os.environ, "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "1", "CUDA_VISIBLE_DEVICES": "",
        "XDG_CACHE_HOME": str(tmp_path / "cache"), "MMJUDGE_JOURNAL": str(tmp_path / "journal"),
        "PYTHONPATH": os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }  # fmt: skip
    command = [sys.executable, str(HERE / "families_run.py"), str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert set(found) == {"llava", "qwen2_5_vl", "internvl", "gemma3"}
    for family, tasks in found.items():
        said = {task: [read_reply(response[0])[1] for response in responses] for task, responses in tasks.items()}
        assert [set(kept) for kept in said["mmvu_demo_blank"] + said["mmvu_demo_json"]] == [set()] * 4, family
        # the two questions of the first pair: one picture, described once; refined for each question
        first, second = said["mmvu_demo_cgr"]
        assert first == second
        assert set(first) == {"info"}
        pictures = [kept["refined"] for kept in said["mmvu_demo_cgr_var"]]
        assert all((tmp_path / "cache" / "mmjudge" / "pictures" / name).is_file() for name in pictures), family
