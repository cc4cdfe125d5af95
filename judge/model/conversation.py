"""The prompt as the reference's `chat()` builds it, from pieces instead of a string.

    pieces = (Literal("### Question\\nImage-0: "), Picture(…), Literal("\\n### Answer\\n"), Text("A cat."), …)
    encode_prompt(tokenizer, pieces, tiles_per_picture=[13], tokens_per_tile=256)
    ->  ids of  <|system|>\\n{system}<|end|><|user|>\\n### Question\\nImage-0: <img><IMG_CONTEXT>*3328</img>\\n…
                …<|end|><|assistant|>\\n

Template `phi3-chat` of OpenGVLab/InternVL @2410d1d, conversation.py: no line break after <|end|>. The chat template of
tokenizer_config.json is another one and `chat()` does not use it.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from pathlib import Path

from judge.core.request import IMAGE_PLACEHOLDER, Picture, Text
from judge.core.rubric import Piece
from judge.errors import UserError
from judge.model.tokenizer import Chunk, Tokenizer

SYSTEM_MESSAGE = (
    "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
)
"""Of the InternVL2 release (OpenGVLab/InternVL, conversation.py, MIT licence); the judge was trained with it."""

STOP = "<|end|>"
IMAGE_START, IMAGE_CONTEXT, IMAGE_END = "<img>", "<IMG_CONTEXT>", "</img>"

NEEDED = ("<|system|>", "<|user|>", "<|assistant|>", STOP, IMAGE_START, IMAGE_CONTEXT, IMAGE_END)
"""Added tokens that prompts are made of."""


@dataclasses.dataclass(frozen=True)
class Encoded:
    """A prompt. ids: from <s> to <|assistant|>; spans: (start, stop) of each untrusted text, in order.

    A span also holds the blanks in front of its text on the same line. White space at the very start of the message
    is dropped, as the reference does.
    """

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]


def read_tokenizer(folder: Path, rows: int) -> Tokenizer:
    """The tokenizer of a judge folder. rows: of the model's embedding, which every id must have one of.

    Raises UserError for a tokenizer that lacks a token of prompts, or has more than the model.
    """
    tokenizer = Tokenizer.from_folder(folder)
    missing = [content for content in NEEDED if content not in tokenizer.special]
    if missing:
        raise UserError(f"the tokenizer lacks {', '.join(missing)}", file=folder)
    if len(tokenizer) > rows:
        raise UserError(f"the tokenizer has {len(tokenizer)} tokens, the model rows for {rows}", file=folder)
    return tokenizer


def encode_prompt(
    tokenizer: Tokenizer,
    pieces: Sequence[Piece],
    tiles_per_picture: Sequence[int],
    tokens_per_tile: int,
    system: str = SYSTEM_MESSAGE,
) -> Encoded:
    """Ids of the prompt around `pieces` (see `judge.core.rubric.Rubric.render`).

    Special and image tokens come from the template and from pictures alone: see `Tokenizer.encode_untrusted` for what
    text may become, and for the one difference from the reference. tiles_per_picture: tiles, thumbnail included, of
    each picture in order. Raises ValueError where their number is not that of the pictures.
    """
    pictures = sum(isinstance(piece, Picture) for piece in pieces)
    if pictures != len(tiles_per_picture):
        raise ValueError(f"{pictures} pictures but {len(tiles_per_picture)} tile counts")
    items: list[Chunk | str] = ["<|system|>", Chunk(f"\n{system}"), STOP, "<|user|>", Chunk("\n")]
    for piece in pieces:
        if isinstance(piece, Picture):
            items += [IMAGE_START, IMAGE_CONTEXT, IMAGE_END]
        else:
            items.append(Chunk(piece.text, trusted=not isinstance(piece, Text)))
    ids, spans = tokenizer.encode([*items, STOP, "<|assistant|>", Chunk("\n")])
    return _expanded(tokenizer, ids, spans, [tiles * tokens_per_tile for tiles in tiles_per_picture])


def _expanded(
    tokenizer: Tokenizer, ids: Sequence[int], spans: Sequence[tuple[int, int]], counts: Sequence[int]
) -> Encoded:
    """One image token a picture → `counts` of them. A picture is thousands of tokens that need no tokenizer."""
    start, context = tokenizer.special[IMAGE_START], tokenizer.special[IMAGE_CONTEXT]
    slots = [n for n, pair in enumerate(itertools.pairwise(ids), 1) if pair == (start, context)]
    if len(slots) != len(counts):
        raise ValueError(f"{len(slots)} image slots for {len(counts)} pictures")
    expanded: list[int] = []
    before = 0
    for slot, count in zip(slots, counts, strict=True):
        expanded += [*ids[before:slot], *[context] * count]
        before = slot + 1
    expanded += ids[before:]

    def moved(position: int) -> int:
        return position + sum(count - 1 for slot, count in zip(slots, counts, strict=True) if slot < position)

    return Encoded(tuple(expanded), tuple((moved(start), moved(stop)) for start, stop in spans))


def encode_chat_text(
    tokenizer: Tokenizer,
    question: str,
    tiles_per_picture: Sequence[int],
    tokens_per_tile: int,
    system: str = SYSTEM_MESSAGE,
) -> list[int]:
    """Ids of a whole question with `<image>` placeholders, all of it trusted: what the reference's `chat()` does.

    A question without placeholder gets one in front if there are pictures; placeholders left over stay text. Raises
    UserError where there are more pictures than placeholders.
    """
    return tokenizer.encode_trusted(chat_text(question, tiles_per_picture, tokens_per_tile, system))


def chat_text(
    question: str, tiles_per_picture: Sequence[int], tokens_per_tile: int, system: str = SYSTEM_MESSAGE
) -> str:
    """The templated prompt of `encode_chat_text`, image tokens expanded."""
    if tiles_per_picture and IMAGE_PLACEHOLDER not in question:
        question = f"{IMAGE_PLACEHOLDER}\n{question}"
    if question.count(IMAGE_PLACEHOLDER) < len(tiles_per_picture):
        raise UserError(f"{len(tiles_per_picture)} images but {question.count(IMAGE_PLACEHOLDER)} placeholders")
    query = f"<|system|>\n{system}{STOP}<|user|>\n{question}{STOP}<|assistant|>\n"
    for tiles in tiles_per_picture:
        query = query.replace(IMAGE_PLACEHOLDER, IMAGE_START + IMAGE_CONTEXT * (tiles * tokens_per_tile) + IMAGE_END, 1)
    return query
