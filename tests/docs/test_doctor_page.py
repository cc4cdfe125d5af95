"""docs/doctor.md shows what `mmjudge doctor` prints, but for what differs from machine to machine."""

from __future__ import annotations

import json
import re

import folders
import pytest

from judge import cli
from mmie_tasks.demo import demo_dir as mmie_demo_dir
from mmie_tasks.demo import judge_dir
from mmvu_tasks.demo import demo_dir as mmvu_demo_dir

pytest.importorskip("lmms_eval.models", reason="lmms-eval is not installed")
PAGE = (folders.ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
WELL, ILL = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache" / "huggingface" / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("judge.preflight.device.free_memory", lambda: 18_200_000_000)
    monkeypatch.setattr("judge.preflight.packages.extras", list)

    def printed():
        code = cli.main(["doctor"])
        out = capsys.readouterr().out
        for name, value in {"DEMO/data": (mmie_demo_dir(), mmvu_demo_dir()), "DEMO/judge": (judge_dir(),),
                            "CACHE": (tmp_path / "cache",), "/home/me": (tmp_path,)}.items():  # fmt: skip
            for path in value:
                out = out.replace(str(path), name)
        return code, out

    return printed


def same(text: str) -> list[str]:
    """Its lines without what differs: versions, sizes of disks and memory, the extras that are here."""
    lines = [line for line in text.splitlines() if "extras here" not in line and not line.startswith("mmjudge ")]
    return [re.sub(r"\d+\.\d GB (are|of memory) free|torch(vision)? [\d.]+\S*", "…", line) for line in lines]


def test_a_machine_where_all_is_here(printed, monkeypatch):
    here = {"MMIE_DATA": mmie_demo_dir(), "MMVU_DATA": mmvu_demo_dir(), "MMJUDGE_JUDGE": judge_dir()}
    for variable, folder in here.items():
        assert f'export {variable}="$(python -m ' in PAGE
        monkeypatch.setenv(variable, str(folder))
    code, out = printed()
    assert code == 0
    assert same(out) == same(WELL)


def test_a_machine_where_nothing_is_here(printed, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    code, out = printed()
    assert code == 1
    assert same("hub" + out.partition("\nhub")[2]) == same(ILL)


def test_the_object_for_programs_has_the_documented_fields(printed, capsys):
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    shown = json.loads(block)
    assert cli.main(["doctor", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert set(found) == set(shown)
    assert set(found["checks"][0]) == set(shown["checks"][0])
    assert set(found["settings"]) == set(shown["settings"])
