"""The letter that the published script of MMVU takes from an answer.

    reference("A man is running, so D.")   ->  "A"
    reference("**B**")                     ->  None

What our own metrics take is `judge.core.option_letter.careful`, which other benchmarks read option letters by, too.
"""

from __future__ import annotations

from mmvu_tasks.records import LETTERS


def reference(answer: str) -> str | None:
    """What the published script takes: cut at the first ".", commas to spaces, split on spaces, the first of A, B, C, D
    that is a word; None stands for its "E", which is never right.

    Source: `eval_mma` in evaluation/evaluation/models/calculation.py, BAAI-DCAI/Multimodal-Robustness-Benchmark
    @b85b573. "(B)", "B)", "**B**", "b" and "No. D" are wrong answers to it, "D, not A" is A.
    """
    words = set(answer.split(".")[0].replace(",", " ").split(" "))
    return next((letter for letter in LETTERS if letter in words), None)
