"""Which tokens are the question's: decoded, they are its text again; the segments are the whole prompt, in order."""

from __future__ import annotations

import pytest
import tiny_families
from PIL import Image

from judge.attention.families import FAMILIES
from judge.attention.prompt import SEGMENTS, encode_answer_letters, encode_prompt
from judge.errors import UserError

PICTURE = Image.new("RGB", (70, 40))
QUESTION = "Où est le chat – 猫 ?\nA. Là\nB. It is round."


def messages(text=QUESTION):
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": text}]}]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_tokens_of_the_question_are_its_text(family):
    model, processor = tiny_families.build_family(family)
    prompt = encode_prompt(model, processor, messages(), [PICTURE])
    assert processor.tokenizer.decode(prompt.ids[slice(*prompt.question)]) == QUESTION
    segments = prompt.segments
    assert tuple(segments) == SEGMENTS
    assert [first for first, _ in segments.values()][1:] == [last for _, last in segments.values()][:-1]
    assert segments["system"][0] == 0
    assert segments["answer"][1] == len(prompt.ids)
    assert processor.tokenizer.decode(prompt.ids[slice(*segments["answer"])]) == "<|assistant|>"
    assert segments["picture"] == prompt.grids[0].span
    assert set(prompt.inputs["input_ids"][0].tolist()) == set(prompt.ids.tolist())


def test_a_part_of_the_message_may_be_the_question():
    model, processor = tiny_families.build_family("qwen2_vl")
    said = messages("It is round. Is it?\nAnswer with a letter. Is it?\n")
    prompt = encode_prompt(model, processor, said, [PICTURE], question=" Is it?\n")
    # the last of the two: 7 bytes before the line's end
    first, last = prompt.question
    assert processor.tokenizer.decode(prompt.ids[first:last]) == "Is it?"
    assert processor.tokenizer.decode(prompt.ids[last:]) == "\n<|assistant|>"


def test_text_alone_may_stand_in_a_message_and_earlier_turns_count_as_system():
    model, processor = tiny_families.build_family("qwen2_vl")
    said = [{"role": "system", "content": "Be short."}, *messages("Is it?")]
    prompt = encode_prompt(model, processor, said, [PICTURE])
    before = processor.tokenizer.decode(prompt.ids[slice(*prompt.segments["system"])])
    assert before == "<|user|>Be short.<|user|><|vision_start|>"


CASES = [
    (messages(" \n"), [PICTURE], None, "the last message has no text"),
    (messages(), [], None, "the messages have more than 0 pictures"),
    ([{"role": "user", "content": "Is it?"}], [], None, "the messages have no picture"),
    (messages(), [PICTURE, PICTURE], None, "1 of 2 pictures have no part"),
    (messages(), [PICTURE], "Is it blue?", "the chat template changes the text"),
    (
        [{"role": "user", "content": [{"type": "text", "text": "Is it?"}, {"type": "image"}]}],
        [PICTURE],
        None,
        "the processor makes other tokens|the question stands before its picture",
    ),
]


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_asked_is_one_error(case):
    said, pictures, question, message = case
    model, processor = tiny_families.build_family("qwen2_vl")
    with pytest.raises(UserError, match=message):
        encode_prompt(model, processor, said, pictures, question)


def test_a_processor_without_a_template_is_one_error():
    model, processor = tiny_families.build_family("qwen2_vl")
    processor.chat_template = processor.tokenizer.chat_template = None
    with pytest.raises(UserError, match=r"the processor makes no prompt of the messages: .*\n→ .* chat template"):
        encode_prompt(model, processor, messages(), [PICTURE])


def test_a_letter_is_the_last_token_of_its_encoding():
    _, processor = tiny_families.build_family("qwen2_vl")
    ids = encode_answer_letters(processor.tokenizer, "ABCD")
    assert processor.tokenizer.convert_ids_to_tokens(ids) == ["A", "B", "C", "D"]
    # é and è are two bytes, the last of which differ; é and © end in the same byte
    assert len(set(encode_answer_letters(processor.tokenizer, "éè"))) == 2
    with pytest.raises(UserError, match="no token of its own for each of é, ©"):
        encode_answer_letters(processor.tokenizer, "é©")
