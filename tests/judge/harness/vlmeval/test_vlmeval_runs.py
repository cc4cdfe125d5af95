"""Real runs through VLMEvalKit's run.py: the same number as elsewhere, resumed runs, exit codes."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import folders
import pytest
import tiny_llava
from PIL import Image
from surroundings import ABSENT
from vlmeval_scripted import FAILED_CALL, scripted_answer

from judge.cli import main
from mmvu_tasks import prompts, records

# not imported here: that takes ten seconds of every process that collects tests
pytestmark = pytest.mark.skipif("vlmeval" in ABSENT, reason="ms-vlmeval is not installed")

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent
PUBLISHED = folders.SHARED / "data" / "mmr-v1" / "MMR-benchmark.json"
SAVED_EVERY = 10
"""VLMEvalKit saves what was inferred every ten rows."""


@dataclasses.dataclass(frozen=True)
class Run:
    code: int
    output: str


def launch(work: Path, *arguments: str, **environment: str) -> Run:
    """`mmjudge-vlmeval ARGUMENTS --work-dir WORK` with the models of vlmeval_scripted.py."""
    return command(sys.executable, HERE / "vlmeval_scripted.py", *arguments, "--work-dir", work, **environment)


def command(*words: object, **environment: str) -> Run:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MMJUDGE", "MMVU", "MMIE"))}
    ours = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [str(word) for word in words], env={**kept, **ours, **environment}, capture_output=True, text=True
    )
    return Run(done.returncode, done.stdout + done.stderr)


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "results.json").read_text())
    return found


def verdicts(folder: Path) -> dict[tuple[str, int | None], dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / "verdicts.jsonl").read_text().splitlines()]
    return {(row["id"], row.get("index")): row for row in rows}


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 600 published questions with placeholder pictures, as a folder for MMVU_DATA."""
    if not PUBLISHED.is_file():
        pytest.skip("../shared is absent: the published questions are not part of this repository")
    folder = tmp_path_factory.mktemp("mmvu")
    (folder / PUBLISHED.name).symlink_to(PUBLISHED)
    for row in json.loads(PUBLISHED.read_text()):
        picture = folder / "MMR-benchmark-images" / row["image"]
        picture.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(picture)
    return folder


def hand_count(answers: list[str]) -> tuple[float, float]:
    """RA and MR in percent, by a loop that knows the scripted phrasings and nothing of our code.

    A blank is wrong; a pair with a failed call is left out.
    """
    right: dict[str, dict[str, list[bool]]] = {}
    rows = json.loads(PUBLISHED.read_text())
    failed = {row["id"] for row, answer in zip(rows, answers, strict=True) if answer == FAILED_CALL}
    for row, answer in zip(rows, answers, strict=True):
        if row["id"] in failed:
            continue
        letter = answer.removeprefix("The answer is ").strip("(). ")[:1]
        pair = right.setdefault(row["id"], {"POS": [], "NEG": []})
        pair[row["question_type"]].append(letter == row["ground_truth"])
    both = misled = 0
    for pair in right.values():
        if pair["NEG"]:
            both += pair["POS"][0] and pair["NEG"][0]
            misled += pair["POS"][0] and not pair["NEG"][0]
        else:  # the published POS/POS pair: the reference tally takes one right half of it as misled
            both += all(pair["POS"])
            misled += sum(pair["POS"]) == 1
    return 100 * both / len(right), 100 * misled / (both + misled)


def test_harnesses_and_score_agree_and_a_killed_inference_goes_on(published: Path, tmp_path: Path) -> None:
    work, calls = tmp_path / "work", tmp_path / "calls"
    ask = ("--data", "MMVU", "--model", "scripted")
    killed = launch(work, *ask, MMVU_DATA=str(published), CALLS=str(calls), DIE_AFTER_ANSWERS="37")
    assert killed.code == 137
    whole = launch(work, *ask, MMVU_DATA=str(published), CALLS=str(calls))
    assert whole.code == 0, whole.output
    # 38 calls before the kill, 30 of them saved, the other 570 after it
    assert len(calls.read_text().splitlines()) == 38 + 600 - 3 * SAVED_EVERY

    rows = records.read_records(PUBLISHED)
    answers = [scripted_answer(prompts.text(row)) for row in rows]
    ours = work / "scripted" / "scripted_MMVU_mmjudge"
    metrics = results(ours)["metrics"]
    ra, mr = hand_count(answers)
    assert (metrics["RA"]["value"], metrics["MR"]["value"]) == (pytest.approx(ra), pytest.approx(mr))
    summary = json.loads((work / "scripted" / "status.json").read_text())["datasets"]["MMVU"]
    assert summary["primary_metric"] == ["RA", "MR"]
    assert summary["metrics"]["RA"] == metrics["RA"]["value"]

    responses = tmp_path / "responses.jsonl"
    with responses.open("w") as file:
        for row, answer in zip(rows, answers, strict=True):
            file.write(json.dumps({"id": row.id, "index": row.index, "response": answer}) + "\n")
    scored = tmp_path / "scored"
    score = ["score", str(responses), "--benchmark", "mmvu", "--data", str(published), "--out", str(scored)]
    assert main([*score, "--max-unscored", "20%"]) == 0
    replayed = command(
        BIN / "lmms-eval", "--model", "mmjudge_replay", "--model_args", f"predictions={responses}",
        "--tasks", "mmvu", "--output_path", tmp_path / "lmms", MMVU_DATA=str(published),
    )  # fmt: skip
    assert replayed.code == 0, replayed.output
    for other in (scored, tmp_path / "lmms" / "mmjudge" / "mmjudge_replay" / "mmvu"):
        assert results(other)["metrics"] == metrics
        assert (results(ours)["run"]["interleaving"], results(other)["run"]["interleaving"]) == ("kept", "unknown")
        # VLMEvalKit asked with our words; a file of answers does not say how they were asked for
        assert "|asked:direct@9bd1bef7|" in results(ours)["signature"]
        unknown = results(ours)["signature"].replace("|asked:direct@9bd1bef7|", "|asked:unknown|")
        assert results(other)["signature"] == unknown
        assert verdicts(other) == verdicts(ours)
    failures = results(ours)["failures"]
    assert failures["model"]["reasons"] == {"empty_answer": answers.count("")}
    assert failures["call"]["reasons"] == {"call_failed": answers.count(FAILED_CALL)}
    assert min(failures["model"]["n"], failures["call"]["n"]) > 20


