"""Where a run's answers came from and what was done with them: the `run` part of `results.json`.

    {"model": "anole-7b", "answers": {"n": 48, "sha256": "3f…", "file": "responses.jsonl", "file_sha256": "9c…"},
     "interleaving": "kept",
     "harness": {"name": "lmms-eval", "version": "0.7.3", "arguments": {"model_args": "pretrained=…"}},
     "command": "mmjudge score responses.jsonl …", "date": "2026-01-31T12:00:00+00:00", "seconds": 81.2,
     "machine": "Linux-6.1 x86_64, 16 processors", "versions": {"mmjudge": "0.1.0", …}}

None of it is in the signature, and two runs compare whatever stands here. Keys and passwords in the command and in a
harness's arguments are hidden, since results are published. `answers.sha256` is over ids, positions and
responses, in whatever file and order they lie.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from judge.core.benchmark import Answer
from judge.core.secrets import hide_secrets_in
from judge.core.version import __version__
from judge.io import files
from judge.io.responses import DRAWN

Interleaving = Literal["kept", "pictures first", "first picture only", "unknown"]
"""What reached the model of a question in which texts and pictures take turns."""


_WORDING = re.compile(r"[\w.-]{1,40}@[0-9a-f]{8}")


@dataclasses.dataclass(frozen=True)
class RunInfo:
    """A run as far as it is known when it begins.

    interleaving: whether the model was asked texts and pictures in their order. started: of `time.monotonic`, seconds.
    """

    model: str | None
    answers: Mapping[str, Any]
    harness: Mapping[str, Any] | None = None
    interleaving: Interleaving = "unknown"
    started: float = dataclasses.field(default_factory=time.monotonic)

    @property
    def owner(self) -> dict[str, Any]:
        """Whose folder the run's is: one folder belongs to one set of answers of one model."""
        return {"model": self.model, "answers": self.answers["sha256"]}

    def to_json(self, packages: Iterable[str] = ()) -> dict[str, Any]:
        """The part of `results.json`, at the end of the run. packages: distributions whose versions are recorded."""
        return {
            "model": self.model,
            "answers": dict(self.answers),
            "interleaving": self.interleaving,
            "harness": None if self.harness is None else hide_secrets_in(self.harness),
            "command": shlex.join([Path(sys.argv[0]).name, *hide_secrets_in(sys.argv[1:])]),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self.started, 1),
            "machine": f"{platform.system()}-{platform.release()} {platform.machine()}, {os.cpu_count()} processors",
            "versions": versions(packages),
        }


def describe_answers(answers: Sequence[Answer], file: str | Path | None = None) -> dict[str, Any]:
    """How many answers there are, and their hash; with the name and hash of the file that they were read from."""
    rows = sorted(json.dumps([answer.id, answer.index, _said(answer.response)]) for answer in answers)
    described: dict[str, Any] = {
        "n": len(rows),
        "sha256": hashlib.sha256("\n".join(rows).encode("ascii")).hexdigest(),
    }
    if file is not None:
        described |= {"file": Path(file).name, "file_sha256": files.sha256(file)}
    return described


def _said(response: Any) -> Any:
    """A response without how its pictures were drawn: one that is drawn again in another time is the same answer."""
    if not isinstance(response, list):
        return response
    return [
        {key: value for key, value in part.items() if key not in DRAWN} if isinstance(part, dict) else part
        for part in response
    ]


def name_of_model(answers: Sequence[Answer], file: str | Path) -> str | None:
    """The model that an answers file names: an official to-eval file's "model", or what lmms-eval wrote beside its
    samples (DATE_results.json), or `mmjudge ask` beside its answers (system.json); None where it names none, or
    several."""
    named = {(answer.record or {}).get("model") for answer in answers}
    if len(named) == 1 and isinstance(only := named.pop(), str) and only:
        return only
    beside, _ = _beside(file)
    name = beside.get("model_name") or beside.get("model_source") or beside.get("name")
    return name if isinstance(name, str) else None


def name_of_wording(file: str | Path) -> str | None:
    """How the questions were worded that an answers file answers, by name and hash; None where nothing beside it says.

    lmms-eval copies it from our task files into its DATE_results.json; `mmjudge ask` writes it into system.json.
    """
    return _said_beside(file, "asked")


def name_of_condition(file: str | Path) -> str | None:
    """The condition under which the questions were asked, by name and hash, as `name_of_wording`."""
    return _said_beside(file, "condition")


def _said_beside(file: str | Path, name: str) -> str | None:
    beside, task = _beside(file)
    try:
        said = beside["configs"][task]["metadata"][name] if task else beside[name]
    except (KeyError, TypeError):
        return None
    return said if isinstance(said, str) and _WORDING.fullmatch(said) else None


def _beside(file: str | Path) -> tuple[dict[str, Any], str]:
    """What lmms-eval wrote beside a samples file of its, and the task's name; what `mmjudge ask` wrote beside answers,
    and ""; ({}, "") for another file."""
    stem, found, task = Path(file).name.partition("_samples_")
    name = f"{stem}_results.json" if found else "system.json"
    try:
        beside = json.loads(files.read_bytes(Path(file).with_name(name)))
    except (OSError, ValueError, RecursionError):
        return {}, ""
    return (beside, task.removesuffix(".jsonl")) if isinstance(beside, dict) else ({}, "")


def versions(packages: Iterable[str] = ()) -> dict[str, str]:
    """Versions of this package, Python, numpy and those of `packages` that are installed; imports none of them."""
    found = {"mmjudge": __version__, "python": platform.python_version()}
    for name in ("numpy", *packages):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
