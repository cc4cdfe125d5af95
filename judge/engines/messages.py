"""A prompt as messages for a server that turns text into tokens itself.

    said = message((Literal("### Question\\nImage-0: "), Picture(…), Literal("\\n### Answer\\n"), Text("A cat."), …))
    chat(said, system)
    ->  [{"role": "system", "content": "你是由上海人工智能实验室…"},
         {"role": "user", "content": [
             {"type": "text", "text": "### Question\\nImage-0: <image>\\n### Answer\\nA cat.\\n### Feedback\\n"},
             {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0…"}}]}]

One text with `<image>` where a picture stands, then the pictures in that order; several texts would be joined by line
breaks (vllm/entrypoints/chat_utils.py, `_get_full_multimodal_text_prompt`). The chat template of the folder that
`mmjudge convert` writes makes the judge's prompt of it (`judge.model.weights.hf_tokenizer.chat_template`).

**Text of questions and answers.** The engine in this process hands the model ids, so that text cannot become a special
token or a heading of the protocol. A server gets a string, and its tokenizer sees `<|end|>` wherever it stands. So what
spells a special token, an image placeholder or a heading is broken up with U+2060 (WORD JOINER, no width):
`<|end|>` is sent as `<` U+2060 `|end|>`. A reader sees no difference; the judge sees other pieces than the engine in
this process makes of it, and its score of such an answer may differ. `Message.broken` counts these
spellings, and the verdict says so.

**Pictures** go as the bytes of their files. Where a server might see other pixels than the judge (vLLM lays an alpha
channel over white, where the judge drops it; others turn by EXIF; not all read every format), the judge's pixels go as
a lossless PNG instead.
"""

from __future__ import annotations

import base64
import dataclasses
import io
import re
from collections.abc import Collection, Sequence
from typing import Any

from PIL import Image

from judge.core.request import IMAGE_PLACEHOLDER, Picture, Text
from judge.core.rubric import Piece
from judge.model import conversation, images
from judge.model.tokenizer import HEADING, clean

JOINER = "\N{WORD JOINER}"

SPECIAL = re.compile(
    r"<\|[^<>|\n]{1,64}\|>"
    r"|</?(?:s|unk|pad|image|img|video|box|ref|quad|IMG_CONTEXT|VIDEO_CONTEXT|IMAGE_TOKEN)>"
)
"""What a tokenizer or a server could take for more than text: the added tokens of InternVL2 and its placeholders."""

SAME_EVERYWHERE = ("JPEG", "PNG", "WEBP", "GIF", "BMP")
OPAQUE = ("RGB", "L", "1", "P", "CMYK")
ORIENTATION = 0x0112


@dataclasses.dataclass(frozen=True)
class Message:
    """The user's text, its pictures in order, and how many spellings in it were broken up."""

    text: str
    pictures: tuple[Picture, ...]
    broken: int


def message(pieces: Sequence[Piece], special: Collection[str] = ()) -> Message:
    """The user message of a prompt. special: further spellings of a tokenizer's added tokens.

    Raises ValueError where text and template together spell a placeholder that neither spells alone.
    """
    parts, pictures, broken = [], [], 0
    for piece in pieces:
        if isinstance(piece, Picture):
            pictures.append(piece)
            parts.append(IMAGE_PLACEHOLDER)
        elif isinstance(piece, Text):
            text, spellings = broken_up(piece.text, special)
            parts.append(text)
            broken += spellings
        else:
            parts.append(piece.text)
    text = "".join(parts)
    if text.count(IMAGE_PLACEHOLDER) != len(pictures):
        raise ValueError(f"{text.count(IMAGE_PLACEHOLDER)} placeholders for {len(pictures)} pictures")
    return Message(text, tuple(pictures), broken)


def broken_up(text: str, special: Collection[str] = ()) -> tuple[str, int]:
    """Untrusted text in which nothing spells a special token, a placeholder or a heading, and how many spellings did.

    Without U+2060 it is the text that the judge would read (`judge.model.tokenizer.clean`).
    """
    text, headings = HEADING.subn(_heading, clean(text))
    spellings = "|".join(map(re.escape, sorted(special, key=len, reverse=True)))
    pattern = re.compile(f"{SPECIAL.pattern}|{spellings}") if spellings else SPECIAL
    text, tokens = pattern.subn(lambda match: match[0][0] + JOINER + match[0][1:], text)
    return text, headings + tokens


def _heading(match: re.Match[str]) -> str:
    return match[0].replace("#", f"#{JOINER}")


def chat(message: Message, system: str) -> list[dict[str, Any]]:
    """The messages of a request. Raises ImageRefused for a picture that cannot be decoded."""
    content: str | list[dict[str, Any]] = message.text
    if message.pictures:
        content = [{"type": "text", "text": message.text}]
        content += [{"type": "image_url", "image_url": {"url": data_url(picture)}} for picture in message.pictures]
    return [{"role": "system", "content": system}, {"role": "user", "content": content}]


def data_url(picture: Picture, max_side: int = 0) -> str:
    """A picture's file as a data: address. Raises ImageRefused for what the judge would refuse to look at.

    max_side: a picture whose longer side has more pixels is scaled down to it; 0 for any size.
    """
    pixels = images.decode_image(picture, scaled=picture.scaled)
    data = picture.path.read_bytes()
    with Image.open(io.BytesIO(data)) as image:
        kind = Image.MIME.get(image.format or "", "application/octet-stream")
        same = image.format in SAME_EVERYWHERE and image.mode in OPAQUE and "transparency" not in image.info
        same = same and image.getexif().get(ORIENTATION, 1) == 1
    if 0 < max_side < max(pixels.size):
        pixels.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
        same = False
    if not same:
        buffer = io.BytesIO()
        pixels.info.clear()  # a transparent colour would be written again
        pixels.save(buffer, "PNG", compress_level=1)
        data, kind = buffer.getvalue(), "image/png"
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def prompt_length(
    text: str, tiles: Sequence[int], tokens_per_tile: int, tokenizer: Any, system: str = conversation.SYSTEM_MESSAGE
) -> int:
    """Tokens of the judge's prompt around a user's text with one placeholder a picture."""
    # the many image tokens of a picture need not be spelled out to be counted
    ids = conversation.encode_chat_text(tokenizer, text, [1] * len(tiles), 1, system)
    return len(ids) + sum(tiles) * tokens_per_tile - len(tiles)
