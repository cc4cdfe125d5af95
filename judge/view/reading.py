"""A run's files, as far as a list of 20,103 answers and a search over them need them.

    decided = read_decided(Path("out/a"), "mmie")       scores, reasons, entropies, …; where in the file each verdict is
    offsets = read_offsets(Path("out/a"))                 where in the other file each question is
    said = read_said(Path("out/a"))                     questions and answers, folded for the search

All are plain values: other processes make them. A line's place is its span, (first byte, number of bytes), so that it
can be read in full when somebody looks at it.
"""

from __future__ import annotations

import bisect
import dataclasses
import io
import itertools
import json
import os
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from judge.core.benchmark import find
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io import samples
from judge.io.files import open_file
from judge.io.jsonl import parse_lines
from judge.io.samples import Question
from judge.io.verdicts import parse_verdicts
from judge.results.run_folder import VERDICTS

Span = tuple[int, int]
"""(first byte, number of bytes) in a file."""
DETAIL = 60
"""Characters of a detail by which answers can be filtered."""
_KEY = re.compile(rb'\{"id": ("(?:[^"\\]|\\.)*"), "index": (null|-?[0-9]{1,18}), ')


@dataclasses.dataclass(frozen=True)
class Folded:
    """Texts without upper case, in one piece. starts: where each begins, and where the last ends."""

    data: bytes
    starts: array[int]

    def find(self, text: str) -> Iterator[int]:
        """The numbers of the texts that hold `text`, ascending."""
        wanted, number = fold(text), 0
        position = self.data.find(wanted)
        while 0 <= position < len(self.data):
            number = bisect.bisect_right(self.starts, position, number) - 1
            yield number
            number += 1
            position = self.data.find(wanted, self.starts[number])


def fold(text: str) -> bytes:
    """`text` as it is searched: without upper case, one line."""
    return text.casefold().replace("\n", " ").replace("\0", "\ufffd").encode("utf-8", "replace")


def fold_all(texts: Iterable[str]) -> Folded:
    """The texts, each with an end that no search can hold: none is found across two, and none is empty."""
    starts, pieces, position = array("q"), [], 0
    for text in texts:
        starts.append(position)
        piece = fold(text) + b"\0"
        pieces.append(piece)
        position += len(piece)
    starts.append(position)
    return Folded(b"".join(pieces), starts)


@dataclasses.dataclass(frozen=True)
class Decided:
    """Verdicts column by column: a place in one list is the place in the others.

    details: those that are short texts or numbers, by name; None where a verdict has none of that name.
    """

    keys: list[Question]
    spans: list[Span]
    scores: list[int | None]
    reasons: list[str | None]
    failed: list[bool]
    entropies: list[float | None]
    categories: list[str]
    details: dict[str, list[str | None]]
    feedback: Folded


@dataclasses.dataclass(frozen=True)
class Said:
    """Questions with their references, and answers, folded; in the order of `samples.jsonl`. problem: what of the file
    cannot be read."""

    keys: list[Question]
    questions: Folded
    answers: Folded
    problem: str | None = None


def cut_lines(file: IO[bytes], most: int) -> list[Span]:
    """Parts of an open file of whole lines, of about `most` bytes; one for an empty file."""
    size = os.fstat(file.fileno()).st_size
    ends = []
    for near in range(most, size - most // 2, most):
        file.seek(near)
        file.readline()
        ends.append(file.tell())
    cuts = sorted({0, *(end for end in ends if end < size), size})
    return [(start, end - start) for start, end in itertools.pairwise(cuts)] or [(0, 0)]


def read_decided(folder: Path, benchmark: str, part: Span | None = None) -> Decided:
    """The verdict of every question, the last line of each. part: of the file. Raises UserError, with the line where
    the whole file is read."""
    path = folder / VERDICTS
    known = find(benchmark)
    last: dict[Question, tuple[Verdict, Span]] = {}
    try:
        with open_file(path) as file:
            position = 0
            lines: IO[bytes] = file
            if part is not None:
                position = file.seek(part[0])
                lines = io.BytesIO(file.read(part[1]))
            for verdict, line in parse_verdicts(lines, path, known.scale, known.check_verdict):
                last[verdict.id, verdict.index] = verdict, (position, len(line))
                position += len(line)
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path, fix="mmjudge score … --out DIR") from error
    verdicts = [verdict for verdict, _ in last.values()]
    return Decided(
        keys=list(last),
        spans=[span for _, span in last.values()],
        scores=[verdict.score for verdict in verdicts],
        reasons=[verdict.reason for verdict in verdicts],
        failed=[verdict.failure is not None for verdict in verdicts],
        entropies=[verdict.entropy for verdict in verdicts],
        categories=[verdict.category or "" for verdict in verdicts],
        details=_columns([_short(verdict.details) for verdict in verdicts]),
        feedback=fold_all(verdict.feedback or "" for verdict in verdicts),
    )


