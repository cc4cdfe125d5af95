"""`mmjudge ask` killed at random moments: the answers are those of a run that was not, each written once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from mmie_tasks.demo import demo_dir

PROGRAM = """
import json, os, sys, time
from PIL import Image
for line in sys.stdin:
    row = json.loads(line)
    time.sleep(0.03)
    index = row["index"]
    Image.new("RGB", (64, 64), (index, index, index)).save(f"{os.environ['MMJUDGE_PICTURES']}/{index}.png")
    said = [{"text": f"Step {index}", "image": f"{index}.png", "seed": index}]
    print(json.dumps({"id": row["id"], "index": index, "response": said}), flush=True)
"""
KILLS = 10


def start(folder: Path, out: str) -> subprocess.Popen[bytes]:
    words = ["ask", "mine.toml", "--benchmark", "mmie", "--data", str(demo_dir()), "--out", out]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "-m", "judge.cli", *words], cwd=folder, env=environment, stdout=quiet)


def rows(out: Path) -> list[dict[str, object]]:
    return sorted(map(json.loads, (out / "responses.jsonl").read_text().splitlines()), key=lambda row: row["index"])


def test_a_run_killed_ten_times_ends_as_one_that_was_not(tmp_path):
    (tmp_path / "answer.py").write_text(PROGRAM)
    (tmp_path / "mine.toml").write_text(f'kind = "pipe"\ncommand = ["{sys.executable}", "answer.py"]\n')
    began = time.monotonic()
    assert start(tmp_path, "whole").wait() == 0
    took = time.monotonic() - began
    whole = rows(tmp_path / "whole")
    assert len(whole) == 15
    chance = random.Random(15)
    for _ in range(KILLS):
        process = start(tmp_path, "killed")
        time.sleep(chance.uniform(0.4, 1.0) * took)
        process.kill()
        process.wait()
    assert start(tmp_path, "killed").wait() == 0
    assert rows(tmp_path / "killed") == whole
    assert {path.name: path.read_bytes() for path in (tmp_path / "killed" / "pictures").iterdir()} == {
        path.name: path.read_bytes() for path in (tmp_path / "whole" / "pictures").iterdir()
    }
