"""The content address of a verdict: SHA-256 over everything that it depends on, and nothing else.

For a judge's verdict that is the request (category, every segment, the bytes of every picture, the reference), its
rubric and the signature; for a rule's, the decision itself and the signature. With any of these changed an old line of
the journal no longer answers. Batch size, order and names of files are not in it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from judge.core.request import Request, Segment, Text
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.io import files


def request_key(request: Request, template: str | None, signature: Signature) -> str:
    """SHA-256, hex, over all that a verdict on `request` depends on.

    template: the rubric's text for the request's category. None for an engine that does not read: it answers by id
    alone, so the id is hashed instead of segments and images, which need not exist.
    """
    if template is None:
        content: list[Any] = ["id", request.id, request.category]
    else:
        content = [
            "request",
            request.category,
            [_segment(segment) for segment in request.question],
            [_segment(segment) for segment in request.answer],
            request.gt_answer,
            template,
        ]
    return _sha256([*content, signature.digest])


def rule_key(verdict: Verdict, signature: Signature) -> str:
    """The content address of a decision that needed no judge, hex."""
    row = verdict.to_json()
    row.pop("key", None)
    return _sha256(["rule", row, signature.digest])


def _segment(segment: Segment) -> list[str]:
    return ["text", segment.text] if isinstance(segment, Text) else ["image", *_image(segment.path)]


def _image(path: Path) -> tuple[str, ...]:
    """What an image is to the judge: its bytes. A file that cannot be read is told apart from every one that can."""
    try:
        return ("sha256", files.sha256(path))
    except OSError:
        return ("unreadable",)


def _sha256(content: list[Any]) -> str:
    # JSON in ASCII: unambiguous between neighbours, and able to hold lone surrogates
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode("ascii")).hexdigest()