def join_decided(parts: Sequence[Decided]) -> Decided | None:
    """The parts of a file as one; None where a question has verdicts in several, of which the last counts."""
    if len(parts) == 1:
        return parts[0]
    columns = {
        field.name: list(itertools.chain.from_iterable(getattr(part, field.name) for part in parts))
        for field in dataclasses.fields(Decided)
        if field.name not in ("feedback", "details")
    }
    if len(set(columns["keys"])) < len(columns["keys"]):
        return None
    starts, end = array("q"), 0
    for part in parts:
        starts.extend(start + end for start in part.feedback.starts[:-1])
        end += len(part.feedback.data)
    starts.append(end)
    names = dict.fromkeys(name for part in parts for name in part.details)
    details = {
        name: [value for part in parts for value in part.details.get(name, [None] * len(part.keys))] for name in names
    }
    feedback = Folded(b"".join(part.feedback.data for part in parts), starts)
    return Decided(**columns, details=details, feedback=feedback)


def _columns(rows: Sequence[Mapping[str, str]]) -> dict[str, list[str | None]]:
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(itertools.chain.from_iterable(rows))}


def _short(details: Mapping[str, Any]) -> dict[str, str]:
    return {
        name: str(value)
        for name, value in details.items()
        if isinstance(value, str | int) and not isinstance(value, bool) and len(str(value)) <= DETAIL
    }


def read_offsets(folder: Path) -> dict[Question, Span]:
    """What `samples.jsonl` has a line for, and where, in its order; {} where there is none. Raises UserError.

    Its lines begin with id and index: only another program's must be read whole.
    """
    found: dict[Question, Span] = {}
    path, position = folder / samples.FILE, 0
    try:
        with open_file(path) as file:
            for line in file:
                if (key := _key(line)) is not None:
                    found[key] = position, len(line)
                position += len(line)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from error
    return found


def _key(line: bytes) -> Question | None:
    """None for a line that is no sample: `read_said` says so."""
    begun = _KEY.match(line)
    try:
        if begun:
            return json.loads(begun[1]), None if begun[2] == b"null" else int(begun[2])
        row = json.loads(line)
        id_, index = row["id"], row["index"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    return (id_, index) if isinstance(id_, str) and type(index) in (int, type(None)) else None


def read_said(folder: Path) -> Said:
    """The texts of `samples.jsonl`. Pictures are not looked at; a line that is no sample ends it, and is told."""
    keys: list[Question] = []
    questions: list[str] = []
    answers: list[str] = []
    path, problem = folder / samples.FILE, None
    try:
        with open_file(path) as file:
            for (key, question, answer), _ in parse_lines(file, path, _texts, samples.SAMPLE):
                keys.append(key)
                questions.append(question)
                answers.append(answer)
    except FileNotFoundError:
        pass
    except UserError as error:
        problem = error.problem
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    return Said(keys, fold_all(questions), fold_all(answers), problem)


def _texts(row: Any) -> tuple[Question, str, str]:
    """(key, question with reference, answer). Raises ValueError."""
    try:
        truth = row["truth"]
        key: Question = (row["id"], row["index"])
        if not isinstance(key[0], str) or type(key[1]) not in (int, type(None)):
            raise ValueError("id must be text, index a number or null")
        return key, _joined(row["question"], truth), _joined(row["answer"])
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("it must be an object with id, index, truth, question and answer") from error


def _joined(pieces: Any, *more: str | None) -> str:
    texts = [piece["text"] for piece in pieces if "text" in piece]
    texts += [piece["drawn"].get("prompt") or "" for piece in pieces if "drawn" in piece]
    return "\n".join([*texts, *(text for text in more if text)])
