"""Pairs of answers to one question, and which of the two people chose: what any judge can be measured against.

One JSON object a line:

    {"id": "p17", "question": "q4", "source": "isgbench", "prompt": [{"text": "Draw …", "image": null}],
     "a": {"id": "q4/anole/1", "model": "anole-7b", "response": [{"text": "Step 1", "image": "anole/1.png"}]},
     "b": {"id": "q4/emu/1", "model": "emu-2", "response": "Step 1: …"}, "chosen": "A", "annotations": [6, 5, 6]}

`id`, `a`, `b` and `chosen` must be there. `question` says which pairs are about one question (without it each pair is
on its own); an answer without `id` is called `p17/a` or `p17/b`; one that stands in several pairs has the same id and
the same content in all of them. `prompt` and `response` are needed to have the answers judged, no longer afterwards.
`judge.io.mmrb2` makes the same of the published benchmark's files.

A judge that reads both answers at once writes a line a judgement, in the order it saw them:

    {"id": "p17", "order": "forward", "judgement": "A"}     shown a, then b: a is better
    {"id": "p17", "order": "reverse", "judgement": "A"}     shown b, then a: b is better
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from judge.core.benchmark import Answer
from judge.errors import UserError
from judge.io.files import make_folder, read_bytes, write_json
from judge.io.jsonl import BOM, Position, kind_of, parse_json, read_objects, writable
from judge.io.responses import parse_answer

Choice = Literal["A", "B"]
Part = Mapping[str, str | None]
"""{"text", "image"}: either may be None."""
Order = Literal["forward", "reverse"]
ORDERS: tuple[Order, Order] = ("forward", "reverse")
ANSWERS = "answers.json"
KEY_DIGITS = 16
NO_TEXT: tuple[Part, ...] = ({"text": None, "image": None},)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One answer. id: its name, the same in every pair that it stands in; system: who answered, "" where nobody says.

    answer: None where the pairs have no response.
    """

    id: str
    system: str
    answer: Answer | None = None

    @property
    def key(self) -> str:
        """Ends the id under which the answer is judged, see `write_answers`: hex digits, so it names no category."""
        return hashlib.sha256(self.id.encode("utf-8", "replace")).hexdigest()[:KEY_DIGITS]


@dataclasses.dataclass(frozen=True)
class PreferencePair:
    """Two answers to one question. chosen: by people. annotations: the single votes as they were published.

    prompt: what was asked, None where the file does not say. where: file and line, for messages.
    """

    id: str
    question: str
    a: Candidate
    b: Candidate
    chosen: Choice
    source: str | None = None
    prompt: tuple[Part, ...] | None = None
    annotations: tuple[float, ...] = ()
    where: str = ""


Judgements = Mapping[tuple[str, Order], "Choice | Literal['tie']"]
"""(pair, order) → the better one by its name in the pair, whatever was shown first; or "tie"."""


def read_pair_lines(path: Path, root: Path) -> list[PreferencePair]:
    """The pairs of a file of JSON lines, in its order. root: the folder that pictures lie below.

    Raises UserError with line and field for what is not as above, and as `checked` does.
    """
    return checked((_pair(row, position, root) for position, row in read_objects(path)), path)


