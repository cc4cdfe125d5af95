"""The extraction on answers in the styles of many models: labelled tables, and every question answered right."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from judge.core.option_letter import careful
from mmvu_tasks import demo
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.records import Record

HERE = Path(__file__).parent
SHARED = HERE.parents[2] / "shared" / "data"
PUBLISHED = SHARED / "mmr-v1" / "MMR-benchmark.json"
needs_shared = pytest.mark.skipif(not PUBLISHED.is_file(), reason="../shared/data is not beside the checkout")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


# Written for this project, in the manner of many models; "What is the man on the bench doing?" where a row has no
# options of its own.
BENCH = ("He is reading a newspaper.", "He is feeding the birds.", "He is sleeping.", "There is no man on the bench.")


@pytest.mark.parametrize("row", lines(HERE / "answers_as_written.jsonl"), ids=lambda row: ascii(row["response"][:40]))
def test_answers_as_written(row: dict[str, Any]) -> None:
    assert careful(row["response"], row.get("options", BENCH)).letter == row["letter"]


@needs_shared
def test_labelled_answers() -> None:
    options = json.loads((SHARED / "mmvu-answers" / "options.json").read_text(encoding="utf-8"))
    rows = lines(SHARED / "mmvu-answers" / "answers.jsonl")
    assert len(rows) == 232
    read = [(row["response"], row["letter"], careful(row["response"], options[row["index"]]).letter) for row in rows]
    assert [row for row in read if row[1] != row[2]] == []


def styles() -> ModuleType:
    """The functions (letter, options) → answer, a style each."""
    place = SHARED / "mmvu-answers" / "styles.py"
    spec = importlib.util.spec_from_file_location("styles", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def questions(*, published: bool) -> list[tuple[str, tuple[str, ...]]]:
    """(right letter, option texts) of every question."""
    dataset = BENCHMARK.load(SHARED / "mmr-v1" if published else demo.demo_dir())
    assert all(isinstance(record, Record) for record in dataset.records)
    return [(record.ground_truth, record.options) for record in dataset.records]


@needs_shared
@pytest.mark.parametrize("published", [False, True])
def test_every_question_in_every_style(published: bool) -> None:
    asked = questions(published=published)
    assert len(asked) == (600 if published else 48)
    missed = [
        (name, right, careful(style(right, options), options))
        for name, style in styles().STYLES.items()
        for right, options in asked
        if careful(style(right, options), options).letter != right
    ]
    assert missed == []


# {r}: the text of the right option, {w}: of another; capital letters: as at the start of a sentence
AMONG_OTHER_TEXTS = (
    "{r}, not as the question says.",
    "{w} is false, {r} is true.",
    "{w} is incorrect; {r} is correct.",
    "{R} is correct; {w} is not.",
    'The option "{w}" is false, "{r}" is true.',
    "It's not the case that {w}; rather, {r}.",
    "The image does not show that {w}. Instead, {r}.",
    "{R}, so that's the answer.",
    "The answer: {r} (and not: {w})",
    "{r}? Yes.",
    "{W}? No. {R}.",
    "I see that {r}.",
    "The correct statement is that {r}.",
    "{R}. ({W} is wrong.)",
    "If {w}, we would see it. {R}.",
    "{R}, which is different from {w}.",
    "It seems like {r}.",
    "It could be {w}, but {r}.",
    'The statement "{W}." is wrong. {R}.',
    '{R}. The statement "{W}" is incorrect.',
    "It is not true that {w}. {R}.",
    'Rather than "{W}", it should be "{R}."',
    'Although the question suggests "{W}.", the picture shows: {R}',
    "Correct option: {R}.\nIncorrect: {W}.",
)


@pytest.mark.parametrize("answer", AMONG_OTHER_TEXTS)
def test_the_right_text_beside_another_option_s_text(answer: str) -> None:
    """Of the demo's questions: texts of published options are sometimes part of each other, or end in blanks."""
    read = []
    for right, options in questions(published=False):
        said, other = (options["ABCD".index(right) - shift].rstrip(".") for shift in (0, 1))
        words = {"R": said, "W": other, "r": said[0].lower() + said[1:], "w": other[0].lower() + other[1:]}
        read.append((right, careful(answer.format(**words), options).letter))
    assert [pair for pair in read if pair[0] != pair[1]] == []
