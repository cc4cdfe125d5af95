"""General benchmarks beside MMVU: task names of the installed lmms-eval, its results files, and the published rows."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import yaml

from judge import cli
from mmvu_tasks.train.suite import COLUMNS, TASKS, Value, format_rows, read_published, read_suite

CONFIG = Path(__file__).parents[2] / "examples" / "general_suite.yaml"
RESULTS = {
    "mmvu": {"alias": "mmvu", "RA,none": 58.0, "RA_stderr_clt,none": 2.5, "MR,none": 24.0, "RA_shape,none": 50.0},
    "mme": {"mme_perception_score,none": 1500.5, "mme_perception_score_stderr,none": "N/A",
            "mme_cognition_score,none": 300},
    "mmbench_en_test": {"submission,none": None},
    "seedbench": {"seed_all,none": 0.625, "seed_image,none": 0.7},
    "pope_random": {"pope_f1_score,none": 0.9}, "pope_pop": {"pope_f1_score,none": 0.85},
    "pope_adv": {"pope_f1_score,none": 0.8},
}  # fmt: skip


def write_run(folder, name, results):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps({"results": results}))


def test_every_task_of_the_suite_is_one_of_lmms_eval_or_ours():
    tasks = pytest.importorskip("lmms_eval.tasks", reason="lmms-eval is not installed")
    (config,) = yaml.safe_load(CONFIG.read_text())
    assert tuple(sorted(config["tasks"].split(","))) == tuple(sorted(TASKS))
    folder = Path(tasks.__file__).parent
    texts = {path: path.read_text(encoding="utf-8") for path in folder.rglob("*.yaml")}
    for task in set(TASKS) - {"mmvu"}:
        files = [path for path, text in texts.items() if re.search(rf"^task\s*:\s*[\"']?{task}[\"']?\s*$", text, re.M)]
        assert len(files) == 1, task
        for column in COLUMNS:
            if task in column.tasks:
                assert f"metric: {column.metric}" in texts[files[0]], (task, column.metric)


def test_values_are_in_the_units_of_the_paper(tmp_path, capsys):
    write_run(tmp_path / "a", "20261101_results.json", {**RESULTS, "mmvu": {"RA,none": 1.0}})
    write_run(tmp_path / "a" / "later", "20261102_results.json", RESULTS)
    suite = read_suite(tmp_path / "a")
    assert suite["RA"] == Value(58.0, 2.5)
    assert suite["MME P"] == Value(1500.5, None)
    assert suite["SEED"] == Value(62.5, None)
    # (90 + 85 + 80) / 3
    assert suite["POPE"].value == pytest.approx(85.0)
    assert [name for name, value in suite.items() if value is None] == [
        "MMB test", "MMB dev", "MMMU val", "MMMU test", "VQAv2", "GQA",
    ]  # fmt: skip
    assert cli.main(["mmvu-suite", f"base={tmp_path / 'a'}", "--llm", "Phi-3"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split()[:3] == ["model", "RA", "MR"]
    assert shown[1].startswith("base ")
    assert " 58.00 ± 4.90 " in shown[1]  # 1.96 · 2.5
    assert [line.partition("  ")[0] for line in shown[2:5]] == [
        "Base 695k (Phi-3)", "Base-replace MMVU-Train 112k (649k) (Phi-3)", "Weight merge (Phi-3)",
    ]  # fmt: skip


def test_the_published_rows_are_those_of_table_13():
    rows = read_published()
    assert len(rows) == 16
    assert {row.llm for row in rows} == {"Phi-2", "Phi-3", "Llama-3-8B"}
    for row in rows:
        assert set(row.values) == {column.name for column in COLUMNS}
        assert all(math.isfinite(value) and value > 0 for value in row.values.values())
    merged = next(row for row in rows if (row.data, row.llm) == ("Weight merge", "Phi-3"))
    assert (merged.values["RA"], merged.values["MR"], merged.values["POPE"]) == (58.33, 27.39, 86.28)
    assert len(format_rows({})) == 17


@pytest.mark.parametrize(("name", "text"), [("x_results.json", "{}"), ("x_results.json", "["), ("other.json", "{}")])
def test_a_folder_without_results_is_refused(name, text, tmp_path, capsys):
    (tmp_path / name).write_text(text)
    assert cli.main(["mmvu-suite", f"base={tmp_path}"]) == 2
    assert "results" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        cli.main(["mmvu-suite", str(tmp_path)])
