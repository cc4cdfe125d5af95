"""From results folders to a file: names, refusals, and that the same results give the same bytes."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

pytest.importorskip("matplotlib", reason="the extra 'report' is not installed")

from synthetic import mmie, mmvu

from judge import cli
from judge.core.benchmark import find
from judge.report import build, entries
from mmvu_tasks.demo import demo_dir


@pytest.fixture
def folders(tmp_path):
    return {
        "llava": mmvu(tmp_path / "llava" / "mmvu", seed=1),
        "qwen": mmvu(tmp_path / "qwen" / "mmvu", seed=2, right=0.9),
        "mmie": mmie(tmp_path / "llava" / "mmjudge" / "mmie_demo", seed=3),
    }


def test_one_file_for_all_that_is_given(folders, tmp_path, capsys):
    out = tmp_path / "new" / "report.html"
    assert cli.main(["report", *map(str, folders.values()), "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    page = out.read_text(encoding="utf-8")
    assert [path.name for path in out.parent.iterdir()] == ["report.html"]
    assert re.findall(r'<section class="benchmark" id="(\w+)"', page) == ["mmvu", "mmie"]
    assert page.count('<script type="application/json"') == 2
    # published tables are drawn in for edition v1 with its 600 answers, and refused for made-up questions
    assert "arXiv 2406.10638v1" in page
    assert "GPT-4o" in page
    assert "MMIE, 20,103 questions: edition is full there, unknown (30) here" in page
    for folder in folders.values():
        for part in json.loads((folder / "results.json").read_text())["signature"].split("|"):
            assert part in page


def test_the_same_results_give_the_same_bytes(folders, tmp_path):
    given = [str(folder) for folder in folders.values()]
    assert build.build_report(given, tmp_path / "a.html") == build.build_report(given, tmp_path / "b.html")


@pytest.mark.parametrize(
    ("path", "benchmark", "name"),
    [
        ("out/llava/mmvu", "mmvu", "llava"),
        ("out/mmjudge/llava/mmvu", "mmvu", "llava"),
        ("out/llava/mmjudge/mmvu", "mmvu", "llava"),
        ("out/llava/mmjudge/mmvu_demo", "mmvu", "llava"),
        ("out/mmvu-llava", "mmvu", "out"),
        ("out/llava", "mmvu", "llava"),
    ],
)
def test_a_run_is_called_by_its_folder(tmp_path, path, benchmark, name):
    assert entries._of_folder(tmp_path / path, benchmark) == name


def test_names_are_given_or_told_apart(folders, tmp_path):
    twin = mmvu(tmp_path / "other" / "llava" / "mmvu")
    found = entries.read_entries(
        [str(folders["llava"]), str(twin), f"My model={folders['qwen']}", str(folders["mmie"])]
    )
    assert [entry.name for entry in found] == [str(folders["llava"])[-80:], str(twin)[-80:], "My model", "llava"]


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        (lambda folder: shutil.rmtree(folder), "no such results folder"),
        (lambda folder: (folder / "results.json").unlink(), "the run has not ended"),
        (lambda folder: (folder / "samples.jsonl").write_text("{\n"), "line 1 is not a sample"),
    ],
)
def test_a_folder_that_cannot_be_read(tmp_path, capsys, break_it, message):
    folder = mmie(tmp_path / "run")
    break_it(folder)
    assert cli.main(["report", str(folder), "--out", str(tmp_path / "report.html")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_the_folder_above_runs_names_them(folders, tmp_path, capsys):
    assert cli.main(["report", str(tmp_path / "llava"), "--out", str(tmp_path / "report.html")]) == 2
    below = f"give instead: {tmp_path}/llava/mmjudge/mmie_demo {tmp_path}/llava/mmvu"
    assert f"is no results folder, but holds 2\n→ {below}" in capsys.readouterr().err


def test_a_folder_without_samples_has_a_report_all_the_same(tmp_path):
    folder = mmvu(tmp_path / "run")
    (folder / "samples.jsonl").unlink()
    page = build.build_report([str(folder)], tmp_path / "report.html")
    assert "questions and answers are not in the results folder" in page


def test_runs_measured_differently_are_not_ranked(tmp_path):
    one, other = mmvu(tmp_path / "a"), mmvu(tmp_path / "b", edition="CVPR", right=0.9)
    page = build.build_report([str(one), str(other)], tmp_path / "report.html")
    assert "measured differently, not ranked with those above: edition: v1 there, CVPR here" in page
    assert "is better than" not in page
    assert "is the difference real?" not in page
    assert "every pair" not in page


def test_from_answers_to_a_report_with_pictures(tmp_path, capsys):
    """Every pair of the demo is lost: plain questions answered right, leading ones not at all."""
    dataset = find("mmvu").load(demo_dir())
    rows = [
        {"id": record.id, "index": index, "response": record.ground_truth if record.question_type == "POS" else "none"}
        for index, record in enumerate(dataset.records)
    ]
    answers, out = tmp_path / "responses.jsonl", tmp_path / "out"
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["score", str(answers), "--benchmark", "mmvu", "--data", str(demo_dir()), "--out", str(out)]
    assert cli.main(arguments) == 0
    assert len(list((out / "images").iterdir())) == len({record.image for record in dataset.records})
    capsys.readouterr()
    assert cli.main(["report", str(out), "--out", str(tmp_path / "report.html")]) == 0
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))
    assert "Lost to the leading question The plain question is answered right" in text
    assert f"{out.name} 24 of 24 " in text
    assert page.count("data:image/jpeg;base64,") == 24


def test_without_the_extra_the_fix_is_named(tmp_path):
    folder = mmvu(tmp_path / "run")
    script = "import sys; sys.modules['jinja2'] = None; from judge import cli; sys.exit(cli.main(sys.argv[1:]))"
    arguments = ["report", str(folder), "--out", str(tmp_path / "report.html")]
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, env={**os.environ}, timeout=120
    )
    assert done.returncode == 2
    assert "pip install 'mmjudge[report]'" in done.stderr
