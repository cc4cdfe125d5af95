"""How long the MMVU extraction takes for answers of 200,000 characters made of one piece repeated.

    python benchmarks/extraction.py          seconds for each piece, the slowest last

No piece may take 0.2 s: an answer's time grows with its length, whatever stands in it.
"""

from __future__ import annotations

import time

from judge.core.option_letter import careful

LENGTH = 200_000
OPTIONS = ("a duck.", "a man is running", "two people", "It can't be confirmed.")
PIECES = (
    "A", "A ", "a ", "(", " \n", "\n", "_", "*", "the answer is ", "so ", "answer: the the ",
    "it's ", "\\boxed{", "<think>", "</think>", "<|", "<answer>", "B? ", "A or ", "a duck ",
    "a man is running ", "not A. ", "'", "ﷺ", "选", "́", "A. a duck.\n", "The answer is A. ",
    "I don't think A, ", "if the answer were A, ", "答案是A。", "不选A，", "~~A", "~~", "[x] A\n", "A ✅ ",
    "✅", "{\"answer\": \"", "\"answer\": \"A\", ", "\nQ: A", "Question: ", "\nHuman:", "analysis",
    "assistantfinal", "<|channel|>analysis<|message|>", "<|channel|>", "◁think▷", "&amp;", "&",
    "```", "$", "\\text{", "\\", "-", "=", "A,", "A/", "A and ", "`", "__", "~", "<b>", "<", ">",
    "| A ", "> ", "1. ", "# ", "\"x?", "“", "wait ", "actually A ", "A is wrong. ", "A is right, ",
    "everything but A ", "option ", "person A ", "x", "é", "😀", "-2 ", "2 ", "are sitting ",
    "there's ", "<|end|>", "[", "{", "}{", "((A)", "A: A: ", "e A ", "\t", "\r\n", "\\boxed{A} or ",
    "가", "は",
)  # fmt: skip


def main() -> None:
    careful("The answer is A.", OPTIONS)
    times = []
    for piece in PIECES:
        answer = (piece * LENGTH)[:LENGTH]
        begun = time.process_time()
        careful(answer, OPTIONS)
        times.append((time.process_time() - begun, piece))
    for seconds, piece in sorted(times):
        print(f"{seconds:8.4f}  {piece!r}")


if __name__ == "__main__":
    main()
