"""Several ranks on one folder give what one process gives, whoever dies, and whenever it goes on."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fake_endpoint import FakeEndpoint, Fault, hashed
from run_files import results_but_run

from judge import cli
from judge.core.request import Picture, Request, Text
from judge.engines.devices import Rank
from judge.scoring import ranks
from judge.scoring.ranks import share
from mmie_tasks.demo import demo_dir

ANSWERS = 15


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """The demo's 15 questions; two of them are answered with nothing, two with the same pictures and words."""
    records = json.loads((demo_dir() / "data.json").read_text())
    rows = [{"id": r["id"], "response": f"Step 2: see {n % 4}."} for n, r in enumerate(records)]
    rows[3]["response"] = rows[8]["response"] = ""
    file = tmp_path_factory.mktemp("answers") / "answers.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def command(answers: Path, fake: FakeEndpoint, out: Path, *more: str) -> list[str]:
    where = ["--benchmark", "mmie", "--data", str(demo_dir()), "--rubric", "mmjudge", "--judge", fake.url]
    return ["score", str(answers), *where, "--out", str(out), "--max-unscored", "1", "--batch-size", "1", *more]


class Started:
    """`mmjudge` as one rank, in a process forked from one that has imported it. patience: ranks are dead after it."""

    def __init__(self, arguments: list[str], number: int, size: int, launcher: str = "torch", patience: float = 300.0):
        names = {
            "torch": ("RANK", "WORLD_SIZE", "LOCAL_RANK"),
            "slurm": ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"),
        }[launcher]
        who = {**dict(zip(names, map(str, (number, size, number)), strict=True)), "SLURM_STEP_ID": "0"}
        log = Path(arguments[arguments.index("--out") + 1]).with_suffix(f".{next(COUNT)}")
        self.logs = [Path(f"{log}.out"), Path(f"{log}.err")]
        self.process = PROCESSES.Process(target=rank_main, args=(arguments, who, self.logs, patience))
        self.process.start()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def wait(self) -> tuple[int | None, str, str]:
        """Exit code, standard output, standard error."""
        self.process.join()
        said, error = (log.read_text() if log.exists() else "" for log in self.logs)
        return self.process.exitcode, said, error


COUNT = itertools.count()
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["judge.commands.score", "judge.engines.remote", "mmie_tasks.benchmark"])


def rank_main(arguments: list[str], who: dict[str, str], logs: list[Path], patience: float) -> None:
    os.environ.update(who)
    ranks.PATIENCE, ranks.BEAT_SECONDS = patience, 0.2
    sys.stdout, sys.stderr = (log.open("w", buffering=1) for log in logs)
    sys.exit(cli.main(arguments))


def run(arguments: list[str], size: int, launcher: str = "torch") -> list[tuple[int | None, str, str]]:
    started = [Started(arguments, number, size, launcher) for number in range(size)]
    return [process.wait() for process in started]


def files(out: Path) -> tuple[dict, list[bytes]]:
    """results.json, and the verdicts in any order."""
    return results_but_run(out), sorted((out / "verdicts.jsonl").read_bytes().splitlines())


@pytest.fixture(scope="module")
def alone(answers, tmp_path_factory):
    """What one process makes of it."""
    out = tmp_path_factory.mktemp("alone") / "out"
    with FakeEndpoint(hashed) as fake:
        assert cli.main(command(answers, fake, out)) == 0
        asked = len(fake.asked)
    return files(out), asked


@pytest.mark.parametrize("launcher", ["torch", "slurm"])
def test_three_ranks_give_what_one_gives(answers, alone, tmp_path, launcher):
    wanted, asked = alone
    out = tmp_path / "out"
    with FakeEndpoint(hashed) as fake:
        ended = run(command(answers, fake, out), 3, launcher)
        assert [code for code, _, _ in ended] == [0, 0, 0], ended
        assert len(fake.asked) == asked
        assert files(out) == wanted
        # only the first one shows the table
        assert [bool(said) for _, said, _ in ended] == [True, False, False]
        assert "rank 1 of 3: " in ended[1][2]
        if launcher == "slurm":
            return
        # again, with another number of ranks and alone: nothing is judged twice, nothing changes
        assert [code for code, _, _ in run(command(answers, fake, out), 2)] == [0, 0]
        assert cli.main(command(answers, fake, out)) == 0
        assert len(fake.asked) == asked
    assert files(out) == wanted


def test_a_killed_job_goes_on_with_other_ranks(answers, alone, tmp_path):
    wanted, asked = alone
    out = tmp_path / "out"
    enough = threading.Event()

    def script(number, body):
        if number < 7:
            return None
        enough.set()
        return Fault("hang")

    with FakeEndpoint(hashed, script) as fake:
        started = [Started(command(answers, fake, out), number, 3) for number in range(3)]
        reached = enough.wait(120)
        for process in started:
            process.kill()
        assert reached, [process.wait() for process in started]
    lines = [line for part in (out / "ranks").glob("*.jsonl") for line in part.read_bytes().splitlines()]
    assert not (out / "results.json").exists()
    assert lines
    with FakeEndpoint(hashed) as fake:
        # the address is not in the signature, so another server goes on
        assert [code for code, _, _ in run(command(answers, fake, out), 2)] == [0, 0]
        assert asked - 7 <= len(fake.asked) <= asked - len(lines) + 7
    assert files(out) == wanted


