"""Human scores for the demo's questions, made up: four models under test, of which one is good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mmie_tasks.demo import demo_dir

SCORES = {"good": 6, "mute": 2, "blank": 0, "stray": 1}
FEEDBACK = {
    "good": "Text and pictures show what was wanted.",
    "mute": "The text is right, no picture.",
    "blank": "Nothing is said.",
    "stray": "The answer is to another question.",
}


def scored_rows() -> list[dict[str, Any]]:
    """60 lines: 15 questions, four answers each; criteria add up to the score."""
    data = json.loads((demo_dir() / "data.json").read_text())
    wanted = {record["id"]: record["conversations"][1]["content"] for record in data}
    names = [*wanted]
    rows = []
    for number, (name, parts) in enumerate(wanted.items()):
        answers = {
            "good": parts,
            "mute": [{"text": part["text"], "image": None} for part in parts],
            "blank": [{"text": "...", "image": None}],
            "stray": wanted[names[(number + 6) % len(names)]],
        }
        for model, response in answers.items():
            rows.append(
                {
                    "id": name,
                    "model": model,
                    "annotator": "a1",
                    "score": SCORES[model],
                    "response": response,
                    "feedback": FEEDBACK[model],
                }
            )
    return rows


def write_rows(file: Path, rows: list[dict[str, Any]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file
