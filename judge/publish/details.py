"""What a number rests on, as files of a dataset repository: one folder a model, benchmark and signature.

    mmvu/ORG__NAME/1a2b3c4d5e6f/results.json
                                verdicts.jsonl
                                responses.jsonl     can be scored again: mmjudge score responses.jsonl …
                                report.html         where the results folder has one
                                images/9f2c07d1e4a85b36.png, pictures in responses

Answers only: the questions and their pictures are the benchmark's to give out. `report.html` does show some of both.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from judge.core.request import Picture, Text
from judge.core.signature import FEEDBACK
from judge.errors import UserError
from judge.io import samples
from judge.io.files import read_bytes
from judge.io.samples import Sample
from judge.results.run_folder import RESULTS, VERDICTS, Run

RESPONSES, REPORT = "responses.jsonl", "report.html"


@dataclasses.dataclass(frozen=True)
class File:
    """One file to be sent. source: its bytes, or where they lie."""

    path: str
    source: bytes | Path

    def data(self) -> bytes:
        """Its bytes. Raises UserError where they cannot be read."""
        if isinstance(self.source, bytes):
            return self.source
        try:
            return read_bytes(self.source)
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", file=self.source) from error


@dataclasses.dataclass(frozen=True)
class Digests:
    """What git and LFS call the same bytes; a repository names them by one or the other. size: in bytes."""

    size: int
    git: str
    lfs: str

    @classmethod
    def of(cls, data: bytes) -> Digests:
        """Those of `data`."""
        blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
        return cls(len(data), blob.hexdigest(), hashlib.sha256(data).hexdigest())


def folder_of(run: Run, model: str) -> str:
    """Where the details of a model's run lie: runs that do not compare never share a folder."""
    compared = {name: value for name, value in run.signature.parts.items() if name != FEEDBACK}
    digest = hashlib.sha256(json.dumps(list(compared.items())).encode()).hexdigest()
    return f"{run.results['benchmark']}/{re.sub('/', '__', model)}/{digest[:12]}"


def detail_files(run: Run, folder: str) -> list[File]:
    """The files of `run` in a folder of the repository, results.json last: where that is, all are.

    Raises UserError for unreadable samples, and for a file that is a link out of the results folder.
    """
    for name in (RESPONSES, REPORT, VERDICTS, RESULTS):
        if not (run.folder / name).resolve().is_relative_to(run.folder.resolve()):
            problem = "a link out of the results folder; what is published must lie in it"
            raise UserError(problem, file=run.folder / name, fix="put a copy of the file in place of the link")
    own, report = run.folder / RESPONSES, run.folder / REPORT
    answered = samples.read_samples(run.folder)
    pictures = {picture.name: picture.path for sample in answered for picture in _drawn(sample)}
    found = [File(f"{folder}/{name}", path) for name, path in sorted(pictures.items()) if path.is_file()]
    if report.is_file():
        found.append(File(f"{folder}/{REPORT}", report))
    if own.is_file():
        found.append(File(f"{folder}/{RESPONSES}", own))
    elif answered:
        found.append(File(f"{folder}/{RESPONSES}", encode_responses(answered)))
    return [*found, *(File(f"{folder}/{name}", run.folder / name) for name in (VERDICTS, RESULTS))]


def encode_responses(answered: list[Sample]) -> bytes:
    """`responses.jsonl` (see `judge.io.responses`) from the samples' answers."""
    lines = ({"id": sample.id, "index": sample.index, "response": _parts(sample.answer)} for sample in answered)
    return "".join(json.dumps(line) + "\n" for line in lines).encode("ascii")


def _parts(pieces: Iterable[samples.Piece]) -> list[dict[str, Any]]:
    parts: list[dict[str, Any]] = []
    for piece in pieces:
        if isinstance(piece, samples.Drawn):
            if parts:  # it stands behind its picture
                parts[-1] |= piece.to_json()
        elif isinstance(piece, Text):
            parts.append({"text": piece.text, "image": None})
        else:
            parts.append({"text": None, "image": piece.name})
    return parts


def _drawn(sample: Sample) -> Iterator[Picture]:
    return (piece for piece in sample.answer if isinstance(piece, Picture))
