"""What a model said, as parts: text and image names in order. Any string is accepted; none of it is trusted.

    "Step 2: press Enter."                                  plain text
    {"text": "Step 2 <image> Step 3", "images": ["a.png"]}  JSON of the image-making models of lmms-eval; the k-th
                                                            <image> stands for images[k], the others follow the text
    [{"text": "Step 2", "image": "a.png"}]                  parts, as a list or as JSON text; also
    {"content": [{"type": "text", "text": "Step 2"}, {"type": "image", "path": "a.png"}]}
    Generated image saved to: out/a.png                     lmms-eval's qwen_image_edit
    [GENERATION_FAILED] out of memory                       no answer

The layouts are those of lmms-eval 0.7.3; markers and parts are our extension, the JSON there loses positions. Names
are not looked up here: `mmie_tasks.judging` resolves every one below the image root.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.request import IMAGE_PLACEHOLDER
from judge.core.thoughts import without_thoughts
from mmie_tasks.records import Part

FAILED = "[GENERATION_FAILED]"
_SAVED = re.compile(r"Generated image saved to:[ \t]*(\S[^\n]*)")
_IMAGE_KEYS = ("image", "path", "url", "image_url")


class _NotPartsError(ValueError):
    """A JSON value in none of the known layouts: it is the answer's text."""


def parse(response: str | Sequence[Any] | None) -> tuple[Part, ...]:
    """Parts of a response, none of them empty; () where there is no answer. Never raises.

    Thoughts are left out (`judge.core.thoughts`), after JSON was read: a tag inside a JSON string must not break it.
    """
    if response is None:
        return ()
    if isinstance(response, str):
        found = _from_text(response)
    else:
        try:
            found = _from_list(response)
        except _NotPartsError:
            found = [Part(_as_text(response), None)]
    tidied = (_tidy(part) for part in found)
    return tuple(part for part in tidied if part.text or part.image)


def _as_text(value: Sequence[Any]) -> str:
    try:
        return json.dumps(value, default=str)
    except (RecursionError, TypeError, ValueError):  # nested deeper than JSON goes, or not made from JSON
        return repr(type(value))


def _tidy(part: Part) -> Part:
    text = without_thoughts(part.text or "")
    return Part(text if text.strip() else None, part.image or None)


def _from_text(response: str) -> list[Part]:
    answer = without_thoughts(response)
    for candidate in dict.fromkeys((response, answer)):
        if candidate.lstrip().startswith(("{", "[")):
            with contextlib.suppress(ValueError, RecursionError):  # no JSON, nested without end, or _NotPartsError
                return _from_json(json.loads(candidate))
    if answer.strip().startswith(FAILED):
        return []
    saved = _SAVED.fullmatch(answer.strip())
    return [Part(None, saved[1])] if saved else [Part(answer, None)]


def _from_json(value: Any) -> list[Part]:
    if isinstance(value, list):
        return _from_list(value)
    if isinstance(value, dict):
        if isinstance(value.get("content"), list):
            return _from_list(value["content"])
        if "images" in value:
            return _from_pair(value.get("text"), value["images"])
        if "text" in value or "image" in value:
            return _from_list([value])
    raise _NotPartsError


def _from_pair(text: Any, images: Any) -> list[Part]:
    """One text and a list of images. Markers beyond the last image stay text."""
    if not isinstance(text, str | None) or not isinstance(images, list | None):
        raise _NotPartsError
    names = [_image_name(image) for image in images or []]
    *before, last = without_thoughts(text or "").split(IMAGE_PLACEHOLDER, len(names))
    marked = [Part(piece.strip(), name) for piece, name in zip(before, names, strict=False)]
    return [*marked, Part(last.strip() if marked else last, None), *(Part(None, name) for name in names[len(before) :])]


def _from_list(items: Sequence[Any]) -> list[Part]:
    found = []
    for item in items:
        if isinstance(item, str):
            item = {"text": item}
        if not isinstance(item, Mapping) or not ("text" in item or any(key in item for key in _IMAGE_KEYS)):
            raise _NotPartsError
        if not isinstance(item.get("text"), str | None):
            raise _NotPartsError
        found.append(Part(item.get("text"), _image_name(next((item[k] for k in _IMAGE_KEYS if k in item), None))))
    return found


def _image_name(value: Any) -> str | None:
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("path", "url") if key in value), value)
    if not isinstance(value, str | None):
        raise _NotPartsError
    return value
