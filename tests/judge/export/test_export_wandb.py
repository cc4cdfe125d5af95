"""Exported tables, read by `wandb.Table`."""

from __future__ import annotations

import json

import pytest
from exported import WRITTEN

from judge import cli


@pytest.fixture
def table(runs, tmp_path):
    out = tmp_path / "new" / "answers.json"
    folders = [str(runs[name]) for name in ("hasty", "part", "odd")]
    assert cli.main(["export", *folders, "--to", "wandb-table", "--out", str(out)]) == 0
    return out


def rows_of(path):
    found = json.loads(path.read_text(encoding="utf-8"))
    assert set(found) == {"columns", "data"}
    return [dict(zip(found["columns"], row, strict=True)) for row in found["data"]]


def test_wandb_takes_the_table(table):
    wandb = pytest.importorskip("wandb", reason="the dev extra is not installed")
    given = json.loads(table.read_text())
    made = wandb.Table(**given)
    assert (made.columns, made.data) == (given["columns"], given["data"])
    assert len(made.data) == 48 + 20 + 15
    assert made.get_column("run").count("hasty") == 48


def test_rows_say_what_the_verdicts_do(table, runs):
    rows = rows_of(table)
    verdicts = [json.loads(line) for line in (runs["odd"] / "verdicts.jsonl").read_text().splitlines()]
    odd = [row for row in rows if row["benchmark"] == "mmie"]
    assert [(row["id"], row["score"], row["unscored"], row["field"]) for row in odd] == [
        (v["id"], v["score"], v["unscored"], v["details"]["field"]) for v in verdicts
    ]
    (hostile,) = (row for row in odd if row["id"] == "PBL-9003")
    assert hostile["answer"] == WRITTEN
    # a column of the other benchmark
    assert hostile["letter"] is None
    assert {row["part"] for row in rows if row["run"] == "part"} == {"20 of 48"}


def test_only_answers(runs, tmp_path):
    out = tmp_path / "answers.json"
    assert cli.main(["export", str(runs["odd"]), "--to", "wandb-table", "--out", str(out), "--answers-only"]) == 0
    assert not {"question", "truth"} & set(json.loads(out.read_text())["columns"])
    assert "How to decorate a window" not in out.read_text()
