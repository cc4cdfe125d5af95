"""MMVU under its conditions: what is asked and shown, what a verdict says, and the numbers that follow."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from judge.core.benchmark import Answer
from judge.core.condition import Altered
from judge.core.reply import write_reply
from judge.core.request import Text
from judge.core.verdict import Verdict
from mmvu_tasks.benchmark import BENCHMARK, verdict
from mmvu_tasks.conditions import CONDITIONS
from mmvu_tasks.demo import demo_dir
from mmvu_tasks.stability import stability

HERE = Path()
DATASET = BENCHMARK.load(demo_dir(), images=True)
RECORD = DATASET.records[0]
LINE = "Answer with the option's letter from the given choices directly."


def asked(name: str, index: int = 0):
    (question,) = BENCHMARK.questions(DATASET, [index], CONDITIONS[name])
    return question


def test_the_words_of_every_condition() -> None:
    (plain,) = BENCHMARK.questions(DATASET, [0])
    assert plain.text() == f"<image>{RECORD.question}\n{LINE}"
    for name in ("blank", "noise", "swapped", "var"):
        assert asked(name).text() == plain.text(), name
    assert asked("blind").text() == f"{RECORD.question}\n{LINE}"
    assert asked("prefix").text() == f"<image>{LINE}\n{RECORD.question}"
    instruction = asked("instruction").text().removeprefix("<image>")
    assert instruction.startswith(
        "STEP-1 (DO NOT OUTPUT): Image Information Extraction\n1. Text/Numbers: Identify clear"
    )
    assert instruction.endswith(f"STEP-3: {LINE}\n{RECORD.question}\n{LINE}")
    assert '"enum": ["A", "B", "C", "D"]' in asked("json").text()
    assert '"name": "submit_answer"' in asked("tool").text()
    held = CONDITIONS["tool"].by_endpoint
    (native,) = BENCHMARK.questions(DATASET, [0], held)
    assert "submit_answer" in native.text()
    assert "JSON" not in native.text()


def test_cgr_asks_for_the_picture_first_and_puts_what_was_said_before_the_question() -> None:
    question = asked("cgr")
    first = question.first_call()
    assert first.pictures == question.pictures
    assert first.text().startswith(
        "<image>Extract information from the image and structure the output as follows:\n1. "
    )
    # as it was run: nothing between what was extracted and "Answer"
    second = question.with_info(" A <image> of a cup. ").text()
    assert second == (
        "<image>According to the information provided: A < image > of a cup.Answer the following question:\n"
        f"{RECORD.question}\n{LINE}"
    )
    assert question.with_info("x").first == ()


def test_what_is_shown_instead_is_of_another_category_and_the_same_for_both_of_a_pair() -> None:
    category = {record.image: record.category for record in DATASET.records}
    for record in DATASET.records:
        (swapped,) = asked("swapped", record.index).pictures
        assert category[swapped.name] != record.category
        assert swapped == asked("swapped", record.index ^ 1).pictures[0]
        for name in ("blank", "noise"):
            (shown,) = asked(name, record.index).pictures
            assert isinstance(shown, Altered)
            assert (shown.how, shown.seed, shown.name) == (name, record.id, record.image)
    assert len({asked("swapped", record.index).pictures[0].name for record in DATASET.records}) > 10


def test_the_signatures_of_conditions_are_their_own_and_stay() -> None:
    """Hashes as recorded: another one is another condition, and old results no longer belong to it."""
    assert {name: condition.identity.partition("@")[2] for name, condition in CONDITIONS.items()} == RECORDED
    assert all(
        condition.wording == f"{condition.template}@{condition.wording[-8:]}" for condition in CONDITIONS.values()
    )


RECORDED = {
    "instruction": "34da24f6",
    "prefix": "0ce85b95",
    "blind": "7806d4c9",
    "blank": "1d5c0121",
    "noise": "51d42b6f",
    "swapped": "235a0078",
    "json": "5dbfe844",
    "tool": "7357e830",
    "cgr": "011a16a8",
    "var": "fbd87daf",
    "cgr_var": "b70e570f",
}


def test_a_verdict_under_a_contract_says_whether_it_is_kept_and_reads_the_letter_all_the_same() -> None:
    as_json, right = CONDITIONS["json"], RECORD.ground_truth
    whole = json.dumps({"letter": right, "evidence": "seen"})
    kept = verdict(RECORD, whole, as_json)
    assert (kept.score, kept.details["rule"], kept.details["contract"]["fits"]) == (1, "contract", True)
    fluff = verdict(RECORD, f"Sure: {whole}", as_json)
    assert (fluff.score, fluff.details["contract"]["problem"]) == (1, "fluff")
    words = verdict(RECORD, f"The answer is {right}.", as_json)
    assert (words.score, words.details["contract"]["problem"]) == (1, "not_json")
    assert "contract" not in verdict(RECORD, whole).details
    empty = verdict(RECORD, " ", as_json)
    assert (empty.score, empty.failure, empty.details["contract"]["problem"]) == (0, "empty_answer", "not_json")
    assert "contract" not in verdict(RECORD, "").details
    assert verdict(RECORD, "[GENERATION_FAILED]", as_json).unscored == "call_failed"


def test_a_verdict_keeps_what_was_extracted() -> None:
    found = verdict(RECORD, write_reply(RECORD.ground_truth, info="A cup."), CONDITIONS["cgr"])
    assert found.score == 1
    assert found.details["info"] == "A cup."
    assert found.details == {**verdict(RECORD, RECORD.ground_truth).details, "info": "A cup."}
    assert verdict(RECORD, write_reply("", info="A cup.")).failure == "empty_answer"


def test_the_numbers_of_a_contract() -> None:
    """Two pairs by hand: of the first both answers fit and are right; of the second one is right in words only."""
    answers = []
    for record in DATASET.records[:4]:
        text = json.dumps({"letter": record.ground_truth, "evidence": "seen"})
        answers.append(Answer(record.id, record.index, text, HERE))
    last = answers[3]
    answers[3] = dataclasses.replace(last, response=f"It is {DATASET.records[3].ground_truth}.")
    verdicts = BENCHMARK.assess(answers, DATASET, "strict", condition=CONDITIONS["json"])
    contract = BENCHMARK.summarise(verdicts, DATASET).extra["contract"]
    assert (contract["kind"], contract["n"], contract["problems"], contract["fluff"]) == (
        "json",
        4,
        {"not_json": 1},
        {},
    )
    # 3 of 4 parse and fit; RA: 2 of 2 pairs, 1 of 1 that fits whole, 1 of 2 where the other counts as wrong
    shares = {name: (contract[name]["value"], contract[name]["n"]) for name in ("parses", "fits", "letter")}
    assert shares == {"parses": (75.0, 4), "fits": (75.0, 4), "letter": (75.0, 4)}
    right = {name: (contract[name]["value"], contract[name]["n"]) for name in ("RA", "RA_fits", "RA_kept")}
    assert right == {"RA": (100.0, 2), "RA_fits": (100.0, 1), "RA_kept": (50.0, 2)}
    assert "contract" not in BENCHMARK.summarise([verdict(RECORD, "A")], DATASET).extra
    # an empty answer keeps no contract either; a call that failed is no answer: 2 of 3 fit, and 1 pair is whole
    answers[2:] = [dataclasses.replace(answers[2], response=""), dataclasses.replace(last, response="[ERROR]")]
    verdicts = BENCHMARK.assess(answers, DATASET, "strict", condition=CONDITIONS["json"])
    contract = BENCHMARK.summarise(verdicts, DATASET).extra["contract"]
    assert (contract["n"], contract["problems"]) == (3, {"not_json": 1})
    assert contract["fits"]["value"] == pytest.approx(100 * 2 / 3)
    # of two pairs whose answers are both there, the first fits
    answers[3] = last
    verdicts = BENCHMARK.assess(answers, DATASET, "strict", condition=CONDITIONS["json"])
    contract = BENCHMARK.summarise(verdicts, DATASET).extra["contract"]
    assert (contract["RA_fits"]["value"], contract["RA_fits"]["n"], contract["RA"]["n"]) == (100.0, 1, 2)


def repeated(letters: list[str]) -> list[Verdict]:
    return [verdict(record, letter) for record, letter in zip(DATASET.records[:4], letters, strict=True)]


def test_how_stable_answers_are() -> None:
    """Three repeats of two pairs, by hand."""
    truth = [record.ground_truth for record in DATASET.records[:4]]
    wrong = [next(letter for letter in "ABCD" if letter != right) for right in truth]
    found = stability(
        [
            repeated(truth),
            repeated([truth[0], truth[1], truth[2], wrong[3]]),
            repeated([truth[0], wrong[1], truth[2], wrong[3]]),
        ]
    )
    # questions 1 and 3 flip: 2 of 4; pairs of answers that agree: 3 + 1 + 3 + 1 of 12
    assert (found["flip_rate"]["value"], found["flip_rate"]["n"]) == (50.0, 4)
    assert (found["agreement"]["value"], found["agreement"]["n"]) == (pytest.approx(100 * 8 / 12), 12)
    # the first pair is right by majority, the second is not
    assert (found["majority"]["RA"]["value"], found["majority"]["RA"]["n"]) == (50.0, 2)
    tie = stability([repeated(truth), repeated(wrong)])
    assert (tie["flip_rate"]["value"], tie["majority"]["RA"]["value"]) == (100.0, 0.0)


def test_a_question_without_its_picture_is_text_alone() -> None:
    assert [type(part) for part in asked("blind").parts] == [Text]
