"""A system under test in lmms-eval and in VLMEvalKit: the verdicts are those of `mmjudge ask` and `mmjudge score`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_llava
import tiny_painter
from scripted_endpoint import ScriptedEndpoint, completion

from judge import cli
from mmie_tasks.demo import demo_dir, judge_dir

PROGRAM = """
import hashlib, json, os, sys
from PIL import Image
folder = os.environ["MMJUDGE_PICTURES"]
with open("starts", "a") as file:
    file.write("x")
for line in sys.stdin:
    row = json.loads(line)
    digest = hashlib.sha256("".join(part["text"] or "<image>" for part in row["question"]).encode()).digest()
    Image.new("RGB", (64, 64), tuple(digest[:3])).save(f"{folder}/{row['index']}.png")
    said = [{"text": "Step 2: see.", "image": f"{row['index']}.png", "prompt": "a colour", "seed": digest[3]}]
    said = {3: None, 4: "", 5: [{"text": "[1, 2]", "image": None}]}.get(row["index"], said)
    print(json.dumps({"id": row["id"], "index": row["index"], "response": said}), flush=True)
"""


@pytest.fixture
def system(tmp_path, monkeypatch) -> Path:
    """The folder of a SYSTEM.toml, which is the working directory."""
    (tmp_path / "answer.py").write_text(PROGRAM)
    (tmp_path / "mine.toml").write_text(f'kind = "pipe"\ncommand = ["{sys.executable}", "answer.py"]\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(*words: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MMJUDGE_", "MMIE_"))}
    environment |= {"HF_HUB_OFFLINE": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, env=environment)


def verdicts(folder: Path) -> list[str]:
    return sorted((folder / "verdicts.jsonl").read_text().splitlines())


def asked_and_scored(name: str = "mine") -> list[str]:
    mmie = ("--benchmark", "mmie", "--data", str(demo_dir()), "--max-unscored", "1")
    asked, scored = f"{name}-asked", f"{name}-scored"
    assert cli.main(["ask", "mine.toml", *mmie, "--out", asked]) == 0
    assert cli.main(["score", f"{asked}/responses.jsonl", *mmie, "--judge", str(judge_dir()), "--out", scored]) == 0
    return verdicts(Path(scored))


def test_lmms_eval(system):
    pytest.importorskip("lmms_eval.tasks", reason="lmms-eval is not installed")
    given = ("--model", "mmjudge_system", "--model_args", "config=mine.toml,out=out", "--output_path", "results")
    done = ran("-m", "lmms_eval", *given, "--tasks", "mmie_demo")
    results = Path("results/mmjudge/mmjudge_system/mmie_demo")
    assert (results / "results.json").is_file(), done.stdout + done.stderr
    assert verdicts(results) == asked_and_scored()
    found = json.loads((results / "results.json").read_text())
    assert found["unscored"]["reasons"]["no_response"] == 1
    assert found["failures"]["model"]["reasons"] == {"empty_answer": 1}
    lines = Path("out/mmie_demo/responses.jsonl").read_text().splitlines()
    assert len(lines) == found["n"] == 15

    # a second run asks nobody again
    assert Path("starts").read_text() == "xx"
    ran("-m", "lmms_eval", *given, "--tasks", "mmie_demo")
    assert Path("starts").read_text() == "xx"
    assert Path("out/mmie_demo/responses.jsonl").read_text().splitlines() == lines


def test_a_writer_and_a_painter_in_lmms_eval(system):
    pytest.importorskip("lmms_eval.tasks", reason="lmms-eval is not installed")
    pytest.importorskip("diffusers", reason="diffusers is not installed")
    painter = tiny_painter.build(system / "painter")

    def write(number, body):
        said = body["messages"][0]["content"][0]["text"].rpartition("The request:\n")[2]
        return completion(f"See:\n<picture>{said[:40]}</picture>\nDone.")

    with ScriptedEndpoint(write) as endpoint:
        served = f'kind = "endpoint"\naddress = "{endpoint.url}"\nmodel = "w"'
        local = (
            f'kind = "transformers"\nmodel = "{tiny_llava.build(system / "llava")}"\ndevice = "cpu"\nmax_new_tokens = 8'
        )
        drawn = f'kind = "diffusers"\nmodel = "{painter}"\ndevice = "cpu"\nsteps = 2'
        for name, writer, pictures in (("served", served, 15), ("local", local, 0)):
            Path("mine.toml").write_text(f'kind = "describe"\n[writer]\n{writer}\n[painter]\n{drawn}\n')
            given = ("--model", "mmjudge_system", "--model_args", f"config=mine.toml,out={name}")
            done = ran("-m", "lmms_eval", *given, "--output_path", f"{name}-results", "--tasks", "mmie_demo")
            results = Path(f"{name}-results/mmjudge/mmjudge_system/mmie_demo")
            assert (results / "results.json").is_file(), done.stdout + done.stderr
            assert verdicts(results) == asked_and_scored(name)
            assert len(list(Path(f"{name}/mmie_demo/pictures").glob("*.png"))) == pictures
        assert len(endpoint.asked) == 2 * 15


def test_a_system_that_cannot_be_asked_ends_lmms_eval(system):
    pytest.importorskip("lmms_eval.tasks", reason="lmms-eval is not installed")
    done = ran(
        "-m", "lmms_eval", "--model", "mmjudge_system", "--model_args", "config=none.toml", "--tasks", "mmie_demo"
    )
    assert done.returncode == 1
    assert "mmjudge: none.toml: cannot be read (No such file or directory)" in done.stderr


def test_vlmevalkit(system):
    pytest.importorskip("vlmeval.dataset", reason="VLMEvalKit is not installed")
    config = {"model": {"mine": {"class": "MMJudgeSystem", "config": "mine.toml", "out": "out"}},
              "data": {"MMIE_demo": {"class": "MMIE", "dataset": "MMIE_demo"}}}  # fmt: skip
    Path("vlmeval.json").write_text(json.dumps(config))
    done = ran("-m", "judge.harness.vlmeval.launcher", "--config", "vlmeval.json", "--work-dir", "work")
    assert done.returncode == 0, done.stdout + done.stderr
    assert verdicts(Path("work/mine/mine_MMIE_demo_mmjudge")) == asked_and_scored()
