"""`mmjudge ask` and `mmjudge questions`, as they are typed."""

from __future__ import annotations

import json

import pytest

from judge import cli
from judge.systems import settings
from mmie_tasks.demo import demo_dir, judge_dir
from mmvu_tasks.demo import demo_dir as mmvu_demo


@pytest.fixture(autouse=True)
def _scripted(monkeypatch):
    monkeypatch.setattr(settings, "KINDS", {"scripted": "scripted:ScriptedSettings"})


def command(*words: object) -> int:
    return cli.main(list(map(str, words)))


def system(folder, text: str = "") -> str:
    file = folder / "mine.toml"
    file.write_text(f'kind = "scripted"\n{text}')
    return str(file)


def ids(path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_text().splitlines()]


def test_ask_and_score(tmp_path, capsys):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    out = tmp_path / "out a"
    mmie = ("--benchmark", "mmie", "--data", demo_dir())
    assert command("ask", system(tmp_path, "fail = [1]"), *mmie, "--out", out, "--limit", 4) == 3
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "mine: 4 answers, 4 of them new; 2 with pictures (2 in all)",
        "  1 failed: painter, call_failed: 503: told to fail",
        f"→ mmjudge score '{out}/responses.jsonl' --benchmark mmie --data {demo_dir()} --partial --out RESULTS",
    ]
    assert said.err == "1 of 4 calls failed\n→ --retry-failed asks them again\n"
    assert (
        command("ask", system(tmp_path, "fail = [1]"), *mmie, "--out", out, "--limit", 4, "--max-unscored", "25%") == 0
    )
    results = tmp_path / "results"
    scored = ("score", out / "responses.jsonl", *mmie, "--partial", "--judge", judge_dir(), "--out", results)
    assert command(*scored, "--max-unscored", 1) == 0
    found = json.loads((results / "results.json").read_text())
    assert found["run"]["model"] == "mine"
    assert (found["n"], found["unscored"]["reasons"]) == (4, {"no_response": 1})


def test_questions_of_both_benchmarks_are_asked(tmp_path, capsys):
    out = tmp_path / "out"
    assert command("ask", system(tmp_path), "--benchmark", "mmvu", "--data", mmvu_demo(), "--out", out) == 0
    assert "mmjudge score" in capsys.readouterr().out
    results = tmp_path / "results"
    mmvu = ("--benchmark", "mmvu", "--data", mmvu_demo())
    assert command("score", out / "responses.jsonl", *mmvu, "--out", results) == 0
    assert json.loads((results / "results.json").read_text())["unscored"]["n"] == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--limit", "0"), "not a whole number of 1 or more"),
        (("--benchmark", "mmue"), "did you mean mmvu?"),
        (("--retry-faild",), "did you mean --retry-failed?"),
    ],
)
def test_bad_options(tmp_path, capsys, words, said):
    with pytest.raises(SystemExit) as ended:
        command("ask", system(tmp_path), "--benchmark", "mmie", "--out", tmp_path / "a", *words)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_a_file_that_is_no_system(tmp_path, capsys):
    file = tmp_path / "mine.toml"
    file.write_text('kind = "skripted"')
    assert command("ask", file, "--benchmark", "mmie", "--out", tmp_path / "a") == 2
    assert f"{file}: field \"kind\": is 'skripted'\n→ did you mean scripted?" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()


def test_questions_are_written_with_their_pictures(tmp_path, capsys):
    out = tmp_path / "q"
    assert command("questions", "--benchmark", "mmie", "--data", demo_dir(), "--out", out, "--limit", 15) == 0
    assert capsys.readouterr().out == f"{out}/questions.jsonl: 15 questions\n"
    rows = [json.loads(line) for line in (out / "questions.jsonl").read_text().splitlines()]
    assert [row["index"] for row in rows] == list(range(15))
    assert sorted(rows[0]) == ["category", "id", "index", "question"]
    parts = [part for row in rows for part in row["question"]]
    assert all((part["text"] is None) != (part["image"] is None) for part in parts)
    assert {str(path.relative_to(out)) for path in (out / "images").iterdir()} == {
        part["image"] for part in parts if part["image"]
    }


def test_answers_become_the_official_list(tmp_path, capsys):
    pytest.importorskip("torch", reason="the hf extra is not installed")
    out, official = tmp_path / "a", tmp_path / "official"
    mmie = ("--benchmark", "mmie", "--data", demo_dir())
    command("ask", system(tmp_path, "fail = [1]"), *mmie, "--out", out, "--max-unscored", 1)
    capsys.readouterr()
    answers = out / "responses.jsonl"
    assert command("questions", answers, "--layout", "to-eval", *mmie, "--out", official) == 0
    assert capsys.readouterr().out == f"{official}/to-eval.json: 14 answers; 1 left out, since their calls failed\n"
    items = json.loads((official / "to-eval.json").read_text())
    assert {item["model"] for item in items} == {"mine"}
    assert all(item["gt_answer"] for item in items)
    images = [
        part["image"] for item in items for side in ("question", "answer") for part in item[side] if part["image"]
    ]
    assert images
    assert all((official / image).is_file() for image in images)

    # the list is scored without the data, and as the answers it was made of
    judge = ("--benchmark", "mmie", "--judge", judge_dir(), "--max-unscored", 1)
    assert command("score", official / "to-eval.json", *judge, "--out", tmp_path / "r1") == 0
    assert command("score", answers, *judge, "--data", demo_dir(), "--partial", "--out", tmp_path / "r2") == 0
    scores = [
        {
            row["id"]: row["score"]
            for row in map(json.loads, (tmp_path / name / "verdicts.jsonl").read_text().splitlines())
            if row["unscored"] is None
        }
        for name in ("r1", "r2")
    ]
    assert len(scores[0]) == 14
    assert scores[0] == scores[1]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--layout", "to-eval"), "--layout to-eval needs answers"),
        (("a.jsonl",), "FILE goes with --layout to-eval"),
        (("--model", "m"), "--model goes with --layout to-eval"),
        (("a.jsonl", "--layout", "to-eval", "--limit", "3"), "--limit and --subset are for questions"),
        (("a.jsonl", "--layout", "to-eval", "--subset", "1k"), "--limit and --subset are for questions"),
    ],
)
def test_options_that_mean_nothing(tmp_path, capsys, words, said):
    assert command("questions", "--benchmark", "mmie", "--data", demo_dir(), "--out", tmp_path / "q", *words) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "q").exists()


def test_mmvu_has_no_official_list(tmp_path, capsys):
    answers = tmp_path / "responses.jsonl"
    answers.write_text('{"id": "attribute/shape/07", "index": 0, "response": "A"}\n')
    words = ("--layout", "to-eval", "--benchmark", "mmvu", "--data", mmvu_demo(), "--out", tmp_path / "q")
    assert command("questions", answers, *words) == 2
    assert "the official scorer of mmvu reads no to-eval list" in capsys.readouterr().err
