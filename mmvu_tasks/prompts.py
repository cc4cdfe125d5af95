"""What a model under test is sent: the picture, then the published question and one line of instruction.

    Is the clock round?
    A. It is square.
    …
    Answer with the option's letter from the given choices directly.

This is `question + "\\nAnswer with …"` to the letter, as the official scripts of the v1 table send it (GPT-4o, InternVL
and the others in evaluation/evaluation/models of BAAI-DCAI/Multimodal-Robustness-Benchmark @b85b573, and the template
`model_vqa_mmr.py` there). Six later scripts, behind rows of the CVPR table (LLaVA-OneVision, Llama-3.2, MiniCPM-2.6,
Ovis, Pixtral, InternVL2), put the line before the question instead. The first form is the default because every script
of one whole table has it and part of the other's. Nothing of the question is cleaned: it goes out with its spaces and
line ends as published.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from judge.core.question import Question, without_placeholders
from judge.core.request import Picture, Text
from judge.io.jsonl import writable
from mmvu_tasks.location import find_image
from mmvu_tasks.records import Record

DEFAULT = "direct"
_FOLDER = Path(__file__).parent / "templates"


def text(record: Record, prompt: str = DEFAULT) -> str:
    """The text of the message. prompt: name of a file in `templates/`, in which `{question}` is filled."""
    return template(prompt).replace("{question}", record.question)


def question(record: Record, root: Path | None, prompt: str = DEFAULT) -> Question:
    """What is asked, in the wording of every way in: the picture, then the text, with nothing between them.

    root: the folder of the data's pictures; None where nobody will open them. Raises UserError where the picture is
    not to be had.
    """
    name = record.image
    picture = Picture(Path(name) if root is None else find_image(root, record), name)
    asked = without_placeholders(writable(text(record, prompt)))
    return Question(record.id, record.index, record.category, (picture, Text(asked)))


def identity(prompt: str = DEFAULT) -> str:
    """Name and hash, for the record of what was asked: "direct@1a2b3c4d"."""
    return f"{prompt}@{hashlib.sha256(template(prompt).encode()).hexdigest()[:8]}"


@cache
def template(prompt: str) -> str:
    """The text of a template, without the line end of its file."""
    return (_FOLDER / f"{prompt}.txt").read_text(encoding="utf-8").removesuffix("\n")
