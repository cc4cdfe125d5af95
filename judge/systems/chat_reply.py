"""A chat completion becomes a reply: pictures in any of the forms in which endpoints send them.

    message.images      {"content": "Step 2: pour.", "images": [{"type": "image_url", "image_url": {"url": "data:…"}}]}
    content parts       {"content": [{"type": "text", "text": "Step 2"}, {"type": "image_url", "image_url": {…}}]}
    Markdown            {"content": "Step 2: pour.\\n![a cup](data:image/png;base64,iVBOR…)"}
    bytes               {"type": "image", "b64_json": "iVBOR…"} or {"type": "output_image", "image": "iVBOR…"}

Pictures of `message.images` follow the text: their place in it is nowhere said. Bytes are bounded and decoded
(`judge.systems.pictures`). An address instead of bytes is not fetched: whoever writes it could make this machine ask
any other, and what lies there tomorrow is another picture. It counts as the model's failure, image_address.

Thoughts (`reasoning`, parts of type "thinking") are no part of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.core.foreign_text import MOST_OF_A_NOTE, on_one_line
from judge.core.request import Text
from judge.systems import Drawing, Failed, Reply
from judge.systems.pictures import TooLarge, decode_base64, keep_picture

MOST_PICTURES = 64
"""Of one reply."""
FILTERED = ("content_filter", "safety", "prohibited_content", "image_safety", "recitation", "blocklist")
"""Words for why a reply ended: finish_reason, and native_finish_reason of gateways."""

_MARKDOWN = re.compile(r"!\[[^\]\n]{0,1000}\]\(\s*(data:[^)\s]+)[^)\n]{0,200}\)")
_DATA = re.compile(r"data:(?:[\w.+-]+/[\w.+-]+)?(?:;[\w.+=-]+)*?;base64,", re.IGNORECASE)
_THOUGHTS = ("thinking", "reasoning", "redacted_thinking", "thought")
_BYTES = ("b64_json", "base64", "data", "result")


class _NoReply(Exception):  # noqa: N818
    def __init__(self, reason: str, note: str) -> None:
        super().__init__(note)
        self.failed = Failed(reason, on_one_line(note, MOST_OF_A_NOTE))


def read_reply(completion: Mapping[str, Any], pictures: Path) -> Reply | Failed:
    """The reply in a chat completion; its pictures are written into `pictures`. Raises UserError for a full disk."""
    try:
        choice = completion["choices"][0]
        message = choice["message"]
        finish = [str(choice.get(key) or "").lower() for key in ("finish_reason", "native_finish_reason")]
        if not isinstance(message, Mapping):
            raise TypeError("no message")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        return Failed("call_failed", on_one_line(f"not a chat completion ({error!r})", MOST_OF_A_NOTE))
    if failure := choice_failure(choice):
        return Failed("call_failed", failure)
    reader = _Reader(pictures)
    try:
        reader.add_content(message.get("content"))
        reader.add_images(message.get("images"))
    except _NoReply as without:
        return without.failed
    except TooLarge as large:
        return Failed("image_undecodable", str(large))
    if not reader.parts and isinstance(refusal := message.get("refusal"), str) and refusal:
        reader.add_text(refusal)
    if not reader.parts:
        why = next((word for word in finish if word in FILTERED), None)
        said = f"a safety filter held the answer back ({why})" if why else "the reply holds neither text nor picture"
        return Failed("empty_answer", said)
    if "length" in finish:
        reader.notes.append("cut off at the token limit")
    return Reply(tuple(reader.parts), "; ".join(reader.notes) or None)


def choice_failure(choice: Mapping[str, Any]) -> str | None:
    """What failed, where a gateway puts the failure of the server behind it into a choice."""
    ends = [choice.get(key) for key in ("finish_reason", "native_finish_reason")]
    if choice.get("error") or "error" in ends:
        return on_one_line(f"the endpoint failed: {choice.get('error')}", MOST_OF_A_NOTE)
    return None


class _Reader:
    """Collects the parts of one message."""

    def __init__(self, pictures: Path) -> None:
        self._pictures = pictures
        self.parts: list[Text | Drawing] = []
        self.notes: list[str] = []

    def add_content(self, content: Any) -> None:
        if isinstance(content, str):
            self._add_markdown(content)
        elif isinstance(content, list):
            for part in content:
                self._add_part(part)
        elif content is not None:
            raise _NoReply("call_failed", f"the content of the reply is a {type(content).__name__}")

    def add_images(self, images: Any) -> None:
        if not isinstance(images, list | None):
            raise _NoReply("call_failed", f"the images of the reply are a {type(images).__name__}")
        for image in images or []:
            self._add_part(image if isinstance(image, Mapping) else {"type": "image", "image": image})

    def add_text(self, text: str) -> None:
        if text.strip():
            self.parts.append(Text(text))

    def _add_part(self, part: Any) -> None:
        if isinstance(part, str):
            self.add_text(part)
            return
        if not isinstance(part, Mapping):
            raise _NoReply("call_failed", f"a part of the reply is a {type(part).__name__}")
        kind = str(part.get("type") or "").lower()
        if kind in _THOUGHTS:
            return
        if "image" in kind or (not kind and "text" not in part):
            self._add_picture(part)
        elif isinstance(text := part.get("text", part.get("refusal")), str):
            self._add_markdown(text)
        else:
            raise _NoReply("call_failed", f"a part of the reply is of the unknown type {kind!r}")

    def _add_markdown(self, text: str) -> None:
        """A text in which pictures may stand as data: addresses."""
        end = 0
        for found in _MARKDOWN.finditer(text):
            self.add_text(text[end : found.start()].strip("\n"))
            self._add_address(found[1])
            end = found.end()
        self.add_text(text[end:].strip("\n") if end else text)

    def _add_picture(self, part: Mapping[str, Any]) -> None:
        for key in ("image_url", "url", "image", "source", *_BYTES):
            value = part.get(key)
            if isinstance(value, Mapping):
                self._add_picture(value)
                return
            if isinstance(value, str) and value:
                if key in _BYTES and not value.startswith("data:"):
                    self._keep(decode_base64(value))
                else:
                    self._add_address(value)
                return
        raise _NoReply("image_undecodable", f"a picture of the reply has no bytes: {sorted(map(str, part))}")

    def _add_address(self, address: str) -> None:
        if start := _DATA.match(address):
            self._keep(decode_base64(address[start.end() :]))
        elif re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,20}:", address):
            raise _NoReply("image_address", f"the reply gives an address instead of a picture: {address[:80]}")
        else:
            self._keep(decode_base64(address))

    def _keep(self, data: bytes) -> None:
        if sum(isinstance(part, Drawing) for part in self.parts) >= MOST_PICTURES:
            raise _NoReply("image_undecodable", f"the reply has more than {MOST_PICTURES} pictures")
        kept = keep_picture(data, self._pictures)
        self.parts.append(Drawing(kept.path))
        if kept.problem:
            self.notes.append(kept.problem)
