"""`mmjudge doctor`: what it prints and ends with, on a machine where all is well and on others; and that nothing heavy
is imported and no check can end it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from judge import cli
from judge.errors import UserError
from judge.preflight import checks
from judge.preflight.finding import Finding
from judge.preflight.later import Later
from mmie_tasks.demo import demo_dir as mmie_demo_dir
from mmie_tasks.demo import judge_dir
from mmvu_tasks.demo import demo_dir as mmvu_demo_dir

WELL = {"MMIE_DATA": mmie_demo_dir(), "MMVU_DATA": mmvu_demo_dir(), "MMJUDGE_JUDGE": judge_dir()}
HEAVY = ("torch", "torchvision", "transformers", "lmms_eval", "vlmeval", "datasets", "pandas", "scipy", "matplotlib")
HARNESS = [] if importlib.metadata.packages_distributions().get("lmms_eval") else ["--harness", "none"]


@pytest.fixture
def well(monkeypatch):
    """A machine where data and judge are here, and where nothing is asked of the network."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for name, value in WELL.items():
        monkeypatch.setenv(name, str(value))
    # what is installed beside the core is another test's affair
    monkeypatch.setattr(checks, "check_packages", lambda job: iter([Finding("packages", "ok", "all is here")]))


def doctor(capsys, *options):
    code = cli.main(["doctor", *HARNESS, *map(str, options)])
    return code, capsys.readouterr().out


def as_json(capsys, *options):
    code, out = doctor(capsys, "--json", *options)
    return code, json.loads(out)


def test_a_machine_where_all_is_here(well, capsys):
    code, out = doctor(capsys)
    assert code == 0
    headings = [line for line in out.splitlines() if line in checks.PARTS]
    assert headings == [part for part in checks.PARTS if part != "tasks" or "tasks" in headings]
    assert f"it would use: judge {judge_dir()}, device cpu, dtype float32, rubric mmjudge, profile strict" in out
    # the demo's data is no published edition
    assert out.splitlines()[-1].endswith("would work here (2 warnings)")
    assert "fails" not in out


def test_one_line_that_fails(well, capsys, monkeypatch):
    monkeypatch.setenv("MMJUDGE_UNPACK_BYTES", "200G")
    code, out = doctor(capsys)
    assert code == 1
    assert out.splitlines()[-1].endswith("would fail here: 1 line says why, and what mends it (2 warnings)")


