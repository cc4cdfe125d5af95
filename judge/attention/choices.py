"""Multiple-choice questions as a benchmark hands them to the analysis.

    Choice(question, kind="NEG", right="C")      # question: a judge.core.question.Question, letters A to D

A benchmark whose questions have letters has a method `choices(data)` that gives `Choices`; the others cannot be
analysed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from judge.core.benchmark import Benchmark, Source
from judge.core.question import Question
from judge.errors import UserError

PLAIN, LEADING = "POS", "NEG"
"""The two kinds of a question: what is plainly asked, and what would lead the model to a wrong answer."""


@dataclasses.dataclass(frozen=True)
class Choice:
    """One question. kind: `PLAIN` or `LEADING`; two of different kinds with one id are a pair. right: its letter."""

    question: Question
    kind: str
    right: str
    letters: tuple[str, ...] = ("A", "B", "C", "D")


@dataclasses.dataclass(frozen=True)
class Choices:
    """All questions of a benchmark, in published order. asked: name and hash of the wording."""

    source: Source
    asked: str
    questions: Sequence[Choice]


def choices_of(benchmark: Benchmark, data: Path | None) -> Choices:
    """The questions of `data`, else of the benchmark's own place, each with its picture.

    Raises UserError where they cannot be had, and for a benchmark without the method `choices`.
    """
    find: Callable[[Path | None], Choices] | None = getattr(benchmark, "choices", None)
    if find is None:
        raise UserError(f"the questions of {benchmark.name} have no letters to choose from", fix="--benchmark mmvu")
    return find(data)