def test_a_real_model_answers_both_demos_and_a_killed_judging_goes_on(tmp_path: Path) -> None:
    model, work, judged = tiny_llava.build(tmp_path / "llava"), tmp_path / "work", tmp_path / "judged"
    config = tmp_path / "config.json"
    config.write_text(
        json.dumps(
            {
                "model": {"llava": {"class": "MMJudgeHF", "model_path": str(model), "max_new_tokens": 8}},
                "data": {
                    "MMVU_demo": {"class": "MMVU", "dataset": "MMVU_demo"},
                    "MMIE_demo": {"class": "MMIE", "dataset": "MMIE_demo"},
                },
            }
        )
    )
    ask = ("--config", str(config))
    watched = {"JUDGED": str(judged), "MMJUDGE_JOURNAL": str(tmp_path / "journal")}
    killed = launch(work, *ask, DIE_AFTER_JUDGED="4", **watched)
    assert killed.code == 137
    whole = launch(work, *ask, "--mode", "eval", **watched)
    assert whole.code == 0, whole.output
    mmvu, mmie = (results(work / "llava" / f"llava_{name}_mmjudge") for name in ("MMVU_demo", "MMIE_demo"))
    assert mmvu["n"] == 48  # two pairs in each of twelve categories
    by_judge = mmie["n"] - mmie["failures"]["model"]["n"]
    assert by_judge > 4
    assert len(judged.read_text().splitlines()) == by_judge  # 4 before the kill, the others after it


def test_api_mode_asks_with_the_protocols_prompt_and_says_what_it_left_out(tmp_path: Path) -> None:
    """Three datasets, one without its data and one that does not exist: both leave no row in VLMEvalKit's status."""
    (tmp_path / "empty").mkdir()
    datasets = ("MMVU_demo", "MMVU", "MMVU_typo")
    ask = ("--data", *datasets, "--model", "api", "--api-mode")
    done = launch(tmp_path / "out", *ask, MMVU_DATA=str(tmp_path / "empty"))
    assert done.code == 1
    assert "no MMR-benchmark.json here" in done.output
    assert re.findall(r"^mmjudge-vlmeval: api on (.*):", done.output, re.M) == ["MMVU", "MMVU_typo"]

    (found,) = (tmp_path / "out").rglob("results.json")
    from mmvu_tasks.benchmark import BENCHMARK
    from mmvu_tasks.demo import demo_dir

    # the model has a prompt of its own for multiple choice; asked with ours, it says what its script says to ours
    rows = BENCHMARK.load(demo_dir()).records
    expected: dict[tuple[str, int | None], tuple[int | None, str | None]] = {}
    for row in rows:
        said = scripted_answer(prompts.text(row))
        right = said.removeprefix("The answer is ").strip("(). ")[:1] == row.ground_truth
        expected[row.id, row.index] = (None, "call_failed") if said == FAILED_CALL else (int(right), None)
    got = verdicts(found.parent)
    assert {key: (row["score"], row["unscored"]) for key, row in got.items()} == expected


def test_two_ranks_share_the_questions_and_one_scores_them(tmp_path: Path) -> None:
    done = command(
        BIN / "torchrun", "--nproc_per_node", "2", HERE / "vlmeval_scripted.py",
        "--data", "MMVU_demo", "MMVU_typo", "--model", "scripted", "--work-dir", tmp_path / "out",
        CALLS=str(tmp_path / "calls"),
    )  # fmt: skip
    assert done.code == 1
    assert re.findall(r"^mmjudge-vlmeval: (.*)", done.output, re.M) == ["scripted on MMVU_typo: invalid_dataset"]
    assert len((tmp_path / "calls").read_text().splitlines()) == 48
    (file,) = tmp_path.rglob("results.json")
    assert results(file.parent)["n"] == 48
    # VLMEvalKit's own file has every answer, as it was given
    import pandas

    from mmvu_tasks.benchmark import BENCHMARK
    from mmvu_tasks.demo import demo_dir

    own = pandas.read_excel(tmp_path / "out" / "scripted" / "scripted_MMVU_demo.xlsx", keep_default_na=False)
    asked = BENCHMARK.load(demo_dir()).records
    assert own["id"].tolist() == [record.id for record in asked]
    assert own["prediction"].tolist() == [scripted_answer(prompts.text(record)) for record in asked]
