"""What a reader wants beside a verdict: the question as it was asked, the answer as it was given, their pictures.

    {"id": "PBL-2896694", "index": 3, "category": "PBL", "truth": null,
     "question": [{"text": "Step 1: open the lid."}, {"image": "images/9f2c07d1e4a85b36.jpg"}],
     "answer": [{"text": "Step 2: pour."}, {"missing": "out/7.png"}, {"drawn": {"prompt": "a cup", "seed": 7}}]}

`samples.jsonl` lies beside `verdicts.jsonl`, a line an answer in the order of the answers. Pictures are hard links (or
copies) in `images/`, named by the first 16 hex digits of their SHA-256, so that a results folder can be moved or sent
alone. All are kept where they come to at most 64 MiB together; beyond that only those of the samples that a report
singles out, unless all are asked for. The others are named: {"missing": NAME}.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.io import files
from judge.io.image_paths import ImageRefused, below
from judge.io.jsonl import Wanted, parse_lines

FILE, IMAGES = "samples.jsonl", "images"
KEPT_BYTES = 64 * 2**20
"""Pictures of one results folder that are kept without being asked for."""
KEPT_NAME = re.compile(r"images/[0-9a-f]{16}(\.[a-z0-9]{1,5})?")
"""The only pictures of a results folder that are ever opened or referred to."""

SAMPLE = Wanted("a sample", fix="write the folder again: mmjudge score … --out DIR")

_SUFFIX = re.compile(r"\.[a-z0-9]{1,5}")
Question = tuple[str, int | None]
"""id and index."""


@dataclasses.dataclass(frozen=True)
class Missing:
    """A picture that is not to be had; `name` as the record or the response has it."""

    name: str


@dataclasses.dataclass(frozen=True)
class Drawn:
    """What the picture before it was drawn from, as far as the answer says so. seconds: how long that took."""

    prompt: str | None = None
    seed: int | None = None
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        """What is known."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}

    def __str__(self) -> str:
        said = [f"drawn from: {self.prompt}" if self.prompt else "drawn"]
        said += [f"seed {self.seed}"] if self.seed is not None else []
        said += [f"{self.seconds:.1f} s"] if self.seconds is not None else []
        return " · ".join(said)


Piece = Text | Picture | Missing | Drawn


@dataclasses.dataclass(frozen=True)
class Sample:
    """One question with one answer. truth: the reference answer as text, where there is one.

    failed: {"reason", "by", "note"} where a system of several models says which of them failed.
    """

    id: str
    index: int | None
    category: str | None
    question: tuple[Piece, ...]
    answer: tuple[Piece, ...]
    truth: str | None = None
    failed: Mapping[str, str] | None = None

    @property
    def key(self) -> Question:
        """What it is known by: id and index."""
        return self.id, self.index

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """Those that can be opened, the question's first."""
        return tuple(piece for piece in (*self.question, *self.answer) if isinstance(piece, Picture))


def write_samples(
    folder: Path, samples: Sequence[Sample], singled_out: Collection[Question] = (), *, keep_images: bool = False
) -> Path:
    """Write `folder/samples.jsonl` and the pictures to be kept; return the path.

    singled_out: questions whose pictures are always kept. keep_images: all of them. Raises UserError where the disk
    does not take them; a picture that has gone meanwhile becomes missing.
    """
    sizes = {picture.path: _size(picture.path) for sample in samples for picture in sample.pictures}
    every = keep_images or sum(sizes.values()) <= KEPT_BYTES
    kept: dict[Path, str | None] = {}
    path = folder / FILE
    try:
        with files.replacing(path) as file:
            for sample in samples:
                if every or sample.key in singled_out:
                    for picture in sample.pictures:
                        if picture.path not in kept:
                            kept[picture.path] = keep_picture(picture.path, folder)
                file.write(json.dumps(_row(sample, kept)) + "\n")
    except OSError as error:
        raise files.cannot_write(path, error, "make room, try again") from error
    return path


