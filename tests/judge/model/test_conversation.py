"""Prompts from pieces equal the recorded prompts from strings."""

import json
import re
from pathlib import Path

import folders
import pytest

from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal, Rubric
from judge.errors import UserError
from judge.model.conversation import SYSTEM_MESSAGE, chat_text, encode_chat_text, encode_prompt
from judge.model.tokenizer import Tokenizer

CHECKPOINT = folders.GOLDEN / "tiny-internvl2"
GOLDEN = json.loads((CHECKPOINT.parent / "cases.json").read_text(encoding="utf-8"))
PICTURE = Picture(Path("/data/a.png"), "a.png")
TOKENS_PER_TILE = GOLDEN["meta"]["num_image_token"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.from_folder(CHECKPOINT)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: case["name"])
def test_golden_questions(tokenizer, case):
    tiles = case["num_patches_list"]
    assert encode_chat_text(tokenizer, case["question"], tiles, TOKENS_PER_TILE) == case["input_ids"]
    # the same from pieces; what is left of placeholders after the pictures is text
    question = case["question"] if "<image>" in case["question"] or not tiles else "<image>\n" + case["question"]
    parts = question.split("<image>", len(tiles))
    pieces = [Literal(parts[0])]
    for part in parts[1:]:
        pieces += [PICTURE, Literal(part)]
    assert list(encode_prompt(tokenizer, pieces, tiles, TOKENS_PER_TILE).ids) == case["input_ids"]


def test_the_system_line_is_the_recorded_one():
    assert GOLDEN["meta"]["system_message"] == SYSTEM_MESSAGE


RUBRIC = Rubric(
    "test",
    {
        "MSR": "Rate it.\n### Question\n{question}\n### Answer\n{answer}\n### Correct Answer\n"
        "The correct answer to this question should be: {gt_answer}\n### Feedback\n"
    },
)


def test_a_request_has_the_ids_of_its_text(tokenizer):
    request = Request(
        "MSR-1",
        "MSR",
        question=(Text("Which lamp is red?  "), PICTURE, Text("  Two blanks, {answer} and\n\nlines.")),
        answer=(Text("The left one. 你是 😀 e\u0301\t"), PICTURE),
        gt_answer="left\nand right",
    )
    encoded = encode_prompt(tokenizer, RUBRIC.render(request), [1, 4], TOKENS_PER_TILE)
    text = (
        "Rate it.\n### Question\nWhich lamp is red?  \nImage-0: <image>\n  Two blanks, {answer} and\n\nlines.\n\n"
        "### Answer\nThe left one. 你是 😀 e\u0301\t\nImage-1: <image>\n\n### Correct Answer\n"
        "The correct answer to this question should be: left\nand right\n### Feedback\n"
    )
    assert list(encoded.ids) == encode_chat_text(tokenizer, text, [1, 4], TOKENS_PER_TILE)
    # the blank before the reference answer belongs to its span: one piece may hold both
    assert [tokenizer.text_of(encoded.ids[start:stop]) for start, stop in encoded.spans] == [
        "Which lamp is red?  ",
        "  Two blanks, {answer} and\n\nlines.",
        "The left one. 你是 😀 e\u0301\t",
        " left\nand right",
    ]


def test_white_space_at_the_start_of_the_message_goes_as_in_the_reference(tokenizer):
    encoded = encode_prompt(
        tokenizer, (Text(" \n\u00a0"), Literal("\n"), Text("  Hi"), Literal("\n")), [], TOKENS_PER_TILE
    )
    assert list(encoded.ids) == encode_chat_text(tokenizer, " \n\u00a0\n  Hi\n", [], TOKENS_PER_TILE)


@pytest.mark.parametrize("tiles", [[], [1], [1, 1, 1]])
def test_tile_counts_must_fit_the_pictures(tokenizer, tiles):
    with pytest.raises(ValueError, match="2 pictures but"):
        encode_prompt(tokenizer, (PICTURE, Literal("\n"), PICTURE), tiles, TOKENS_PER_TILE)


def test_more_pictures_than_placeholders_are_refused():
    # a question without any gets one placeholder in front (chat() of the reference), never two
    assert re.search(r"<\|user\|>\n<img>(<IMG_CONTEXT>){4}</img>\nHi<", chat_text("Hi", [1], 4))
    with pytest.raises(UserError, match="2 images but 1 placeholders"):
        chat_text("Hi", [1, 1], 4)
