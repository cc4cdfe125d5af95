"""What a model said, as parts: text and image names in order. Any string is accepted; none of it is trusted.

    "Step 2: press Enter."                                  plain text
    {"text": "Step 2 <image> Step 3", "images": ["a.png"]}  JSON of the image-making models of lmms-eval; the k-th
                                                            <image> stands for images[k], the others follow the text
    [{"text": "Step 2", "image": "a.png"}]                  parts: text, then picture
    [{"type": "text", "content": "Step 2"}, {"type": "image", "content": "a.png"}]              ISG, VLMEvalKit, …
    [{"type": "output_text", "text": "Step 2"}, {"type": "image_url", "image_url": {"url": "a.png"}}]     OpenAI
    [["text", "Step 2"], ["image", "a.png"]]                MMRB2
    {"content": […]}, {"parts": […]}, {"choices": [{"message": …}]}       any of these one level further in
    Generated image saved to: out/a.png                     lmms-eval's qwen_image_edit

Lists and objects may be values or written in a text: as JSON or as Python prints them, in a Markdown fence or not,
after a sentence, before an end token (`mmie_tasks.written_values`). A short sentence around them ("Here is my answer:")
that announces them is left out; other text is kept, as parts of its own. A text that looks like parts and cannot be
read is text, and `Response.unreadable` says so. Pictures in Markdown are text: models without pictures write them, too.

The first layouts are those of lmms-eval 0.7.3. Names of images are kept as they are given, addresses too, and bytes in
base64 become a data: address; `mmie_tasks.judging` decides what they mean.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from judge.core.request import IMAGE_PLACEHOLDER
from judge.core.thoughts import without_thoughts
from mmie_tasks import written_values
from mmie_tasks.records import Part
from mmie_tasks.written_values import UnreadableError, Value

SHORT = 200
"""Characters; longer text around a list is a part of the answer, whatever it says."""
_LABEL = re.compile(r"(?:#{1,6}[ \t].*|.*[:：=]|<[^<>]*>|\w+)\s*", re.DOTALL)
"""A heading, what ends in a colon or an equals sign, a tag, one word such as the name of a role."""
_ABOUT = re.compile(
    r"\b(?:here(?:'s| is| are)|below|above|as follows|json|format(?:ted)?|structured|my (?:answer|response|output)"
    r"|final (?:answer|response|output)|hope (?:this|that|it)|let me know|let's|sure|certainly)\b",
    re.IGNORECASE,
)
LAYOUT_UNKNOWN = "it is in none of the known layouts"

_SAVED = re.compile(r"Generated image saved to:[ \t]*(\S[^\n]*)")
_DEEPEST = 12

_TEXT_TYPES = {"text", "input_text", "output_text", "summary_text", "refusal", "txt", "string", "markdown"}
_IMAGE_TYPES = {
    "image", "images", "image_url", "image_path", "image_file", "input_image", "output_image", "generated_image",
    "image_generation_call", "img", "picture", "photo", "file_image", "media",
}  # fmt: skip
_THOUGHT_TYPES = {"reasoning", "thinking", "redacted_thinking", "thought"}
_TEXT_KEYS = ("text", "content", "value", "data", "output_text", "input_text", "refusal")
_IMAGE_KEYS = ("image", "path", "url", "image_url", "image_path", "img", "inlineData", "inline_data", "fileData")
_TYPED_IMAGE_KEYS = (
    *_IMAGE_KEYS, "content", "value", "data", "file", "source", "src", "filename", "file_name", "uri", "b64_json",
    "result", "image_file", "file_id",
)  # fmt: skip
_NAME_KEYS = ("path", "url", "uri", "fileUri", "file_uri", "src", "image", "file", "file_id", "name", "filename")
_BYTES_KEYS = ("b64_json", "base64", "data", "bytes", "result")
_MEDIA_KEYS = ("media_type", "mime_type", "mimeType", "output_format")
_WRAPPERS = ("content", "parts", "output", "outputs", "response", "answer", "message", "choices", "candidates")
_ALTERNATIVES = ("choices", "candidates")
"""Lists of whole answers; the first is the answer."""
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{256,}={0,2}\s*")


@dataclasses.dataclass(frozen=True)
class Response:
    """Parts of a response, none of them empty; () where there is no answer.

    unreadable: why a text that looks like a list of parts was taken as text ("it ends in the middle"), else None.
    """

    parts: tuple[Part, ...]
    unreadable: str | None = None

    @property
    def note(self) -> str | None:
        """A sentence for the verdict, where there is something to say."""
        return (
            None if self.unreadable is None else f"looks like a list of parts and was judged as text: {self.unreadable}"
        )


class _NotPartsError(ValueError):
    """A JSON value in none of the known layouts: it is the answer's text."""


