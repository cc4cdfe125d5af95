"""What is wrong is said before anything heavy is imported, and what is finished loads nothing."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from judge import cli
from judge.core.benchmark import Answer
from judge.errors import UserError
from judge.harness import session as session_module
from judge.harness.session import Session
from judge.harness.settings import read_settings
from judge.model.weights.source import DEFAULT_JUDGE
from mmie_tasks.benchmark import BENCHMARK as MMIE
from mmie_tasks.demo import demo_dir, judge_dir
from mmvu_tasks.demo import demo_dir as mmvu_dir

HEAVY = ("torch", "transformers", "lmms_eval", "vlmeval", "datasets", "scipy", "matplotlib", "ray", "trl", "peft")
CODE = f"""
import json, sys
from judge.cli import main
try:
    code = main(sys.argv[1:])
except SystemExit as exit:
    code = exit.code
print(json.dumps([code, [name for name in {HEAVY} if name in sys.modules]]))
"""


class Ended:
    """How a command in a process of its own ended. heavy: what it imported."""

    def __init__(self, *words: object, **environment: str) -> None:
        known = {name: value for name, value in os.environ.items() if not name.startswith(("MMJUDGE_", "CUDA_"))}
        command = [sys.executable, "-c", CODE, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, env={**known, **environment})
        assert done.stdout, done.stderr
        *printed, last = done.stdout.splitlines()
        self.code, self.heavy = json.loads(last)
        self.printed, self.said = "\n".join(printed), done.stderr.splitlines()


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> Path:
    """A text to every question of the demo."""
    file = tmp_path_factory.mktemp("answers") / "answers.jsonl"
    ids = [record.id for record in MMIE.load(demo_dir()).records]
    file.write_text("".join(json.dumps({"id": id_, "response": f"A red ball, {id_}."}) + "\n" for id_ in ids))
    return file


def score(answers: Path, out: Path, *more: object) -> list[object]:
    return ["score", answers, "--benchmark", "mmie", "--data", demo_dir(), "--out", out, *more]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--judge", judge_dir(), "--device", "gpu"], ["--device gpu: not one of cpu, cuda, cuda:N"]),
        (
            ["--judge", f"{judge_dir()}s"],
            [
                f"{judge_dir()}s: no such folder, and not a Hub repository (ORG/NAME or ORG/NAME@REVISION)",
                f"→ did you mean {judge_dir()}? give the folder that holds its config.json, or a repository",
            ],
        ),
        (
            ["--judge", f"{DEFAULT_JUDGE.lower()[:-1]}"],
            [
                "mmie/mmie-scor: is not on this machine, and the Hub cannot be reached (offline, or HF_HUB_OFFLINE is "
                "set)",
                f"→ did you mean {DEFAULT_JUDGE}? fetch it where there is a network: hf download mmie/mmie-scor; or "
                "give a local folder",
            ],
        ),
        (
            ["--judge", judge_dir(), "--data", "nowhere"],
            ["nowhere: no data.json here"],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_once(answers, tmp_path, more, said):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    ended = Ended(*score(answers, tmp_path / "out", *more), HF_HUB_OFFLINE="1")
    assert (ended.code, ended.heavy) == (2, [])
    assert ended.said[: len(said)] == [f"mmjudge score: {said[0]}", *said[1:]]
    assert not (tmp_path / "out").exists()


def test_a_missing_file_of_answers_is_refused_before_torch(tmp_path):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    ended = Ended(*score(tmp_path / "absent.jsonl", tmp_path / "out", "--judge", judge_dir(), "--device", "cpu"))
    assert (ended.code, ended.heavy) == (2, [])
    assert "absent.jsonl" in ended.said[0]


def elsewhere(folder: Path) -> dict[str, list[object]]:
    """Commands with one thing wrong each, by what they must say."""
    mmvu = ["--benchmark", "mmvu", "--data", mmvu_dir()]
    out = folder / "out"
    return {
        "probe: --device gpu: not one of": ["probe", judge_dir(), "--device", "gpu"],
        "probe: MMIE/MMIE-Scor: is not on this machine": ["probe", "MMIE/MMIE-Scor"],
        "ablate: --device gpu: not one of": [
            "ablate", "a.jsonl", "--judge", judge_dir(), "--device", "gpu", "--out", out,
        ],
        "ablate: MMIE/MMIE-Scor: is not on": ["ablate", "a.jsonl", "--judge", "MMIE/MMIE-Scor", "--out", out],
        "verify: --device gpu: not one of": ["verify", judge_dir(), "--golden", folder, "--device", "gpu"],
        f"verify: {folder}/cases.json: is missing": ["verify", judge_dir(), "--golden", folder],
        "convert: --device gpu: not one of": ["convert", judge_dir(), out, "--device", "gpu"],
        "merge: none/base: is not on this machine": ["merge", "none/base", "none/a", "--weight", "0.5", "--out", out],
        "merge: --device gpu: not one of": ["merge", "a", "b", "--weights", "1", "--device", "gpu", "--out", out],
        "analyse: none/model: is not on this machine": ["analyse", "none/model", *mmvu, "--out", out],
        "analyse: --device gpu: not one of": ["analyse", judge_dir(), *mmvu, "--out", out, "--device", "gpu"],
        "analyse: where the visual tokens of": ["analyse", judge_dir(), *mmvu, "--out", out, "--no-plots"],
        "train: nobody/base/x: no such folder": [
            "train", "recipes/tiny.toml", "--set", "base=nobody/base/x", "--set", f"out={out}",
        ],
        f"train: {folder}/absent.jsonl: cannot be read": [
            "train", "recipes/tiny.toml", "--set", f"base={judge_dir()}", "--set", f"data={folder}/absent.jsonl",
            "--set", f"out={out}",
        ],
        "mmvu-train: absent.json: is no file": [
            "mmvu-train", "recipes/mmvu_stage1.toml", "--data", "absent.json", "--base", "none/b", "--out", out,
        ],
        "mmvu-data: absent: is no file of pairs": ["mmvu-data", "filter", "absent", "--out", out, "--no-leak-check"],
        "release: absent/training.json: is not there": [
            "release", "absent", "--out", out, "--base-licence", "MIT", "--data-licence", "MIT",
        ],
        "ask: absent.toml: cannot be read": ["ask", "absent.toml", "--benchmark", "mmie", "--out", out],
        "agree: absent.jsonl: cannot be read": ["agree", out, "absent.jsonl", "--clip", "none/clip"],
    }  # fmt: skip


@pytest.mark.parametrize("said", elsewhere(Path("x")))
def test_other_commands_refuse_before_anything_heavy(said, tmp_path):
    for package in ("torch", "pydantic", "matplotlib"):
        pytest.importorskip(package, reason="an extra is not installed")
    place = list(elsewhere(Path("x"))).index(said)
    wanted, words = list(elsewhere(tmp_path).items())[place]
    ended = Ended(*words, HF_HUB_OFFLINE="1")
    heavy = set(ended.heavy) - ({"matplotlib"} if words[0] == "analyse" else set())  # asked for, for its plots
    assert (ended.code, heavy) == (2, set())
    assert ended.said[0].startswith(f"mmjudge {wanted}")
    assert len(ended.said) <= 2
    assert not (tmp_path / "out").exists()


@pytest.fixture(scope="module")
def finished(answers, tmp_path_factory) -> Path:
    pytest.importorskip("torch", reason="the hf extra is not installed")
    out = tmp_path_factory.mktemp("finished") / "out"
    arguments = [str(word) for word in score(answers, out, "--judge", judge_dir(), "--device", "cpu")]
    assert cli.main(arguments) == 0
    return out


def test_a_finished_run_loads_nothing(finished, answers):
    before = {file.name: file.read_bytes() for file in finished.rglob("*") if file.is_file()}
    ended = Ended(*score(answers, finished, "--judge", judge_dir(), "--device", "cpu"))
    assert (ended.code, ended.heavy, ended.said) == (0, [], [])
    assert {file.name: file.read_bytes() for file in finished.rglob("*") if file.is_file()} == before


def test_a_fully_journaled_run_loads_nothing(finished, answers):
    results = (finished / "results.json").read_bytes()
    (finished / "results.json").unlink()
    ended = Ended(*score(answers, finished, "--judge", judge_dir(), "--device", "cpu"))
    assert (ended.code, ended.heavy) == (0, [])
    now, then = json.loads((finished / "results.json").read_bytes()), json.loads(results)
    assert {**now, "run": None} == {**then, "run": None}


def test_what_is_left_is_loaded_with_its_size_and_time(answers, tmp_path, capsys):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    arguments = [str(word) for word in score(answers, tmp_path / "out", "--judge", judge_dir(), "--device", "cpu")]
    assert cli.main(arguments) == 0
    said = capsys.readouterr().err.splitlines()
    megabytes = (judge_dir() / "model.safetensors").stat().st_size / 1e6
    loading = f"mmjudge: loading the judge {judge_dir()} ({megabytes:.1f} MB) on cpu, float32"
    assert said[0] == f"{loading} …"
    assert said[1].startswith(f"{loading}: done in ")
    assert said[2] == "mmjudge: judging: 15 answers …"
    assert said[3].startswith("mmjudge: judging: 15 answers in ")


def test_what_is_said_goes_nowhere_where_stderr_is_closed(tmp_path):
    refused = score(tmp_path / "none.jsonl", tmp_path / "out", "--judge", judge_dir(), "--device", "gpu")
    words = [sys.executable, "-m", "judge.cli", *map(str, refused)]
    done = subprocess.run(["sh", "-c", 'exec "$@" 2>&-', "sh", *words], stdout=subprocess.PIPE, text=True)
    assert (done.returncode, done.stdout) == (2, "")


def test_a_command_works_where_stdout_is_closed(tmp_path):
    out = tmp_path / "out"
    words = ["questions", "--benchmark", "mmie", "--data", str(demo_dir()), "--out", str(out)]
    words = [sys.executable, "-m", "judge.cli", *words]
    done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *words], stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert (out / "questions.jsonl").exists()


def test_missing_pictures_are_said_before_anything_is_loaded(tmp_path, monkeypatch, capsys):
    """Ten of fifteen answers name a picture, and nobody drew them."""
    pytest.importorskip("torch", reason="the hf extra is not installed")
    records = MMIE.load(demo_dir()).records
    parts = [[{"text": "Look.", "image": f"drawn/{n}.png" if n < 10 else None}] for n in range(len(records))]
    file = tmp_path / "answers.jsonl"
    rows = ({"id": record.id, "response": said} for record, said in zip(records, parts, strict=True))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def refuse(found):
        raise UserError("loaded")

    monkeypatch.setattr("judge.engines.local.load_found", refuse)
    arguments = [str(word) for word in score(file, tmp_path / "out", "--judge", judge_dir(), "--device", "cpu")]
    assert cli.main(arguments) == 2
    said = capsys.readouterr().err.splitlines()
    first = f"{records[0].id}: image 'drawn/0.png' is not below the image root"
    assert said == [
        f"mmjudge: 10 of 15 answers have pictures that were not found under {tmp_path}; the first, {first}",
        "→ --image-root DIR (in a harness MMJUDGE_IMAGE_ROOT) names their folder",
        "mmjudge score: loaded",
    ]


def test_a_harness_that_judged_everything_loads_nothing(answers, tmp_path, monkeypatch):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    asked = [Answer(row["id"], None, row["response"], tmp_path) for row in map(json.loads, answers.open())]
    environment = {
        "MMJUDGE_JUDGE": str(judge_dir()),
        "MMJUDGE_DEVICE": "cpu",
        "MMJUDGE_JOURNAL": str(tmp_path / "journal"),
    }

    def decide():
        session_module._load.cache_clear()  # as in a new process
        settings = read_settings(environment)
        return Session("mmie_demo", MMIE, MMIE.load(demo_dir()), settings).decide(asked)

    first = decide()
    assert all(verdict.score is not None for verdict in first)

    def refuse(found):
        raise AssertionError("loaded")

    monkeypatch.setattr("judge.engines.local.load_found", refuse)
    assert decide() == first


@pytest.mark.parametrize("name", [name for commands in cli.GROUPS.values() for name in commands])
def test_an_interrupted_command_says_what_is_kept(name, monkeypatch, capsys):
    module = importlib.import_module(f"judge.commands.{name.replace('-', '_')}")

    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "add_arguments", lambda parser: parser.set_defaults(out="OUT", trained="TRAINED"))
    monkeypatch.setattr(module, "run", interrupted)
    assert cli.main([name]) == 130
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mmjudge {name}: interrupted; ")
    assert "{" not in line


def test_an_interruption_at_any_moment_is_one_line(monkeypatch, capsys):
    """Also while options are read and modules imported."""

    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.importlib, "import_module", interrupted)
    assert cli.main(["score", "x"]) == 130
    assert capsys.readouterr().err == f"mmjudge score: interrupted; {cli.NOTHING_KEPT}\n"


@pytest.mark.parametrize("seconds", [0.0, 0.3, 2.5])
def test_control_c_ends_a_run_that_then_goes_on(seconds, answers, tmp_path):
    """SIGINT to the command in a process of its own, so long after its first line."""
    pytest.importorskip("torch", reason="the hf extra is not installed")
    arguments = [str(word) for word in score(answers, tmp_path / "out", "--judge", judge_dir(), "--device", "cpu")]
    command = [sys.executable, "-m", "judge.cli", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    first = process.stderr.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    said = process.communicate()[1].splitlines()
    assert first.startswith("mmjudge: loading the judge")
    if process.returncode == 0:  # a fast machine had it finished
        return
    assert process.returncode == 130
    assert said[-1] == (
        f"mmjudge score: interrupted; what was judged is in {tmp_path / 'out'}; the same command goes on from there"
    )
    assert all(line.startswith("mmjudge") for line in said)
    assert cli.main(arguments) == 0
