"""The specification of the answer extraction: what a careful reader takes, by which rule, and what the script takes."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from judge.core import option_letter
from judge.core.option_letter import careful
from mmvu_tasks.extract import reference

OPTIONS = ("a duck.", "a man is running.", "two people", "It can't be confirmed.")

# (answer, careful letter, rule that decided, reference letter)
TABLE: tuple[tuple[str, str | None, str | None, str | None], ...] = (
    # a letter and nothing else
    ("B", "B", "bare", "B"),
    ("A", "A", "bare", "A"),
    ("B.", "B", "bare", "B"),
    ("(B)", "B", "bare", None),
    ("B)", "B", "bare", None),
    ("B:", "B", "bare", None),
    ("[B]", "B", "bare", None),
    ("**B**", "B", "bare", None),
    ("__B__", "B", "bare", None),
    ("`B`", "B", "bare", None),
    ("'B'", "B", "bare", None),
    ('"C"', "C", "bare", None),
    ("“C”", "C", "bare", None),
    ("b", "B", "bare", None),
    ("a", "A", "bare", None),
    ("\nA", "A", "bare", None),
    ("A\n", "A", "bare", None),
    ("B B B", "B", "bare", "B"),
    ("Ｂ", "B", "bare", None),  # full width
    ("（Ｂ）", "B", "bare", None),
    ("Ⓑ", "B", "bare", None),
    ("C<|im_end|>", "C", "bare", None),
    ("D</s>", "D", "bare", None),
    # thoughts are not answers
    ("<think>A? No, the answer is A.</think>C", "C", "bare", "A"),
    ("<think>\nmaybe A\n</think>\n\nThe answer is **D**.", "D", "stated", None),
    ("maybe A</think>\nB", "B", "bare", None),
    ("<think>The answer is B", None, None, "B"),
    # a place set apart
    (r"\boxed{B}", "B", "boxed", None),
    (r"So $\boxed{\text{(B)}}$.", "B", "boxed", None),
    (r"\boxed{A}? No: \boxed{C}", "C", "boxed", None),
    (r"\boxed{two people}", "C", "boxed", None),
    ("I see a man.\n<answer>D</answer>", "D", "tagged", None),
    # an option's text and nothing else
    ("A man is running.", "B", "verbatim", "A"),
    ("a  DUCK", "A", "verbatim", None),
    ('"two people".', "C", "verbatim", None),
    # statements; the last one counts
    ("The answer is B", "B", "stated", "B"),
    ("Answer:B", "B", "stated", None),
    ("ANSWER B", "B", "stated", "B"),
    ("Final Answer: (D)", "D", "stated", None),
    ("The correct answer is option B: a man", "B", "stated", None),
    ("The correct option is: C) two people", "C", "stated", None),
    ('{"answer": "C"}', "C", "json", None),
    ("answer = b", "B", "stated", None),
    ("The answer's B.", "B", "stated", "B"),
    ("No, the answer should be C.", "C", "stated", "C"),
    ("I'd go with C.", "C", "stated", "C"),
    ("I choose A", "A", "stated", "A"),
    ("B is correct.", "B", "judged", "B"),
    ("A is correct, since it quacks.", "A", "judged", "A"),
    ("I think option b is the best answer", "B", "judged", None),
    ("Between A and B, B is correct.", "B", "judged", "A"),
    ("A: B", "B", "stated", "B"),
    ("答案是B", "B", "stated", None),
    ("选 C。", "C", "stated", None),
    ("The answer is B. Wait, the answer is C.", "C", "stated", "B"),
    ("B. Actually, C.", "C", "stated", "B"),
    ("The answer is a", "A", "stated", None),
    ("A. a duck.\nB. a man is running.\nC. two people\nD. It can't be confirmed.\nAnswer: C", "C", "stated", "A"),
    ("Based on the picture, the correct answer is:\n\n**C. Two of them**", "C", "stated", None),
    ("The correct answer for this picture is C", "C", "stated", "C"),
    ("The answer could be B", "B", "stated", "B"),
    # it begins with the letter
    ("B\nBecause he runs.", "B", "leading", None),
    ("B. A man is running", "B", "leading", "B"),
    ("B.two people", "B", "leading", "B"),
    ("(B) a man", "B", "leading", None),
    ("b) a man", "B", "leading", None),
    ("B - a man", "B", "leading", "B"),
    ("A (a bird)", "A", "leading", "A"),
    ("B, a man", "B", "leading", "B"),
    ("b because he runs", "B", "leading", None),
    ("B、两个人", "B", "leading", None),
    ("D, not A", "D", "leading", "A"),
    ("A because it quacks", "A", "leading", "A"),
    ("C Two of them stand there", "C", "leading", "C"),
    ("Option B: a man", "B", "leading", None),
    ("Yes, B", "B", "leading", "B"),
    ("No. D", "D", "leading", None),
    ("A. The duck\n\nExplanation: B. is wrong.", "A", "leading", "A"),
    ("B\n\nA is wrong. C is wrong. D is wrong.", "B", "leading", None),
    # it concludes
    ("A man is running, so D", "D", "conclusion", "A"),
    ("I think 3.5 so C", "C", "conclusion", None),
    ("There is no duck, therefore option (B).", "B", "conclusion", None),
    ("A. B. and C are wrong, so D", "D", "conclusion", "A"),
    ("The answer is not A but B", "B", "conclusion", "A"),
    # its last sentence is the letter
    ("He does not swim. D", "D", "closing", None),
    ("The question is odd.\n\n**B**", "B", "closing", None),
    ("Neither A nor B; C.", "C", "closing", "A"),
    ("ASSISTANT: B", "B", "bare", "B"),
    ("The answer is A? No, B.", "B", "closing", "B"),
    # an option's text, the letter left out
    ("There are two people here", "C", "option_text", None),
    ("I see a man is running over the field", "B", "option_text", None),
    ("Let me look.\n\n**C. two people**", "C", "closing", None),
    ("It can't be confirmed from this picture.", "D", "option_text", None),
    # one label, the denied ones aside
    ("Not A. B", "B", "closing", "A"),
    ("option b", "B", "leading", None),
    ("maybe B", "B", "leading", "B"),
    ("Option A is wrong. Option B fits.", "B", "judged", "A"),
    # all others denied
    ("Options A, B and D are wrong.", "C", "eliminated", "A"),
    ("Not A, not B, not D", "C", "eliminated", "A"),
    # one line that begins with a letter
    ("I see.\nC. Two of them", "C", "line", None),
    # more than one letter and no conclusion
    ("A or B", None, "leading", "A"),
    ("C or possibly D", None, "leading", "C"),
    ("Both A and D", None, "leading", "A"),
    ("A B C D", None, None, "A"),
    ("The answer is A or B", None, "stated", "A"),
    ("The answer is A/B", None, "stated", None),
    ("Answer: A, B", None, "stated", "A"),
    ("A and B is correct", None, "judged", "A"),
    ("maybe B. maybe C.", None, "leading", "B"),
    ("We cannot choose between (A) and (C)", None, None, None),
    ("A. a duck.\nB. a man is running.\nC. two people\nD. It can't be confirmed.", None, None, "A"),
    ("The options are a duck and two people", None, None, None),
    # denied
    ("The answer is not A.", None, None, "A"),
    ("C is not correct", None, None, "C"),
    ("A. Incorrect. C. Incorrect.", None, None, "A"),
    ("D is wrong", None, None, "D"),
    ("Option A is wrong. Option B is wrong.", None, None, "A"),
    ("It is not a duck", None, None, None),
    # no option of ours
    ("E", None, "bare", None),
    ("E. None of these", None, "leading", None),
    ("The answer is E.", None, "stated", None),
    ("None of the above", None, None, None),
    ("5", None, None, None),
    # words and names, not labels
    ("A clearer picture is needed.", None, None, "A"),
    ("Answer: a dog", None, None, None),
    ("It's A dog", None, None, "A"),
    ("He was born in Washington, D.C.", None, None, "D"),
    ("Vitamin D is good", None, None, "D"),
    ("D-Day", None, None, None),
    ("B's", None, None, None),
    ("I", None, None, None),
    # refusals
    ("I'm sorry, but I cannot see the image.", None, None, None),
    ("I can't help with that.", None, None, None),
    ("I am unable to determine the answer.", None, None, None),
)


@pytest.mark.parametrize(("answer", "letter", "rule", "script"), TABLE)
def test_table(answer: str, letter: str | None, rule: str | None, script: str | None) -> None:
    assert careful(answer, OPTIONS) == (letter, rule)
    assert reference(answer) == script


def test_every_rule_decides_somewhere() -> None:
    assert {rule for _, _, rule, _ in TABLE if rule} == set(option_letter.RULES)


@pytest.mark.parametrize(
    ("answer", "options", "letter"),
    [
        # signs and decimals are part of a number
        ("The result is -2.", ("-2.", "-6.", "4.", "2."), "A"),
        ("The result is 2.", ("-2.", "-6.", "4.", "2."), "D"),
        ("It is 2.5 m", ("-2.", "-6.", "4.", "2."), None),
        # numbers in words or digits; other numbers of the options, and ones that count nothing
        ("There are three buses in the picture.", ("3", "2", "4", "1"), "A"),
        ("I can see 3 buses.", ("Three", "Two", "Four", "One"), "A"),
        ("I see two buses, one red and one blue.", ("Three", "Two", "Four", "One"), None),
        ("I believe one.", ("3", "2", "4", "1"), "D"),
        ("There is one bus.", ("3", "2", "4", "1"), "D"),
        ("The one on the left is red.", ("Three", "Two", "Four", "One"), None),
        ("There are not three buses but 4.", ("Three", "Two", "Four", "One"), "C"),
        ("At 3 o'clock, there are two buses.", ("3", "2", "4", "1"), None),
        ("More than three buses.", ("3", "2", "4", "1"), None),
        ("There are two, and no one is real.", ("Two", "no one is real", "Three", "One"), None),
        ("There are two people and a dog.", ("Two", "Two people and a dog", "Three", "One dog"), "B"),
        ("There are 2 people and a dog.", ("Two", "Two people and a dog", "Three", "One dog"), "B"),
        ("12.5", ("1", "2.5", "3", "4"), None),
        ("There are 2 people.", ("Two", "Two people and a dog", "Three", "One dog"), "A"),
        # a text inside a longer option's text
        ("There are only two people.", ("two people", "only two people", "three", "four"), "B"),
        ("There are two people.", ("two people", "only two people", "three", "four"), "A"),
        # the same text twice names neither
        ("90210777", ("902107770", "90210777", "90210777", "9021"), None),
        # common words count at the front only
        ("No, it is shut.", ("Yes", "No", "Both", "Neither"), "B"),
        ("There is no door.", ("Yes", "No", "Both", "Neither"), None),
        # coordinates hold dots and commas
        ("[0.11,0.52,0.2,0.9]", ("[0.1,0.5,0.2,0.9]", "[0.11,0.52,0.2,0.9]", "none", "all"), "B"),
        # an option that speaks of letters
        ("The letter is B.", ("The letter is B.", "The letter is A.", "The letter is C.", "no letter"), "A"),
        ("The answer is: It says 'E Main St'.", ("It says 'E Main St'.", "It says 'EXIT'.", "x1", "x2"), "A"),
        # dollars are emphasis in TeX only
        ("It costs $2.75", ("It costs $7.25.", "It costs $2.57.", "It costs $5.27.", "It costs $2.75."), "D"),
    ],
)
def test_option_texts(answer: str, options: tuple[str, ...], letter: str | None) -> None:
    assert careful(answer, options).letter == letter


# What a quadratic pattern would take hours for; the suite's time limit is the only clock.
@pytest.mark.parametrize(
    "unit",
    ["A", "A ", "a ", "(", " \n", "_", "the answer is ", "so ", "answer: the the ", "it's ", r"\boxed{", "<think>",
     "<|", "<answer>", "B? ", "A or ", "a duck ", "a man is running ", "not A. ", "'", "ﷺ", "选", "\u0301"],
)  # fmt: skip
def test_long_answers(unit: str) -> None:
    long = (unit * 200_000)[:200_000]
    letter, _ = careful(long, OPTIONS)
    assert letter in (None, "A", "B")
    if unit != "<think>":  # a thought without end has no answer
        assert careful(f"{long}</s>\nThe answer is C.", OPTIONS).letter == "C"


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ABCDEabcd ().,:*\n\"'-<>{}\\/|is answer soオ1é"), max_size=60))
def test_any_text_has_an_outcome(text: str) -> None:
    letter, rule = careful(text, OPTIONS)
    assert letter in (None, *"ABCD")
    assert rule in (None, *option_letter.RULES)
    # no letter out of nothing: it stands in the answer, or an option's text does
    said = unicodedata.normalize("NFKC", text)
    assert (
        letter is None or letter in said.upper() or rule in ("verbatim", "option_text", "boxed", "tagged", "eliminated")
    )


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40), st.sampled_from("ABCD"))
def test_the_reference_is_the_published_code(text: str, letter: str) -> None:
    answer = f"{text} {letter},"
    # evaluation/evaluation/models/calculation.py, step by step
    cut = answer[: answer.find(".")] if answer.find(".") != -1 else answer
    words = cut.replace(",", " ").split(" ")
    expected = "A" if "A" in words else "B" if "B" in words else "C" if "C" in words else "D" if "D" in words else None
    assert reference(answer) == expected
