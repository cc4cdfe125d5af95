"""Questions as files, for programs of others: a line a question, and the pictures beside them.

    {"id": "PBL-2896694", "index": 0, "category": "PBL", "question":
      [{"text": "Step 1: open the lid.\\n", "image": null}, {"text": null, "image": "images/9f2c07d1e4a85b36.jpg"}]}

A question has the parts that every way in sends (`judge.core.question`), each a text or an image, in their order.
Image names are relative to the file's folder; a program that is started by `kind = "pipe"` gets absolute paths instead.
An answer is a line of `judge.io.responses` with the same id and index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Answer, Benchmark, Dataset
from judge.core.question import Question
from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.io.files import cannot_write, make_folder, write_json, write_json_lines
from judge.io.progress import MOMENT, counted, doing
from judge.io.samples import keep_picture

FILE, TO_EVAL = "questions.jsonl", "to-eval.json"


def question_line(question: Question, name: Callable[[Picture], str]) -> dict[str, Any]:
    """The object of a question. name: what a picture is called."""
    parts: list[dict[str, str | None]] = []
    for part in question.parts:
        if isinstance(part, Text):
            parts.append({"text": part.text, "image": None})
        else:
            parts.append({"text": None, "image": name(part)})
    return {"id": question.id, "index": question.index, "category": question.category, "question": parts}


def write_questions(questions: Sequence[Question], folder: Path) -> Path:
    """Write `questions.jsonl` and the pictures into `folder`; return the file. Raises UserError."""
    make_folder(folder)

    def name(picture: Picture) -> str:
        kept = keep_picture(picture.path, folder)
        if kept is None:
            raise UserError("has gone", file=picture.path, fix="fetch the data again (see `mmjudge doctor`)")
        return kept

    path = folder / FILE
    try:
        write_json_lines(
            path, (question_line(question, name) for question in counted(questions, "writing", "question"))
        )
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def write_to_eval(
    benchmark: Benchmark, answers: Sequence[Answer], dataset: Dataset, model: str, folder: Path
) -> tuple[Path, int]:
    """Write the list that a benchmark's official scorer reads, and its pictures, into `folder`; how many items it has.

    Raises UserError for a benchmark that has no such list.
    """
    make_items = getattr(benchmark, "to_eval_items", None)
    if make_items is None:
        raise UserError(f"the official scorer of {benchmark.name} reads no to-eval list", fix="leave --layout out")
    make_folder(folder)
    path = folder / TO_EVAL
    with doing(f"writing {len(answers):,} answers and their pictures", after=MOMENT):
        items = make_items(answers, dataset, model, lambda picture: keep_picture(picture, folder))
    try:
        write_json(path, items)
    except OSError as error:
        raise cannot_write(path, error) from error
    return path, len(items)
