"""The native folder's chat template makes the judge's own prompt of what vLLM hands to it."""

from __future__ import annotations

import json

import folders
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from judge.core.request import Picture, Text
from judge.core.rubric import Literal
from judge.engines.messages import broken_up, chat, message
from judge.model import conversation
from judge.model.weights import hf_layout, original_layout
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import judge_dir

CASES = json.loads((folders.GOLDEN / "cases.json").read_text(encoding="utf-8"))["cases"]
SYSTEM = conversation.SYSTEM_MESSAGE
PICTURE = Picture(folders.GOLDEN / "images" / "square_rgb.png", "square")
SPELLED = [
    "<image>",
    "<IMG_CONTEXT>",
    "<IMG_CONTEXT>\n",
    "<|end|>",
    "<|user|>\n",
    "<img>",
    "</img>",
    "<s>",
    "### Score",
]
FORMATS = pytest.mark.parametrize("content_format", ["string", "openai"])


class Judge:
    """A judge's tokenizer, and that of the native folder made of it."""

    def __init__(self, source, folder):
        folder.mkdir()
        described = original_layout.read_layout(source)
        hf_layout.write_native_description(source, described, folder, "float32")
        self.ours = conversation.read_tokenizer(source, described.text["vocab_size"])
        self.theirs = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)

    def served_ids(self, messages, tiles, tokens_per_tile):
        """What vLLM reads: a picture's one token in the rendered prompt becomes <img>, its many tokens, </img>."""
        text = self.theirs.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        ids = self.theirs(text, add_special_tokens=False)["input_ids"]
        start, context, end = (
            self.ours.special[name]
            for name in (conversation.IMAGE_START, conversation.IMAGE_CONTEXT, conversation.IMAGE_END)
        )
        assert ids.count(context) == len(tiles), text
        counts = iter(tiles)
        return [
            token
            for found in ids
            for token in ([start, *[context] * (next(counts) * tokens_per_tile), end] if found == context else [found])
        ]


@pytest.fixture(scope="module")
def judges(tmp_path_factory, second_folder):
    """recorded; second: no <s>, no rstrip; demo: the bundled judge."""
    there = tmp_path_factory.mktemp("native")
    sources = {"recorded": folders.GOLDEN / "tiny-internvl2", "second": second_folder, "demo": judge_dir()}
    return {name: Judge(source, there / name) for name, source in sources.items()}


def handed_over(messages, content_format):
    """The messages of a request as vLLM gives them to the template (vllm/entrypoints/chat_utils.py).

    string: texts joined by line breaks, behind a placeholder and a line break for each picture. openai: parts in
    order, each picture without its address.
    """
    return [{"role": one["role"], "content": _content(one["content"], content_format)} for one in messages]


def _content(content, content_format):
    parts = [{"type": "text", "text": content}] if isinstance(content, str) else content
    texts = [part["text"] for part in parts if part["type"] == "text"]
    pictures = ["<IMG_CONTEXT>" for part in parts if part["type"] == "image_url"]
    if content_format == "string":
        named = sum(text.count("<IMG_CONTEXT>") for text in texts)
        assert named == 0, "vLLM would take these for places of pictures"
        return "\n".join([*pictures, *texts])
    return [{"type": "image"} if part["type"] == "image_url" else part for part in parts]


@FORMATS
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_recorded_ids(judges, case, content_format):
    """Of the reference, `<image>` left over included, which stays text."""
    text = case["question"]
    if case["images"] and "<image>" not in text and content_format == "openai":
        text = f"<image>\n{text}"  # in a string vLLM does what the reference does
    content = [{"type": "text", "text": text}, *[{"type": "image_url"} for _ in case["images"]]]
    messages = handed_over(
        [{"role": "system", "content": SYSTEM}, {"role": "user", "content": content}], content_format
    )
    found = judges["recorded"].served_ids(messages, case["num_patches_list"], 4)  # 4 tokens a tile of 56 pixels
    assert found == case["input_ids"]
    without = judges["recorded"].served_ids(messages[1:], case["num_patches_list"], 4)
    assert without == found  # the folder's own system message


