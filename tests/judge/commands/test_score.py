"""`mmjudge score` from its arguments to its files."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import folders
import pytest
import toy
from run_files import results_but_run
from toy import HashJudge, Toy

from judge import cli
from judge.commands import options, score
from judge.engines import Completion, EngineOptions
from judge.errors import UserError
from judge.scoring import score as score_module

REQUESTS = folders.GOLDEN_REQUESTS


def mmjudge(*arguments) -> int:
    return cli.main(["score", *map(str, arguments)])


def rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def write(file: Path, *given) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in given))
    return file


@pytest.fixture
def engine(monkeypatch):
    """The toy benchmark under its name, and the engine that every run gets."""
    engine = HashJudge()
    monkeypatch.setattr(score, "find", lambda name: Toy())
    monkeypatch.setattr(options, "names", lambda: ["toy"])
    load = score_module.load_engine
    monkeypatch.setattr(score_module, "check_engine", lambda judge, options: None)
    monkeypatch.setattr(
        score_module,
        "load_engine",
        lambda judge, options: load(judge, options) if judge.startswith("replay:") else engine,
    )
    return engine


@pytest.fixture
def answers(tmp_path):
    return write(tmp_path / "answers.jsonl", *({"id": f"q{n}", "response": f"answer {n}"} for n in range(30)))


def toys(answers, out, *more) -> int:
    return mmjudge(answers, "--benchmark", "toy", "--out", out, "--max-unscored", "100%", *more)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_both_files_and_the_table(engine, answers, tmp_path, capsys):
    assert toys(answers, tmp_path / "out") == 0
    verdicts = rows(tmp_path / "out" / "verdicts.jsonl")
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(verdicts) == result["n"] == 30
    scores = [row["score"] for row in verdicts if row["score"] is not None]
    assert result["metrics"]["mean"]["value"] == pytest.approx(sum(scores) / len(scores), abs=1e-12)
    assert result["unscored"]["n"] == 30 - len(scores) > 0
    assert result["signature"] in capsys.readouterr().out.replace("\n           ", "")


def test_the_same_command_again_changes_nothing(engine, answers, tmp_path):
    toys(answers, tmp_path / "out")
    before = files(tmp_path / "out")
    assert len(engine.asked) == 30
    assert toys(answers, tmp_path / "out") == 0
    assert files(tmp_path / "out") == before
    assert len(engine.asked) == 30


def test_a_finished_folder_loses_its_results_while_it_is_worked_on(engine, answers, tmp_path, monkeypatch):
    toys(answers, tmp_path / "out")

    before = files(tmp_path / "out")
    complete = engine.complete

    def fail(prompts, after):
        for number, item in enumerate(complete(prompts)):
            if number == after:
                raise UserError("the judge has gone")
            yield item

    monkeypatch.setattr(engine, "complete", lambda prompts: fail(prompts, 0))
    assert toys(answers, tmp_path / "out", "--retry-unscored") == 2
    assert files(tmp_path / "out") == before  # nothing was decided anew

    monkeypatch.setattr(engine, "complete", lambda prompts: fail(prompts, 1))
    monkeypatch.setattr(engine, "_completion", lambda prompt: Completion("### Score\n5"))
    assert toys(answers, tmp_path / "out", "--retry-unscored") == 2
    assert not (tmp_path / "out" / "results.json").exists()
    assert (tmp_path / "out" / "verdicts.jsonl").read_bytes() != before["verdicts.jsonl"]


@pytest.mark.parametrize(
    ("limit", "code"),
    # 1 of 20 answers is unscored: 5% is not above 5%
    [("5%", 0), ("0.05", 0), ("4.9%", 3), ("0", 3), ("100%", 0), ("1", 0)],
)
def test_exit_code_of_too_many_unscored(tmp_path, capsys, limit, code):
    feedback = [{"id": f"SA-{n}", "feedback": "### Score\n4" if n else "no score"} for n in range(20)]
    replay = write(tmp_path / "feedback.jsonl", *feedback)
    answers = write(tmp_path / "a.jsonl", *({"id": f"SA-{n}", "response": "x"} for n in range(20)))
    arguments = [answers, "--benchmark", "mmie", "--judge", f"replay:{replay}", "--out", tmp_path / "out"]
    assert mmjudge(*arguments, "--max-unscored", limit) == code
    result = json.loads((tmp_path / "out" / "results.json").read_text())  # written all the same
    assert result["unscored"] == {
        "n": 1,
        "rate": 0.05,
        "reasons": {"no_score_line": 1},
        "categories": {"SA": {"n": 1, "rate": 0.05}, "PBL": {"n": 0, "rate": None}, "MSR": {"n": 0, "rate": None}},
    }
    assert ("1 of 20 answers have no score" in capsys.readouterr().err) == (code == 3)


@pytest.mark.parametrize(("text", "value"), [("5%", 0.05), ("0.05", 0.05), ("0", 0.0), ("100%", 1.0)])
def test_share(text, value):
    assert options.share(text) == value


@pytest.mark.parametrize("text", ["5", "-1%", "101%", "five", "", "%", "nan", "nan%"])
def test_no_share(text):
    with pytest.raises(argparse.ArgumentTypeError):
        options.share(text)


def test_retry_unscored(engine, answers, tmp_path):
    engine.mute = True
    toys(answers, tmp_path / "out")
    engine.mute, engine.asked = False, []
    assert toys(answers, tmp_path / "out") == 0
    assert engine.asked == []
    toys(answers, tmp_path / "out", "--retry-unscored")
    assert len(engine.asked) == 30
    result = results_but_run(tmp_path / "out")
    toys(answers, tmp_path / "fresh")
    assert result == results_but_run(tmp_path / "fresh")


def test_rule_of_the_default_rubric(engine, answers, tmp_path):
    for name, more, rubric in [
        ("a", [], "official"),
        ("b", ["--judge", tmp_path], "mmjudge"),
        ("c", ["--judge", tmp_path, "--rubric", "official"], "official"),
    ]:
        (tmp_path / "mmjudge.json").write_text('{"rubric": "mmjudge"}')
        toys(answers, tmp_path / name, *more)
        signature = json.loads((tmp_path / name / "results.json").read_text())["signature"]
        assert f"|rubric:{rubric}@" in signature


def test_options_reach_the_engine(answers, tmp_path, monkeypatch):
    seen = {}

    def open_local_engine(judge, options):
        seen.update(judge=judge, options=options)
        return HashJudge()

    monkeypatch.setattr(score, "find", lambda name: Toy())
    monkeypatch.setattr(options, "names", lambda: ["toy"])
    monkeypatch.setitem(
        sys.modules,
        "judge.engines.local",
        argparse.Namespace(check_judge=lambda *_: 0, open_local_engine=open_local_engine),
    )
    given = ["--judge", "a/b", "--device", "cpu", "--dtype", "float32", "--batch-size", "4", "--rope", "long"]
    assert toys(answers, tmp_path / "out", *given) == 0
    wanted = EngineOptions(device="cpu", dtype="float32", batch_size=4, rope="long")
    assert seen == {"judge": "a/b", "options": wanted}


def test_stopping_at_the_score_is_for_the_reference_profile(answers, tmp_path, monkeypatch, capsys):
    seen = {}

    def open_local_engine(judge, options):
        seen.update(options=options)
        return HashJudge()

    monkeypatch.setattr(score, "find", lambda name: Toy())
    monkeypatch.setattr(options, "names", lambda: ["toy"])
    monkeypatch.setitem(
        sys.modules,
        "judge.engines.local",
        argparse.Namespace(check_judge=lambda *_: 0, open_local_engine=open_local_engine),
    )
    given = ["--judge", "a/b", "--device", "cpu", "--stop-at-score"]
    assert toys(answers, tmp_path / "out", *given) == 2
    assert "add --profile reference" in capsys.readouterr().err
    assert toys(answers, tmp_path / "out", *given, "--profile", "reference") == 0
    assert seen["options"].stop_at_score is True
    given = ["--judge", "http://localhost:1/v1", "--stop-at-score", "--profile", "reference", "--tokenizer", "x"]
    assert toys(answers, tmp_path / "out", *given, "--rubric", "mmjudge") == 2
    assert "--stop-at-score means nothing here: this is for whoever serves the judge" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_batch_size_is_a_number(engine, answers, tmp_path, number):
    with pytest.raises(SystemExit) as caught:
        toys(answers, tmp_path / "out", "--batch-size", number)
    assert caught.value.code == 2


def test_bad_input_is_one_message(engine, answers, tmp_path, capsys):
    assert toys(tmp_path / "none.jsonl", tmp_path / "out") == 2
    assert f"mmjudge score: {tmp_path}/none.jsonl: cannot be read" in capsys.readouterr().err
    assert toys(answers, answers) == 2  # --out is a file
    assert "give another --out" in capsys.readouterr().err
    assert toys(answers, tmp_path / "out", "--judge", "replay:none.jsonl") == 2
    assert "none.jsonl: cannot be read" in capsys.readouterr().err
    assert toys(answers, tmp_path / "out", "--judge", tmp_path / "none") == 2  # said before anything is fetched for it
    assert f"{tmp_path}/none: no such folder" in capsys.readouterr().err


# MMIE: to-eval files, dry runs, replays -----------------------------------------------------------------------------


def test_dry_run_hands_over_what_the_official_scorer_does(tmp_path):
    """Recorded from the official scorer, see golden_requests/README.md."""
    expected = json.loads((REQUESTS / "reference_requests.json").read_text())
    arguments = [REQUESTS / "data.json", "--benchmark", "mmie", "--profile", "reference", "--out", tmp_path]
    assert mmjudge(*arguments, "--dry-run") == 0
    assert rows(tmp_path / "requests.jsonl") == expected["kept"]
    dropped = rows(tmp_path / "dropped.jsonl")
    assert [row["id"] for row in dropped] == expected["dropped"]
    assert {row["reason"] for row in dropped} == {"dropped_by_protocol"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dropped.jsonl", "requests.jsonl"]


def test_dry_run_loses_nothing_in_the_strict_profile(tmp_path):
    given = {row["id"] for row in json.loads((REQUESTS / "data.json").read_text())}
    assert mmjudge(REQUESTS / "data.json", "--benchmark", "mmie", "--out", tmp_path, "--dry-run") == 0
    kept, dropped = (rows(tmp_path / f"{name}.jsonl") for name in ("requests", "dropped"))
    assert {row["id"] for row in kept} | {row["id"] for row in dropped} == given
    assert len(kept) + len(dropped) == len(given) == 16
    assert all(row["reason"] for row in dropped)


def test_dry_run_needs_a_judge_to_stop_before(tmp_path, capsys):
    answers = write(tmp_path / "a.jsonl", {"id": "x", "index": 0, "response": "A"})
    assert mmjudge(answers, "--benchmark", "mmvu", "--out", tmp_path, "--dry-run") == 2
    assert "nothing to hand to a judge" in capsys.readouterr().err


def test_the_official_parser_is_replayed(tmp_path):
    """Scores that the official parser takes from recorded feedback, see golden_requests/README.md."""
    recorded = json.loads((REQUESTS / "parse.json").read_text())
    replay = write(tmp_path / "feedback.jsonl", *({"id": r["id"], "feedback": r["feedback"]} for r in recorded))
    answers = write(tmp_path / "a.jsonl", *({"id": r["id"], "response": "x"} for r in recorded))
    out = tmp_path / "out"
    arguments = [answers, "--benchmark", "mmie", "--judge", f"replay:{replay}", "--out", out]
    assert mmjudge(*arguments, "--profile", "reference", "--max-unscored", "1") == 0
    assert {row["id"]: row["score"] for row in rows(out / "verdicts.jsonl")} == {
        row["id"]: row["reference"] for row in recorded
    }
    sha = hashlib.sha256(replay.read_bytes()).hexdigest()[:8]
    result = json.loads((out / "results.json").read_text())
    assert f"|profile:reference|judge:replay|feedback:{sha}|" in result["signature"]
    # 8 of 12 parse: 4+5+3+6+0+4+6+2 = 30
    assert result["metrics"]["mean"] | {"ci_low": 0, "ci_high": 0} == {"value": 3.75, "ci_low": 0, "ci_high": 0, "n": 8}
    assert result["bounds"]["all"]["unscored_at_0"] == pytest.approx(30 / 12 / 6 * 100)
    assert result["bounds"]["all"]["unscored_at_6"] == pytest.approx((30 + 4 * 6) / 12 / 6 * 100)


def test_a_to_eval_file_names_its_questions_not_its_answers(tmp_path):
    """Two systems' files on the same questions share the data part of the signature; other questions do not."""
    items = json.loads((REQUESTS / "data.json").read_text())
    replay = write(tmp_path / "f.jsonl", *({"id": item["id"], "feedback": "### Score\n3"} for item in items))

    def data_part(name: str) -> str:
        (tmp_path / f"{name}.json").write_text(json.dumps(items))
        arguments = [tmp_path / f"{name}.json", "--image-root", REQUESTS, "--judge", f"replay:{replay}"]
        assert mmjudge(*arguments, "--benchmark", "mmie", "--out", tmp_path / name, "--max-unscored", "1") == 0
        dataset = json.loads((tmp_path / name / "results.json").read_text())["dataset"]
        assert dataset["repo"] == "to-eval"
        return dataset["revision"]

    first = data_part("first")
    for item in items:
        item |= {"answer": "another system's answer", "model": "other"}
    items.reverse()
    assert data_part("second") == first
    items[0]["question"][0]["text"] += "?"
    assert data_part("third") != first


