"""Saved answers, in the three layouts people have them in; which one it is, the content says.

    responses.jsonl   {"id": "PBL-2896694", "response": [{"text": "Step 2: pour.", "image": "out/1.png"}]}
    lmms-eval samples {"doc_id": 0, "target": "A", "filtered_resps": "B", "doc_hash": "7423…", "input": "…"}
    official to-eval  [{"id": "PBL-2896694", "question": […], "answer": […], "model": "m", "gt_answer": […]}]

The second is what lmms-eval writes with `--log_samples` (logger of lmms-eval 0.7.3, `evaluation_tracker.py`), the third
the input of the official scorer (MMIE repository @eb0fd6e, README). What a response *means* is the benchmark's to say;
here it is only read, and a file that is not what it looks like is refused with its line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from judge.benchmark import Answer
from judge.errors import UserError

MAX_LINE = 64 * 2**20
"""Bytes of one line. Longer ones hold pictures, which belong into files."""

Part = dict[str, Any]


def read(file: str | Path, image_root: str | Path | None = None) -> list[Answer]:
    """The answers in `file`, in its order.

    image_root: the folder below which images of answers lie; without it the folder of the file. Raises UserError with
    file and line for what cannot be read, is truncated, or is none of the three layouts.
    """
    path = Path(file)
    root = Path(image_root) if image_root is not None else path.absolute().parent
    if not root.is_dir():
        raise UserError("the image root is not a folder", file=root, fix="give --image-root DIR")
    try:
        with path.open("rb") as opened:
            start = opened.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()
        answers = list(_to_eval(path, root) if start.startswith(b"[") else _lines(path, root))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from error
    if not answers:
        raise UserError("holds no answers", file=path)
    return answers


def _lines(path: Path, root: Path) -> Iterator[Answer]:
    make: Callable[[dict[str, Any], _Place, Path], Answer] | None = None
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            place = _Place(path, f"line {number}")
            if len(line) > MAX_LINE:
                raise place.error(f"is longer than {MAX_LINE >> 20} MiB", fix="save pictures as files and name them")
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if not line.strip():
                continue
            row = _json(line, place)
            if not isinstance(row, dict):
                raise place.error("is not a JSON object")
            # the first line says which layout it is; the others must follow it
            make = make or _layout(row, place)
            yield make(row, place, root)


def _layout(row: dict[str, Any], place: _Place) -> Callable[[dict[str, Any], _Place, Path], Answer]:
    if "response" in row:
        return _response
    if "doc_id" in row and ("filtered_resps" in row or "resps" in row):
        return _sample
    if {"question", "answer"} <= row.keys():
        raise place.error("is an official to-eval item, but the file is not a JSON list", fix="wrap the items in [ … ]")
    raise place.error(
        f"is neither a response nor an lmms-eval sample; it has the fields {', '.join(sorted(row)[:8]) or 'none'}",
        fix='one object a line: {"id": "PBL-1", "response": "…"}',
    )


def _response(row: dict[str, Any], place: _Place, root: Path) -> Answer:
    name = _text(row, "id", place)
    index = _index(row, "index", place) if row.get("index") is not None else None
    if "response" not in row:
        raise place.error("is missing; a model that gave nothing has null", field="response")
    response = row["response"]
    if isinstance(response, list):
        response = _parts(response, "response", place)
    elif not isinstance(response, str | None):
        raise place.error(f"is {_kind(response)}; it is text, a list of parts or null", field="response")
    return Answer(name, index, response, root, where=str(place))


def _sample(row: dict[str, Any], place: _Place, root: Path) -> Answer:
    index = _index(row, "doc_id", place)
    if "filtered_resps" not in row and "resps" not in row:
        raise place.error("is missing", field="filtered_resps")
    # lmms-eval leaves `resps` out where the filters changed nothing, and unwraps lists of one
    field = "filtered_resps" if "filtered_resps" in row else "resps"
    response = row.get(field)
    while isinstance(response, list) and len(response) == 1:
        response = response[0]
    if isinstance(response, list):
        raise place.error(f"holds {len(response)} responses; one a question is scored", field=field)
    if not isinstance(response, str | None):
        raise place.error(f"is {_kind(response)}, not text", field=field)
    return Answer(None, index, response, root, where=str(place))


def _to_eval(path: Path, root: Path) -> Iterator[Answer]:
    rows = _json(path.read_bytes().removeprefix(b"\xef\xbb\xbf"), _Place(path, None))
    for number, row in enumerate(rows):
        place = _Place(path, f"item {number}")
        if not isinstance(row, dict):
            raise place.error("is not a JSON object")
        name = _text(row, "id", place)
        record: dict[str, Any] = {**row, "question": _parts(_list(row, "question", place), "question", place)}
        if isinstance(row.get("gt_answer"), list):
            record["gt_answer"] = _parts(row["gt_answer"], "gt_answer", place)
        elif not isinstance(row.get("gt_answer"), str | None):
            raise place.error(f"is {_kind(row['gt_answer'])}; it is a list of parts or text", field="gt_answer")
        answer = row.get("answer")
        if isinstance(answer, list):
            answer = _parts(answer, "answer", place)
        elif not isinstance(answer, str | None):
            raise place.error(f"is {_kind(answer)}; it is text, a list of parts or null", field="answer")
        yield Answer(name, None, answer, root, record=record, where=str(place))


class _Place:
    """Where in which file; makes the errors."""

    def __init__(self, file: Path, where: str | None) -> None:
        self.file, self.where = file, where

    def __str__(self) -> str:
        return f"{self.file}: {self.where}"

    def error(self, problem: str, *, field: str | None = None, fix: str | None = None) -> UserError:
        if field is not None:
            problem = f'field "{field}" {problem}'
        joint = ": " if field is not None else " "
        return UserError(f"{self.where}{joint}{problem}" if self.where else problem, file=self.file, fix=fix)


def _json(data: bytes, place: _Place) -> Any:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise place.error(f"is not UTF-8 (byte {error.start})", fix="save the file as UTF-8") from error
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        line = f"line {error.lineno} " if place.where is None else ""
        cut_off = error.msg.startswith("Unterminated") or not text[error.pos :].strip()
        problem = f"{line}column {error.colno} is not JSON ({error.msg}{'; it ends in the middle' if cut_off else ''})"
        raise place.error(problem) from error
    except (ValueError, RecursionError) as error:  # a name twice, a number of 5,000 digits, 10,000 open brackets
        raise place.error(f"cannot be read as JSON ({error})") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the name {next(n for n in names if names.count(n) > 1)!r} twice in one object")
    return row


def _text(row: dict[str, Any], field: str, place: _Place) -> str:
    value = row.get(field)
    if not isinstance(value, str) or not value:
        raise place.error("is missing" if field not in row else f"is {_kind(value)}, not text", field=field)
    return value


def _index(row: dict[str, Any], field: str, place: _Place) -> int:
    value = row.get(field)
    if field not in row:
        raise place.error("is missing", field=field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise place.error(f"is {_kind(value)}, not a position counted from 0", field=field)
    return value


def _list(row: dict[str, Any], field: str, place: _Place) -> list[Any]:
    value = row.get(field)
    if not isinstance(value, list):
        raise place.error("is missing" if field not in row else f"is {_kind(value)}, not a list of parts", field=field)
    return value


def _parts(parts: list[Any], field: str, place: _Place) -> list[Part]:
    for number, part in enumerate(parts):
        if not isinstance(part, dict) or not part.keys() & {"text", "image"}:
            raise place.error(f'part {number} is not {{"text": …, "image": …}}', field=field)
        for name in ("text", "image"):
            if not isinstance(part.get(name), str | None):
                raise place.error(f'part {number}: "{name}" is {_kind(part[name])}, not text or null', field=field)
    return [{"text": part.get("text"), "image": part.get("image")} for part in parts]


def _kind(value: object) -> str:
    names = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}
    if isinstance(value, int) and not isinstance(value, bool):
        return f"the number {value}" if abs(value) < 10**12 else "a number"
    return "empty text" if value == "" else "null" if value is None else names[type(value)]
