"""Write the MMVU demo in the published layout: `python -m benchmarks.toy_judge.mmvu_data [FOLDER]`.

`MMR-benchmark.json` with `MMR-benchmark-images/`, as `MMVU_DATA` names them. The bundled copy is what this writes.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

from judge.demo.drawing import PAPERS, draw_picture
from mmvu_tasks.demo import demo_dir

from .mmvu_pairs import PAIRS, Asked


def rows() -> list[dict[str, str]]:
    """The questions in published order: pairs adjacent, in every other one the leading question first."""
    made: list[dict[str, str]] = []
    letters = list("ABCD") * (len(PAIRS) // 2)  # every letter is right equally often
    random.Random(3).shuffle(letters)  # an order in which the scripted model errs in both kinds of question
    for number, pair in enumerate(PAIRS):
        asked = [("POS", pair.positive), ("NEG", pair.leading)]
        for question_type, question in asked if number % 2 else reversed(asked):
            letter = letters[len(made)]
            text = f"{question.stem}\n" + "\n".join(options(question, letter))
            made.append(
                {
                    "id": pair.id,
                    "image": f"{pair.id}.png",
                    "question": text,
                    "ground_truth": letter,
                    "question_type": question_type,
                }
            )
    return made


def options(question: Asked, letter: str) -> list[str]:
    """Four lines "A. …", the right option at `letter`."""
    texts = [question.one, question.two, question.three]
    texts.insert("ABCD".index(letter), question.right)
    return [f"{name}. {text}" for name, text in zip("ABCD", texts, strict=True)]


def write_demo(folder: Path) -> None:
    """Write questions and pictures into `folder`, which is made where it is not there."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "MMR-benchmark.json").write_text(json.dumps(rows(), indent=1) + "\n", encoding="utf-8")
    for number, pair in enumerate(PAIRS):
        file = folder / "MMR-benchmark-images" / f"{pair.id}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        draw_picture(pair.scene, sorted(PAPERS)[number % len(PAPERS)]).save(file, optimize=True)


if __name__ == "__main__":
    write_demo(Path(sys.argv[1]) if sys.argv[1:] else demo_dir())