# MMVU: rules, no judge ------------------------------------------------------------------------------------------------


def test_mmvu_counts(tmp_path):
    """12 pairs: 6 both right, 3 fooled by the leading question, 3 wrong in the plain one."""
    data, right = [], {}
    for n in range(12):
        for kind, letter in (("POS", "A"), ("NEG", "B")):
            data.append(
                {
                    "id": f"attribute/number/{n:02}",
                    "image": f"attribute/number/{n:02}.jpg",
                    "question": "How many?\nA. one\nB. two\nC. three\nD. four",
                    "ground_truth": letter,
                    "question_type": kind,
                }
            )
        right[n] = ("A", "B") if n < 6 else ("A", "C") if n < 9 else ("D", "B")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "MMR-benchmark.json").write_text(json.dumps(data))
    given = [
        {"id": f"attribute/number/{n:02}", "index": 2 * n + k, "response": right[n][k]}
        for n in range(12)
        for k in (0, 1)
    ]
    ours = write(tmp_path / "ours.jsonl", *reversed(given))
    samples = write(
        tmp_path / "samples.jsonl", *({"doc_id": r["index"], "filtered_resps": r["response"]} for r in given)
    )
    found = []
    for file in (ours, samples):
        out = tmp_path / file.stem
        arguments = [file, "--benchmark", "mmvu", "--data", tmp_path / "data", "--out", out]
        assert mmjudge(*arguments) == 0
        found.append(results_but_run(out))
    # RA = 6/12; MR = 3 of the 9 pairs whose plain question is right; POS = 9/12, NEG = 9/12
    for result in found:
        metrics = {name: (estimate["value"], estimate["n"]) for name, estimate in result["metrics"].items()}
        assert metrics["RA"] == (50.0, 12)
        assert metrics["MR"] == (pytest.approx(100 * 3 / 9), 9)
        assert metrics["POS"] == metrics["NEG"] == (75.0, 24 / 2)
    assert found[0] == found[1]
    assert "judge:" not in found[0]["signature"]


