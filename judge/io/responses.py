"""Saved answers, in the three layouts people have them in; which one it is, the content says.

    responses.jsonl   {"id": "PBL-2896694", "response": [{"text": "Step 2: pour.", "image": "out/1.png"}]}
    lmms-eval samples {"doc_id": 0, "target": "A", "filtered_resps": "B", "doc_hash": "7423…", "input": "…"}
    official to-eval  [{"id": "PBL-2896694", "question": […], "answer": […], "model": "m", "gt_answer": […]}]

The second is what lmms-eval writes with `--log_samples` (logger of lmms-eval 0.7.3, `evaluation_tracker.py`), the third
the input of the official scorer (MMIE repository @eb0fd6e, README). What a response *means* is the benchmark's to say;
here it is only read, and a file that is not what it looks like is refused with its line.

A part of `responses.jsonl` may say how its picture was drawn, and a line who failed; `mmjudge ask` writes both. That
is for reading: no verdict depends on it, and what is no such thing is passed over.

    {"text": "Step 2: pour.", "image": "out/1.png", "prompt": "a cup", "seed": 7, "seconds": 1.9}
    {"id": "PBL-1", "response": null, "failed": {"reason": "call_failed", "by": "painter", "note": "503"}}
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from judge.core.benchmark import Answer
from judge.errors import UserError
from judge.io.files import open_file, read_bytes
from judge.io.jsonl import BOM, Position, kind_of, parse_json, read_objects

Part = dict[str, Any]

RESPONSES = ("filtered_resps", "resps")
"""Where a sample of lmms-eval has what the model said: after the filters, and before."""
DRAWN = {"prompt": (str,), "seed": (int,), "seconds": (int, float)}
"""What a part may say of its picture: what it was drawn from, and how long that took."""


def read_responses(file: str | Path, image_root: str | Path | None = None, repeat: int | None = None) -> list[Answer]:
    """The answers in `file`, in its order.

    image_root: the folder below which images of answers lie; without it the folder of the file. repeat: which of the
    answers to each question is taken, from 1, where every one has several (`count_repeats`). Raises UserError with file
    and line for what cannot be read, is truncated, or is none of the three layouts.
    """
    path = Path(file)
    root = Path(image_root) if image_root is not None else path.absolute().parent
    if not root.is_dir():
        raise UserError("the image root is not a folder", file=root, fix="give --image-root DIR")
    try:
        with open_file(path) as opened:
            start = opened.read(4096).removeprefix(BOM).lstrip()
        answers = list(_to_eval(path, root) if start.startswith(b"[") else _lines(path, root, repeat))
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from error
    if not answers:
        raise UserError("holds no answers", file=path)
    return answers


def count_repeats(file: str | Path) -> int:
    """How many answers to each question a samples file of lmms-eval holds (`--repeats`); 1 for a file of another kind.

    Raises UserError where questions have more or fewer than the first one.
    """
    count = 1
    for number, (position, row) in enumerate(read_objects(Path(file)) if _is_samples(Path(file)) else ()):
        response = _said(row)[1]
        here = len(response) if isinstance(response, list) else 1
        if number and here != count:
            fix = "ask again with one --repeats"
            raise position.error(f"has {here} answers, and the first question {count}", fix=fix)
        count = here
    return count


def _is_samples(path: Path) -> bool:
    """Whether the first line is a sample of lmms-eval. Errors are left to whoever reads the answers."""
    try:
        _, row = next(read_objects(path))
    except (StopIteration, UserError):
        return False
    return "response" not in row and "doc_id" in row and bool(row.keys() & RESPONSES)


def _said(row: dict[str, Any]) -> tuple[str, Any]:
    """(field, response) of a sample: lmms-eval leaves `resps` out where the filters changed nothing, and unwraps lists
    of one."""
    field = next((name for name in RESPONSES if name in row), "")
    response = _null_for_nan(row.get(field))
    while isinstance(response, list) and len(response) == 1:
        response = response[0]
    return field, response


def _lines(path: Path, root: Path, repeat: int | None) -> Iterator[Answer]:
    make: Callable[[dict[str, Any], Position, Path], Answer] | None = None
    for position, row in read_objects(path):
        # the first line says which layout it is; the others must follow it
        make = make or _layout(row, position, repeat)
        yield make(row, position, root)


def _layout(
    row: dict[str, Any], position: Position, repeat: int | None
) -> Callable[[dict[str, Any], Position, Path], Answer]:
    if "response" in row:
        return parse_answer
    if "doc_id" in row and row.keys() & RESPONSES:
        return functools.partial(_sample, repeat=repeat)
    if {"question", "answer"} <= row.keys():
        raise position.error(
            "is an official to-eval item, but the file is not a JSON list", fix="wrap the items in [ … ]"
        )
    raise position.error(
        f"is neither a response nor an lmms-eval sample; it has the fields {', '.join(sorted(row)[:8]) or 'none'}",
        fix='one object a line: {"id": "PBL-1", "response": "…"}',
    )


def parse_answer(row: dict[str, Any], position: Position, root: Path) -> Answer:
    """The answer in an object {"id", "index"?, "response"}; image paths are relative to `root`."""
    name = position.text(row, "id")
    index = _index(row, "index", position) if row.get("index") is not None else None
    if "response" not in row:
        raise position.error("is missing; a model that gave nothing has null", field="response")
    response = _null_for_nan(row["response"])
    if isinstance(response, list):
        # lists in the layouts of other writers are the benchmark's to read
        response = response if any(map(_is_foreign, response)) else _parts(response, "response", position)
    elif not isinstance(response, str | None):
        raise position.error(f"is {kind_of(response)}; it is text, a list of parts or null", field="response")
    failed = row.get("failed")
    return Answer(name, index, response, root, where=str(position), failed=failed if isinstance(failed, dict) else None)


def _sample(row: dict[str, Any], position: Position, root: Path, repeat: int | None) -> Answer:
    index = _index(row, "doc_id", position)
    field, response = _said(row)
    if not field:
        raise position.error("is missing", field=RESPONSES[0])
    if isinstance(response, list):
        if repeat is None or not 1 <= repeat <= len(response):
            fix = "mmjudge score FILE, with this one FILE and without --dry-run, scores them all"
            raise position.error(f"holds {len(response)} responses; one a question is read", field=field, fix=fix)
        response = _null_for_nan(response[repeat - 1])
    if not isinstance(response, str | None):
        raise position.error(f"is {kind_of(response)}, not text", field=field)
    return Answer(None, index, response, root, where=str(position))


def _to_eval(path: Path, root: Path) -> Iterator[Answer]:
    items = parse_json(read_bytes(path).removeprefix(BOM), Position(path, None))
    for number, row in enumerate(items):
        position = Position(path, f"item {number}")
        if not isinstance(row, dict):
            raise position.error("is not a JSON object")
        name = position.text(row, "id")
        record: dict[str, Any] = {**row, "question": _parts(_list(row, "question", position), "question", position)}
        if isinstance(row.get("gt_answer"), list):
            record["gt_answer"] = _parts(row["gt_answer"], "gt_answer", position)
        elif not isinstance(row.get("gt_answer"), str | None):
            raise position.error(f"is {kind_of(row['gt_answer'])}; it is a list of parts or text", field="gt_answer")
        answer = row.get("answer")
        if isinstance(answer, list):
            answer = _parts(answer, "answer", position)
        elif not isinstance(answer, str | None):
            raise position.error(f"is {kind_of(answer)}; it is text, a list of parts or null", field="answer")
        yield Answer(name, None, answer, root, record=record, where=str(position))


def _is_foreign(item: Any) -> bool:
    """Whether an item of a list is in another layout than ours: {"type": "text", "content": …} or ["text", …]."""
    if isinstance(item, dict):
        return isinstance(item.get("type"), str) and not item.keys() & {"text", "image"}
    return isinstance(item, list) and len(item) == 2 and isinstance(item[0], str)


def _null_for_nan(value: Any) -> Any:
    """NaN, which spreadsheets turn an empty cell into and Python's JSON can spell, as null."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _index(row: dict[str, Any], field: str, position: Position) -> int:
    value = row.get(field)
    if field not in row:
        raise position.error("is missing", field=field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise position.error(f"is {kind_of(value)}, not a position counted from 0", field=field)
    return value


def _list(row: dict[str, Any], field: str, position: Position) -> list[Any]:
    value = row.get(field)
    if not isinstance(value, list):
        raise position.error(
            "is missing" if field not in row else f"is {kind_of(value)}, not a list of parts", field=field
        )
    return value


def _parts(parts: list[Any], field: str, position: Position) -> list[Part]:
    for number, part in enumerate(parts):
        if not isinstance(part, dict) or not part.keys() & {"text", "image"}:
            raise position.error(f'part {number} is not {{"text": …, "image": …}}', field=field)
        for name in ("text", "image"):
            if not isinstance(part.get(name), str | None):
                raise position.error(f'part {number}: "{name}" is {kind_of(part[name])}, not text or null', field=field)
    return [{"text": part.get("text"), "image": part.get("image"), **_drawn(part)} for part in parts]


def _drawn(part: Part) -> Part:
    """How the picture of a part was drawn, as far as it says so."""
    if not part.get("image"):
        return {}
    return {name: part[name] for name, kinds in DRAWN.items() if type(part.get(name)) in kinds}


def drawings(response: Any) -> dict[str, Part]:
    """How the pictures of a response were drawn: name → what of `DRAWN` is known.

    response: as an `Answer` has it: parts, or their JSON, which is how they come through lmms-eval.
    """
    if isinstance(response, str) and response.startswith('[{"text": '):
        try:
            response = json.loads(response)
        except (ValueError, RecursionError):
            return {}
    found = {}
    for part in response if isinstance(response, list) else []:
        if isinstance(part, dict) and isinstance(name := part.get("image"), str) and (drawn := _drawn(part)):
            found[name] = drawn
    return found
