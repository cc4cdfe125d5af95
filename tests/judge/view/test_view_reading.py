"""What of a run's files stays in memory: by parts, by several processes, and from files that are damaged."""

import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="the view extra is not installed")

from viewing import judged, write_run

from judge import cli
from judge.errors import UserError
from judge.view import runs as view_runs
from judge.view.reading import cut_lines, fold_all, join_decided, read_decided, read_offsets, read_said
from judge.view.runs import open_runs
from judge.web.server import Server


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("red", [0, 2]),
        ("RED", [0, 2]),
        ("ed", [0, 2]),
        ("r", [0, 2, 3, 4]),
        ("ß", [4]),  # casefold: "ss"
        ("STRASSE", [4]),
        ("red red", [2]),
        ("redblue", []),  # not across two texts
        ("", [0, 1, 2, 3, 4, 5]),
        ("é", [3]),
        ("nul", [5]),
    ],
)
def test_folded_texts(wanted, found):
    texts = ["A Red kite", "blue", "red\nred red", "café br\ud83d", "Straße", "nul\0"]
    assert list(fold_all(texts).find(wanted)) == found


def test_a_file_in_parts_is_the_file(tmp_path):
    rows = [judged(f"SA-{k:02}", k % 7, feedback="x" * k, field=f"F{k % 3}") for k in range(40)]
    rows.append(judged("MSR-9", None))
    folder = write_run(tmp_path / "run", rows)
    whole = read_decided(folder, "mmie")
    with (folder / "verdicts.jsonl").open("rb") as file:
        for most in (1, 100, 1000, 2000, 10**9):
            parts = cut_lines(file, most)
            assert sum(length for _, length in parts) == (folder / "verdicts.jsonl").stat().st_size
            assert (len(parts) > 1) == (most < 10**4)
            joined = join_decided([read_decided(folder, "mmie", part) for part in parts])
            assert joined == whole
    data = (folder / "verdicts.jsonl").read_bytes()
    for key, (start, length) in zip(whole.keys, whole.spans, strict=True):
        row = json.loads(data[start : start + length])
        assert (row["id"], row.get("index")) == key
    for key, (start, length) in read_offsets(folder).items():
        row = json.loads((folder / "samples.jsonl").read_bytes()[start : start + length])
        assert (row["id"], row["index"]) == key