def test_the_first_rank_judges_what_a_dead_one_owes(answers, alone, tmp_path):
    wanted, _ = alone
    out = tmp_path / "out"
    with FakeEndpoint(hashed) as fake:
        code, _, error = Started(command(answers, fake, out), 0, 2, patience=2).wait()
    assert (code, "ranks 1 have died: rank 0 judges what they owe" in error) == (0, True), error
    assert files(out) == wanted


def test_retry_unscored_judges_each_answer_once_more(answers, tmp_path):
    out = tmp_path / "out"

    def mute(text: str, pictures: list[bytes]) -> dict:
        return {"text": "No idea."}

    with FakeEndpoint(mute) as fake:
        assert [code for code, _, _ in run(command(answers, fake, out), 2)] == [0, 0]
        asked = len(fake.asked)
        assert json.loads((out / "results.json").read_text())["unscored"]["n"] == ANSWERS - 2  # the empty ones
    with FakeEndpoint(hashed) as fake:
        assert [code for code, _, _ in run(command(answers, fake, out, "--retry-unscored"), 2)] == [0, 0]
        assert len(fake.asked) == asked
        assert json.loads((out / "results.json").read_text())["unscored"]["n"] == 0


def test_a_rank_that_is_there_twice_is_told(answers, tmp_path, monkeypatch, capsys):
    from judge.scoring.journal import Journal

    out = tmp_path / "out"
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with FakeEndpoint(hashed) as fake, Journal(out / "ranks" / "1.jsonl"):
        assert cli.main(command(answers, fake, out)) == 2
        assert "ranks/1.jsonl.lock: another process is writing here" in capsys.readouterr().err


def test_what_needs_no_judge_is_done_by_the_first_rank_alone(answers, tmp_path, monkeypatch):
    feedback = tmp_path / "feedback.jsonl"
    records = json.loads((demo_dir() / "data.json").read_text())
    feedback.write_text("".join(json.dumps({"id": r["id"], "feedback": "### Score\n3"}) + "\n" for r in records))
    monkeypatch.setenv("WORLD_SIZE", "2")
    arguments = ["score", str(answers), "--benchmark", "mmie", "--judge", f"replay:{feedback}"]
    for number, there in (("1", False), ("0", True)):
        monkeypatch.setenv("RANK", number)
        assert cli.main([*arguments, "--out", str(tmp_path / "out"), "--max-unscored", "1"]) == 0
        assert (tmp_path / "out" / "results.json").exists() == there


def test_accelerate_launch_starts_ranks(answers, alone, tmp_path):
    pytest.importorskip("accelerate", reason="the hf extra is not installed")
    wanted, asked = alone
    out = tmp_path / "out"
    # --multi_gpu is what makes it start several processes; nothing here needs a GPU
    options = ["--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--main_process_port", "0"]
    options += ["--mixed_precision", "no", "--dynamo_backend", "no"]
    with FakeEndpoint(hashed) as fake:
        program = [sys.executable, "-m", "accelerate.commands.launch", *options, "-m", "judge.cli"]
        done = subprocess.run([*program, *command(answers, fake, out)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "rank 1 of 2: " in done.stderr
        assert len(fake.asked) == asked
    assert files(out) == wanted


def request(number: int, words: int, pictures: int = 0) -> Request:
    images = tuple(Picture(Path(f"/{number}-{n}.png"), "x") for n in range(pictures))
    return Request(f"q{number}", "T", (Text("x" * words), *images), (Text(f"{number}"),))


def test_shares_hold_everything_once_and_are_alike_in_length():
    requests = [request(n, (n * 37) % 101, n % 4) for n in range(101)]
    for size in (1, 2, 3, 8):
        shares = [share(requests, Rank(number, size)) for number in range(size)]
        assert sorted(r.id for ours in shares for r in ours) == sorted(r.id for r in requests)
        assert max(map(len, shares)) - min(map(len, shares)) <= 1
        pictures = [sum(len(r.pictures) for r in ours) for ours in shares]
        assert max(pictures) - min(pictures) <= 3


def test_like_requests_are_in_one_share():
    requests = [Request(f"q{n}", "T", (Text("same"),), (Text(str(n % 3)),)) for n in range(30)]
    for number in range(2):
        ours = share(requests, Rank(number, 2))
        assert all(other in ours for r in ours for other in requests if other.answer == r.answer)


def test_signs_of_life(tmp_path, monkeypatch):
    folder = tmp_path / "ranks"
    folder.mkdir()
    monkeypatch.setattr(ranks, "BEAT_SECONDS", 0.1)
    sign = folder / "1.alive"
    rank, nothing = Rank(0, 2), {1: ()}
    assert ranks.await_others(tmp_path, rank, nothing, 0.2) == [1]  # never showed up
    sign.write_text("x done\n")
    assert ranks.await_others(tmp_path, rank, nothing, 60) == []
    assert ranks.await_others(tmp_path, rank, ranks.signs(tmp_path, rank), 0.2) == [1]  # done in an earlier job
    sign.write_text("x failed\n")
    assert ranks.await_others(tmp_path, rank, nothing, 60) == [1]
    sign.write_text("x 7\n")
    assert ranks.await_others(tmp_path, rank, nothing, 0.2) == [1]  # killed
