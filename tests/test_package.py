"""The package as it is installed: a light core, and a wheel that works outside the tree."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from judge.core.benchmark import find, names
from judge.core.version import __version__

ROOT = Path(__file__).parents[1]
PACKAGES = ("judge", "mmie_tasks", "mmvu_tasks")
HEAVY = (
    *("torch", "torchvision", "transformers", "datasets", "lmms_eval", "vlmeval", "matplotlib", "scipy"),
    *("ray", "diffusers", "trl", "peft", "imagehash", "starlette", "uvicorn"),
    *("pandas", "pyarrow", "inspect_ai", "wandb"),
)


@pytest.mark.parametrize(
    "imported",
    [
        "judge, mmie_tasks, mmvu_tasks",
        "judge.cli, judge.scoring.pipeline, judge.results.compare, judge.commands.score, judge.commands.doctor",
        "mmie_tasks.benchmark, mmvu_tasks.benchmark",
        "judge.harness.lmms_eval.registration",
        "judge.commands.analyse, judge.attention.refinement, judge.attention.models",
        "judge.commands.export, judge.results.frames",
        "judge.commands.annotate, judge.commands.view",
    ],
)
def test_the_core_is_light(imported):
    code = f"import sys, {imported}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    pytest.importorskip("build", reason="the dev extra is not installed")
    pytest.importorskip("hatchling", reason="the dev extra is not installed")
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The wheel's files where Python finds them before the tree, and nothing else of ours."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(folder)
    return folder


def python(installed: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    settings = ("MMJUDGE_", "MMIE_", "MMVU_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(settings)}
    environment |= {"PYTHONPATH": str(installed), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=installed, env=environment)


def test_every_file_of_the_packages_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as packed:
        inside = set(packed.namelist())
    there = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert there - inside == set()
    for name in (
        *(f"{package}/py.typed" for package in PACKAGES),
        *(f"mmie_tasks/lmms_eval/{name}.yaml" for name in ("mmie", "mmie_1k", "mmie_score", "mmie_demo")),
        *(f"mmvu_tasks/lmms_eval/{name}.yaml" for name in ("mmvu", "mmvu_robust", "mmvu_demo")),
        "judge/core/extraction/languages.ini",
        "judge/validity/published_preferences.json",
        *(f"mmie_tasks/rubrics/{category}.txt" for category in ("SA", "PBL", "MSR")),
        "judge/systems/templates/describe.txt",
        "mmvu_tasks/templates/direct.txt",
        "mmie_tasks/demo/data/data.json",
        "mmie_tasks/demo/judge/model.safetensors",
        "mmie_tasks/demo/judge/tokenizer.model",
        "mmvu_tasks/demo/data/MMR-benchmark.json",
        "judge/harness/lmms_eval/stub.jsonl",
        "judge/validity/probe_cases.json",
        "judge/report/page.html",
    ):
        assert name in inside
    # nothing but the packages and what pip needs
    assert {name.split("/")[0].split("-")[0] for name in inside} == {*PACKAGES, "mmjudge"}


def test_the_wheel_scores_outside_the_tree(installed):
    where = python(installed, "-c", "import judge, mmie_tasks, mmvu_tasks; print(judge.__file__, mmvu_tasks.__file__)")
    assert where.stdout.split() == [str(installed / "judge/__init__.py"), str(installed / "mmvu_tasks/__init__.py")]
    for package in ("mmie_tasks", "mmvu_tasks"):
        assert python(installed, "-m", package).stdout.strip() == str(installed / package / "lmms_eval")
    data = Path(python(installed, "-m", "mmie_tasks.demo").stdout.strip())
    judge = Path(python(installed, "-m", "mmie_tasks.demo", "judge").stdout.strip())
    assert data.is_relative_to(installed)
    assert judge.is_relative_to(installed)

    pytest.importorskip("torch", reason="the hf extra is not installed")
    item = json.loads((data / "data.json").read_text())[0]
    (installed / "answers.jsonl").write_text(json.dumps({"id": item["id"], "response": "A ball."}) + "\n")
    score = ("-m", "judge.cli", "score", "answers.jsonl", "--benchmark", "mmie", "--data", data, "--judge", judge)
    done = python(installed, *score, "--out", "out", "--partial")
    assert done.returncode == 0, done.stderr
    (verdict,) = map(json.loads, (installed / "out" / "verdicts.jsonl").read_text().splitlines())
    assert verdict["score"] in range(7)
    assert "### Score" in verdict["feedback"]


def test_the_wheels_tasks_are_what_lmms_eval_finds(installed):
    pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")
    done = python(installed, "-m", "judge.cli", "doctor", "--deep")
    # neither data nor judge is here; the tasks are
    assert done.returncode == 1, done.stdout + done.stderr
    for name in ("mmie", "mmvu"):
        path = installed / f"{name}_tasks" / "lmms_eval" / f"{name}.yaml"
        assert f"ok       lmms-eval: {name} is {path}, as a run sees it" in done.stdout
    assert "ok       VLMEvalKit: our datasets are in its tables" in done.stdout


def test_the_citation_is_of_this_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (cited["cff-version"], cited["title"], cited["version"]) == ("1.2.0", "mmjudge", __version__)
    papers = {identifier["value"] for paper in cited["references"] for identifier in paper["identifiers"]}
    cites = {find(name).citation.rpartition("arXiv:")[2] for name in names()}
    assert papers == {f"arXiv:{number}" for number in cites}
