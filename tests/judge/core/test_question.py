"""The one wording of a question: parts and text are the same characters in the same order."""

from pathlib import Path

import pytest

from judge.core.question import Question, as_parts
from judge.core.request import Picture, Text

A, B = (Picture(Path(f"/data/{name}.jpg"), f"{name}.jpg") for name in "ab")


@pytest.mark.parametrize(
    ("steps", "parts"),
    [
        ([], ()),
        (["One."], (Text("One."),)),
        ([A], (A,)),
        (["Step 1", A, "Step 2"], (Text("Step 1\n"), A, Text("\nStep 2"))),
        (["A cup?", "Step 1", A], (Text("A cup?\nStep 1\n"), A)),
        ([A, B, "Which?", "Say."], (A, B, Text("\nWhich?\nSay."))),
        (["", A, " \n", B], (A, B)),
        (["ends so\n", A], (Text("ends so\n\n"), A)),
        (["<image> or <IMAGE>", A], (Text("< image > or <IMAGE>\n"), A)),
    ],
)
def test_texts_are_set_off_by_one_newline(steps, parts):
    assert as_parts(steps) == parts
    question = Question("q", 0, "SA", parts)
    assert question.pictures == tuple(step for step in steps if isinstance(step, Picture))
    assert question.text().count("<image>") == len(question.pictures)
    assert "".join(part.text if isinstance(part, Text) else "<image>" for part in question.parts) == question.text()


def test_the_text_form_joins_lines():
    question = Question("q", 0, "SA", as_parts(["Step 1", A, "Step 2", "Step 3", B]))
    assert question.text() == "\n".join(["Step 1", "<image>", "Step 2", "Step 3", "<image>"])
    assert question.text("[picture]") == "Step 1\n[picture]\nStep 2\nStep 3\n[picture]"
