"""Write the MMIE demo in the published layout: `python -m benchmarks.toy_judge.mmie_data [FOLDER]`.

`data.json` with `images/`, as `MMIE_DATA` names them: 15 items, five in each category. One has four pictures, one has
none, two are multiple choice. Plans and sums are among those that the tiny judge's training leaves out
(`benchmarks.toy_judge.world.held_out`).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from judge.demo.drawing import PAPERS, Placed, draw_picture
from mmie_tasks.demo import demo_dir
from mmie_tasks.records import TITLES

from .world import FRAMES, Plan, Sum, Thing, row

PLANS: tuple[str, ...] = (
    "orange kite, yellow heart, red cup",
    "purple heart, orange ball, yellow tree",
    "pink house, green heart",
    "black box, orange boat, red ball",
    "red box, blue fish",
    "orange box, red fish, green cup",
    "pink heart, blue kite",
    "purple boat, black cup, orange fish",
    "black ball, blue star, red boat",
    "black ball, red box",
)
"""One for each of `FRAMES`, in order."""

SUMS: tuple[Sum, ...] = (
    Sum("Mathematics", "A shelf holds 6 fish cards and 3 tree cards. How many cards are there in all?", "9",
        "6 and 3 make 9."),
    Sum("Statistics", "How many star cards are in the picture, and how many are there with 6 more?", "9",
        "The picture has 3, and 3 and 6 make 9.", [row("star", 3, ["pink"])]),
    Sum("Physics", "Which colour has the box in the picture? (A) blue (B) red (C) black (D) green", "C",
        "The box is black.", [Thing("black", "box").scene()]),
    Sum("Coding", "How many of the four pictures show a star? (A) 1 (B) 2 (C) 3 (D) 4", "B",
        "Pictures 1 and 3 show a star.",
        [Thing(*words.split()).scene() for words in ("red star", "blue cup", "black star", "green tree")]),
    Sum("Mathematics", "How many house cards are in the picture, and how many are there with 5 more?", "7",
        "The picture has 2, and 2 and 5 make 7.", [row("house", 2, ["orange", "blue"])]),
)  # fmt: skip


def items() -> tuple[list[dict[str, Any]], dict[str, tuple[list[Placed], str]]]:
    """Rows of `data.json`, and name → (stamps, paper) of every picture they name."""
    rows: list[dict[str, Any]] = []
    pictures: dict[str, tuple[list[Placed], str]] = {}

    def picture(id_: str, scene: list[Placed]) -> str:
        name = f"./images/{id_}-{sum(other.startswith(f'./images/{id_}-') for other in pictures)}.png"
        pictures[name] = (scene, sorted(PAPERS)[len(rows) % len(PAPERS)])
        return name

    def add(id_: str, category: str, field: str, human: list[Any], gpt: list[Any]) -> None:
        turns = [{"from": "human", "content": human}, {"from": "gpt", "content": gpt}]
        rows.append({"id": id_, "catagory": TITLES[category], "field": field, "conversations": turns})

    for number, (frame, words) in enumerate(zip(FRAMES, PLANS, strict=True), 1):
        plan: Plan = tuple(Thing(*thing.split()) for thing in words.split(", "))
        id_ = f"{frame.category}-{9000 + number}"
        title, first = frame.question(plan)
        human = [{"text": title, "image": None}, {"text": first, "image": picture(id_, plan[0].scene())}]
        steps = range(1, len(plan))
        gpt = [{"text": frame.sentence(plan, k), "image": picture(id_, plan[k].scene())} for k in steps]
        add(id_, frame.category, frame.field, human, gpt)
    for number, item in enumerate(SUMS, 1):
        id_ = f"MSR-{9100 + number}"
        human = [{"text": item.question, "image": None}]
        human += [{"text": None, "image": picture(id_, list(scene))} for scene in item.pictures]
        add(id_, "MSR", item.field, human, [{"text": item.reference, "image": None}])
    return rows, pictures


def write_demo(folder: Path) -> None:
    """Write questions and pictures into `folder`, which is made where it is not there."""
    rows, pictures = items()
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "data.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    for name, (scene, paper) in pictures.items():
        draw_picture(scene, paper).save(folder / name, optimize=True)


if __name__ == "__main__":
    write_demo(Path(sys.argv[1]) if sys.argv[1:] else demo_dir())
