"""The example's world: pictures of one coloured thing, questions about them, and files of both.

    python examples/mmvu_train/world.py out/data

    out/data/pictures/       what the teacher is shown, each with a caption beside it: red_star_cream_0.png, .txt
    out/data/base.json       the mix that the base model was trained on: descriptions, and plain questions
    out/data/choose/         held-out pictures in the published layout of MMVU, to choose a weight on
    out/data/test/           others, to measure on

The parts are cut by colour and thing: a held-out picture shows a thing in a colour that it has in no other picture.
Base.json has no leading question, so a model learns from it that whatever a question says is so.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import sys
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from judge.demo.drawing import GRID, PAPERS, Placed, draw_picture, stamps

COLOURS = ("red", "blue", "green", "yellow", "purple", "black")
THINGS = ("star", "house", "tree", "boat", "cup")
SHIFTS = (-1, 0, 1)
"""Cells by which a thing stands left or right of the middle."""

PLAIN = {
    "colour": ("Is the {thing} {colour}?", "Is this {thing} {colour}?", "Is the colour of the {thing} {colour}?",
               "Do you see that the {thing} is {colour}?"),
    "thing": ("Is there a {thing}?", "Is this a {thing}?", "Does the picture show a {thing}?",
              "Can you see a {thing}?"),
}  # fmt: skip
LEADING = {
    "colour": ("Why is the {thing} {colour}?", "Who made the {thing} {colour}?", "Is the {colour} {thing} heavy?",
               "Since when is the {thing} {colour}?"),
    "thing": ("What is behind the {thing}?", "Who owns the {thing}?", "Is the {thing} new?", "How old is the {thing}?"),
}  # fmt: skip
TRAPS = ("boat", "cup")
"""What leading questions of the tests take for granted: few, so that the same words about other things are no leak."""
ANSWERS = {"colour": "The {thing} is {colour}.", "thing": "There is a {thing}."}
CATEGORIES = {"colour": "attribute/color&texture", "thing": "attribute/existence"}
LINE = "Answer with the option's letter from the given choices directly."


@dataclasses.dataclass(frozen=True)
class Scene:
    """One picture. shift: cells from the middle."""

    colour: str
    thing: str
    paper: str
    shift: int

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.colour}_{self.thing}_{self.paper}_{self.shift + 1}.png"

    @property
    def held_out(self) -> bool:
        """Whether this thing in this colour is kept from training: a third are."""
        return zlib.crc32(f"{self.colour} {self.thing}".encode()) % 3 == 0

    def placed(self) -> Placed:
        """The thing, twice as large as its stamp."""
        height, width = (2 * side for side in stamps()[self.thing].ink.shape)
        x = min(max((GRID - width) // 2 + self.shift, 0), GRID - width)
        return Placed(self.thing, self.colour, x, (GRID - height) // 2, 2)

    def save(self, file: Path) -> None:
        """Draw it into a file."""
        file.parent.mkdir(parents=True, exist_ok=True)
        draw_picture([self.placed()], self.paper).save(file)


@dataclasses.dataclass(frozen=True)
class Asked:
    """A question, its options, and which of them is right."""

    question: str
    options: tuple[str, ...]
    answer: str

    @property
    def with_options(self) -> str:
        """As MMVU puts it."""
        return "\n".join(
            [self.question, *(f"{letter}. {text}" for letter, text in zip("ABCD", self.options, strict=True))]
        )


Pair = tuple[Asked, Asked]
"""A plain question, and a leading one."""


def all_scenes() -> list[Scene]:
    """Every picture there is, in an order of its own."""
    found = [Scene(*parts) for parts in itertools.product(COLOURS, THINGS, PAPERS, SHIFTS)]
    random.Random(0).shuffle(found)
    return found


def ask_about(scene: Scene, about: str, number: int, rng: random.Random, things: Sequence[str] = THINGS) -> Pair:
    """A plain question and the leading one that goes with it. about: "colour" or "thing"; number: of the wording.

    things: of which a leading question takes one for granted.
    """
    right = {"colour": scene.colour, "thing": scene.thing}
    words, traps = (COLOURS, COLOURS) if about == "colour" else (THINGS, things)
    trap = rng.choice([word for word in traps if word != right[about]])
    others = rng.sample([word for word in words if word not in (trap, right[about])], 2)
    wrong = [{**right, about: word} for word in (trap, *others)]
    answer = ANSWERS[about].format(**right)
    options = [answer, *(ANSWERS[about].format(**words) for words in wrong)]
    found = []
    for question in (PLAIN[about][number].format(**right), LEADING[about][number].format(**wrong[0])):
        rng.shuffle(options)
        found.append(Asked(question, tuple(options), answer))
    return found[0], found[1]


def base_mix(scenes: Sequence[Scene]) -> Iterator[dict[str, Any]]:
    """LLaVA-style records: what is to be seen, and plain questions, half of them with options."""
    rng = random.Random(1)
    for scene in scenes:
        seen = [("What colour is it?", f"It is {scene.colour}."), ("What is it?", f"It is a {scene.thing}.")]
        yield _record(scene, "describe", seen)
        for about in ("colour", "thing"):
            plain, _ = ask_about(scene, about, rng.randrange(4), rng)
            text = rng.choice([plain.question, f"{plain.with_options}\n{LINE}"])
            yield _record(scene, "questions", [(text, plain.answer)])


def _record(scene: Scene, source: str, turns: Sequence[tuple[str, str]]) -> dict[str, Any]:
    said = [{"from": who, "value": text} for turn in turns for who, text in zip(("human", "gpt"), turn, strict=True)]
    said[0]["value"] = f"<image>\n{said[0]['value']}"
    return {"id": f"{source}/{scene.name}", "source": source, "image": scene.name, "conversations": said}


def write_tests(folder: Path, scenes: Sequence[Scene], seed: int) -> None:
    """A folder in the published layout of MMVU: a pair about the colour and one about the thing of each scene."""
    rng, rows = random.Random(seed), []
    for number, scene in enumerate(scenes):
        for about in ("colour", "thing"):
            id_ = f"{CATEGORIES[about]}/{number:02}"
            scene.save(folder / "MMR-benchmark-images" / f"{id_}.png")
            for kind, asked in zip(("POS", "NEG"), ask_about(scene, about, 0, rng, TRAPS), strict=True):
                letter = "ABCD"[asked.options.index(asked.answer)]
                rows.append({"id": id_, "image": f"{id_}.png", "question": asked.with_options,
                             "ground_truth": letter, "question_type": kind})  # fmt: skip
    (folder / "MMR-benchmark.json").write_text(json.dumps(rows, indent=1) + "\n")


def main(folder: Path) -> None:
    scenes = all_scenes()
    shown = [scene for scene in scenes if not scene.held_out]
    hidden = [scene for scene in scenes if scene.held_out]
    for scene in shown:
        scene.save(folder / "pictures" / scene.name)
    (folder / "base.json").write_text(json.dumps(list(base_mix(shown)), indent=0) + "\n")
    half = len(hidden) // 2
    write_tests(folder / "choose", hidden[:half], seed=2)
    write_tests(folder / "test", hidden[half:], seed=3)
    print(f"{len(shown)} pictures to train on, {half} to choose a weight on, {len(hidden) - half} to measure on")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
