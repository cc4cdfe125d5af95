"""Real runs through VLMEvalKit's run.py: the same number as `mmjudge score`, resumed runs, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import PUBLISHED, launch, scripted_answer

pytest.importorskip("vlmeval", reason="ms-vlmeval is not installed")

from judge.cli import main
from mmvu_tasks import prompts, records

BATCH = 10
"""VLMEvalKit saves what was inferred every ten rows."""


def hand_count(answers: list[str]) -> tuple[float, float]:
    """RA and MR in percent by a loop of its own: first letter of A-D that stands alone in the scripted phrasings."""
    rows = json.loads(PUBLISHED.read_text())
    right: dict[str, dict[str, list[bool]]] = {}
    for row, answer in zip(rows, answers, strict=True):
        letter = answer.removeprefix("The answer is ").strip("(). ")[0]
        pair = right.setdefault(row["id"], {"POS": [], "NEG": []})
        pair[row["question_type"]].append(letter == row["ground_truth"])
    both = misled = positive = 0
    for pair in right.values():
        # the published POS/POS pair has no NEG: the reference tally takes one right half of it as misled
        first, second = (*pair["POS"], *pair["NEG"])
        if pair["NEG"]:
            positive += first
            both += first and second
            misled += first and not second
        else:
            positive += first or second
            both += first and second
            misled += first != second
    return 100 * both / len(right), 100 * misled / positive


def test_published_questions_survive_a_kill_and_equal_mmjudge_score(published_mmvu: Path, tmp_path: Path) -> None:
    work, calls = tmp_path / "work", tmp_path / "calls"
    ask = ("--data", "MMVU", "--model", "scripted")
    data = {"MMVU_DATA": str(published_mmvu), "CALLS": str(calls)}

    killed = launch(work, *ask, DIE_AFTER_ANSWERS="37", **data)
    assert killed.code == 137
    whole = launch(work, *ask, **data)
    assert whole.code == 0, whole.output
    # 38 calls before the kill, 30 of them saved; 570 after it
    assert len(calls.read_text().splitlines()) == 38 + (600 - 3 * BATCH)

    rows = records.read(PUBLISHED)
    answers = [scripted_answer(prompts.text(row)) for row in rows]
    found = json.loads((work / "scripted" / "scripted_MMVU_mmjudge" / "results.json").read_text())
    ra, mr = hand_count(answers)
    assert found["metrics"]["RA"]["value"] == pytest.approx(ra, abs=1e-12)
    assert found["metrics"]["MR"]["value"] == pytest.approx(mr, abs=1e-12)
    assert found["dataset"]["edition"] == "v1"
    summary = json.loads((work / "scripted" / "status.json").read_text())["datasets"]["MMVU"]
    assert summary["primary_metric"] == ["RA", "MR"]
    assert summary["metrics"]["RA"] == found["metrics"]["RA"]["value"]

    responses = tmp_path / "responses.jsonl"
    lines = [
        json.dumps({"id": row.id, "index": row.index, "response": answer})
        for row, answer in zip(rows, answers, strict=True)
    ]
    responses.write_text("\n".join(lines))
    scored = tmp_path / "scored"
    assert (
        main(["score", str(responses), "--benchmark", "mmvu", "--data", str(published_mmvu), "--out", str(scored)]) == 0
    )
    again = json.loads((scored / "results.json").read_text())
    assert again["metrics"] == found["metrics"]
    assert again["signature"] == found["signature"]


def test_demo_answers_keep_their_verdicts_in_api_mode(tmp_path: Path) -> None:
    local = launch(tmp_path / "local", "--data", "MMVU_demo", "--model", "scripted")
    assert local.code == 0, local.output
    api = launch(tmp_path / "api", "--data", "MMVU_demo", "--model", "api", "--api-mode")
    assert api.code == 0, api.output
    (one,) = (tmp_path / "local").rglob("verdicts.jsonl")
    (other,) = (tmp_path / "api").rglob("verdicts.jsonl")
    # the model has a prompt of its own for multiple choice; asked with ours, it says the same
    assert one.read_text() == other.read_text()


def test_what_failed_ends_in_a_nonzero_exit(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    missing = launch(tmp_path / "a", "--data", "MMVU", "--model", "scripted", MMVU_DATA=str(empty))
    assert missing.code == 1
    assert "scripted on MMVU" in missing.output
    assert "no MMR-benchmark.json here" in missing.output
    unknown = launch(tmp_path / "b", "--data", "MMVU_typo", "--model", "scripted")
    assert unknown.code == 1
    assert "invalid_dataset" in unknown.output
