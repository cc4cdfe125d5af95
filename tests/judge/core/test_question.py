"""The one wording of a question: parts and text are the same characters in the same order."""

from pathlib import Path

import pytest

from judge.core.question import Question, as_parts, without_placeholders, wording
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
        (["<image> or <IMAGE>", A], (Text("< image > or < IMAGE >\n"), A)),
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


@pytest.mark.parametrize(
    "mark",
    [
        "<image>", "<image 1>", "<|image|>", "<|image_1|>", "<|image_pad|>", "<|vision_start|>", "<|vision_end|>",
        "<|video_pad|>", "<video>", "<IMG_CONTEXT>", "<img>", "</img>", "<image_soft_token>", "<start_of_image>",
        "<end_of_image>", "<image_placeholder>", "<fake_token_around_image>", "<row_1_col_2>", "<global-img>", "[IMG]",
        "[IMG_BREAK]", "[IMG_END]", "<|image>", "<image|>", "<|image token|>", "<|image start|>", "<|media_pad|>",
    ],
)  # fmt: skip
def test_no_models_mark_for_a_picture_survives_in_a_text(mark):
    assert (
        without_placeholders(f"the tag {mark}{mark} here")
        == f"the tag {(mark[0] + ' ' + mark[1:-1] + ' ' + mark[-1]) * 2} here"
    )


@pytest.mark.parametrize(
    "text", ["a < b and c > d", "<p>an image</p>", "[1] an image", "<imagine that", "x<image", "<sup>2</sup>"]
)
def test_other_texts_are_left_alone(text):
    assert without_placeholders(text) == text


def test_a_wording_has_a_name_and_the_hash_of_what_it_puts_around_a_question():
    # printf 'a < image >\n<image><image>\nb\nc' | sha256sum | cut -c1-8
    assert wording("plain") == "plain@a7eb5190"
    assert wording("plain", "Answer.") != wording("plain")