def test_a_machine_where_nothing_is_here(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    code, found = as_json(capsys)
    assert code == 1
    failing = [line for line in found["checks"] if line["state"] == "fails"]
    assert {"hub", "data", "judge"} <= {line["part"] for line in failing}
    assert all(line["mend"] for line in failing)
    assert found["works"] is False
    assert found["settings"]["judge"] == "MMIE/MMIE-Score"


def test_for_programs(well, capsys):
    code, found = as_json(capsys)
    assert (code, found["works"]) == (0, True)
    assert set(found) == {"command", "works", "settings", "checks"}
    assert all(set(line) == {"part", "state", "found", "mend"} for line in found["checks"])
    assert {line["state"] for line in found["checks"]} == {"ok", "warning"}


def test_a_benchmark_that_asks_no_judge(capsys, monkeypatch):
    monkeypatch.setenv("MMVU_DATA", str(mmvu_demo_dir()))
    code, found = as_json(capsys, "--benchmark", "mmvu")
    assert code == 0
    assert {"judge", "device"} & {line["part"] for line in found["checks"]} == set()
    assert found["settings"] == {}


@pytest.mark.parametrize(
    ("options", "part", "words"),
    [
        (("--judge", "no/such/judge"), "settings", "'no/such/judge' is no folder here"),
        (("--device", "cuda:7"), "device", "no GPU cuda:7 here"),
        (("--image-root", "/no/such"), "settings", "no folder /no/such"),
        (("--benchmark", "mmie", "--data", "/no/such"), "data", "/no/such: no data.json here"),
        (("--judge", "replay:/no/such"), "judge", "/no/such: cannot be read"),
        (("--judge", "http://127.0.0.1:9/v1"), "judge", "http://127.0.0.1:9/v1: cannot be reached"),
        (("--judge", "openai:"), "judge", "names no model"),
    ],
)
def test_what_an_option_says_is_what_is_checked(well, capsys, options, part, words):
    code, found = as_json(capsys, *options)
    assert code == 1
    failing = [line for line in found["checks"] if line["state"] == "fails" and line["part"] == part]
    assert any(words in line["found"] for line in failing), found
    assert all(line["mend"] for line in failing)


def test_options_that_do_not_go_together(well, capsys):
    assert cli.main(["doctor", "--data", "x"]) == 2
    assert "add --benchmark mmie" in capsys.readouterr().err
    assert cli.main(["doctor", "--benchmark", "mmvu", "--judge", str(judge_dir())]) == 2
    assert "mmvu is decided by rules" in capsys.readouterr().err


def test_a_check_that_breaks_is_a_line(well, capsys, monkeypatch):
    def breaks(*arguments):
        yield Finding("tasks", "ok", "so far")
        raise ZeroDivisionError("of the test")

    for name in ("check_variables", "check_packages", "check_tasks", "check_hub", "check_data", "check_judge_files",
                 "check_rubric", "check_device", "check_disk"):  # fmt: skip
        monkeypatch.setattr(checks, name, breaks)
    code, found = as_json(capsys)
    assert code == 0
    broken = [line for line in found["checks"] if "this check broke" in line["found"]]
    assert {line["part"] for line in broken} == {"settings", "packages", "tasks", "data", "judge", "device", "disk"}
    assert all("ZeroDivisionError: of the test" in line["found"] and line["state"] == "warning" for line in broken)
    assert any(line["found"] == "so far" for line in found["checks"])


def test_what_is_found_out_first_may_break_as_well(well, capsys, monkeypatch):
    def breaks(*arguments):
        raise ZeroDivisionError("of the test")

    for name in ("find_data", "find_judge", "build_of", "list_gpus"):
        monkeypatch.setattr(checks, name, breaks)
    code, found = as_json(capsys)
    assert code == 0
    said = [line["found"] for line in found["checks"] if "ZeroDivisionError" in line["found"]]
    assert len(said) == 5  # data of both benchmarks


def test_an_error_that_the_user_can_mend_is_a_line(well, capsys, monkeypatch):
    def breaks(*arguments):
        raise UserError("is broken", file="a/file", fix="mend it")

    monkeypatch.setattr(checks, "check_disk", breaks)
    code, found = as_json(capsys)
    assert code == 1
    assert found["checks"][-1] == {"part": "disk", "state": "fails", "found": "a/file: is broken", "mend": "mend it"}


def test_gpus_that_cannot_be_listed(well, capsys, monkeypatch):
    def breaks(environment):
        raise subprocess.TimeoutExpired("nvidia-smi", 4)

    monkeypatch.setattr(checks, "list_gpus", breaks)
    code, found = as_json(capsys)
    assert code == 0
    (line,) = [line for line in found["checks"] if line["part"] == "device"]
    assert (line["state"], line["mend"]) == ("warning", "mmjudge doctor --deep, which asks torch")


def test_nobody_waits_for_a_question_for_ever():
    with pytest.raises(TimeoutError, match=r"no answer in 0\.05 s"):
        Later(lambda: __import__("time").sleep(30)).result(0.05)
    with pytest.raises(ZeroDivisionError):
        Later(lambda: 1 // 0).result(5)
    assert Later(lambda: None).result(5) is None


def test_text_of_others_moves_no_cursor(well, capsys, monkeypatch):
    monkeypatch.setenv("MMJUDGE_\x1b[2J", "x")
    code, out = doctor(capsys)
    assert code == 0
    assert "\x1b" not in out


def test_nothing_heavy_is_imported_and_nothing_is_written(tmp_path):
    """In a process of its own, with the real Hub's name and no network that leads to it."""
    code = f"""import sys
from judge.cli import main
code = main(["doctor"])
print(code, [name for name in {HEAVY} if name in sys.modules])"""
    well = {name: str(value) for name, value in WELL.items()}
    homes = {"HOME": str(tmp_path), "HF_HOME": str(tmp_path / "hf"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment = {**os.environ, **well, **homes, "HF_ENDPOINT": "http://127.0.0.1:9"}
    for changes in ({}, {"MMJUDGE_JUDGE": "MMIE/MMIE-Score", "MMIE_DATA": "", "MMVU_DATA": ""}):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={**environment, **changes}, cwd=tmp_path
        )
        assert done.stdout.splitlines()[-1].endswith("[]"), done.stdout + done.stderr
        assert done.stderr == ""
        assert [path for path in Path(tmp_path).rglob("*") if path.is_file()] == []
