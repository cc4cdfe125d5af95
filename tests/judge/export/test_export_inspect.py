"""Exported logs, read by Inspect."""

from __future__ import annotations

import base64
import io
import json
import math

import pytest
from exported import WRITTEN
from PIL import Image

from judge import cli
from judge.core.benchmark import Source, find
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.results.result import build_result
from judge.results.run_folder import RunFolder

log = pytest.importorskip("inspect_ai.log", reason="the dev extra is not installed, or Python is older than 3.11")


@pytest.fixture(scope="module")
def logs(runs, tmp_path_factory):
    """Name of the run → its log, attachments in their places."""
    out = tmp_path_factory.mktemp("logs") / "out"
    assert cli.main(["export", *map(str, runs.values()), "--to", "inspect", "--out", str(out)]) == 0
    listed = log.list_eval_logs(str(out))
    assert {info.task for info in listed} == {"mmie", "mmvu"}
    found = [log.read_eval_log(info, resolve_attachments=True) for info in listed]
    assert len(found) == len(runs)
    return {one.eval.model: one for one in found}


def test_metrics_stand_with_their_intervals(logs, runs):
    results = json.loads((runs["hasty"] / "results.json").read_text())
    (score,) = logs["hasty"].results.scores
    for name in ("RA", "MR", "POS", "NEG"):
        estimate = results["metrics"][name]
        shown = [
            score.metrics[name].value,
            score.metrics[f"{name} ci_low"].value,
            score.metrics[f"{name} ci_high"].value,
        ]
        assert shown == [estimate["value"], estimate["ci_low"], estimate["ci_high"]]
        assert score.metrics[name].metadata["n"] == estimate["n"]
    assert logs["hasty"].status == "success"
    assert logs["hasty"].eval.metadata["signature"] == results["signature"]
    assert logs["hasty"].eval.metadata["results"] == results
    assert logs["hasty"].eval.packages["mmjudge"] == results["run"]["versions"]["mmjudge"]


def test_samples_have_question_answer_and_score(logs, runs):
    verdicts = {}
    for line in (runs["hasty"] / "verdicts.jsonl").read_text().splitlines():
        verdict = json.loads(line)
        verdicts[verdict["id"], verdict["index"]] = verdict
    assert len(logs["hasty"].samples) == len(verdicts) == 48
    for sample in logs["hasty"].samples:
        verdict = verdicts[sample.metadata["id"], sample.metadata["index"]]
        # the two questions of a pair share their id
        assert sample.id == f"{verdict['id']}#{verdict['index']}"
        assert sample.metadata["pair"] == verdict["id"]
        assert sample.metadata["category"] == verdict["category"]
        score = sample.scores["mmvu"]
        assert score.value == ("C" if verdict["score"] else "I")
        assert score.answer == verdict["details"]["letter"]
        assert (score.value == "C") == (sample.target == score.answer)
        question, answer = sample.messages
        assert (question.role, answer.role) == ("user", "assistant")
        assert sample.output.completion == answer.text


def test_pictures_are_in_the_messages(logs, runs):
    sample = next(one for one in logs["odd"].samples if one.id == "PBL-9001")
    question, answer = sample.messages
    kinds = [part.type for part in (*question.content, *answer.content)]
    assert kinds == ["text", "text", "image", "text", "image", "text", "image"]
    line = next(line for line in map(json.loads, (runs["odd"] / "samples.jsonl").open()) if line["id"] == "PBL-9001")
    (name,) = (part["image"] for part in line["question"] if "image" in part)
    head, _, data = question.content[2].image.partition(",")
    assert head == "data:image/png;base64"
    with Image.open(runs["odd"] / name) as kept:
        assert Image.open(io.BytesIO(base64.b64decode(data))).tobytes() == kept.tobytes()


def test_what_is_odd_stays_what_it_is(logs):
    samples = {sample.id: sample for sample in logs["odd"].samples}
    hostile = samples["PBL-9003"]
    assert hostile.messages[1].text == WRITTEN
    assert hostile.output.completion == WRITTEN
    assert hostile.scores["mmie"].explanation == f"{WRITTEN}\n### Score\n4"
    assert hostile.scores["mmie"].value == 4
    failed = samples["PBL-9002"].scores["mmie"]
    assert (failed.value, failed.reason, failed.metadata["outcome"]) == (0, "empty_answer", "failed")
    unscored = samples["PBL-9004"].scores["mmie"]
    assert math.isnan(unscored.value)
    assert (unscored.reason, unscored.explanation) == ("no_response", "the response is null")
    assert "is missing>" in samples["PBL-9005"].messages[1].text
    (score,) = logs["odd"].results.scores
    # of 15, one has no response and one no feedback
    assert (score.scored_samples, score.unscored_samples) == (13, 2)


def test_a_partial_run_says_so(logs):
    assert logs["part"].eval.tags == ["mmjudge", "partial"]
    assert logs["part"].eval.task_display_name == "MMVU, PARTIAL 20 of 48"
    assert logs["part"].eval.metadata["part"] == "20 of 48"


def test_lists_are_short(runs, tmp_path):
    out = tmp_path / "out"
    assert cli.main(["export", str(runs["odd"]), "--to", "inspect", "--out", str(out)]) == 0
    (info,) = log.list_eval_logs(str(out))
    summaries = log.read_eval_log_sample_summaries(info)
    assert len(summaries) == 15
    assert summaries[0].metadata["field"] in {"Art", "Education", "Sports", "Health", "EECS"}
    (again,) = (path.read_bytes() for path in out.iterdir())
    assert cli.main(["export", str(runs["odd"]), "--to", "inspect", "--out", str(tmp_path / "two")]) == 0
    assert [path.read_bytes() for path in (tmp_path / "two").iterdir()] == [again]


def test_questions_can_be_left_out(runs, tmp_path):
    out = tmp_path / "out"
    assert cli.main(["export", str(runs["odd"]), "--to", "inspect", "--out", str(out), "--answers-only"]) == 0
    found = log.read_eval_log(log.list_eval_logs(str(out))[0])
    assert found.eval.metadata["questions_left_out"] is True
    assert "How to decorate a window" not in found.model_dump_json()
    assert {len(sample.messages) for sample in found.samples} == {1}
    assert {sample.target for sample in found.samples} == {""}
    # the two pictures that the model gave
    assert sum(len(sample.attachments) for sample in found.samples) == 2


@pytest.mark.filterwarnings("error")  # of two files of one name in the archive
def test_ids_that_look_alike_lose_no_answer(tmp_path):
    """What cannot be seen, and what is left out in the middle of a long id, tells these apart."""
    ids = ["SA-\0", "SA-\\x00", f"SA-{'x' * 150}a{'x' * 150}", f"SA-{'x' * 150}b{'x' * 150}"]
    signature = Signature({"benchmark": "mmie", "edition": "v1"})
    verdicts = [Verdict(id_, "judge", 4, None, "SA", details={"field": "Art"}) for id_ in ids]
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.write_verdicts(verdicts)
    source = Source("MMIE/MMIE", "local:0123456789ab", "v1")
    folder.write_results(build_result(find("mmie"), verdicts, None, source, signature))
    assert cli.main(["export", str(folder.path), "--to", "inspect", "--out", str(tmp_path / "out")]) == 0
    samples = log.read_eval_log(log.list_eval_logs(str(tmp_path / "out"))[0]).samples
    assert [sample.metadata["id"] for sample in samples] == ids
    assert len({sample.id for sample in samples}) == len(ids)
