"""Whole runs of lmms-eval, each in processes of its own: what a user types, and what lies in the folder after it."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import folders
import pytest
from PIL import Image
from surroundings import ABSENT

from judge import cli
from judge.harness.lmms_eval.run import Refusal
from mmie_tasks.demo import demo_dir as mmie_demo
from mmvu_tasks.demo import demo_dir as mmvu_demo

BIN = Path(sys.executable).parent
HERE = Path(__file__).parent
PUBLISHED = folders.SHARED / "data" / "mmr-v1" / "MMR-benchmark.json"

# not imported here: that takes seconds of every process that collects tests
pytestmark = pytest.mark.skipif("lmms_eval" in ABSENT, reason="lmms-eval is not installed")

Run = Callable[..., subprocess.CompletedProcess[str]]


def start(folder: Path, *command: str | Path, **environment: str) -> subprocess.Popen[str]:
    """Start a command in `folder`, with a journal of its own there."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MMJUDGE", "MMVU", "MMIE"))}
    ours = {"MMJUDGE_JOURNAL": str(folder / "journal"), "HF_HUB_OFFLINE": "1", "ACCELERATE_USE_CPU": "1"}
    return subprocess.Popen(
        [str(word) for word in command],
        env={**kept, **ours, "CUDA_VISIBLE_DEVICES": "", **environment},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        process = start(tmp_path, *command, **environment)
        out, err = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, out, err)

    return run


def rows(out: Path, task: str) -> list[dict[str, Any]]:
    """The samples file of a task."""
    (file,) = out.glob(f"**/*_samples_{task}.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()]


def results(out: Path, task: str) -> dict[str, Any]:
    (file,) = (out / "mmjudge").glob(f"*/{task}/results.json")
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def table(out: Path, task: str) -> dict[str, Any]:
    """The numbers in lmms-eval's own results file."""
    (file,) = out.glob("**/*_results.json")
    return {name.partition(",")[0]: value for name, value in json.loads(file.read_text())["results"][task].items()}


# A run that is killed, and finished by two ranks


@dataclasses.dataclass(frozen=True)
class Finished:
    """folder: where both ran. killed: ids judged before the kill. stderr: of the run that finished."""

    folder: Path
    killed: list[str]
    stderr: str

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def judged(self) -> list[str]:
        return (self.folder / "judged").read_text().splitlines()


@pytest.fixture(scope="module")
def names() -> list[str]:
    return sorted(record["id"] for record in json.loads((mmie_demo() / "data.json").read_text()))


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]] | None:
    """(folder with questions, placeholder pictures and answers; a count of outcomes made by hand)."""
    if not PUBLISHED.is_file():
        return None
    folder = tmp_path_factory.mktemp("mmvu")
    questions = json.loads(PUBLISHED.read_text())
    (folder / PUBLISHED.name).symlink_to(PUBLISHED)
    for question in questions:
        picture = folder / "MMR-benchmark-images" / question["image"]
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(picture, "JPEG")
    chance = random.Random(0)
    right: dict[str, list[str]] = {question["id"]: [] for question in questions}
    with (folder / "responses.jsonl").open("w") as file:
        for index, question in enumerate(questions):
            letter = chance.choice([question["ground_truth"]] * 3 + ["A", "B", "C", "D"])
            file.write(json.dumps({"id": question["id"], "index": index, "response": letter}) + "\n")
            if letter == question["ground_truth"]:
                right[question["id"]].append(question["question_type"])
    both = sum(len(types) == 2 for types in right.values())
    misled = sum(types == ["POS"] for types in right.values())
    return folder, {"pairs": len(right), "both": both, "misled": misled}


@pytest.fixture(scope="module")
def finished(
    published: tuple[Path, dict[str, int]] | None, names: list[str], tmp_path_factory: pytest.TempPathFactory
) -> Finished:
    """Killed while it judges the demo's answers; two ranks go on, with the published questions beside them."""
    folder = tmp_path_factory.mktemp("ranks")
    log, answers = folder / "judged", folder / "responses.jsonl"
    log.touch()
    answers.write_text("".join(json.dumps({"id": name, "response": f"about {name}"}) + "\n" for name in names))
    tasks, data = "mmie_demo", {}
    if published is not None:
        tasks, data = "mmie_demo,mmvu", {"MMVU_DATA": str(published[0])}
        with answers.open("a") as file:
            file.write((published[0] / "responses.jsonl").read_text())
    judge = {"MMJUDGE_JUDGE": "hash", "MMJUDGE_RUBRIC": "mmjudge", "OMP_NUM_THREADS": "1"}
    replay = ["--model", "mmjudge_replay", "--model_args", f"predictions={answers}"]
    kept = ["--output_path", folder / "out", "--log_samples"]

    stops = [HERE / "watched_run.py", log, "stops", *replay, "--tasks", "mmie_demo", *kept]
    first = start(folder, sys.executable, *stops, **judge)
    while len(log.read_text().splitlines()) < 3 and first.poll() is None:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    _, said = first.communicate()
    assert first.returncode == -signal.SIGKILL, said[-2000:]
    assert not (folder / "out" / "mmjudge").exists()
    killed = log.read_text().splitlines()

    ranks = [BIN / "torchrun", "--nproc_per_node", "2"]
    complete = [HERE / "watched_run.py", log, "all", *replay, "--tasks", tasks, *kept]
    second = start(folder, *ranks, *complete, **judge, **data)
    _, said = second.communicate()
    assert second.returncode == 0, said[-2000:]
    return Finished(folder, killed, said)


