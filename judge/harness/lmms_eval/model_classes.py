"""What lmms-eval's model classes make of a question in which texts and pictures take turns.

    interleaving(lm)       ->  "kept", "pictures first", "first picture only" or "unknown"
    wants_numbers(lm)      ->  whether it puts pictures where the text says `<image 1>`, `<image 2>`, …

A class that loses the order or a picture answers another question than the one in the benchmark, and neither it nor
lmms-eval says so. The table has what lmms-eval 0.7.3 does; `benchmarks/model_classes.py` asks every class that can be
built offline and prints what reached the model (docs/model_classes.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.question import Question
from judge.core.request import IMAGE_PLACEHOLDER, Picture, Text
from judge.results.run_info import Interleaving

CLASSES: Mapping[str, Interleaving] = {
    "chat.async_openai": "kept",
    "chat.internvl_hf": "kept",
    "chat.lfm2_5_vl": "first picture only",
    "chat.llava_hf": "kept",
    "chat.openai": "kept",
    "chat.qwen2_5_vl": "kept",
    "chat.qwen3_5": "kept",
    "chat.qwen3_vl": "kept",
    "chat.vllm": "kept",
    "chat.vllm_generate": "kept",
    "simple.gemma3": "pictures first",
    "simple.gemma4": "pictures first",
    "simple.glm4v": "pictures first",
    "simple.idefics2": "kept",
    "simple.instructblip": "pictures first",
    "simple.llama4_scout": "pictures first",
    "simple.llama_vision": "pictures first",
    "simple.llava_onevision1_5": "pictures first",
    "simple.mistral3_vl": "pictures first",
    "simple.qwen2_5_vl": "pictures first",
    "simple.qwen2_vl": "pictures first",
    "simple.qwen3_vl": "pictures first",
}
"""Module of the class below `lmms_eval.models` → what it does."""

NUMBERING = frozenset(
    {
        "simple.gemma3", "simple.gemma4", "simple.llava_onevision1_5", "simple.qwen2_5_vl", "simple.qwen2_vl",
        "simple.qwen3_vl",
    }
)  # fmt: skip
"""Classes with the option `interleave_visuals`: the order is kept, and without numbers every picture is dropped."""


NEEDS_PICTURE = frozenset({"chat.llava_hf", "simple.idefics2", "simple.llama_vision"})
"""Classes that end the run at a question without a picture (none of MMIE's 20,103, one of the demo's)."""


def _module(lm: object) -> str:
    return type(lm).__module__.removeprefix("lmms_eval.models.")


def wants_numbers(lm: object) -> bool:
    """Whether `lm` was built with `interleave_visuals`."""
    return _module(lm) in NUMBERING and bool(getattr(lm, "interleave_visuals", False))


def needs_picture(lm: object) -> bool:
    """Whether `lm` cannot be asked without a picture."""
    return _module(lm) in NEEDS_PICTURE


def interleaving(lm: object) -> Interleaving:
    """What the class of `lm` does; a model class outside lmms-eval may say so in an attribute of this name."""
    if wants_numbers(lm):
        return "kept"
    stated: Any = getattr(lm, "interleaving", None)
    if stated in ("kept", "pictures first", "first picture only"):
        found: Interleaving = stated
        return found
    return CLASSES.get(_module(lm), "unknown")


def simple_text(question: Question, what: Interleaving, *, numbered: bool = False) -> str:
    """The text of `question` for a class that takes text and pictures apart: as much of their order as it understands.

    With a placeholder for each picture it is `Question.text`; numbered: `<image 1>`, `<image 2>` and so on. Where
    pictures come first anyhow, there is no placeholder: some classes leave it in the text, and others an empty line.
    """
    if numbered:
        marks = iter(range(1, len(question.pictures) + 1))
        return "".join(part.text if isinstance(part, Text) else f"<image {next(marks)}>" for part in question.parts)
    if what == "pictures first" or not _has_text_before_a_picture(question):
        said, cut = "", False
        for part in question.parts:
            if isinstance(part, Text):
                # two texts that a picture stood between are a line apart, as texts in a row are
                said += part.text.removeprefix("\n") if cut and said.endswith("\n") else part.text
            cut = not isinstance(part, Text)
        return said
    return question.text(IMAGE_PLACEHOLDER)


def changed(questions: Sequence[Question], what: Interleaving) -> int:
    """How many questions are another to a class that does `what`."""
    if what == "pictures first":
        return sum(_has_text_before_a_picture(question) for question in questions)
    if what == "first picture only":
        return sum(len(question.pictures) > 1 for question in questions)
    return 0


def _has_text_before_a_picture(question: Question) -> bool:
    kinds = [isinstance(part, Picture) for part in question.parts]
    return kinds != sorted(kinds, reverse=True)