def checked(pairs: Iterable[PreferencePair], path: Path) -> list[PreferencePair]:
    """The pairs as a list. Raises UserError for none, for one that is there twice, for an answer with two contents."""
    found: dict[str, PreferencePair] = {}
    answers: dict[str, tuple[str, str, object, str]] = {}
    both: dict[frozenset[str], PreferencePair] = {}
    for pair in pairs:
        if pair.id in found:
            raise UserError(f"{pair.where}: the pair {pair.id!r} stands in {found[pair.id].where}, too", file=path)
        if pair.a.id == pair.b.id:
            raise UserError(f"{pair.where}: both answers of {pair.id!r} are {pair.a.id!r}", file=path)
        ids = frozenset((pair.a.id, pair.b.id))
        if ids in both:
            same = both[ids]
            raise UserError(f"{pair.where}: {pair.id!r} has the answers of {same.id!r} in {same.where}", file=path)
        for one in (pair.a, pair.b):
            content = (one.system, pair.question, None if one.answer is None else one.answer.response, pair.where)
            before = answers.setdefault(one.id, content)
            if before[:3] != content[:3]:
                differing = ["model", "question", "response"][next(n for n in range(3) if before[n] != content[n])]
                raise UserError(
                    f"{pair.where}: the answer {one.id!r} has another {differing} than in {before[3]}",
                    file=path, fix="give every answer an id of its own",
                )  # fmt: skip
        found[pair.id], both[ids] = pair, pair
    if not found:
        raise UserError("holds no pairs", file=path)
    return list(found.values())


def _pair(row: dict[str, Any], position: Position, root: Path) -> PreferencePair:
    name = position.text(row, "id")
    question = position.text(row, "question") if row.get("question") is not None else name
    source = position.text(row, "source") if row.get("source") is not None else None
    return PreferencePair(
        name,
        question,
        _candidate(row, "a", name, position, root),
        _candidate(row, "b", name, position, root),
        choice_of(row, position),
        source,
        None if row.get("prompt") is None else parts_of(row["prompt"], "prompt", position),
        votes_of(row.get("annotations"), "annotations", position),
        str(position.where),
    )


def _candidate(row: dict[str, Any], field: str, pair: str, position: Position, root: Path) -> Candidate:
    given = row.get(field)
    if not isinstance(given, dict):
        problem = "is missing" if field not in row else f"is {kind_of(given)}, not an object"
        raise position.error(problem, field=field, fix='write {"id": "…", "model": "…", "response": […]}')
    name = position.text(given, "id") if given.get("id") is not None else f"{pair}/{field}"
    system = position.text(given, "model") if given.get("model") is not None else ""
    answer = parse_answer({**given, "id": name}, position, root) if "response" in given else None
    return Candidate(name, system, answer)


def choice_of(row: Mapping[str, Any], position: Position) -> Choice:
    """row["chosen"]. Raises UserError where it is neither A nor B."""
    given = row.get("chosen")
    chosen = given.upper() if isinstance(given, str) else None
    if chosen == "A" or chosen == "B":
        return "A" if chosen == "A" else "B"
    said = (
        "is missing" if "chosen" not in row else f"is {given!r}" if isinstance(given, str) else f"is {kind_of(given)}"
    )
    raise position.error(f"{said}; it must be A or B", field="chosen", fix="leave out pairs that people did not decide")


def votes_of(given: object, field: str, position: Position) -> tuple[float, ...]:
    """A list of finite numbers, () for null. Raises UserError for anything else."""
    if given is None:
        return ()
    if not isinstance(given, list) or any(
        isinstance(vote, bool) or not isinstance(vote, int | float) or not math.isfinite(vote) for vote in given
    ):
        raise position.error("is not a list of numbers", field=field)
    return tuple(given)


def parts_of(given: object, field: str, position: Position) -> tuple[Part, ...]:
    """A prompt as parts: text, or a list of {"text", "image"} or of ["text" | "image", …]. Raises UserError."""
    if isinstance(given, str):
        return ({"text": writable(given), "image": None},)
    if not isinstance(given, list):
        raise position.error(f"is {kind_of(given)}; it is text or a list of parts", field=field)
    made: list[Part] = []
    for number, item in enumerate(given):
        if isinstance(item, list) and len(item) == 2 and item[0] in ("text", "image"):
            item = {item[0]: item[1]}
        known = item if isinstance(item, dict) and item.keys() & {"text", "image"} else {"text": 0}
        text, image = known.get("text"), known.get("image")
        if not isinstance(text, str | None) or not isinstance(image, str | None):
            raise position.error(f'part {number} is not {{"text": …, "image": …}}', field=field)
        made.append({"text": None if text is None else writable(text), "image": image})
    return tuple(made)


