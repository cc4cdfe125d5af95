"""`mmjudge export`: what it says, and what it refuses."""

from __future__ import annotations

import shutil
import sys

import pytest

from judge import cli

FORMS = ("inspect", "hf", "wandb-table")


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_overwritten(form, runs, tmp_path, capsys):
    if form == "hf":
        pytest.importorskip("datasets", reason="the export extra is not installed")
    out = tmp_path / "out"
    command = ["export", str(runs["part"]), "--to", form, "--out", str(out)]
    assert cli.main(command) == 0
    said = capsys.readouterr()
    assert said.out.startswith(f"{out}: 1 run, 20 answers")
    assert "PARTIAL, 20 of 48 questions" in said.err
    before = {path: path.read_bytes() for path in (out, *out.rglob("*")) if path.is_file()}
    assert before
    assert cli.main(command) == 2
    assert "exists already, and nothing is overwritten" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in (out, *out.rglob("*")) if path.is_file()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_run_without_samples_says_so(runs, tmp_path, capsys):
    bare = shutil.copytree(runs["hasty"], tmp_path / "bare")
    (bare / "samples.jsonl").unlink()
    out = tmp_path / "out.json"
    assert cli.main(["export", str(bare), "--to", "wandb-table", "--out", str(out)]) == 0
    assert capsys.readouterr().err == f"{bare}: no samples.jsonl, so no texts and pictures; score again\n"
    for form in ("inspect", "hf"):
        if form == "hf":
            pytest.importorskip("datasets", reason="the export extra is not installed")
        assert cli.main(["export", str(bare), "--to", form, "--out", str(tmp_path / form)]) == 0
        assert "0 pictures" in capsys.readouterr().out


def test_pictures_that_are_not_in_the_folder_are_counted(runs, tmp_path, capsys):
    bare = shutil.copytree(runs["hasty"], tmp_path / "bare")
    shutil.rmtree(bare / "images")
    assert cli.main(["export", str(bare), "--to", "inspect", "--out", str(tmp_path / "out")]) == 0
    assert "48 pictures left out: not in the results folder" in capsys.readouterr().err


def test_what_is_missing_is_named(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    out = tmp_path / "out"
    assert cli.main(["export", str(runs["hasty"]), "--to", "hf", "--out", str(out)]) == 2
    assert "pip install 'mmjudge[export]'" in capsys.readouterr().err
    assert not out.exists()
    assert cli.main(["export", str(tmp_path / "none"), "--to", "inspect", "--out", str(out)]) == 2
    assert "no such results folder" in capsys.readouterr().err