def test_each_answer_is_judged_once(finished: Finished, names: list[str]) -> None:
    assert len(finished.killed) == 3
    assert sorted(finished.judged) == names
    journals = sorted((finished.folder / "journal").glob("*.jsonl"))
    lines = [json.loads(line) for journal in journals for line in journal.read_text().splitlines()]
    assert sorted({line["id"] for line in lines if line["id"] in names}) == names
    scores = {name: int(name[-1]) % 7 for name in names}
    mean = results(finished.out, "mmie_demo")["metrics"]["mean"]
    assert (mean["n"], mean["value"]) == (15, pytest.approx(sum(scores.values()) / 15))
    # the samples of both ranks carry their verdicts, in every row
    verdicts = [sample["mean"]["verdict"] for sample in rows(finished.out, "mmie_demo")]
    assert {verdict["id"]: verdict["score"] for verdict in verdicts} == scores


def test_a_rank_judges_its_own_shard_and_keeps_its_own_journal(finished: Finished, names: list[str]) -> None:
    journals = [
        {json.loads(line)["id"] for line in journal.read_text().splitlines()}
        for journal in (finished.folder / "journal").glob("*.jsonl")
    ]
    ranks = [ids for ids in journals if ids & set(names)]
    assert len(ranks) == 2
    assert set().union(*ranks) >= set(names)
    # one goes on with the journal of the killed run; even so neither has them all
    assert not any(ids >= set(names) for ids in ranks)


def test_the_published_questions_replayed_on_two_ranks(
    finished: Finished, published: tuple[Path, dict[str, int]] | None
) -> None:
    """In one process they are replayed in test_vlmeval_runs, beside the other ways to the same number."""
    if published is None:
        pytest.skip("../shared is absent: the published questions are not part of this repository")
    _, count = published
    found = results(finished.out, "mmvu")
    # RA = PP / pairs, MR = PN / (PP + PN), from the integers counted above
    ra = 100 * count["both"] / count["pairs"]
    mr = 100 * count["misled"] / (count["both"] + count["misled"])
    assert (found["n"], count["pairs"], found["dataset"]["edition"]) == (600, 300, "v1")
    assert found["metrics"]["RA"]["value"] == pytest.approx(ra)
    assert found["metrics"]["MR"]["value"] == pytest.approx(mr)
    printed = table(finished.out, "mmvu")
    assert (printed["RA"], printed["MR"]) == (pytest.approx(ra), pytest.approx(mr))
    # over 300 pairs: sqrt(p (1 - p) / 299), in percent
    assert printed["RA_stderr_clt"] == pytest.approx((ra * (100 - ra) / 299) ** 0.5)
    samples = rows(finished.out, "mmvu")
    assert sorted(sample["doc_id"] for sample in samples) == list(range(600))
    assert all(sample["RA"]["verdict"]["index"] == sample["doc_id"] for sample in samples)
    assert "0.0% unscored" in finished.stderr
    assert "signature: benchmark:mmvu|edition:v1|" in finished.stderr


# Models under test