def read_samples(folder: Path) -> list[Sample]:
    """The samples of a results folder, [] where it has none. A kept picture's path lies in `folder`/images.

    The folder may be anybody's: a picture under another name than ours, or one that is a link to what lies elsewhere,
    is missing. Raises UserError with the line.
    """
    path = folder / FILE
    try:
        with files.open_file(path) as file:
            return [sample for sample, _ in parse_samples(file, folder)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", file=path) from error


def parse_samples(file: IO[bytes], folder: Path) -> Iterator[tuple[Sample, bytes]]:
    """(sample, line with its end) of every line of an open `samples.jsonl` of `folder`, as `read_samples` makes them.

    Raises UserError with the line.
    """
    return parse_lines(file, folder / FILE, functools.partial(_sample, folder), SAMPLE)


def _row(sample: Sample, kept: Mapping[Path, str | None]) -> dict[str, Any]:
    return {
        "id": sample.id,
        "index": sample.index,
        "category": sample.category,
        "truth": sample.truth,
        "question": [_piece(piece, kept) for piece in sample.question],
        "answer": [_piece(piece, kept) for piece in sample.answer],
        **({} if sample.failed is None else {"failed": dict(sample.failed)}),
    }


def _piece(piece: Piece, kept: Mapping[Path, str | None]) -> dict[str, Any]:
    if isinstance(piece, Text):
        return {"text": piece.text}
    if isinstance(piece, Drawn):
        return {"drawn": piece.to_json()}
    if isinstance(piece, Picture) and (name := kept.get(piece.path)):
        return {"image": name}
    return {"missing": piece.name}


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def keep_picture(path: Path, folder: Path) -> str | None:
    """The picture as a file of `folder`: its name relative to it, or None where it has gone.

    Raises OSError where `folder` does not take it.
    """
    try:
        digest = files.sha256(path)
    except OSError:
        return None
    suffix = path.suffix.lower()
    name = f"{IMAGES}/{digest[:16]}{suffix if _SUFFIX.fullmatch(suffix) else ''}"
    target = folder / name
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        files.link_or_copy(path, target)
    return name


def _sample(folder: Path, row: Any) -> Sample:
    fields = ("id", "index", "category", "truth", "question", "answer")
    if not isinstance(row, dict) or any(field not in row for field in fields):
        raise ValueError(f"it must be an object with {', '.join(fields)}")
    index, category, truth = row["index"], row["category"], row["truth"]
    if not isinstance(row["id"], str) or type(index) not in (int, type(None)):
        raise ValueError("id must be text, index a number or null")
    if not isinstance(category, str | None) or not isinstance(truth, str | None):
        raise ValueError("category and truth must be text or null")
    question, answer = (tuple(_pieces(row[field], folder)) for field in ("question", "answer"))
    failed = row.get("failed")
    if failed is not None and not (isinstance(failed, dict) and all(isinstance(each, str) for each in failed.values())):
        raise ValueError("failed must be an object of texts")
    return Sample(row["id"], index, category, question, answer, truth, failed)


def _pieces(rows: Any, folder: Path) -> Iterator[Piece]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) and len(row) == 1 for row in rows):
        raise ValueError("question and answer must be lists of objects with one field each")
    for row in rows:
        ((kind, value),) = row.items()
        if kind == "drawn":
            yield _drawn(value)
            continue
        if not isinstance(value, str):
            raise ValueError(f"{kind} must be text")
        if kind == "text":
            yield Text(value)
        elif kind == "image" and _is_kept(folder, value):
            yield Picture(folder / value, value)
        elif kind in ("image", "missing"):
            yield Missing(value)
        else:
            raise ValueError(f"unknown part {kind!r}")


def _drawn(value: Any) -> Drawn:
    """Raises ValueError."""
    kinds: Mapping[str, tuple[type, ...]] = {"prompt": (str,), "seed": (int,), "seconds": (int, float)}
    if not isinstance(value, dict) or any(type(each) not in kinds.get(name, ()) for name, each in value.items()):
        raise ValueError("drawn must have a prompt (text), a seed and seconds (numbers), or some of them")
    return Drawn(**value)


def _is_kept(folder: Path, name: str) -> bool:
    """Whether it is one of our names and no way out of `folder`. A picture that has gone is still ours."""
    if not KEPT_NAME.fullmatch(name):
        return False
    try:
        below(folder, name)
    except ImageRefused as refused:
        return refused.reason == "image_missing"
    return True
