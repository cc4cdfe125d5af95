"""`mmjudge score A B C`: one run, and what three runs of their own would have decided."""

from __future__ import annotations

import itertools
import json
import multiprocessing
from pathlib import Path
from signal import SIGKILL

import folders
import pytest
import toy
from fake_endpoint import FakeEndpoint, hashed
from run_files import results_but_run
from toy import HashJudge, Toy

from judge import cli
from judge.commands import options
from judge.errors import UserError
from judge.results.compare import compare
from judge.results.multiple import holm
from judge.results.run_folder import read_run
from judge.scoring import score as score_module
from judge.scoring.journal import Journal
from judge.scoring.several import name_models
from mmie_tasks.demo import demo_dir
from mmvu_tasks.demo import demo_dir as mmvu_demo_dir

NAMES = ("anole", "gill", "minigpt")
N = 12


def mmjudge(*arguments) -> int:
    return cli.main(["score", *map(str, arguments)])


def test_every_answer_of_repeats_is_scored(tmp_path, capsys):
    """lmms-eval's samples of --repeats 3: a results folder a repeat, and what they come to."""
    data = json.loads((mmvu_demo_dir() / "MMR-benchmark.json").read_text())
    right = [row["ground_truth"] for row in data]
    wrong = ["A" if letter != "A" else "B" for letter in right]
    # all right; all wrong; a list of one in the first, as lmms-eval leaves them, and all right again
    rows = [
        {"doc_id": n, "resps": [["x"]], "filtered_resps": [[right[n], wrong[n], right[n]]]} for n in range(len(data))
    ]
    file = write(tmp_path / "samples.jsonl", rows)
    arguments = [file, "--benchmark", "mmvu", "--data", mmvu_demo_dir(), "--out", tmp_path / "out"]
    for _ in range(2):  # the same command goes on
        assert mmjudge(*arguments) == 0
        values = [read_run(tmp_path / "out" / f"repeat-{n}").estimate("RA")["value"] for n in (1, 2, 3)]
        assert values == [100.0, 0.0, 100.0]
        found = json.loads((tmp_path / "out" / "repeats.json").read_text())
        assert found["folders"] == ["repeat-1", "repeat-2", "repeat-3"]
        assert found["metrics"]["RA"]["values"] == values
        assert found["metrics"]["RA"]["mean"] == pytest.approx(200 / 3)
        # every letter changes, and of the three pairs of repeats one agrees
        assert found["stability"]["flip_rate"]["value"] == 100.0
        assert "every question asked 3 times" in capsys.readouterr().out


