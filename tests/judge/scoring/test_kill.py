"""kill -9 at any point, the same command again: nothing lost, nothing judged twice, the same results.json.

The child processes are forked from a server that has imported the package but nothing heavy.
"""

from __future__ import annotations

import json
import multiprocessing
import random
from pathlib import Path
from signal import SIGKILL

import pytest
import toy
from run_files import results_but_run

ANSWERS = 12
KILLS, KILLS_A_FOLDER = 60, 6


@pytest.fixture(scope="module")
def processes():
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["pytest", "toy", "numpy.ma", "numpy.random"])
    return context


@pytest.fixture(scope="module")
def work(tmp_path_factory, processes):
    return Work(tmp_path_factory.mktemp("kill"), processes)


class Work:
    def __init__(self, folder: Path, processes) -> None:
        self.folder, self.processes = folder, processes
        self.responses = folder / "responses.jsonl"
        rows = [{"id": f"q{n}", "response": f"answer {n}" if n % 5 else None} for n in range(ANSWERS)]
        # q3 and q7 say the same: one request, two verdicts
        rows[7]["response"] = rows[3]["response"]
        self.responses.write_text("".join(json.dumps(row) + "\n" for row in rows))
        whole = Run(self, "whole")
        assert whole.start() == 0
        self.results, self.lines = whole.results(), sorted(whole.lines())
        # 12 answers, 3 of them null (0, 5, 10), of the 9 others 8 distinct
        assert len(self.lines) == 12
        assert len(whole.judged()) == 8


class Run:
    """One results folder and the processes that work on it."""

    def __init__(self, work: Work, name: str) -> None:
        self.work, self.out, self.log = work, work.folder / name, work.folder / f"{name}.log"
        self.kills = 0

    def start(self, **fault) -> int:
        """Run the command once; its exit code. Asserts what must hold between before and after."""
        before, judged = self.lines(), self.judged()
        arguments = [str(self.work.responses), "--benchmark", "toy", "--out", str(self.out), "--max-unscored", "1"]
        process = self.work.processes.Process(target=toy.score, args=(arguments, self.log), kwargs=fault)
        process.start()
        process.join()
        code = process.exitcode
        process.close()
        assert code in (0, -SIGKILL)
        self.kills += code != 0
        assert self.lines()[: len(before)] == before, "a written verdict was lost or changed"
        known = {json.loads(line)["id"] for line in before}
        assert not known & set(self.judged()[len(judged) :]), "an answer with a verdict was judged again"
        return code

    def finish(self) -> None:
        """The last run, undisturbed; asserts that nothing tells it from an uninterrupted one."""
        assert self.start() == 0
        assert self.results() == self.work.results
        assert sorted(self.lines()) == self.work.lines
        # a kill costs at most the answer in flight
        assert len(self.judged()) <= 8 + self.kills

    def lines(self) -> list[bytes]:
        """Whole lines of the journal."""
        file = self.out / "verdicts.jsonl"
        data = file.read_bytes() if file.exists() else b""
        return data.split(b"\n")[:-1]

    def judged(self) -> list[str]:
        return self.log.read_text().split() if self.log.exists() else []

    def seconds(self) -> float:
        """What the last start that was not killed took."""
        return float(self.log.with_suffix(".seconds").read_text())

    def results(self) -> dict | None:
        return results_but_run(self.out) if (self.out / "results.json").exists() else None


@pytest.mark.parametrize("how", ["0", "1", "40", "-1", "end"])
def test_killed_at_every_write(work, how):
    """At each of the 12 lines: before a byte of it, after 1, after 40, all but its newline, all of it."""
    for number in range(ANSWERS):
        run = Run(work, f"write-{number}-{how}")
        assert run.start(cut=f"{number}:{how}") == -SIGKILL
        # whole lines: those before the cut, and the cut one where it was written to its end
        assert len(run.lines()) == number + (how == "end")
        assert run.results() is None, "results.json stands for a finished run"
        run.finish()


def test_killed_at_every_write_of_one_folder(work):
    """The k-th start dies at its first line: torn beginnings follow each other in the same file."""
    run = Run(work, "again")
    for how in ["1", "40", "-1", "0"] * 3:
        assert run.start(cut=f"0:{how}") == -SIGKILL
        # nobody can tell a whole line that lacks its newline from a finished one but the next start
        assert run.results() is None
    run.finish()


@pytest.mark.parametrize("how", ["before", "after"])
def test_killed_around_the_results(work, how):
    run = Run(work, f"results-{how}")
    assert run.start(cut=f"results:{how}") == -SIGKILL
    assert run.results() == (None if how == "before" else work.results)
    assert len(run.lines()) == ANSWERS
    run.finish()
    assert len(run.judged()) == 8  # all verdicts were there: nothing to judge


def test_killed_at_random(work):
    """Within the time that a whole run takes here, so that kills fall before, between, in and after the writes. The
    shortest run says how long that is: one that was held up says nothing about the next."""
    rng, delay = random.Random(0), 0.004
    whole = Run(work, "random-whole")
    assert whole.start(delay=delay) == 0
    span = whole.seconds()
    kills, folders = 0, 0
    while kills < KILLS:
        assert folders < KILLS, "hardly a run is killed"
        run = Run(work, f"random-{folders}")
        folders += 1
        for _ in range(KILLS_A_FOLDER):
            if run.start(delay=delay, kill_after=rng.uniform(0, span)) == 0:
                span = min(span, run.seconds())
                break
        kills += run.kills
        run.finish()
