"""The message is what the official scripts send, to the character."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmvu_sample import PUBLISHED, QUESTION, needs_published, pair, write

from judge.core.benchmark import Source
from judge.core.request import Picture, Text
from judge.core.signature import Signature
from judge.scoring.pipeline import Asking, make_signature
from mmvu_tasks import prompts, records
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.demo import demo_dir

# evaluation/evaluation/models/closed-source/gpt4o.py, BAAI-DCAI/Multimodal-Robustness-Benchmark @b85b573
INSTRUCTION = "\nAnswer with the option's letter from the given choices directly."


def test_the_text(tmp_path: Path) -> None:
    record = records.read_records(write(tmp_path, pair()))[0]
    assert prompts.text(record) == QUESTION + INSTRUCTION


@needs_published
def test_all_published_questions() -> None:
    for record in records.read_records(PUBLISHED):
        assert prompts.text(record) == record.question + INSTRUCTION


@pytest.mark.parametrize("text", ["{question}", "{0} {} %s", "<image>", "\\1 {question}{question}"])
def test_braces_in_a_question_are_text(tmp_path: Path, text: str) -> None:
    rows = pair()
    rows[0]["question"] = f"{text}{QUESTION}"
    record = records.read_records(write(tmp_path, rows))[0]
    assert prompts.text(record) == f"{text}{QUESTION}{INSTRUCTION}"


def test_identity_names_the_text() -> None:
    # printf '{question}\nAnswer with …directly.' | sha256sum | cut -c1-8
    assert prompts.identity() == "direct@9bd1bef7"


def test_another_wording_changes_the_signature_and_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def signature() -> Signature:
        prompts.template.cache_clear()
        return make_signature(BENCHMARK, Source("o/r", "1f", "v1"), "strict", asking=Asking(BENCHMARK.asked))

    before = signature()
    (tmp_path / "direct.txt").write_text("Answer with a letter.\n{question}\n")
    monkeypatch.setattr(prompts, "_FOLDER", tmp_path)
    after = signature()
    monkeypatch.undo()
    prompts.template.cache_clear()

    assert set(before.all_differences(after)) == {"asked"}
    assert before.all_differences(after)["asked"][0] == "direct@9bd1bef7"
    assert before.differences(after) == {}  # they compare, and the comparison says so
    assert before.digest == after.digest
    # a part that does bear on verdicts changes the key
    assert Signature({**before.parts, "extraction": "other"}).digest != before.digest


def test_a_question_is_the_picture_and_then_the_text() -> None:
    dataset = BENCHMARK.load(demo_dir(), images=True)
    questions = BENCHMARK.questions(dataset)
    for question, record in zip(questions, dataset.records, strict=True):
        picture, text = question.parts
        assert isinstance(picture, Picture)
        assert picture.name == record.image
        assert picture.path.is_file()
        assert text == Text(prompts.text(record))
    assert [question.index for question in questions] == list(range(len(dataset.records)))
    assert BENCHMARK.questions(dataset, [3]) == [questions[3]]
