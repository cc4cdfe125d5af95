"""How the scripted model is asked about a picture: for a letter, for a description, or under a contract.

    answer_request("Is the star yellow?\\nA. …", [picture])  ->  "B"
    describe_picture(picture)                       ->  "1. Text/Numbers: none. 2. Objects: a red star, a blue cup."
    keep_contract(said, "The answer is B.")         ->  '{"letter": "B", "evidence": "I looked at the picture."}'

Which contract it is, the text that asks says. It breaks each in some of the ways models do, decided by a checksum.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from judge.demo.drawing import read_picture
from judge.demo.skills import choose_option

if TYPE_CHECKING:
    from PIL import Image

EXTRACTING, INFORMED = "Extract information from the image", "According to the information provided: "
"""How a request begins that wants a description, and one that brings it."""
EVIDENCE = "I looked at the picture."


def answer_request(said: str, pictures: Sequence[Image.Image]) -> str | None:
    """What it says to a request with these texts and pictures; None where that is no multiple-choice question and asks
    for no description."""
    if said.startswith(EXTRACTING) and pictures:
        return describe_picture(pictures[0])
    if "\nA. " not in said:
        return None
    seen = pictures[0] if pictures else None
    return keep_contract(said, choose_option(said, seen, informed=said.startswith(INFORMED)))


def describe_picture(picture: Image.Image) -> str:
    """What is in a picture, in the order of the prompt's topics."""
    scene = read_picture(picture)
    signs = ", ".join(placed.name for placed in scene if len(placed.name) == 1) or "none"
    objects = ", ".join(f"a {placed.colour} {placed.name}" for placed in scene if len(placed.name) > 1) or "none"
    return f"1. Text/Numbers: {signs}. 2. Objects: {objects}. 3. People: none. 6. Events: none."


def keep_contract(said: str, answer: str) -> str:
    """`answer`, a letter in some words, in the form that `said` asks for."""
    found = re.search(r"\b[A-D]\b", answer)
    tool = "submit_answer" in said
    if found is None or not (tool or '"evidence"' in said):
        return answer
    arguments = {"letter": found[0], "evidence": EVIDENCE}
    call = {"name": "submit_answer", "arguments": arguments}
    slip = zlib.crc32(said.encode()) // 11 % 16
    if slip == 0:  # words instead
        return answer
    if slip == 1:
        call, arguments = {"name": "answer", "arguments": arguments}, {"answer": found[0]}
    elif slip == 2:
        arguments["letter"] = found[0].lower()
    whole = json.dumps(call if tool else arguments)
    if slip in (3, 4):
        return f"```json\n{whole}\n```"
    return f"Sure! Here it is: {whole}" if slip == 5 else whole
