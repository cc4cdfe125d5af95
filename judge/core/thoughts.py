"""A model's thoughts taken out of what it said: one table of every known way to mark them.

    <think>Maybe A. No.</think>C                                               -> C
    ◁think▷Maybe A.◁/think▷C                                                   -> C
    <|channel|>analysis<|message|>A?<|end|><|start|>assistant<|channel|>final<|message|>C    -> C
    analysisWe have to choose. A?assistantfinalC                               -> C (special marks left out by decoding)

A closing mark that closes nothing ends a thought which began in the prompt: only what follows is kept. A thought that
never ends leaves nothing after it. One scan over the text; time grows with its length only.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Family(NamedTuple):
    """One way to mark thoughts, as patterns without regard to case.

    opens: begins a thought. closes: ends it, and stands alone where the beginning was in the prompt. ends: ends it, and
    means nothing outside a thought of this family.
    """

    name: str
    opens: str
    closes: str
    ends: str | None = None


_TAGS = (
    "think", "thinking", "thought", "thoughts", "thought_process", "thinking_process", "reasoning", "reason",
    "rationale", "reflection", "reflect", "self_reflection", "analysis", "scratchpad", "inner_monologue",
    "inner_thoughts", "chain_of_thought", "cot", "longcat_think",
)  # fmt: skip
_FINAL_CHANNEL = r"(?:<\|end\|>)?(?:<\|start\|>)?(?:assistant)?<\|channel\|>final[^<>\n]{0,40}<\|message\|>"

FAMILIES = (
    # DeepSeek-R1, Qwen, GLM, Nemotron, EXAONE, Granite, Seed, MiniMax, R1-like research models: <think>, <seed:think>
    *(Family(tag, rf"<(?:[a-z]{{1,12}}:)?{tag}>", rf"</(?:[a-z]{{1,12}}:)?{tag}>") for tag in _TAGS),
    Family("kimi", "◁think▷", "◁/think▷"),
    Family("magistral", r"\[think\]", r"\[/think\]"),
    Family("begin_of", r"<\|begin_of_(?:thought|thinking|think)\|>", r"<\|end_of_(?:thought|thinking|think)\|>"),
    Family("command", r"<\|start_(?:thinking|thought)\|>", r"<\|end_(?:thinking|thought)\|>"),
    Family("bars", r"<\|(?:think|thinking|thought)\|>", r"<\|/(?:think|thinking|thought)\|>"),
    Family("bars_start", r"<\|?(?:think|thought)_start\|?>", r"<\|?(?:think|thought)_end\|?>"),
    Family("medgemma", r"<unused94>(?:thought)?", "<unused95>"),
    Family("gemma", r"<\|channel>thought", r"<channel\|>"),
    Family("harmony", r"<\|channel\|>(?:analysis|commentary)[^<>\n]{0,40}<\|message\|>", _FINAL_CHANNEL, r"<\|end\|>"),
    # harmony after a decoding that leaves special marks out; the case is part of the mark
    Family("harmony_plain", r"\A\s{0,9}(?-i:analysis(?=[A-Z\"']))", r"(?-i:assistantfinal(?!ly\b))"),
    Family("granite", r"\A\s{0,9}here is my thought process:", r"here is my response:"),
    Family("apriel", r"\A\s{0,9}here are my reasoning steps:", r"\[begin final response\]"),
)
_MARK = re.compile(
    r"(?=[<\[◁\sAHah])(?:"  # nothing else begins a mark
    + "|".join(
        f"(?P<o{number}>{family.opens})|(?P<c{number}>{family.closes})"
        + (f"|(?P<e{number}>{family.ends})" if family.ends else "")
        for number, family in enumerate(FAMILIES)
    )
    + ")",
    re.IGNORECASE,
)


def without_thoughts(text: str) -> str:
    """`text` without the thoughts of any family."""
    return "".join(spoken(text))


def spoken(text: str) -> list[str]:
    """The stretches of `text` between thoughts, in order; [text] where there are none, [] where all is thought."""
    kept: list[str] = []
    position, inside = 0, ""  # the number of the family whose thought we are in
    for mark in _MARK.finditer(text):
        kind, family = (mark.lastgroup or " ")[0], (mark.lastgroup or " ")[1:]
        if kind == "o" and not inside:
            kept.append(text[position : mark.start()])
            inside = family
        elif kind == "c" and not inside:
            kept.clear()
            position = mark.end()
        elif kind != "o" and inside == family:
            position, inside = mark.end(), ""
    if not inside:
        kept.append(text[position:])
    return [stretch for stretch in kept if stretch]
