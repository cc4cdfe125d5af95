"""Every family of thoughts, the rules they share, and that one scan reads any text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from judge.core import thoughts
from judge.core.thoughts import spoken, without_thoughts

# (beginning mark, ending mark), as models write them
MARKS = (
    ("<think>", "</think>"),
    ("<THINK>", "</THINK>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<Reflection>", "</Reflection>"),
    ("<seed:think>", "</seed:think>"),
    ("<mm:think>", "</mm:think>"),
    ("◁think▷", "◁/think▷"),
    ("[THINK]", "[/THINK]"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<|think|>", "<|/think|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|channel|>commentary to=user<|message|>", "<|end|>"),
)
AT_THE_START = (
    ("analysisWe look. ", "assistantfinal"),
    ("Here is my thought process: ", "Here is my response:"),
    ("Here are my reasoning steps:\n", "[BEGIN FINAL RESPONSE]"),
)


@pytest.mark.parametrize(("opens", "closes"), MARKS)
def test_families(opens: str, closes: str) -> None:
    assert without_thoughts(f"a{opens}b{closes}c") == "ac"
    assert without_thoughts(f"a{opens}b{closes}c{opens}d{closes}e") in ("ace", "ce")  # a final channel counts alone
    assert without_thoughts(f"a{opens}b") == "a"
    # a mark that closes nothing: what came before was thought; <|end|> alone is an end token
    assert without_thoughts(f"b{closes}c") == ("b<|end|>c" if closes == "<|end|>" else "c")


@pytest.mark.parametrize(("opens", "closes"), AT_THE_START)
def test_families_that_begin_the_text(opens: str, closes: str) -> None:
    assert without_thoughts(f"{opens}b{closes}c") == "c"
    assert without_thoughts(f"{opens}b") == ""
    assert without_thoughts(f"x {opens}b") == f"x {opens}b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("<think>a<think>b</think>c", "c"),  # the first closing tag ends the thought
        ("<think>a</think>b</think>c", "c"),  # a tag that closes nothing: what came before was thought
        ("a<think>b", "a"),
        ("<THINK>a</THINK>", ""),
        ("<think>a[/THINK]b</think>c", "c"),  # another family's mark is part of the thought
        ("analysis of the picture: B", "analysis of the picture: B"),
        ("The assistant finally says B", "The assistant finally says B"),
        ("C<|end|>", "C<|end|>"),
        ("", ""),
    ],
)
def test_rules(text: str, expected: str) -> None:
    assert without_thoughts(text) == expected


def test_stretches_keep_their_order() -> None:
    assert spoken("a<think>b</think>c") == ["a", "c"]
    assert spoken("<think>b") == []


def test_names_are_unique() -> None:
    names = [family.name for family in thoughts.FAMILIES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "unit", ["<think>", "</think>", "<", "<|", "[", "◁", "<|channel|>", "analysis", " ", "assistant"]
)
def test_a_long_text_is_scanned(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    assert len(without_thoughts(text)) in (0, len(text))


@given(st.lists(st.sampled_from([mark for pair in MARKS for mark in pair] + ["a", "\n", "<", "|>"]), max_size=8))
def test_what_is_left_stood_in_the_text(pieces: list[str]) -> None:
    text = "".join(pieces)
    left = without_thoughts(text)
    # a subsequence, so nothing is made up
    rest = iter(text)
    assert all(character in rest for character in left)
