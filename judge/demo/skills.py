"""What the scripted model can do: choose an option by a picture, write and draw the rest of a plan, do a small sum.

    choose_option("Is the star yellow?\\nA. The star is blue.\\nB. The star is yellow.\\n…", picture)     ->  "B"
    continue_plan(["How to …: first the red star, last the blue cup?", "Step 1: Hang the red star."])
                                               ->  [Step("Step 2: Hang the blue cup.", "cup", "blue")]

It reads pictures by their stamps and texts by their patterns, and knows nothing beyond the demo. It is made to fail in
some of the ways models fail, decided by a checksum of the question: it follows a leading question, skips a step, draws
another colour, forgets pictures, miscounts.
"""

from __future__ import annotations

import dataclasses
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from judge.demo.drawing import INKS, Placed, read_picture, stamps

if TYPE_CHECKING:
    from PIL import Image

NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5}
_RELATION = re.compile(r"\b(left|right|above|below|inside|outside)(?: of)? the (\w+)")
_OPTION = re.compile(r"^([A-D])\. (.*)$", re.MULTILINE)
_PLANNED = re.compile(r"\b(first|then|last) the (\w+) (\w+)")
_PUZZLED = "I cannot tell."


@dataclasses.dataclass(frozen=True)
class Step:
    """One step of an answer: its text, and the thing drawn beside it, if any."""

    text: str
    kind: str | None
    colour: str


def choose_option(question: str, picture: Image.Image | None, *, informed: bool = False) -> str:
    """An answer to a multiple-choice question: "B", "B. The star is yellow." or that it cannot tell.

    Without a picture it guesses. informed: it has said before what is in the picture, and is not misled.
    """
    options = dict(_OPTION.findall(question))
    stem = question.partition("\nA. ")[0].rpartition("\n")[2]
    if not options:
        return _PUZZLED
    if picture is None:
        return sorted(options)[_chance(stem, len(options))]
    scene = read_picture(picture)
    if not scene or _chance(_as_published(stem, options), 16) == 0:
        return _PUZZLED
    seen = {letter: weigh_claims(text, scene) for letter, text in options.items()}
    if not informed and weigh_claims(stem, scene) < _about(stem, scene) and _chance(stem, 3) == 0:
        # misled: what the question takes for granted is taken for granted
        asserted = _words(stem)
        seen = {letter: len(asserted.intersection(_words(text))) for letter, text in options.items()}
    letter = max(seen, key=lambda name: seen[name])
    return (letter, f"{letter}. {options[letter]}", f"The answer is {letter}.")[_chance(stem, 3)]


def _as_published(stem: str, options: Mapping[str, str]) -> str:
    """The question in its usual wording, whatever stood around it."""
    lines = [stem, *(f"{letter}. {text}" for letter, text in options.items())]
    return "\n".join([*lines, "Answer with the option's letter from the given choices directly."])


def weigh_claims(text: str, scene: Sequence[Placed]) -> int:
    """True things minus false things that `text` says about a scene, as far as its words are known."""
    return sum(1 if true else -1 for true in _claims(text, scene))


def _about(text: str, scene: Sequence[Placed]) -> int:
    return len(_claims(text, scene))


def _claims(text: str, scene: Sequence[Placed]) -> list[bool]:
    known = stamps()
    meanings = {word for stamp in known.values() for word in stamp.words}
    names = {placed.name for placed in scene}
    true = {word for name in names for word in known[name].words} | names
    colours = {placed.colour for placed in scene}
    signs = _signs(scene)
    claims = [said in signs for said in re.findall(r"'(\w+)'", text)]
    words = [_singular(word) for word in re.findall(r"[a-z-]+", text.lower())]
    mentioned = [word for word in words if word in known]
    for before, word in zip(["", *words], words, strict=False):
        if word in INKS:
            of = [placed.colour for placed in scene if placed.name in mentioned] or colours
            claims.append(word in of)
        elif word in NUMBERS:
            counted = [placed for placed in scene if placed.name in mentioned] if names & set(mentioned) else scene
            claims.append(len(counted) == NUMBERS[word])
        elif word in known or word in meanings:
            claims.append((word in true) != (before == "no"))
    found = _RELATION.search(text.lower())
    others = [name for name in mentioned if found and name in names and name != found[2]]
    if found and found[2] in names and others:
        claims.append(_related(others[0], found[1], found[2], scene))
    return claims