# The command line -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["score", "--help"]])
def test_a_terminal_without_unicode_is_no_error(arguments):
    command = [sys.executable, "-m", "judge.cli", *arguments]
    done = subprocess.run(command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"usage: " in done.stdout


def test_a_core_install_says_what_a_judge_needs(tmp_path, monkeypatch, capsys):
    from mmie_tasks.demo import demo_dir, judge_dir

    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not there
    answers = write(tmp_path / "a.jsonl", {"id": "PBL-9001", "response": "x"})
    where = ["--data", demo_dir(), "--judge", judge_dir(), "--out", tmp_path / "out"]
    assert mmjudge(answers, "--benchmark", "mmie", *where) == 2
    assert capsys.readouterr().err == "mmjudge score: torch is not installed\n→ pip install 'mmjudge[hf]'\n"


def test_a_reader_that_leaves_is_no_error(tmp_path):
    answers = write(tmp_path / "a.jsonl", {"id": "SA-1", "response": "x"})
    feedback = write(tmp_path / "f.jsonl", {"id": "SA-1", "feedback": "### Score\n4"})
    arguments = ["score", answers, "--benchmark", "mmie", "--judge", f"replay:{feedback}", "--out", tmp_path / "out"]
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "judge.cli", *arguments], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")
    assert (tmp_path / "out" / "results.json").exists()