def write_answers(pairs: Sequence[PreferencePair], folder: Path, category: str) -> tuple[Path, int, int]:
    """Write every answer of the pairs, each once, to `folder`/answers.json: a list that `mmjudge score` reads.

    It is the official to-eval layout, which brings questions along; an item's id is `category` and the answer's key.
    The file, how many answers it has, and how many of them without a question. Raises UserError for an answer whose
    response is not in the pairs, and where the file cannot be written.
    """
    rows: dict[str, dict[str, Any]] = {}
    for pair in pairs:
        for one in (pair.a, pair.b):
            if one.answer is None:
                raise UserError(f"{pair.where}: the answer {one.id!r} has no response: there is nothing to judge")
            rows[one.id] = {
                "id": f"{category}-{one.key}",
                "question": [dict(part) for part in pair.prompt or ()],
                "answer": one.answer.response,
                "model": one.system,
                "gt_answer": [dict(part) for part in NO_TEXT],
            }
    file = make_folder(folder) / ANSWERS
    write_json(file, list(rows.values()))
    return file, len(rows), sum(not row["question"] for row in rows.values())


def holds_judgements(path: Path) -> bool:
    """Whether a file is one of judgements on pairs, and not of verdicts: by its first object."""
    if not path.is_file():
        return False
    if path.suffix == ".json":
        return True
    first = next((row for _, row in read_objects(path)), {})
    return "judgement" in first


def read_judgements(path: Path) -> dict[tuple[str, Order], Literal["A", "B", "tie"]]:
    """Judgements on pairs: JSON lines as above, or the JSON file of MMRB2's own scripts (evaluate/README.md there):
    {PAIR: {"forward": [{"judgement": "A"}], "reverse": [{"judgement": "B"}]}}. Raises UserError."""
    found: dict[tuple[str, Order], Literal["A", "B", "tie"]] = {}
    rows = _published(path) if path.suffix == ".json" else _lines(path)
    for position, name, order, said in rows:
        if (name, order) in found:
            raise position.error(f"is a second judgement on {name!r} in the order {order}")
        lowered = said.lower() if isinstance(said, str) else None
        if lowered not in ("a", "b", "tie"):
            problem = f"is {said!r}" if isinstance(said, str) else f"is {kind_of(said)}"
            raise position.error(f"{problem}; it must be A, B or tie", field="judgement")
        better = lowered if order == "forward" else {"a": "b", "b": "a", "tie": "tie"}[lowered]
        found[name, order] = "A" if better == "a" else "B" if better == "b" else "tie"
    if not found:
        raise UserError("holds no judgements", file=path)
    return found


Row = tuple[Position, str, Order, object]


def _lines(path: Path) -> Iterable[Row]:
    for position, row in read_objects(path):
        order = row.get("order", "forward")
        if order not in ORDERS:
            raise position.error("must be forward or reverse", field="order")
        yield position, position.text(row, "id"), "forward" if order == "forward" else "reverse", row.get("judgement")


def _published(path: Path) -> Iterable[Row]:
    whole = Position(path, None)
    try:
        content = parse_json(read_bytes(path).removeprefix(BOM), whole)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from error
    if not isinstance(content, dict):
        raise whole.error("is not an object of judgements by pair")
    for name, orders in content.items():
        position = Position(path, json.dumps(name)[:80])
        for order in ORDERS:
            some = orders.get(order) if isinstance(orders, dict) else None
            if some is None or some == []:
                continue  # that order was not judged
            if not isinstance(some, list) or not isinstance(some[0], dict):
                raise position.error('is not a list of {"judgement": …}', field=order)
            if some[0].get("judgement") is not None:  # the judge's output could not be read
                yield position, name, order, some[0]["judgement"]
