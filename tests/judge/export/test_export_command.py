"""`mmjudge export`: what it says, and what it refuses."""

from __future__ import annotations

import json
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


@pytest.mark.parametrize("form", FORMS)
def test_what_others_wrote_into_a_folder_ends_no_export(form, runs, tmp_path):
    """Ids that are no names of files, a date before all dates, values of any kind."""
    if form == "hf":
        pytest.importorskip("datasets", reason="the export extra is not installed")
    odd = shutil.copytree(runs["odd"], tmp_path / "odd")
    names = ["../../../etc/x", "a\0b", "x" * 100_000, "\ud800", "-" * 300, "a/../b", "\u202egnp.exe"]
    for file in ("verdicts.jsonl", "samples.jsonl"):
        rows = [json.loads(line) for line in (odd / file).read_text().splitlines()]
        ids = sorted(row["id"] for row in rows)
        for row in rows:
            number = ids.index(row["id"])
            row["id"] = names[number] if number < len(names) else row["id"]
            if file == "verdicts.jsonl":
                row["details"] = {
                    **row["details"],
                    "": 1,
                    "id": [2**70],
                    "x": [{"y": None}, 1e300, "\ud800"][number % 3],
                }
        (odd / file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    results = json.loads((odd / "results.json").read_text())
    results["run"] |= {"date": "0001-01-01T00:00:00", "seconds": 1e7, "versions": ["x"], "model": "\ud800"}
    (odd / "results.json").write_text(json.dumps(results))
    out = tmp_path / "new" / "out"
    assert cli.main(["export", str(odd), "--to", form, "--out", str(out)]) == 0
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("odd", "new")] == []
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    if form == "inspect":
        log = pytest.importorskip("inspect_ai.log", reason="the dev extra is not installed")
        found = log.read_eval_log(log.list_eval_logs(str(out))[0])
        assert len({sample.id for sample in found.samples}) == 15
