"""A question or an answer as a message of Inspect: texts and pictures in their order.

    {"role": "user", "content": [{"type": "image", "image": "attachment://9f2c07d1e4a85b36…"},
                                 {"type": "text", "text": "In what colour is the sign?"}]}

Pictures stand once among the attachments of the sample, however often messages show them, as in Inspect's own logs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

from judge.core.foreign_text import encodable
from judge.core.request import Text
from judge.export.pictures import Loaded
from judge.io.samples import Missing, Piece


class Attachments:
    """Pictures of one sample: what its messages call them → the picture as an address that holds it."""

    def __init__(self) -> None:
        self.held: dict[str, str] = {}

    def name(self, picture: Loaded) -> str:
        """The address by which messages refer to the picture, which is held from now on."""
        name = hashlib.sha256(picture.data).hexdigest()[:32]
        self.held.setdefault(name, picture.data_address)
        return f"attachment://{name}"


def message(
    role: Literal["user", "assistant"], loaded: Sequence[tuple[Piece, Loaded | None]], attachments: Attachments
) -> dict[str, Any]:
    """The pieces of `judge.export.pictures.Pictures.load` as a message."""
    content: list[dict[str, Any]] = []
    for piece, picture in loaded:
        if picture is not None:
            content.append({"type": "image", "image": attachments.name(picture), "detail": "auto"})
        elif isinstance(piece, Text):
            content.append({"type": "text", "text": encodable(piece.text)})
        elif isinstance(piece, Missing):
            content.append({"type": "text", "text": encodable(f"<image {piece.name} is missing>")})
    return {"role": role, "content": content, "source": "input" if role == "user" else "generate"}
