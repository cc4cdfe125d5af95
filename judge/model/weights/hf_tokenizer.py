"""The judge's tokenizer in the forms that the two layouts keep it in: tokenizer.json for transformers, and back.

    write_native_tokenizer(folder, Tokenizer.from_folder(folder), Path("out/native"))   tokenizer.json, and the files
                                                                                        of the original layout
    chat_template(tokenizer, system)     {%- set start = "<s> " -%}…

Prompts get the ids of the reference tokenizer, whose leading blank the chat template spells out.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.io.files import write_json
from judge.model import conversation
from judge.model.judge_files import read_object
from judge.model.tokenizer import BLANK, Tokenizer

TOKENIZER_FILES = ("tokenizer.model", "special_tokens_map.json", "added_tokens.json")
"""Copied as they are, in both directions."""

_TEMPLATE = Path(__file__).with_name("phi3_chat.jinja")

# What transformers' processor wants to know by role. Judges see no videos; the processor refuses to be built without a
# token for them, and a new one would lie beyond the embedding. vLLM makes a regular expression of it: no <|…|> here.
_ROLES = {
    "start_image_token": conversation.IMAGE_START,
    "end_image_token": conversation.IMAGE_END,
    "context_image_token": conversation.IMAGE_CONTEXT,
    "video_token": "<quad>",
}


def require_roles(tokenizer: Tokenizer, folder: Path) -> None:
    """Raise UserError where the tokenizer of `folder` lacks a token that transformers' processor needs."""
    missing = [content for content in _ROLES.values() if content not in tokenizer.special]
    if missing:
        raise UserError(f"the tokenizer lacks {', '.join(missing)}", file=folder)


def chat_template(tokenizer: Tokenizer, system: str) -> str:
    r"""Jinja of the template `phi3-chat` (see `judge.model.conversation`), for transformers and for servers.

    Pictures stand where a list of content parts has them, or where a text says `<IMG_CONTEXT>`. `<image>` names their
    places instead, as for the reference, in what servers make of the messages that `judge.engines.messages` sends:
    vLLM puts "<IMG_CONTEXT>\n" in front of a string, once a picture (vllm/entrypoints/chat_utils.py,
    `_get_full_multimodal_text_prompt`), or hands over the list, one text before its pictures. As many `<image>` are
    replaced as there are pictures; a text with fewer is left as it came.
    """
    start = tokenizer.encode_trusted("<|system|>")
    start = start[: start.index(tokenizer.special["<|system|>"])]
    given = {"start": tokenizer.text_of(start), "system": system}
    lines = [f"{{%- set {name} = {json.dumps(text, ensure_ascii=False)} -%}}\n" for name, text in given.items()]
    return "".join(lines) + _TEMPLATE.read_text(encoding="utf-8")


def write_native_tokenizer(source: Path, tokenizer: Tokenizer, folder: Path) -> None:
    """Write tokenizer.json with the reference's ids, and the configuration that both layouts read.

    source: the original folder of `tokenizer`. Raises UserError for added tokens whose ids tokenizer.json cannot have.
    """
    _copy_files(source, folder)
    fast = _fast_tokenizer(source / "tokenizer.model", tokenizer)
    moved = [token.content for token in tokenizer.added if fast.token_to_id(token.content) != token.id]
    if moved:
        raise UserError(f"added tokens do not follow the vocabulary: {', '.join(moved[:5])}", file=source)
    fast.save(str(folder / "tokenizer.json"))
    roles = {
        "extra_special_tokens": _ROLES,
        "processor_class": "InternVLProcessor",
        "tokenizer_class": "PreTrainedTokenizerFast",
    }
    config = read_object(source / "tokenizer_config.json")
    write_json(folder / "tokenizer_config.json", {**config, **roles}, indent=2)


def write_original_tokenizer(source: Path, folder: Path) -> None:
    """Write the original layout's tokenizer from a native folder that `write_native_tokenizer` wrote.

    Raises UserError for a native folder without the SentencePiece tokenizer that the original layout has.
    """
    if not (source / "tokenizer.model").is_file():
        raise UserError(
            "is missing: the original layout has a SentencePiece tokenizer, which cannot be made from tokenizer.json",
            file=source / "tokenizer.model",
            fix="give a folder that `mmjudge convert` or `mmjudge release` wrote",
        )
    _copy_files(source, folder)
    config = read_object(source / "tokenizer_config.json")
    for name in ("extra_special_tokens", "processor_class"):
        config.pop(name, None)
    config["tokenizer_class"] = "LlamaTokenizer"
    write_json(folder / "tokenizer_config.json", config, indent=2)


def _copy_files(source: Path, folder: Path) -> None:
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def _fast_tokenizer(file: Path, tokenizer: Tokenizer) -> Any:
    """A tokenizer of the library `tokenizers` that gives the ids of `tokenizer`, whose vocabulary is in `file`."""
    import sentencepiece
    import tokenizers
    from tokenizers import decoders, models, normalizers, processors
    from transformers.convert_slow_tokenizer import generate_merges

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(file))
    vocabulary = {pieces.id_to_piece(i): i for i in range(pieces.vocab_size())}
    scores = {
        piece: pieces.get_score(i)
        for piece, i in vocabulary.items()
        if not (pieces.is_control(i) or pieces.is_unknown(i) or pieces.is_byte(i))
    }
    fast = tokenizers.Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=generate_merges(vocabulary, scores),
            unk_token=pieces.id_to_piece(pieces.unk_id()),
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    blanks = normalizers.Replace(" ", BLANK)
    fast.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), blanks]) if tokenizer.legacy else blanks
    fast.decoder = decoders.Sequence(
        [decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    fast.add_special_tokens(
        [
            tokenizers.AddedToken(
                token.content, lstrip=token.lstrip, rstrip=token.rstrip, normalized=False, special=True
            )
            for token in tokenizer.added
        ]
    )
    # the ids a prompt begins and ends with, its blank apart
    around = tokenizer.encode_trusted(conversation.STOP)
    at = around.index(tokenizer.special[conversation.STOP])
    names = {i: content for content, i in tokenizer.special.items()}
    first, last = ([names[i] for i in side if i in names] for side in (around[:at], around[at + 1 :]))
    if first or last:
        fast.post_processor = processors.TemplateProcessing(
            single=[*first, "$A", *last],
            pair=[*first, "$A", *last, *first, "$B", *last],
            special_tokens=[(content, tokenizer.special[content]) for content in {*first, *last}],
        )
    return fast
