"""A refused run changes no byte, a folder is for one set of answers, and questions without an answer are counted."""

from __future__ import annotations

import json
import multiprocessing
import random
from pathlib import Path
from signal import SIGKILL

import pytest
import toy
from toy import HashJudge, Toy

from judge import cli
from judge.errors import UserError
from judge.results import run_folder
from judge.results.run_folder import read_run
from judge.scoring.score import LoadedJudge, ScoreOptions, score
from mmvu_tasks.demo import demo_dir


def write(file: Path, rows: list[dict]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def answers(file: Path, texts: list[str]) -> Path:
    return write(file, [{"id": f"q{n}", "response": text} for n, text in enumerate(texts)])


def judge(name: str = "toy/judge", feedback: str = "f1") -> LoadedJudge:
    class Replaying(HashJudge):
        @property
        def identity(self) -> dict[str, str]:
            return {"judge": self.judge, "feedback": feedback}

    return LoadedJudge(Replaying(judge=name), "mmjudge")


@pytest.fixture
def finished(tmp_path):
    """A finished run of model "a" on three answers."""
    file = answers(tmp_path / "a.jsonl", ["one", "two", "three"])
    score(file, Toy(), tmp_path / "out", judge=judge(), options=ScoreOptions(model="a"))
    return tmp_path / "out"


OTHERS = {
    "other answers to the same questions": (["one", "two", "four"], "a", judge, "belongs to other answers"),
    "fewer answers": (["one", "two"], "a", judge, "belongs to other answers"),
    "another model that says the same": (["one", "two", "three"], "b", judge, "answers of 'a', not of 'b'"),
    "another replay": (["one", "two", "three"], "a", lambda: judge("toy/judge", "f2"), "otherwise: feedback differ"),
    "another judge": (["one", "two", "three"], "a", lambda: judge("other/judge"), "measured otherwise: judge differ"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_a_finished_folder_is_left_alone(finished, tmp_path, name):
    texts, model, make, problem = OTHERS[name]
    before = contents(finished)
    with pytest.raises(UserError, match=problem) as caught:
        score(answers(tmp_path / "b.jsonl", texts), Toy(), finished, judge=make(), options=ScoreOptions(model=model))
    assert "give another --out" in caught.value.fix
    assert contents(finished) == before


def test_the_same_again_changes_nothing(finished, tmp_path):
    before = contents(finished)
    again = score(tmp_path / "a.jsonl", Toy(), finished, judge=judge())  # the model is known from before
    assert contents(finished) == before
    assert again.results["run"]["model"] == "a"


def test_files_that_a_killed_run_had_begun_go(finished, tmp_path):
    before = contents(finished)
    (finished / "images").mkdir(exist_ok=True)
    for name in ("images/.0a1b.png.0a1b2c3d.unfinished", ".results.json.0a1b2c3d.unfinished"):
        (finished / name).touch()
    score(tmp_path / "a.jsonl", Toy(), finished, judge=judge())
    assert contents(finished) == before


def test_an_unfinished_folder_of_other_answers_is_left_alone_too(finished, tmp_path):
    (finished / "results.json").unlink()
    before = contents(finished)
    with pytest.raises(UserError, match="belongs to other answers"):
        score(answers(tmp_path / "b.jsonl", ["x", "y", "z"]), Toy(), finished, judge=judge())
    assert contents(finished) == before


REFUSED = {
    "no such file": lambda folder: ["none.jsonl"],
    "an answer twice": lambda folder: [write(folder / "twice.jsonl", [{"id": "a", "index": 0, "response": "A"}] * 2)],
    "an option that means nothing": lambda folder: [folder / "right.jsonl", "--judge", "a/b"],
    "other data": lambda folder: [folder / "right.jsonl", "--data", str(folder)],
    "other answers": lambda folder: [write(folder / "other.jsonl", mmvu("B"))],
}


def mmvu(letter: str, n: int = 48) -> list[dict]:
    rows = json.loads((demo_dir() / "MMR-benchmark.json").read_text())[:n]
    return [{"id": row["id"], "index": index, "response": letter} for index, row in enumerate(rows)]


@pytest.mark.parametrize("name", REFUSED)
def test_a_refused_command_changes_no_byte(tmp_path, name):
    """And makes no folder that was not there."""
    write(tmp_path / "right.jsonl", mmvu("A"))
    given = REFUSED[name](tmp_path)
    where = [] if "--data" in given else ["--data", str(demo_dir())]

    def run(out: Path, *words: object) -> int:
        return cli.main(["score", *map(str, words), *where, "--benchmark", "mmvu", "--out", str(out)])

    done = ["score", str(tmp_path / "right.jsonl"), "--data", str(demo_dir()), "--benchmark", "mmvu"]
    assert cli.main([*done, "--out", str(tmp_path / "out")]) == 0
    before = contents(tmp_path / "out")
    assert run(tmp_path / "out", *given) == 2
    assert contents(tmp_path / "out") == before
    if name != "other answers":
        assert run(tmp_path / "new", *given) == 2
        assert not (tmp_path / "new").exists()


def test_killed_at_ten_moments_and_refused_after_each(tmp_path, monkeypatch):
    """Whatever a kill leaves: other answers change no byte of it, and the same command finishes it."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["pytest", "toy", "numpy.ma", "numpy.random"])
    mine = answers(tmp_path / "mine.jsonl", [f"answer {n}" for n in range(12)])
    others = answers(tmp_path / "others.jsonl", [f"other {n}" for n in range(12)])

    def start(file: Path, out: Path, **fault: object) -> int:
        arguments = [str(file), "--benchmark", "toy", "--out", str(out), "--max-unscored", "1"]
        process = processes.Process(target=toy.score, args=(arguments, tmp_path / "log"), kwargs=fault)
        process.start()
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    monkeypatch.setattr(run_folder, "find", {"toy": Toy()}.__getitem__)
    assert start(mine, tmp_path / "whole") == 0
    wanted = read_run(tmp_path / "whole")
    chance = random.Random(5)
    for number in range(10):
        out = tmp_path / f"killed-{number}"
        cut = f"{chance.randrange(12)}:{chance.choice(['0', '1', '40', '-1', 'end'])}"
        assert start(mine, out, cut=cut) == -SIGKILL
        before = contents(out)
        assert start(others, out) == 2
        assert contents(out) == before
        assert start(mine, out) == 0
        assert read_run(out).results["metrics"] == wanted.results["metrics"]
        finished = contents(out)
        assert start(others, out) == 2
        assert contents(out) == finished


# Questions without an answer ------------------------------------------------------------------------------------------


def score_part(tmp_path: Path, file: Path, *more: str) -> int:
    out = ["--benchmark", "mmvu", "--data", str(demo_dir()), "--out", str(tmp_path / "out")]
    return cli.main(["score", str(file), *out, *more])


def forms(folder: Path, n: int) -> dict[str, Path]:
    """The first n answers, as ours and as lmms-eval's samples."""
    rows = mmvu("A", n)
    samples = [{"doc_id": row["index"], "filtered_resps": row["response"]} for row in rows]
    return {"ours": write(folder / "r.jsonl", rows), "samples": write(folder / "x_samples_mmvu.jsonl", samples)}


@pytest.mark.parametrize("form", ["ours", "samples"])
def test_questions_without_an_answer_have_no_score(tmp_path, capsys, form):
    assert score_part(tmp_path, forms(tmp_path, 20)[form]) == 3
    result = read_run(tmp_path / "out").results
    # 28 of 48
    assert result["unscored"] == {**result["unscored"], "n": 28, "rate": 28 / 48, "reasons": {"not_answered": 28}}
    assert result["failures"]["call"]["reasons"] == {"not_answered": 28}
    assert "part:" not in result["signature"]
    assert (
        "28 questions have no answer in FILE; if only the others were asked: --partial, and another --out"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("form", ["ours", "samples"])
def test_only_these_were_asked(tmp_path, capsys, form):
    assert score_part(tmp_path, forms(tmp_path, 20)[form], "--partial") == 0
    run = read_run(tmp_path / "out")
    assert (run.results["n"], run.results["unscored"]["n"]) == (20, 0)
    assert run.signature.parts["part"] == "20 of 48"
    assert "PARTIAL: only 20 of 48 questions were asked" in capsys.readouterr().out


def test_a_part_keeps_its_verdicts_keys(tmp_path):
    score_part(tmp_path, forms(tmp_path, 20)["ours"], "--partial")
    partial = {(v.id, v.index): v.key for v in read_run(tmp_path / "out").verdicts}
    whole = score(forms(tmp_path, 20)["ours"], "mmvu", tmp_path / "whole", data=demo_dir())
    keys = {(v.id, v.index): v.key for v in whole.verdicts}
    assert partial.items() <= keys.items()


def test_partial_says_nothing_where_all_was_answered(tmp_path):
    assert score_part(tmp_path, forms(tmp_path, 48)["ours"], "--partial") == 0
    assert "part" not in read_run(tmp_path / "out").signature.parts


# Where a run came from ------------------------------------------------------------------------------------------------


def test_results_say_where_they_came_from(tmp_path):
    file = forms(tmp_path, 48)["ours"]
    score_part(tmp_path, file, "--model", "org/model")
    run = read_run(tmp_path / "out").results["run"]
    assert run["model"] == "org/model"
    assert (run["answers"]["n"], run["answers"]["file"]) == (48, "r.jsonl")
    assert len(run["answers"]["sha256"]) == len(run["answers"]["file_sha256"]) == 64
    assert run.keys() >= {"harness", "command", "date", "seconds", "machine", "versions"}
    assert run["versions"]["mmjudge"]


def test_the_hash_of_answers_knows_neither_order_nor_file(tmp_path):
    rows = mmvu("A")
    hashes = set()
    for name, given in (("a", rows), ("b", rows[::-1])):
        run = score(write(tmp_path / f"{name}.jsonl", given), "mmvu", tmp_path / name, data=demo_dir())
        hashes.add(run.results["run"]["answers"]["sha256"])
    assert len(hashes) == 1


def test_samples_of_lmms_eval_name_their_model(tmp_path):
    file = forms(tmp_path, 48)["samples"]
    (tmp_path / "x_results.json").write_text('{"model_name": "Qwen/Qwen2.5-VL-7B-Instruct"}')
    run = score(file, "mmvu", tmp_path / "out", data=demo_dir())
    assert run.results["run"]["model"] == "Qwen/Qwen2.5-VL-7B-Instruct"
