"""VLMEvalKit as users start it: in a process of its own, through our launcher, with a scripted model registered."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

SHARED = Path(__file__).parents[3] / "shared"
PUBLISHED = SHARED / "data" / "mmr-v1" / "MMR-benchmark.json"
HERE = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Run:
    code: int
    output: str


def launch(work: Path, *arguments: str, **environment: str) -> Run:
    """`mmjudge-vlmeval ARGUMENTS --work-dir WORK` with the models of scripted.py."""
    command = [sys.executable, str(HERE / "scripted.py"), *arguments, "--work-dir", str(work)]
    variables = {**os.environ, "OMP_NUM_THREADS": "2", "HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(work / "cache")}
    done = subprocess.run(command, env={**variables, **environment}, capture_output=True, text=True, timeout=300)
    return Run(done.returncode, done.stdout + done.stderr)


def scripted_answer(text: str) -> str:
    """What the scripted model says to a prompt: a letter that its bytes choose, in one of several phrasings."""
    number = int(hashlib.sha256(text.encode()).hexdigest(), 16)
    letter = "ABCD"[number % 4]
    return [letter, f"({letter})", f"The answer is {letter}.", f"{letter}. Because"][number // 4 % 4]


@pytest.fixture(scope="session")
def published_mmvu(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 600 published questions with placeholder pictures, as a folder for MMVU_DATA."""
    if not PUBLISHED.is_file():
        pytest.skip("../shared/data/mmr-v1 is absent: the published questions are not part of the project")
    folder = tmp_path_factory.mktemp("mmvu")
    (folder / "MMR-benchmark.json").symlink_to(PUBLISHED)
    for row in json.loads(PUBLISHED.read_text()):
        picture = folder / "MMR-benchmark-images" / row["image"]
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(picture)
    return folder
