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
from collections.abc import Sequence
from typing import NamedTuple


class Family(NamedTuple):
    """One way to mark thoughts, as patterns without regard to case.

    opens: begins a thought. closes: ends it, and stands alone where the beginning was in the prompt. ends: ends it, and
    means nothing outside a thought of this family. first: the beginning counts at the very start of the text only.
    """

    name: str
    opens: str
    closes: str
    ends: str | None = None
    first: bool = False


_TAGS = (
    "think", "thinking", "thought", "thoughts", "thought_process", "thinking_process", "reasoning", "reason",
    "rationale", "reflection", "reflect", "self_reflection", "analysis", "scratchpad", "inner_monologue",
    "inner_thoughts", "chain_of_thought", "cot", "longcat_think",
)  # fmt: skip
"""<think>, also with a prefix (<seed:think>): DeepSeek-R1, Qwen, GLM, Nemotron, EXAONE, Granite, Seed, MiniMax, …"""

FAMILIES = (
    Family("kimi", "◁think▷", "◁/think▷"),
    Family("magistral", r"\[think\]", r"\[/think\]"),
    Family("begin_of", r"<\|begin_of_(?:thought|thinking|think)\|>", r"<\|end_of_(?:thought|thinking|think)\|>"),
    Family("command", r"<\|start_(?:thinking|thought)\|>", r"<\|end_(?:thinking|thought)\|>"),
    Family("bars", r"<\|(?:think|thinking|thought)\|>", r"<\|/(?:think|thinking|thought)\|>"),
    Family("bars_start", r"<\|?(?:think|thought)_start\|?>", r"<\|?(?:think|thought)_end\|?>"),
    Family("medgemma", r"<unused94>(?:thought)?", "<unused95>"),
    Family("gemma", r"<\|channel>thought", r"<channel\|>"),
    Family(
        "harmony",
        r"<\|channel\|>(?:analysis|commentary)[^<>\n]{0,40}<\|message\|>",
        r"(?:<\|end\|>)?(?:<\|start\|>)?(?:assistant)?<\|channel\|>final[^<>\n]{0,40}<\|message\|>",
        r"<\|end\|>",
    ),
    # harmony after a decoding that leaves special marks out; the case is part of the mark
    Family("harmony_plain", r"(?-i:analysis(?=[A-Z\"']))", r"(?-i:assistantfinal(?!ly\b))", first=True),
    Family("granite", r"here is my thought process:", r"here is my response:", first=True),
    Family("apriel", r"here are my reasoning steps:", r"\[begin final response\]", first=True),
)


def _mark(families: Sequence[tuple[int, Family]], *, first: bool) -> str:
    """One alternative a mark; the group's name is its kind and the family's number."""
    sources = []
    for number, family in families:
        if family.first == first:
            sources.append(rf"(?P<o{number}>{family.opens})")
        if not first:
            sources.append(rf"(?P<c{number}>{family.closes})")
            sources.extend([rf"(?P<e{number}>{family.ends})"] if family.ends else [])
    return "|".join(sources)


_FIRST = re.compile(rf"\s*(?:{_mark(list(enumerate(FAMILIES)), first=True)})", re.IGNORECASE)
_MARK = re.compile(
    rf"<(?P<end>/?)(?:[a-z]{{1,12}}:)?(?P<tag>{'|'.join(_TAGS)})>"
    rf"|(?=[\[◁ah]|<[|/tuc])(?:{_mark(list(enumerate(FAMILIES)), first=False)})",
    re.IGNORECASE,
)


def without_thoughts(text: str) -> str:
    """`text` without the thoughts of any family."""
    return "".join(spoken(text))


def spoken(text: str) -> list[str]:
    """The stretches of `text` between thoughts, in order; [text] where there are none, [] where all is thought."""
    kept: list[str] = []
    position, inside = 0, ""  # the name of the family whose thought we are in
    begun = _FIRST.match(text)
    if begun:
        position, inside = begun.end(), (begun.lastgroup or "o")[1:]
    for mark in _MARK.finditer(text, position):
        kind, family = _kind(mark)
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


def _kind(mark: re.Match[str]) -> tuple[str, str]:
    """("o" opens, "c" closes or "e" ends, the family)."""
    if mark["tag"]:
        return ("c" if mark["end"] else "o"), mark["tag"].lower()
    name = mark.lastgroup or "o"
    return name[0], name[1:]
