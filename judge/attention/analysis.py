"""All questions of a benchmark, measured one after the other, and kept so that a stopped run goes on.

    OUT/questions.jsonl     {"of": "3f9a…", "index": 0, …}     a line a question (`judge.attention.measure`)

`of` is a hash of what the numbers depend on: the model's files, the data, the wording, the precision and the version of
the measures. Lines of another run are an error, never mixed in. What is already there is not asked again, so that with
all questions done neither the model nor a GPU is needed.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.attention.choices import Choice, Choices
from judge.attention.measure import VERSION, Measured, measure_question
from judge.errors import UserError
from judge.io.files import Appendable, cannot_write, make_folder, open_file
from judge.io.jsonl import Wanted, parse_lines
from judge.io.locks import take_lock
from judge.io.progress import counted

FILE = "questions.jsonl"
OTHER = "give another --out, or move the file away"


@dataclasses.dataclass(frozen=True)
class Run:
    """What the numbers of a run depend on: parts by name, as they stand in `analysis.json`."""

    parts: Mapping[str, str]

    @property
    def key(self) -> str:
        """The hash that stands in every line."""
        return hashlib.sha256(json.dumps(dict(self.parts), sort_keys=True).encode()).hexdigest()[:16]


def describe_run(benchmark: str, choices: Choices, model: str, dtype: str) -> Run:
    """The run of a model, named as `judge.attention.models.identify_model` does, over the questions of a benchmark."""
    source = choices.source
    return Run(
        {
            "benchmark": benchmark,
            "data": f"{source.repo}@{source.revision}",
            "edition": source.edition,
            "asked": choices.asked,
            "model": model,
            "dtype": dtype,
            "measures": VERSION,
        }
    )


def measure_questions(
    questions: Sequence[Choice], run: Run, folder: Path, load: Callable[[], tuple[Any, Any]]
) -> list[Measured]:
    """Every question measured, in order; those in `folder` are read, the others asked and written there.

    load: gives (model, processor); called where a question is to be asked. Raises UserError, also where another process
    is measuring there.
    """
    file = make_folder(folder) / FILE
    done = read_measured(file, run)
    if any(choice.question.index not in done for choice in questions):
        lock = take_lock(file)
        try:
            done = read_measured(file, run)  # nobody else adds to it any more
            waiting = [choice for choice in questions if choice.question.index not in done]
            if waiting:
                done |= _measure(waiting, run, file, load)
        finally:
            lock.release()
    return [done[choice.question.index] for choice in questions]


def _measure(
    waiting: Sequence[Choice], run: Run, file: Path, load: Callable[[], tuple[Any, Any]]
) -> dict[int, Measured]:
    """Measure questions and add them to `file`, by index. Raises UserError."""
    model, processor = load()
    done = {}
    try:
        with Appendable(file) as lines:
            for choice in counted(waiting, "measuring", "question", after=0):
                measured = measure_question(model, processor, choice)
                lines.append(json.dumps({"of": run.key, **measured.to_json()}, allow_nan=False).encode())
                done[measured.index] = measured
    except OSError as error:
        raise cannot_write(file, error) from error
    return done


def read_measured(file: Path, run: Run) -> dict[int, Measured]:
    """The lines of a run by index; {} where there is no file. Raises UserError for lines of another run."""
    if not file.exists():
        return {}

    def made(row: Any) -> Measured:
        if not isinstance(row, dict):
            raise ValueError("not an object")
        if row.get("of") != run.key:
            raise UserError("has questions of another model, precision, version or other data", file=file, fix=OTHER)
        return Measured.from_json(row)

    wanted = Wanted("a measured question", fix=OTHER, unfinished=True)
    try:
        with open_file(file) as lines:
            return {measured.index: measured for measured, _ in parse_lines(lines, file, made, wanted)}
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=file) from error