def test_a_transformers_model_runs_both_demos_and_is_gone_when_the_judge_is_loaded(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("decord", reason="lmms-eval's llava_hf imports decord, which comes with ms-vlmeval")
    sys.path.insert(0, str(HERE))
    try:
        import tiny_llava
    finally:
        sys.path.remove(str(HERE))
    model = tiny_llava.build(tmp_path / "tiny")
    done = run(
        sys.executable, HERE / "watched_run.py", tmp_path / "alive", "load",
        "--model", "llava_hf", "--model_args", f"pretrained={model},device_map=cpu,dtype=float32",
        "--device", "cpu", "--batch_size", "1", "--gen_kwargs", "max_new_tokens=8",
        "--tasks", "mmie_demo,mmvu_demo", "--output_path", tmp_path / "out", "--log_samples",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "alive").read_text() == "0\n", done.stderr[-2000:]
    judged, ruled = results(tmp_path / "out", "mmie_demo"), results(tmp_path / "out", "mmvu_demo")
    assert (judged["n"], ruled["n"]) == (15, 48)
    assert "engine:transformers" in judged["signature"]
    assert "engine_error" not in judged["unscored"]["reasons"]
    for sample in rows(tmp_path / "out", "mmie_demo"):
        assert sample["filtered_resps"]  # lmms-eval's models swallow errors and answer ""
        assert sample["score"]["verdict"]["by"] == "judge"
    # lmms-eval's own files are whole, for whoever reads those
    (summary,) = (tmp_path / "out").glob("**/*_results.json")
    own = json.loads(summary.read_text())
    for task, n in (("mmie_demo", 15), ("mmvu_demo", 48)):
        samples = rows(tmp_path / "out", task)
        assert sorted(sample["doc_id"] for sample in samples) == list(range(n))
        assert all(sample["input"] and sample["target"] and sample["doc_hash"] for sample in samples)
        assert own["n-samples"][task] == {"original": n, "effective": n}
        assert own["configs"][task]["task"] == task


# Generate here, judge there


def test_generation_alone_needs_no_judge_and_its_samples_are_scored_elsewhere(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = run(
        BIN / "lmms-eval", "eval", "--model", "mmjudge_demo", "--tasks", "mmie_demo",
        "--predict_only", "--output_path", tmp_path / "out",
        MMJUDGE_JUDGE="/nowhere",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    (samples,) = (tmp_path / "out").glob("**/*_samples_mmie_demo.jsonl")
    records = json.loads((mmie_demo() / "data.json").read_text())
    feedback = tmp_path / "feedback.jsonl"
    feedback.write_text(
        "".join(json.dumps({"id": r["id"], "feedback": "### Feedback\nx\n### Score\n3"}) + "\n" for r in records)
    )
    code = cli.main(
        ["score", str(samples), "--benchmark", "mmie", "--data", str(mmie_demo()), "--judge", f"replay:{feedback}",
         "--image-root", str(tmp_path), "--out", str(tmp_path / "scored")]
    )  # fmt: skip
    assert code == 0, capsys.readouterr()
    found = json.loads((tmp_path / "scored" / "results.json").read_text())
    assert (found["n"], found["metrics"]["mean"]["value"]) == (15, 3.0)


# Refusals, before anything is generated


@pytest.mark.parametrize(
    ("command", "task", "file"),
    [
        (["lmms-eval"], "mmie", "data.json"),
        (["accelerate", "launch", "--cpu", "--num_processes", "1", "-m", "lmms_eval"], "mmvu", "MMR-benchmark.json"),
    ],
    ids=["lmms-eval", "accelerate launch"],
)
def test_missing_data_ends_the_run_with_one_message_and_one(
    command: list[str], task: str, file: str, run: Run, tmp_path: Path
) -> None:
    """lmms-eval itself would retry five times, print a trace and exit with 0. The message is ours, so the name is."""
    (tmp_path / "responses.jsonl").write_text('{"id": "a", "index": 0, "response": "A"}\n')
    variable = f"{task.upper()}_DATA"
    done = run(
        BIN / command[0], *command[1:], "--model", "mmjudge_replay", "--model_args", "predictions=responses.jsonl",
        "--tasks", task, "--output_path", tmp_path / "out",
        **{variable: "/nowhere"},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.count("mmjudge: ") == 1
    said, _, launcher = done.stderr.partition(f"mmjudge: /nowhere: no {file} here\n→ point {variable}")
    assert launcher, done.stderr[-2000:]
    # accelerate's launcher puts a trace of its own behind the message
    assert "Traceback" not in (said if command[0] == "accelerate" else done.stderr)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("task", "variable", "value", "message"),
    [
        ("mmie", "MMIE_DATA", "/nowhere", "/nowhere: no data.json here"),
        ("mmie_score", "MMIE_DATA", "/nowhere", "/nowhere: no data.json here"),
        ("mmie_demo", "MMJUDGE_JUDGE", "/nowhere", "/nowhere"),
        ("mmie_demo", "MMJUDGE_PROFILE", "lenient", "MMJUDGE_PROFILE is 'lenient'"),
        ("mmvu_robust", "MMVU_DATA", "/nowhere", "/nowhere: no MMR-benchmark.json here"),
    ],
)
def test_what_is_missing_is_said_when_the_documents_are_loaded(
    task: str, variable: str, value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib

    monkeypatch.setenv(variable, value)
    process_docs = getattr(importlib.import_module(f"{task[:4]}_tasks.lmms_eval.task"), task)
    with pytest.raises(Refusal, match=message):
        process_docs(None)


def test_documents_point_at_records_and_their_pictures_are_opened_when_asked() -> None:
    from mmvu_tasks.lmms_eval import task

    documents = task.mmvu_demo(None)
    published = json.loads((mmvu_demo() / "MMR-benchmark.json").read_text())
    assert documents[5] == {"mmjudge_task": "mmvu_demo", "index": 5, "id": published[5]["id"]}
    assert published[5]["question"] in task.doc_to_text(documents[5])
    (picture,) = task.doc_to_visual(documents[5])
    message = task.doc_to_messages(documents[5])[0]["content"]
    assert [part["type"] for part in message] == ["image", "text"]
    assert message[0]["url"].tobytes() == picture.tobytes()
    assert task.doc_to_target(documents[5]) == published[5]["ground_truth"]
