"""Joining answers to questions, and the benchmark as `judge` sees it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from judge.core import benchmark as registry
from judge.core.benchmark import Answer
from judge.core.request import Request, Text
from judge.core.verdict import Verdict
from judge.errors import UserError
from mmie_tasks.benchmark import BENCHMARK

HERE = Path(__file__).parent


def row(id_, text="Q", image=None):
    return {
        "id": id_,
        "catagory": "Situational analysis",
        "field": "Literature",
        "conversations": [
            {"from": "human", "content": [{"text": text, "image": image}]},
            {"from": "gpt", "content": [{"text": "truth", "image": None}]},
        ],
    }


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "data.json").write_text(json.dumps([row("SA-1"), row("SA-2"), row("SA-3")]), encoding="utf-8")
    return BENCHMARK.load(tmp_path)


def answer(id_, response="A", index=None, **more):
    return Answer(id_, index, response, HERE, where="responses.jsonl", **more)


def test_it_is_the_registered_one():
    assert registry.find("mmie") is BENCHMARK


def test_importing_it_is_light():
    heavy = ["torch", "transformers", "datasets", "lmms_eval", "vlmeval"]
    code = f"import sys, mmie_tasks.benchmark; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_answers_find_their_questions_in_any_order(dataset):
    found = BENCHMARK.assess([answer("SA-3", "third"), answer(None, "first", index=0)], dataset, "strict")
    assert [(request.id, request.answer) for request in found] == [
        ("SA-3", (Text("third"),)),
        ("SA-1", (Text("first"),)),
    ]
    assert found[0].details == {"field": "Literature"}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([answer("SA-1"), answer("SA-2"), answer("SA-1")], ["1 answered more than once: SA-1", "responses.jsonl"]),
        ([answer(f"SA-{n}") for n in range(9)], ["6 not in the data: SA-0, SA-4, SA-5 and 3 more"]),
        ([answer("SA-1", index=1)], ["record SA-1", "index 1 is SA-2"]),
        ([answer("SA-1", index=3)], ["record SA-1", "index 3 is outside the 3 records"]),
        ([answer(None)], ['field "id"', "missing"]),
    ],
)
def test_answers_that_do_not_fit_the_data(dataset, answers, words):
    with pytest.raises(UserError) as error:
        BENCHMARK.assess(answers, dataset, "strict")
    for word in [*words, "→"]:
        assert word in str(error.value)


def test_answers_without_questions_need_data():
    with pytest.raises(UserError, match="need the questions") as error:
        BENCHMARK.assess([answer("SA-1")], None, "strict")
    assert "MMIE_DATA" in str(error.value)


def test_a_replay_needs_no_data():
    answers = [answer("PBL-1", [{"text": None, "image": "../../etc/passwd"}]), answer("MSR-2", "")]
    found = BENCHMARK.assess(answers, None, "reference", bare=True)
    assert found == [Request("PBL-1", "PBL", (), ()), Request("MSR-2", "MSR", (), ())]
    strict = BENCHMARK.assess(answers, None, "strict", bare=True)
    assert isinstance(strict[0], Request)
    assert isinstance(strict[1], Verdict)
    assert (strict[1].score, strict[1].failure) == (0, "empty_answer")
    with pytest.raises(UserError, match="names no category"):
        BENCHMARK.assess([answer("77")], None, "strict", bare=True)
    with pytest.raises(UserError, match="answered more than once"):
        BENCHMARK.assess([answer("SA-1"), answer("SA-1")], None, "strict", bare=True)


@pytest.mark.parametrize("profile", ["reference", "strict"])
def test_an_official_answer_is_taken_as_it_stands(profile):
    text = '{"text": "<think>a</think>b", "images": ["a.png"]}'
    record = {"id": "SA-1", "question": [{"text": "Q", "image": None}], "answer": text, "gt_answer": []}
    (found,) = BENCHMARK.assess([answer(None, text, record=record)], None, profile)
    assert found.answer == (Text(text),)


def test_a_bad_official_answer_is_named():
    record = {"id": "SA-1", "question": [], "answer": [{"text": 7}], "gt_answer": []}
    with pytest.raises(UserError, match=r'record SA-1: field "answer\[0\]"'):
        BENCHMARK.assess([answer(None, [{"text": 7}], record=record)], None, "strict")


@pytest.mark.parametrize(
    ("response", "reference", "strict"),
    [
        ("", "", "empty_answer"),
        ("[GENERATION_FAILED] out of memory", "[GENERATION_FAILED] out of memory\n", "call_failed"),
        ("Failed to obtain answer via API.", "Failed to obtain answer via API.\n", "call_failed"),
        ([{"text": "[LMMS_EVAL_BUDGET_EXCEEDED]", "image": None}], "[LMMS_EVAL_BUDGET_EXCEEDED]\n", "call_failed"),
        (" \n", "", "empty_answer"),
        ("A", "A\n", None),
    ],
)
def test_empty_answers(dataset, response, reference, strict):
    """The official scorer has its judge read an empty answer (golden PBL-3015); the strict profile says so instead."""
    (found,) = BENCHMARK.assess([answer("SA-1", response)], dataset, "reference")
    assert found.answer_text() == reference
    (found,) = BENCHMARK.assess([answer("SA-1", response)], dataset, "strict")
    assert getattr(found, "reason", None) == strict


@pytest.mark.parametrize("profile", ["reference", "strict"])
def test_a_null_answer_is_no_answer(dataset, profile):
    (found,) = BENCHMARK.assess([answer("SA-1", None)], dataset, profile)
    assert (found.unscored, found.details) == ("no_response", {"field": "Literature"})


def test_a_missing_question_image(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "data.json").write_text(json.dumps([row("SA-1", image="./images/gone.jpg")]), encoding="utf-8")
    found = BENCHMARK.load(tmp_path)
    (strict,) = BENCHMARK.assess([answer("SA-1")], found, "strict")
    assert strict.unscored == "image_missing"
    (reference,) = BENCHMARK.assess([answer("SA-1")], found, "reference")
    assert reference.question_text() == "Q\n"
    assert reference.details["images_skipped"] == ["./images/gone.jpg"]


def test_a_folder_without_any_picture_is_told_before_judging(tmp_path):
    (tmp_path / "data.json").write_text(json.dumps([row("SA-1", image="./images/a.jpg")]), encoding="utf-8")
    with pytest.raises(UserError, match="neither images/"):
        BENCHMARK.assess([answer("SA-1")], BENCHMARK.load(tmp_path), "reference")


def test_a_long_answer_is_passed_on_whole(dataset):
    (found,) = BENCHMARK.assess([answer("SA-1", "x" * 200_000)], dataset, "strict")
    assert len(found.answer_text()) == 200_001  # and the newline after every text


def reasoning(id_, reference, question="How many?"):
    asked, said = [{"text": question, "image": None}], [{"text": reference, "image": None}]
    turns = [{"from": "human", "content": asked}, {"from": "gpt", "content": said}]
    return {"id": id_, "catagory": "Multi-step reasoning", "field": "Physics", "conversations": turns}


@pytest.mark.parametrize("bare", [False, True])
def test_what_a_rule_says_is_in_the_details_of_reasoning_questions(tmp_path, bare):
    rows = [reasoning("MSR-1", "7"), reasoning("MSR-2", "…"), row("SA-1"), reasoning("MSR-3", "B", "A. x\nB. y")]
    (tmp_path / "data.json").write_text(json.dumps(rows), encoding="utf-8")
    dataset = BENCHMARK.load(tmp_path)
    given = [("MSR-1", "So 3 + 4 = 7."), ("MSR-2", "7"), ("SA-1", "7"), ("MSR-3", [{"text": "The answer is (A)."}])]
    made = BENCHMARK.assess([answer(*one) for one in given], dataset, "strict", bare=bare)
    found = [{key: value for key, value in one.details.items() if key.startswith("exact")} for one in made]
    assert found == [
        {"exact": True, "exact_rule": "number", "exact_read": "7"},
        {"exact": None},
        {},
        {"exact": False, "exact_rule": "letter", "exact_read": "A"},
    ]


def test_a_rule_says_wrong_of_an_empty_answer_and_nothing_of_a_failed_call(tmp_path):
    (tmp_path / "data.json").write_text(json.dumps([reasoning("MSR-1", "7"), reasoning("MSR-2", "7")]))
    dataset = BENCHMARK.load(tmp_path)
    empty, failed = BENCHMARK.assess([answer("MSR-1", " "), answer("MSR-2", None)], dataset, "strict")
    assert (empty.failure, empty.details["exact"]) == ("empty_answer", False)
    assert failed.unscored == "no_response"
    assert "exact" not in failed.details