@pytest.mark.parametrize(("rows", "message"), [
    ([["A", "B"], ["A", "B", "C"]], "line 2 has 3 answers, and the first question 2"),
    ([["A", "B"], "A"], "line 2 has 1 answers, and the first question 2"),
    ([["A", "B"], ["A", 3]], 'line 2: field "filtered_resps" is the number 3, not text'),
])  # fmt: skip
def test_repeats_that_cannot_be_scored(rows, message, tmp_path, capsys):
    file = write(tmp_path / "samples.jsonl", [{"doc_id": n, "filtered_resps": said} for n, said in enumerate(rows)])
    assert mmjudge(file, "--benchmark", "mmvu", "--data", mmvu_demo_dir(), "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_repeats_are_not_scored_from_one_recording(tmp_path, capsys):
    file = write(tmp_path / "samples.jsonl", [{"doc_id": 0, "filtered_resps": ["a", "b"]}])
    replay = write(tmp_path / "replay.jsonl", [{"id": "PBL-9001", "feedback": "### Score\n3"}])
    assert mmjudge(file, "--benchmark", "mmie", "--data", demo_dir(), "--out", tmp_path / "out",
                   "--judge", f"replay:{replay}") == 2  # fmt: skip
    assert "all 2 files would get the same scores" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def write(file: Path, rows) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def engine(monkeypatch):
    """The toy benchmark under its name, and the engine that every run gets."""
    engine = HashJudge(batch=4, backwards=True)
    load = score_module.load_engine
    monkeypatch.setattr(score_module, "check_engine", lambda judge, how: None)
    for module in toy.FINDERS:
        monkeypatch.setattr(module, "find", lambda name: Toy())
    monkeypatch.setattr(options, "names", lambda: ["toy"])
    monkeypatch.setattr(
        score_module, "load_engine", lambda judge, how: load(judge, how) if judge.startswith("replay:") else engine
    )
    return engine


@pytest.fixture
def files(tmp_path):
    """Three models; the second says nothing now and then, the third what the first says now and then."""
    answers = {
        "anole": [f"anole {n}" for n in range(N)],
        "gill": [f"gill {n}" if n % 5 else None for n in range(N)],
        "minigpt": [f"anole {n}" if n % 3 else f"minigpt {n % 2}" for n in range(N)],
    }
    return [
        write(tmp_path / f"{name}.jsonl", ({"id": f"q{n}", "response": said} for n, said in enumerate(answers[name])))
        for name in NAMES
    ]


def toys(files, out, *more) -> int:
    return mmjudge(*files, "--benchmark", "toy", "--out", out, "--max-unscored", "1", *more)


def lines(folder: Path) -> list[str]:
    return sorted((folder / "verdicts.jsonl").read_text().splitlines())


def everything(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, and every folder."""
    found = sorted(folder.rglob("*")) if folder.is_dir() else []
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b"" for path in found}


def test_the_verdicts_are_those_of_single_runs(engine, files, tmp_path, capsys):
    engine.batch = 1
    assert toys(files, tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "instead of computed again:\nnot counted, since the judge runs elsewhere" in printed
    # the engine was asked about a question's answers one after the other
    groups = [name for name, _ in itertools.groupby(engine.asked)]
    assert len(groups) == N
    for file in files:
        assert toys([file], tmp_path / "single" / file.stem) == 0
        assert lines(tmp_path / "out" / file.stem) == lines(tmp_path / "single" / file.stem)
        assert results_but_run(tmp_path / "out" / file.stem) == results_but_run(tmp_path / "single" / file.stem)
        assert str(tmp_path / "out" / file.stem / "results.json") in printed


def test_all_pairs_are_compared_and_adjusted(engine, files, tmp_path, capsys):
    toys(files, tmp_path / "out")
    (board,) = json.loads((tmp_path / "out" / "comparison.json").read_text())["tables"]
    runs = {name: read_run(tmp_path / "out" / name) for name in NAMES}
    assert {frozenset((pair["first"], pair["second"])) for pair in board["pairs"]} == {
        frozenset(pair) for pair in itertools.combinations(NAMES, 2)
    }
    # second minus first, so the better one is given as the second
    own = [compare(runs[pair["second"]], runs[pair["first"]]).metrics["score"].paired for pair in board["pairs"]]
    assert [pair["p"] for pair in board["pairs"]] == [one.p for one in own]
    assert [pair["p_holm"] for pair in board["pairs"]] == holm([one.p for one in own])
    assert "p (Holm)" in capsys.readouterr().out


def test_recorded_feedback_is_one_for_each_file(engine, files, tmp_path, capsys):
    recorded = []
    for number, name in enumerate(NAMES):
        feedback = ({"id": f"q{n}", "feedback": f"### Score\n{(n + number) % 7}"} for n in range(N))
        recorded += ["--judge", f"replay:{write(tmp_path / f'{name}.feedback', feedback)}"]
    assert toys(files, tmp_path / "out", *recorded) == 0
    for number, file in enumerate(files):
        toys([file], tmp_path / "single" / file.stem, *recorded[2 * number : 2 * number + 2])
        assert lines(tmp_path / "out" / file.stem) == lines(tmp_path / "single" / file.stem)
    capsys.readouterr()
    before = everything(tmp_path)
    for given, message in ((recorded[:2], "would get the same scores"), (recorded[:4], "2 judges for 3 files")):
        assert toys(files, tmp_path / "other", *given) == 2
        assert message in capsys.readouterr().err
    assert everything(tmp_path) == before


def test_models_are_named_and_name_their_folders(engine, files, tmp_path):
    names = ["--model", "org/Anole-7B", "--model", "GILL", "--model", "mini gpt"]
    assert toys(files, tmp_path / "out", *names) == 0
    made = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    assert made == {"org__Anole-7B", "GILL", "mini gpt"}
    assert read_run(tmp_path / "out" / "org__Anole-7B").results["run"]["model"] == "org/Anole-7B"
    # the same folder as of a run of its own
    single = [files[1], "--benchmark", "toy", "--out", tmp_path / "out" / "GILL", "--model", "GILL"]
    before, asked = lines(tmp_path / "out" / "GILL"), list(engine.asked)
    assert mmjudge(*single, "--max-unscored", "1") == 0
    assert (lines(tmp_path / "out" / "GILL"), engine.asked) == (before, asked)


@pytest.mark.parametrize(
    ("files", "folders_"),
    [
        (["a.jsonl", "runs/b.jsonl"], ["a", "b"]),
        (["x/20260131_samples_mmie.jsonl"], ["20260131_samples_mmie"]),
        ({"Qwen/Qwen2-VL": "a.jsonl", "b": "a.jsonl"}, ["Qwen__Qwen2-VL", "b"]),
        ({"ünï 2": "a.jsonl"}, ["ünï 2"]),
        ({"comparison": "a.jsonl", "run": "b.jsonl"}, ["comparison", "run"]),
    ],
)
def test_folders_of_files(files, folders_):
    assert list(name_models(files)) == folders_


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["a/responses.jsonl", "b/responses.jsonl"], "a/responses.jsonl and b/responses.jsonl would have the same"),
        (["a.jsonl", "A.jsonl"], "the same results folder"),  # on a disk that takes one for the other
        ({"a/b": "x.jsonl", "a__b": "y.jsonl"}, "the same results folder"),
        ({"..": "x.jsonl"}, "names no folder"),
        ({"": "x.jsonl"}, "names no folder"),
        ({"a\\b": "x.jsonl"}, "names no folder"),
        ({"a\nb": "x.jsonl"}, "names no folder"),
        ({"comparison.json": "x.jsonl"}, "called 'comparison.json' would be where a file"),
        ({"Comparison.JSON": "x.jsonl"}, "called 'Comparison.JSON' would be where a file"),
        ({"run.json": "x.jsonl"}, "would be where a file"),
        ({"verdicts.jsonl": "x.jsonl"}, "would be where a file"),
        (["a/results.json.jsonl"], "called 'results.json' would be where a file"),
        ([], "no files"),
    ],
)
def test_names_that_are_refused(files, message):
    with pytest.raises(UserError, match=message):
        name_models(files)


def other_answers(folder, files, monkeypatch):
    write(files[2], [{"id": "q0", "response": "something else"}])


def bad_line(folder, files, monkeypatch):
    files[2].write_text(files[2].read_text() + "{not json\n")


def absent_file(folder, files, monkeypatch):
    files[2].unlink()


def unfinished_elsewhere(folder, files, monkeypatch):
    """The middle of the last journal is damaged."""
    file = folder / "minigpt" / "verdicts.jsonl"
    file.write_text("nothing\n" + file.read_text())


def file_in_the_place_of_a_folder(folder, files, monkeypatch):
    files[1].rename(files[1].with_name("new.jsonl"))
    files[1] = files[1].with_name("new.jsonl")
    (folder / "new").write_text("mine")


def one_run_above(folder, files, monkeypatch):
    (folder / "run.json").write_text('{"model": null, "answers": "3f"}')


def another_judge(folder, files, monkeypatch):
    monkeypatch.setattr(score_module, "load_engine", lambda judge, how: HashJudge(judge="other/judge"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_answers, "belongs to other answers"),
        (bad_line, "minigpt.jsonl"),
        (absent_file, "minigpt.jsonl"),
        (unfinished_elsewhere, "verdicts.jsonl"),
        (file_in_the_place_of_a_folder, "is no folder"),
        (one_run_above, "is the results folder of one run"),
        (another_judge, "measured otherwise: judge differ"),
    ],
)
def test_one_that_is_refused_refuses_all_and_changes_no_byte(
    engine, files, tmp_path, capsys, monkeypatch, change, message
):
    out = tmp_path / "out"
    toys(files, out)
    new = write(tmp_path / "fresh.jsonl", [{"id": "q0", "response": "of a model that has no folder yet"}])
    change(out, files, monkeypatch)
    before, engine.asked = everything(out), []
    capsys.readouterr()
    assert toys([new, *files], out, "--retry-unscored") == 2
    assert message in capsys.readouterr().err
    assert everything(out) == before
    assert engine.asked == []


def test_a_folder_in_use_refuses_all(engine, files, tmp_path, capsys):
    toys(files, tmp_path / "out")
    new = write(tmp_path / "fresh.jsonl", [{"id": "q0", "response": "new"}])
    before = everything(tmp_path / "out")
    with Journal(tmp_path / "out" / "gill" / "verdicts.jsonl"):
        assert toys([new, *files], tmp_path / "out") == 2
    assert "another process is writing here" in capsys.readouterr().err
    assert everything(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "a"], "1 --model for 3 FILEs"),
        (["--model", "a", "--model", "b", "--model", "a"], "two FILEs have the same --model"),
        (["--dry-run"], "--dry-run takes one FILE"),
        (["--judge", "a/b", "--judge", "c/d"], "--judge is given several times"),
    ],
)
def test_arguments_that_are_refused(engine, files, tmp_path, capsys, arguments, message):
    assert toys(files, tmp_path / "out", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_run_that_ended_early_goes_on(engine, files, tmp_path, monkeypatch):
    complete = engine.complete

    def fail(prompts):
        yield from itertools.islice(complete(prompts), 9)
        raise UserError("the judge has gone")

    monkeypatch.setattr(engine, "complete", fail)
    assert toys(files, tmp_path / "out") == 2
    assert not list((tmp_path / "out").glob("*/results.json"))
    monkeypatch.setattr(engine, "complete", complete)
    # 12 + 9 (three are null) + 12 answers; of minigpt's four own, 0 and 6 say one thing, 3 and 9 another: 2 fewer; the
    # nine that were decided are not judged again, though an engine may have had more of its batch done
    decided = sum(json.loads(line)["by"] == "judge" and "feedback" in json.loads(line)
                  for name in NAMES for line in lines(tmp_path / "out" / name))  # fmt: skip
    assert decided >= 9
    engine.asked = []
    assert toys(files, tmp_path / "out") == 0
    assert len(engine.asked) == 12 + 9 + 12 - 2 - 9
    for file in files:
        toys([file], tmp_path / "single" / file.stem)
        assert lines(tmp_path / "out" / file.stem) == lines(tmp_path / "single" / file.stem)
    engine.asked = []
    before = everything(tmp_path / "out")
    assert toys(files, tmp_path / "out") == 0
    assert (engine.asked, everything(tmp_path / "out")) == ([], before)


@pytest.mark.parametrize("cut", ["4:40", "17:end", "30:0"])
def test_killed_at_any_write(files, tmp_path, cut):
    """SIGKILL at the 5th, 18th and 31st line of any of the three journals, then the same command again."""
    arguments = [*map(str, files), "--benchmark", "toy", "--max-unscored", "1", "--out"]
    context, log = multiprocessing.get_context("forkserver"), tmp_path / "log"

    def start(out: str, **fault) -> int:
        process = context.Process(target=toy.score, args=([*arguments, str(tmp_path / out)], log), kwargs=fault)
        process.start()
        process.join()
        return process.exitcode

    assert start("whole") == 0
    log.unlink()
    assert start("cut", cut=cut) == -SIGKILL
    assert start("cut") == 0
    for name in NAMES:
        assert lines(tmp_path / "cut" / name) == lines(tmp_path / "whole" / name)
        assert results_but_run(tmp_path / "cut" / name) == results_but_run(tmp_path / "whole" / name)
    # 31 requests, and at most the one in flight twice
    assert len(log.read_text().split()) <= 31 + 1


def test_rules_alone(tmp_path, capsys):
    files = [folders.ROOT / "examples" / "answers" / f"{name}.jsonl" for name in ("careful", "hasty")]
    given = ["--benchmark", "mmvu", "--data", mmvu_demo_dir()]
    assert mmjudge(*files, *given, "--out", tmp_path / "out") == 0
    printed = capsys.readouterr().out
    assert "computed again" not in printed
    for file in files:
        assert mmjudge(file, *given, "--out", tmp_path / "single" / file.stem) == 0
        assert lines(tmp_path / "out" / file.stem) == lines(tmp_path / "single" / file.stem)
        assert results_but_run(tmp_path / "out" / file.stem) == results_but_run(tmp_path / "single" / file.stem)


def test_a_judge_behind_an_address(tmp_path, capsys):
    pytest.importorskip("PIL")
    records = json.loads((demo_dir() / "data.json").read_text())[:3]
    files = [
        write(tmp_path / f"{name}.jsonl", ({"id": r["id"], "response": f"{name} says {r['id']}"} for r in records))
        for name in ("a", "b")
    ]
    with FakeEndpoint(hashed) as endpoint:
        given = ["--benchmark", "mmie", "--data", demo_dir(), "--partial", "--judge", endpoint.url]
        given += ["--rubric", "mmjudge"]
        assert mmjudge(*files, *given, "--out", tmp_path / "out") == 0
        assert "not counted, since the judge runs elsewhere" in capsys.readouterr().out
        for file in files:
            assert mmjudge(file, *given, "--out", tmp_path / "single" / file.stem) == 0
            assert lines(tmp_path / "out" / file.stem) == lines(tmp_path / "single" / file.stem)