def _signs(scene: Sequence[Placed]) -> set[str]:
    letters = [placed for placed in scene if len(placed.name) == 1]
    rows = {placed.y for placed in letters}
    return {"".join(p.name for p in sorted(letters, key=lambda p: p.x) if p.y == row) for row in rows}


def _related(one: str, relation: str, other: str, scene: Sequence[Placed]) -> bool:
    a, b = (next(placed for placed in scene if placed.name == name) for name in (one, other))
    height, width = stamps()[b.name].ink.shape
    inside = b.x <= a.x < b.x + width * b.scale and b.y <= a.y < b.y + height * b.scale
    return {
        "left": a.x < b.x and not inside,
        "right": a.x > b.x and not inside,
        "above": a.y < b.y and not inside,
        "below": a.y > b.y and not inside,
        "inside": inside,
        "outside": not inside,
    }[relation]


def continue_plan(texts: Sequence[str]) -> list[Step]:
    """The rest of the plan that the first text names, in the manner of the second, which shows its first step."""
    plan = _PLANNED.findall(texts[0])
    if len(texts) < 2 or len(plan) < 2:
        return []
    first = " ".join(plan[0][1:])
    steps = []
    for number, (order, colour, kind) in enumerate(plan[1:], 2):
        text = re.sub(r"^Step 1:", f"Step {number}:", texts[1].replace(first, f"{colour} {kind}"))
        steps.append(Step(re.sub(r"^First\b", order.capitalize(), text), kind, colour))
    slip = _chance(texts[0], 6)
    if slip == 4:  # another colour in the last picture
        steps[-1] = dataclasses.replace(steps[-1], colour="green" if steps[-1].colour == "blue" else "blue")
    elif slip == 1:  # no pictures
        steps = [dataclasses.replace(step, kind=None) for step in steps]
    elif slip == 2:  # stops early
        steps = steps[: len(steps) // 2] or [Step("...", None, "")]
    return steps


def work_out_sum(question: str, pictures: Sequence[Image.Image]) -> str:
    """A small sum or choice, with its reason, or that it cannot tell."""
    scenes = [read_picture(picture) for picture in pictures]
    slip = _chance(question, 4) == 2
    if found := re.search(r"holds (\d+) .* and (\d+) ", question):
        a, b = int(found[1]), int(found[2])
        return f"{a} and {b} make {a + b + slip}. The answer is {a + b + slip}."
    if (found := re.search(r"How many (\w+) .* with (\d+) more", question)) and scenes:
        a, b = sum(placed.name == found[1] for placed in scenes[0]) + slip, int(found[2])
        return f"The picture has {a}, and {a} and {b} make {a + b}. The answer is {a + b}."
    options = {text: letter for letter, text in re.findall(r"\(([A-D])\) (\w+)", question)}
    if (found := re.search(r"Which colour has the (\w+)", question)) and scenes:
        colour = next((placed.colour for placed in scenes[0] if placed.name == found[1]), "")
        if colour in options:
            return f"The {found[1]} is {colour}. The answer is {options[colour]}."
    if found := re.search(r"How many of the \w+ pictures show a (\w+)", question):
        count = str(sum(any(placed.name == found[1] for placed in scene) for scene in scenes) + slip)
        if count in options:
            return f"{count} pictures show a {found[1]}. The answer is {options[count]}."
    return _PUZZLED


def _chance(text: str, of: int) -> int:
    """A number below `of` that seems random and is the same on every machine."""
    return zlib.crc32(text.encode()) // 7 % of


def _words(text: str) -> set[str]:
    return {_singular(word) for word in re.findall(r"[a-z0-9-]+", text.lower())} - {"the", "a", "is", "of", "and"}


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and word[:-1] in stamps() else word
