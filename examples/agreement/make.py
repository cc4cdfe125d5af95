"""Writes the answers and scores of this folder: python examples/agreement/make.py

Nobody gave these scores. Answers of two made-up systems to nine questions of the bundled demo are the reference, or
the reference degraded in a known way; the first "annotator" gives what the rule below says, the second errs by a point
on every third answer. They show what the files look like and what `mmjudge agree` prints; they measure nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from judge.io.files import write_json_lines
from mmie_tasks.demo import demo_dir

HERE = Path(__file__).parent
A_CATEGORY = 3
Parts = list[dict[str, Any]]
Answer = tuple[Parts, int]
"""What a system answered, and the score that the rule gives it."""


def main() -> None:
    """careful.jsonl and hasty.jsonl: one answer a question; humans.jsonl: two scores an answer."""
    questions = _questions()
    humans = []
    for model, answer in (("careful", _careful), ("hasty", _hasty)):
        lines = []
        for number, (name, reference) in enumerate(questions):
            other = questions[(number + 1) % A_CATEGORY + number // A_CATEGORY * A_CATEGORY][1]
            response, score = answer(number, reference, other)
            lines.append({"id": name, "response": response})
            second = max(0, min(6, score + (0, 0, 1 if number % 2 else -1)[number % 3]))
            for annotator, given in (("made-up-1", score), ("made-up-2", second)):
                humans.append(
                    {"id": name, "model": model, "annotator": annotator, "score": given, "response": response}
                )
        write_json_lines(HERE / f"{model}.jsonl", lines)
    write_json_lines(HERE / "humans.jsonl", humans)


def _questions() -> list[tuple[str, Parts]]:
    """id and reference of the first few questions of each category."""
    records = json.loads((demo_dir() / "data.json").read_text(encoding="utf-8"))
    found = []
    for category in ("SA", "PBL", "MSR"):
        some = [record for record in records if record["id"].startswith(category)][:A_CATEGORY]
        found += [(record["id"], record["conversations"][1]["content"]) for record in some]
    return found


def _careful(number: int, reference: Parts, other: Parts) -> Answer:
    """The reference; of every fourth answer the last part is missing."""
    return (reference[:-1] or [_text("I do not know.")], 3) if number % 4 == 3 else (reference, 6)


def _hasty(number: int, reference: Parts, other: Parts) -> Answer:
    """In turn: right without pictures, the answer to another question, nothing but dots, the reference."""
    return (
        ([_text(part["text"]) for part in reference], 4),
        (other, 1),
        ([_text("...")], 0),
        (reference, 6),
    )[number % 4]


def _text(text: str) -> dict[str, Any]:
    return {"text": text, "image": None}


if __name__ == "__main__":
    main()