def parse_response(response: str | Sequence[Any] | Mapping[str, Any] | None) -> Response:
    """The parts of a response. Never raises.

    Thoughts are left out (`judge.core.thoughts`), after JSON was read: a tag inside a JSON string must not break it.
    """
    unreadable = None
    if response is None:
        return Response(())
    if isinstance(response, str):
        found, unreadable = _from_text(response)
    else:
        try:
            found = list(_parts(response))
        except _NotPartsError:
            found, unreadable = [Part(_as_text(response), None)], LAYOUT_UNKNOWN
    tidied = (_tidy(part) for part in found)
    return Response(tuple(part for part in tidied if part.text or part.image), unreadable)


def _as_text(value: object) -> str:
    try:
        return json.dumps(value, default=str)
    except (RecursionError, TypeError, ValueError):  # nested deeper than JSON goes, or not made from JSON
        return repr(type(value))


def _tidy(part: Part) -> Part:
    text = without_thoughts(part.text or "")
    return Part(text if text.strip() else None, part.image or None)


def _from_text(response: str) -> tuple[list[Part], str | None]:
    response = _unquoted(response)
    answer, unreadable = without_thoughts(response), None
    for candidate in dict.fromkeys((response, answer)):
        try:
            found = _written(candidate, alone=candidate != answer)
        except UnreadableError as error:
            unreadable = str(error)
        else:
            if found is not None:
                return found, None
            if candidate == answer:
                unreadable = None
    saved = _SAVED.fullmatch(answer.strip())
    return [Part(None, saved[1])] if saved else [Part(answer, None)], unreadable


def _unquoted(text: str) -> str:
    """The text that a JSON string holds, where that begins with a list or an object; else `text`."""
    if text.lstrip().startswith('"'):
        try:
            inside = json.loads(text, strict=False)
        except ValueError:
            return text
        if isinstance(inside, str) and written_values.leading_value(inside) is not None:
            return inside
    return text


def _written(text: str, alone: bool) -> list[Part] | None:
    """The parts written in `text`, with longer text around them; None where there are none.

    alone: only if nothing else is there. Raises UnreadableError for what looks like parts and is in no known layout.
    """
    if alone and written_values.leading_value(text) is None:
        return None
    found: list[tuple[Value, list[Part]]] = []
    meant = False
    for number, value in enumerate(written_values.values(text)):
        lonely = number == 0 and _is_alone(text, value)
        if alone and not lonely:
            return None
        try:
            parts = list(_parts(value.value))
        except _NotPartsError:
            if written_values.looks_like_parts(text, value.start, value.end):
                raise UnreadableError(LAYOUT_UNKNOWN) from None
            continue
        if lonely or _has_structure(value.value):
            found.append((value, parts))
            meant = meant or lonely or _is_meant(value.value, parts)
    return _with_prose(text, found) if meant else None


def _is_alone(text: str, value: Value) -> bool:
    before, after = written_values.prose(text[: value.start]), written_values.prose(text[value.end :])
    return not before and (not after or written_values.ends(text, value.end))


def _has_structure(value: Any) -> bool:
    """Whether a value says which of its texts is a picture: ["a", "b"] in a sentence is a list like any other."""
    return isinstance(value, Mapping) or any(isinstance(item, Mapping | list | tuple) for item in value)


def _is_meant(value: Any, parts: Sequence[Part]) -> bool:
    """Whether a value among words is an answer: a list, or an object with a type, a list or a picture in it."""
    if not isinstance(value, Mapping) or value.keys() & {"type", *_WRAPPERS}:
        return True
    return len(parts) > 1 or any(part.image for part in parts)


def _is_about_the_list(said: str) -> bool:
    """Whether words around a list only announce it; others are a part of the answer."""
    return len(said) <= SHORT and (_LABEL.fullmatch(said) is not None or _ABOUT.search(said) is not None)


def _with_prose(text: str, found: Sequence[tuple[Value, list[Part]]]) -> list[Part]:
    """The parts of all values, and what stands around them unless it only announces one list."""
    bounds = [0, *(place for value, _ in found for place in (value.start, value.end)), len(text)]
    around = [written_values.prose(text[a:b]) for a, b in zip(bounds[::2], bounds[1::2], strict=True)]
    if written_values.ends(text, bounds[-2]):
        around[-1] = ""
    if not any(around[1:-1]):
        around = ["" if _is_about_the_list(said) else said for said in around]
    parts = [Part(around[0], None)]
    for (_, of_value), said in zip(found, around[1:], strict=True):
        parts += [*of_value, Part(said, None)]
    return parts


def _parts(value: Any, depth: int = 0) -> Iterator[Part]:
    """The parts of a list, an object, or an item of a list. Raises _NotPartsError."""
    if depth > _DEEPEST:
        raise _NotPartsError
    if isinstance(value, str):
        yield Part(value, None)
    elif isinstance(value, Mapping):
        yield from _from_object(value, depth)
    elif isinstance(value, list | tuple):
        if depth and (pair := _from_kind_and_value(value)):
            yield pair
            return
        spoken = [item for item in value if not (isinstance(item, Mapping) and item.get("role") in ("user", "system"))]
        for item in spoken:
            yield from _parts(item, depth + 1)
    else:
        raise _NotPartsError


