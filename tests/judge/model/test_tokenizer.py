"""Ids of the slow LlamaTokenizer: recorded prompts, recorded flag variants, vocabularies that are refused."""

import json
import shutil
import struct
from pathlib import Path

import folders
import pytest

from judge.errors import UserError
from judge.model.tokenizer import Rules, Tokenizer

CHECKPOINT = folders.GOLDEN / "tiny-internvl2"
CASES = json.loads((CHECKPOINT.parent / "cases.json").read_text(encoding="utf-8"))["cases"]
# Recorded with LlamaTokenizer.from_pretrained(folder)(text).input_ids and .decode(ids, skip_special_tokens=True) of the
# versions named in the file; "rstrip" and "lstrip" are those of the four chat tokens, "listed" puts these among the
# additional special tokens.
RECORDED = json.loads((Path(__file__).parent / "slow_llama_4_37_2.json").read_text(encoding="utf-8"))
CHAT = ("<|system|>", "<|user|>", "<|end|>", "<|assistant|>")


def variant(folder: Path, flags: dict) -> Tokenizer:
    """The golden tokenizer with other flags, read from `folder`."""
    config = json.loads((CHECKPOINT / "tokenizer_config.json").read_text(encoding="utf-8"))
    config |= {"add_bos_token": flags["add_bos_token"], "legacy": flags["legacy"]}
    if flags["legacy"] is None:
        del config["legacy"]
    for token in config["added_tokens_decoder"].values():
        if token["content"] in CHAT:
            token |= {"rstrip": flags["rstrip"], "lstrip": flags["lstrip"]}
    if flags["listed"]:
        config["additional_special_tokens"] += CHAT
    shutil.copy(CHECKPOINT / "tokenizer.model", folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    return Tokenizer.from_folder(folder)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden_prompts_and_responses(case):
    tokenizer = Tokenizer.from_folder(CHECKPOINT)
    query = case["query"]
    for count in range(16 * 13, 0, -1):  # "<IMG_CONTEXT>*52" stands for 52 of them; 13 tiles of 4 is the most here
        query = query.replace(f"<IMG_CONTEXT>*{count}<", "<IMG_CONTEXT>" * count + "<")
    assert tokenizer.encode_trusted(query) == case["input_ids"]
    # chat() cuts at the stop token and strips
    assert tokenizer.decode(case["new_ids"]).split("<|end|>")[0].strip() == case["response"]


@pytest.mark.parametrize("recorded", RECORDED["variants"], ids=lambda recorded: str(recorded["flags"]))
def test_flags_as_recorded(tmp_path, recorded):
    tokenizer = variant(tmp_path, recorded["flags"])
    for text, ids, decoded in zip(RECORDED["texts"], recorded["ids"], recorded["decoded"], strict=True):
        assert tokenizer.encode_trusted(text) == ids, text
        assert tokenizer.decode(ids) == decoded, text


def test_absent_flags_are_read_from_the_older_files(tmp_path):
    """A folder from before `added_tokens_decoder`: ids come from added_tokens.json, nothing strips."""
    for name in ("tokenizer.model", "added_tokens.json", "special_tokens_map.json"):
        shutil.copy(CHECKPOINT / name, tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"legacy": false}')
    tokenizer = Tokenizer.from_folder(tmp_path)
    # recorded with transformers 4.37.2: without rstrip the line break stays (13), and <s> comes first by default (1)
    assert tokenizer.encode_trusted("<|user|>\na<|end|>") == [1, 467, 570, 13, 469, 567]
    assert tokenizer.special["<IMG_CONTEXT>"] == 573
    assert len(tokenizer) == 580


def test_ids_of_a_padded_head_are_dropped():
    tokenizer = Tokenizer.from_folder(CHECKPOINT)
    # 483 is "T", 580 and 600 lie beyond the vocabulary
    assert tokenizer.decode([483, 580, 600, 483]) == "TT"


def piece(text: str) -> bytes:
    """One more vocabulary piece, as serialised (ModelProto.pieces = 1; piece = 1, score = 2)."""
    body = b"\x0a" + bytes([len(text.encode())]) + text.encode() + b"\x15" + struct.pack("<f", -1.0)
    return b"\x0a" + bytes([len(body)]) + body


MODEL = (CHECKPOINT / "tokenizer.model").read_bytes()


@pytest.mark.parametrize(
    ("model", "problem"),
    [
        (b"not a model", "not a SentencePiece model"),
        (MODEL + piece("a\nb"), "a piece of the vocabulary spans a line break"),
        # NormalizerSpec (3) with remove_extra_whitespaces (4) = true
        (MODEL + b"\x1a\x02\x20\x01", "the vocabulary rewrites text"),
        # every byte piece renamed: "<0x0A>" → "<0y0A>"
        (MODEL.replace(b"<0x", b"<0y"), "the vocabulary has no byte pieces|not a SentencePiece model"),
    ],
)
def test_a_vocabulary_that_cannot_be_exact_is_refused(model, problem):
    with pytest.raises(UserError, match=problem):
        Tokenizer(model, [], Rules())


def change(field: str, value: object):
    def mend(config: dict) -> dict:
        return {**config, field: value}

    return mend


@pytest.mark.parametrize(
    ("mend", "message"),
    [
        (change("bos_token", "<nowhere>"), r"tokenizer\.model: special token '<nowhere>' has no id"),
        (change("added_tokens_decoder", {"9": {"content": "<a>", "single_word": True}}), r"added_tokens_decoder\.9"),
        (change("added_tokens_decoder", {"9": {"content": None}}), r"added_tokens_decoder\.9"),
        (
            change("added_tokens_decoder", 0),
            'field "added_tokens_decoder": is 0, not an object',
        ),
        (change("added_tokens_decoder", {"9": {"content": "<a>"}, "8": {"content": "<a>"}}), "twice"),
        (change("added_tokens_decoder", {"1_0": {"content": "<a>"}}), r"added_tokens_decoder\.1_0"),
        (change("added_tokens_decoder", {"9": {"content": "<a>", "rstrip": "no"}}), r"added_tokens_decoder\.9"),
        (change("legacy", "false"), 'field "legacy": is "false", not true or false'),
        (change("eos_token", 5), 'field "eos_token": is 5, not a token'),
        (change("additional_special_tokens", {"a": 1}), 'field "additional_special_tokens": is {"a": 1}, not a list'),
        (lambda config: [config], r"tokenizer_config\.json: must hold one JSON object"),
    ],
)
def test_a_folder_that_cannot_be_read_names_file_and_field(tmp_path, mend, message):
    shutil.copy(CHECKPOINT / "tokenizer.model", tmp_path)
    config = json.loads((CHECKPOINT / "tokenizer_config.json").read_text(encoding="utf-8"))
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(mend(config)))
    with pytest.raises(UserError, match=message):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize("absent", ["tokenizer.model", "tokenizer_config.json"])
def test_an_absent_file_is_named(tmp_path, absent):
    for name in {"tokenizer.model", "tokenizer_config.json"} - {absent}:
        shutil.copy(CHECKPOINT / name, tmp_path)
    with pytest.raises(UserError, match=absent):
        Tokenizer.from_folder(tmp_path)