def test_help_loads_nothing_heavy():
    program = (
        "import sys\nfrom judge import cli\n"
        "try:\n    cli.main(['score', '--help'])\nexcept SystemExit:\n    pass\n"
        "print(sorted({'torch', 'transformers', 'lmms_eval', 'vlmeval', 'datasets'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "--retry-unscored" in done.stdout
    assert done.stdout.endswith("[]\n")


RANKS = (
    {"RANK": "1", "WORLD_SIZE": "2"},
    {"SLURM_PROCID": "0", "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2"},
)


@pytest.mark.parametrize("environment", RANKS)
@pytest.mark.parametrize("ray", [[], ["--ray"]])
def test_ranks_are_refused(environment, ray, answers, tmp_path, engine, monkeypatch, capsys):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert toys(answers, tmp_path / "out", *ray) == 2
    assert "started 2 times, as ranks of srun" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_one_command_of_a_cluster_may_be_in_a_step_of_slurm(answers, tmp_path, engine, monkeypatch):
    for name, value in RANKS[1].items():
        monkeypatch.setenv(name, value)
    assert toys(answers, tmp_path / "out", "--ray", "10.0.0.1:6379") == 0


def test_two_processes_on_one_folder(answers, tmp_path, engine):
    """The second one is told, and the first one's folder is whole."""
    from judge.scoring.journal import Journal

    out = tmp_path / "out"
    out.mkdir()
    with Journal(out / "verdicts.jsonl"):
        program = (
            "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import toy; "
            "toy.score(sys.argv[3:], Path(sys.argv[2]))"
        )
        command = [sys.executable, "-c", program, Path(toy.__file__).parent, tmp_path / "log", answers]
        command += ["--benchmark", "toy", "--out", out]
        done = subprocess.run(list(map(os.fspath, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{out}/verdicts.jsonl.lock: another process is writing here" in done.stderr
    assert not (tmp_path / "log").exists()
    assert toys(answers, out) == 0