def _from_kind_and_value(item: Sequence[Any]) -> Part | None:
    """["image", "a.png"], as in MMRB2; None for another list."""
    if len(item) != 2 or not isinstance(item[0], str):
        return None
    kind = item[0].lower()
    if kind in _TEXT_TYPES and isinstance(item[1], str | None):
        return Part(item[1], None)
    return Part(None, _image_name(item[1])) if kind in _IMAGE_TYPES else None


def _from_object(item: Mapping[str, Any], depth: int) -> Iterator[Part]:
    kind = item.get("type")
    kind = kind.lower() if isinstance(kind, str) else None
    if kind in _THOUGHT_TYPES or item.get("thought") is True:
        return
    if isinstance(item.get("videos"), list) and not item.keys() & {"images", "image"}:
        item = {**item, "images": item["videos"]}  # a video is no picture; `mmie_tasks.judging` says so
    pictures = item.get("images", item.get("image"))
    wrapped = _wrapped(item)
    if wrapped is not None:
        yield from _parts(wrapped, depth + 1)
        return
    if isinstance(pictures, list) or "images" in item:
        yield from _from_texts_and_images(item, pictures)
        return
    image_keys = _TYPED_IMAGE_KEYS if kind in _IMAGE_TYPES else _IMAGE_KEYS
    image_key = None if kind in _TEXT_TYPES else next((key for key in image_keys if key in item), None)
    text_keys = _TEXT_KEYS if kind in _TEXT_TYPES else ("content", "text") if "role" in item else ("text",)
    text_key = next((key for key in text_keys if key in item and key != image_key), None)
    if image_key is None and text_key is None:
        raise _NotPartsError
    yield Part(
        None if text_key is None else _text(item[text_key]),
        None if image_key is None else _image_name(item[image_key], item),
    )


def _wrapped(item: Mapping[str, Any]) -> Any:
    """The list or message that an object is a wrapper of; None where there is none, or more than one could be."""
    if isinstance(item.get("content"), list) and "images" not in item:
        return item["content"]
    if item.keys() & {"text", "texts", "images", *_IMAGE_KEYS} or item.get("type") in (*_TEXT_TYPES, *_IMAGE_TYPES):
        return None
    for key in _WRAPPERS:
        if isinstance(item.get(key), list | tuple | Mapping):
            return item[key][:1] if key in _ALTERNATIVES else item[key]
    lists = [value for value in item.values() if isinstance(value, list | tuple)]
    return lists[0] if len(lists) == 1 and lists[0] and _has_structure(lists[0]) else None


def _from_texts_and_images(item: Mapping[str, Any], images: Any) -> list[Part]:
    """One text and its images, or as many texts as images. Markers beyond the last image stay text."""
    texts = next((item[key] for key in ("text", "texts", "content") if key in item), None)
    if isinstance(images, str | Mapping):
        images = [images]
    if not isinstance(images, list | None):
        raise _NotPartsError
    names = [_image_name(image) for image in images or []]
    if isinstance(texts, list):
        if len(texts) != len(names):
            raise _NotPartsError
        return [Part(_text(text), name) for text, name in zip(texts, names, strict=True)]
    *before, last = without_thoughts(_text(texts) or "").split(IMAGE_PLACEHOLDER, len(names))
    marked = [Part(piece.strip(), name) for piece, name in zip(before, names, strict=False)]
    return [*marked, Part(last.strip() if marked else last, None), *(Part(None, name) for name in names[len(before) :])]


def _text(value: Any) -> str | None:
    if isinstance(value, Mapping):  # {"value": "…", "annotations": []}
        value = value.get("value", value)
    if not isinstance(value, str | None):
        raise _NotPartsError
    return value


def _image_name(value: Any, around: Mapping[str, Any] | None = None, depth: int = 0) -> str | None:
    """A path or an address as it is given; bytes in base64 as a data: address. around: the item that holds `value`."""
    if isinstance(value, Mapping):
        key = next((key for key in (*_NAME_KEYS, *_BYTES_KEYS, "image_url", "source") if key in value), None)
        if key is None or depth > _DEEPEST:
            raise _NotPartsError
        if key in _BYTES_KEYS and isinstance(value[key], str) and not value[key].startswith("data:"):
            return _data_address(value[key], value)
        return _image_name(value[key], value, depth + 1)
    if not isinstance(value, str | None):
        raise _NotPartsError
    return _data_address(value, around or {}) if value and _BASE64.fullmatch(value) else value


def _data_address(data: str, around: Mapping[str, Any]) -> str:
    media = next((around[key] for key in _MEDIA_KEYS if isinstance(around.get(key), str)), "image/png")
    return f"data:{media if '/' in media else f'image/{media}'};base64,{data}"