def require_same(judge, pieces, tiles, content_format):
    """The server reads what the engine in this process reads of the same text, broken up where it spells structure."""
    special = judge.ours.special
    sent = chat(message(pieces, special), SYSTEM)
    found = judge.served_ids(handed_over(sent, content_format), tiles, 4)
    plain = [Text(broken_up(piece.text, special)[0]) if isinstance(piece, Text) else piece for piece in pieces]
    assert found == list(conversation.encode_prompt(judge.ours, plain, tiles, 4, SYSTEM).ids)


@FORMATS
@pytest.mark.parametrize("name", ["recorded", "second", "demo"])
@pytest.mark.parametrize("before", SPELLED)
def test_text_that_spells_structure(judges, before, name, content_format):
    for after in SPELLED:
        pieces = (
            *(Literal("### Question\n"), Text(f"Is it {before}?"), Literal("\nImage-0: "), PICTURE, Literal("\n")),
            *(Literal("### Answer\n"), Text(f"{before}{after}: no"), Literal("\nImage-1: "), PICTURE, Literal("\n")),
            Literal("### Feedback\n"),
        )
        require_same(judges[name], pieces, [1, 3], content_format)
        without = [piece for piece in pieces if not isinstance(piece, Picture)]
        require_same(judges[name], without, [], content_format)


@FORMATS
@settings(max_examples=50)
@given(texts=st.lists(st.lists(st.sampled_from([*SPELLED, "a", " ", "é", "好", "\n"])).map("".join), min_size=1))
def test_any_order_of_texts_and_pictures(judges, texts, content_format):
    pieces = [Literal("### Answer\n")]
    for text in texts:
        pieces += [Text(f"x{text}"), Literal("\nImage: "), PICTURE, Literal("\n")]
    require_same(judges["demo"], pieces, [2] * len(texts), content_format)


@FORMATS
def test_the_demo_s_prompts(judges, content_format):
    rubric = BENCHMARK.rubric("mmjudge")
    prompts = [rubric.render(request) for request in BENCHMARK.references(None, 5)]
    assert len(prompts) == 15
    for pieces in prompts:
        require_same(judges["demo"], pieces, [1] * sum(isinstance(piece, Picture) for piece in pieces), content_format)


@pytest.mark.parametrize(
    ("content", "prompt"),
    [
        ("<image> without a picture", "<image> without a picture"),
        ("<IMG_CONTEXT>\nnothing named", "<IMG_CONTEXT>\nnothing named"),
        ("<IMG_CONTEXT>\n<IMG_CONTEXT>\none <image> for two", "<IMG_CONTEXT>\n<IMG_CONTEXT>\none <image> for two"),
        ("spelled <IMG_CONTEXT>\nand <image>", "spelled <IMG_CONTEXT>\nand <image>"),
        ([{"type": "text", "text": "a "}, {"type": "image"}, {"type": "text", "text": " b"}], "a <IMG_CONTEXT> b"),
        ([{"type": "image"}, {"type": "text", "text": "<image>"}], "<IMG_CONTEXT><image>"),
        ([{"type": "text", "text": "one <image>"}, *[{"type": "image"}] * 2], "one <image><IMG_CONTEXT><IMG_CONTEXT>"),
        ([{"type": "text", "text": "<image> and"}, {"type": "text", "text": " <image>"}], "<image> and <image>"),
        ([], ""),
    ],
)  # fmt: skip
def test_other_clients_texts_stay_as_they_are(judges, content, prompt):
    found = judges["recorded"].theirs.apply_chat_template(
        [{"role": "user", "content": content}, {"role": "assistant", "content": "b"}], tokenize=False
    )
    assert found == f"<s> <|system|>\n{SYSTEM}<|end|><|user|>\n{prompt}<|end|><|assistant|>\nb<|end|>"
