"""Scored answers of the little world as files, in the formats that people's have.

    write_scored(Path("out/tiny"), 3000, seed=0)

writes `scored.jsonl` (see `judge.io.human_scores`: annotator "rule", and the "model" that answered is named by how it
answers, "good", "shuffled", …) and `data/`, the questions in MMIE's published layout. Answers are those of
`benchmarks.toy_judge.examples`, two of three to SA and PBL in turn, one to MSR; no question is a held-out one.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from judge.io import files
from mmie_tasks.records import TITLES

from .examples import Example, generate_examples, picture_file

TURNS = ("SA", "PBL", "SA", "PBL", "MSR")


def write_scored(folder: Path, answers: int, *, seed: int) -> Path:
    """Write so many scored answers and their questions; returns the path of scored.jsonl."""
    images = folder / "data" / "images"
    images.mkdir(parents=True, exist_ok=True)
    streams = {
        category: generate_examples(f"scored {seed}", held=False, category=category) for category in sorted(set(TURNS))
    }
    rows, scores = [], []
    for number, category in enumerate(itertools.islice(itertools.cycle(TURNS), answers)):
        example = next(streams[category])
        for part in (*example.question, *example.answer):
            if part["image"]:
                picture_file(part["image"], images)
        rows.append(_record(example, f"{category}-{number}"))
        scores.append(_score(example, f"{category}-{number}"))
    files.write_json(folder / "data" / "data.json", rows)
    file = folder / "scored.jsonl"
    files.write_json_lines(file, scores)
    return file


def _record(example: Example, id_: str) -> dict[str, object]:
    human = [{"text": p["text"], "image": _named(p["image"], "images")} for p in example.question]
    gpt = [{"text": example.reference, "image": None}] if example.reference else []
    turns = [{"from": "human", "content": human}, {"from": "gpt", "content": gpt}]
    return {"id": id_, "catagory": TITLES[example.category], "field": "Little world", "conversations": turns}


def _score(example: Example, id_: str) -> dict[str, object]:
    response = [{"text": p["text"], "image": _named(p["image"], "data/images")} for p in example.answer]
    return {"id": id_, "model": example.condition, "annotator": "rule", "score": example.score,
            "response": response, "feedback": example.feedback.strip()}  # fmt: skip


def _named(picture: str | None, folder: str) -> str | None:
    return f"./{folder}/{picture}" if picture else None