def test_a_question_that_is_decided_twice_is_not_joined(tmp_path):
    folder = write_run(tmp_path / "run", [judged("SA-1", 3), judged("SA-2", 4)])
    data = (folder / "verdicts.jsonl").read_bytes()
    first, _ = data.splitlines(keepends=True)
    (folder / "verdicts.jsonl").write_bytes(data + first.replace(b'"score": 3', b'"score": 5'))
    with (folder / "verdicts.jsonl").open("rb") as file:
        parts = [read_decided(folder, "mmie", part) for part in cut_lines(file, len(data) // 2)]
    assert len(parts) > 1
    assert join_decided(parts) is None
    assert read_decided(folder, "mmie").scores == [5, 4]


def test_several_processes_read_what_one_does(tmp_path, monkeypatch):
    folders = []
    for name in ("one", "other"):
        rows = [judged(f"SA-{k:03}", k % 7, answer=f"{name} {k}", feedback="y" * k) for k in range(300)]
        folders.append(write_run(tmp_path / name, rows))
    monkeypatch.setattr(view_runs, "LARGE", 0)
    monkeypatch.setattr(view_runs, "PART", 20_000)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with open_runs(folders) as runs:
        assert len(runs[0].parts()) > 1
        for run, folder in zip(runs, folders, strict=True):
            assert run.decided == read_decided(folder, "mmie")
            assert run.samples == read_offsets(folder)
            assert run.said() == read_said(folder)
            assert run.verdict(7).score == 0
            assert run.known_problem() is None


def test_a_broken_line_is_named_by_its_number_in_the_file(tmp_path, monkeypatch):
    folders = [write_run(tmp_path / name, [judged(f"SA-{k:03}", 3) for k in range(100)]) for name in ("one", "other")]
    lines = (folders[1] / "verdicts.jsonl").read_bytes().splitlines(keepends=True)
    lines[80] = b'{"id": "SA-080", "by": "judge", "score": 99}\n'
    (folders[1] / "verdicts.jsonl").write_bytes(b"".join(lines))
    monkeypatch.setattr(view_runs, "LARGE", 0)
    monkeypatch.setattr(view_runs, "PART", 1000)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with pytest.raises(UserError, match="line 81 is not a verdict"), open_runs(folders) as runs:
        _ = [run.decided for run in runs]


def test_what_processes_that_were_ended_had_to_read_is_read_here(tmp_path, monkeypatch):
    folders = [write_run(tmp_path / name, [judged(f"SA-{k:03}", 3) for k in range(50)]) for name in ("one", "other")]
    monkeypatch.setattr(view_runs, "LARGE", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(view_runs, "_begin", _end)
    with open_runs(folders) as runs:
        for run, folder in zip(runs, folders, strict=True):
            assert run.decided == read_decided(folder, "mmie")
            assert run.samples == read_offsets(folder)
            assert run.said() == read_said(folder)


def _end():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("number", [1, 3])
def test_where_a_process_was_ended_before_all_is_handed_out_all_is_read_here(tmp_path, monkeypatch, number):
    folders = [write_run(tmp_path / name, [judged(f"SA-{k:03}", 3) for k in range(50)]) for name in ("one", "other")]
    numbers, submit = itertools.count(), ProcessPoolExecutor.submit

    def refuse(pool, *work):
        if next(numbers) == number:
            raise BrokenProcessPool
        return submit(pool, *work)

    monkeypatch.setattr(view_runs, "LARGE", 0)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(ProcessPoolExecutor, "submit", refuse)
    with open_runs(folders) as runs:
        assert next(numbers) == number + 1
        for run, folder in zip(runs, folders, strict=True):
            assert run.decided == read_decided(folder, "mmie")
            assert run.samples == read_offsets(folder)
            assert run.said() == read_said(folder)


def test_what_is_found_wrong_while_the_page_is_served_ends_it(tmp_path, monkeypatch, capsys):
    served = threading.Event()

    def read(runs):
        assert served.wait(60)
        raise UserError("line 7 is not a verdict")

    class Watched(Server):
        def serve_until_ended(self):
            served.set()
            super().serve_until_ended()

    monkeypatch.setattr("judge.commands.view.SOON", 0)
    monkeypatch.setattr("judge.commands.view.make_tables", read)
    monkeypatch.setattr("judge.commands.view.Server", Watched)
    folder = write_run(tmp_path / "run", [judged("SA-1", 3)])
    assert cli.main(["view", str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out.startswith("reading 1 run; the page waits for it\nCtrl-C ends\nhttp://127.0.0.1:")
    assert said.err == "mmjudge view: line 7 is not a verdict\n"


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda folder: (folder / "verdicts.jsonl").unlink(), "cannot be read"),
        (lambda folder: (folder / "verdicts.jsonl").write_bytes(b""), "0 questions, but 2 in results.json"),
        (lambda folder: (folder / "verdicts.jsonl").write_bytes(b"{}\n" * 2), "is not a verdict"),
        (lambda folder: (folder / "results.json").write_bytes(b"[]"), "is not a results file"),
        (lambda folder: (folder / "results.json").unlink(), "the run has not ended"),
    ],
)
def test_what_is_no_finished_run(tmp_path, capsys, spoil, problem):
    folder = write_run(tmp_path / "run", [judged("SA-1", 3), judged("SA-2", 4)])
    spoil(folder)
    assert cli.main(["view", str(folder)]) == 2
    assert problem in capsys.readouterr().err


def test_folders_that_hold_no_results(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert cli.main(["view", str(tmp_path / "empty")]) == 2
    assert "no results here, nor in folders below" in capsys.readouterr().err
    assert cli.main(["view", str(tmp_path / "none")]) == 2
    assert "no such results folder" in capsys.readouterr().err


def test_without_starlette_the_extra_is_named(tmp_path, monkeypatch, capsys):
    folder = write_run(tmp_path / "run", [judged("SA-1", 3)])
    monkeypatch.setitem(sys.modules, "starlette", None)
    assert cli.main(["view", str(folder)]) == 2
    assert "mmjudge view needs starlette\n→ pip install 'mmjudge[view]'" in capsys.readouterr().err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_ended(tmp_path, how):
    for name in ("a", "b"):
        write_run(tmp_path / "runs" / name, [judged("SA-1", 3)], model="m")
    (tmp_path / "notes").mkdir()
    words = ["view", "runs", "notes"]  # a glob names what is no results folder, too
    process = subprocess.Popen(
        [sys.executable, "-m", "judge.cli", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # tests in the background inherit none
    )  # fmt: skip
    assert process.stdout.readline() == "MMIE: 1 question, m (runs/a), m (runs/b)\n"
    assert process.stdout.readline() == "Ctrl-C ends\n"
    address = process.stdout.readline().strip()
    with urllib.request.urlopen(f"{address}about") as answer:
        assert [run["name"] for run in json.load(answer)["benchmarks"][0]["runs"]] == ["m (runs/a)", "m (runs/b)"]
    process.send_signal(how)
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, rest, errors) == (0, "", "left out, no results in: notes\n")
