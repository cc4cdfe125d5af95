"""One row an answer: what data frames, tables of other programs and data sets are made of.

    table = answer_table(named_runs([read_run("out/llava"), read_run("out/qwen")]))
    table.columns          {"run": "text", "model": "text", …, "score": "int", …, "field": "text"}
    next(table.rows())     {"run": "llava", "model": "llava-1.6", "benchmark": "mmvu", "id": "attribute/number/04",
                            "index": 272, "score": 0, "outcome": "scored", "letter": "B", …}

What a benchmark says of a verdict (`Verdict.details`) is a column of its own name, points for single criteria are
"points: NAME". A value that is not known is None. Texts are whatever a model, a judge or a data set wrote; half a
surrogate pair, which UTF-8 does not have, is a question mark.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

from judge.core.foreign_text import encodable
from judge.core.request import Picture, Text
from judge.core.verdict import Verdict
from judge.io import samples
from judge.io.samples import Missing, Piece, Question, Sample
from judge.results.criteria import points_of
from judge.results.run_folder import Run
from judge.results.table import name_runs

Kind = Literal["text", "int", "float", "bool", "floats"]
"""What the values of a column are, None aside."""

PICTURE = "<image>"
"""Stands in a text where a picture stood."""

COLUMNS: Mapping[str, Kind] = {
    "run": "text",
    "model": "text",
    "benchmark": "text",
    "edition": "text",
    "subset": "text",
    "condition": "text",
    "part": "text",
    "id": "text",
    "index": "int",
    "category": "text",
    "by": "text",
    "score": "int",
    "outcome": "text",
    "unscored": "text",
    "failure": "text",
    "truth": "text",
    "question": "text",
    "answer": "text",
    "feedback": "text",
    "expected": "float",
    "entropy": "float",
    "score_probs": "floats",
}
"""The columns that every table has, in their order. part: of a partial run, "20 of 48". outcome: "scored", "failed"
(the worst score, since the model failed) or "unscored"."""

_MOST_COLUMNS = 200
_LARGEST = 2**63


@dataclasses.dataclass(frozen=True)
class NamedRun:
    """A run under a name of its own. samples: questions and answers, empty where its folder has none."""

    name: str
    run: Run
    samples: Mapping[Question, Sample]

    @property
    def model(self) -> str | None:
        """The model that answered, None where nothing says."""
        found = (self.run.results.get("run") or {}).get("model")
        return found if isinstance(found, str) else None

    @property
    def part(self) -> str | None:
        """Of a partial run "20 of 48"."""
        return self.run.signature.parts.get("part")


def named_runs(runs: Sequence[Run]) -> list[NamedRun]:
    """Runs under the names that leaderboards give them, with their samples. Raises UserError for unreadable samples."""
    return [
        NamedRun(name, run, {sample.key: sample for sample in samples.read_samples(run.folder)})
        for name, run in zip(name_runs(runs), runs, strict=True)
    ]


@dataclasses.dataclass(frozen=True)
class AnswerTable:
    """Rows with the same columns, made one at a time. columns: name → kind."""

    columns: Mapping[str, Kind]
    runs: Sequence[NamedRun]

    def rows(self) -> Iterator[dict[str, Any]]:
        """One row a verdict, run by run, with every column."""
        for named in self.runs:
            for verdict in named.run.verdicts:
                yield self.row(named, verdict)

    def row(self, named: NamedRun, verdict: Verdict) -> dict[str, Any]:
        """The row of one verdict, with every column."""
        found = _row(named, verdict)
        return {name: _FITTED[kind](found.get(name)) for name, kind in self.columns.items()}


def answer_table(runs: Sequence[NamedRun]) -> AnswerTable:
    """The table of all answers of some runs."""
    kinds: dict[str, set[str]] = {}
    for named in runs:
        for verdict in named.run.verdicts:
            for name, value in _details(verdict).items():
                kinds.setdefault(name, set()).add(_kind(value))
    given = {name: _joint(found) for name, found in list(kinds.items())[:_MOST_COLUMNS]}
    return AnswerTable({**COLUMNS, **given}, runs)


def text_of(pieces: Iterable[Piece]) -> str:
    """Texts, a line each, with `PICTURE` where a picture stood and "<image NAME is missing>" for one that is lost."""
    lines = []
    for piece in pieces:
        if isinstance(piece, Text):
            lines.append(piece.text)
        elif isinstance(piece, Picture):
            lines.append(PICTURE)
        elif isinstance(piece, Missing):
            lines.append(f"<image {piece.name} is missing>")
    return encodable("\n".join(lines))


def outcome_of(verdict: Verdict) -> str:
    """ "scored", "failed" (the worst score, since the model failed) or "unscored"."""
    return "unscored" if verdict.score is None else "failed" if verdict.failure is not None else "scored"


def _row(named: NamedRun, verdict: Verdict) -> dict[str, Any]:
    results = named.run.results
    sample = named.samples.get((verdict.id, verdict.index))
    return {
        **_details(verdict),
        "run": named.name,
        "model": named.model,
        "benchmark": results["benchmark"],
        "edition": results["dataset"].get("edition"),
        "subset": results["dataset"].get("subset"),
        "condition": (results.get("condition") or {}).get("name"),
        "part": named.part,
        "id": verdict.id,
        "index": verdict.index,
        "category": verdict.category,
        "by": verdict.by,
        "score": verdict.score,
        "outcome": outcome_of(verdict),
        "unscored": verdict.unscored,
        "failure": verdict.failure,
        "truth": None if sample is None else sample.truth,
        "question": None if sample is None or not sample.question else text_of(sample.question),
        "answer": None if sample is None else text_of(sample.answer),
        "feedback": verdict.feedback,
        "expected": verdict.expected,
        "entropy": verdict.entropy,
        "score_probs": verdict.score_probs,
    }


def _details(verdict: Verdict) -> dict[str, Any]:
    """What the benchmark says of a verdict: a name that a column of ours has stands behind "details."."""
    points = points_of(verdict)
    given = {
        encodable(name if name not in COLUMNS else f"details.{name}"): value
        for name, value in verdict.to_json().get("details", {}).items()
        if value is not None and not (name == "criteria" and points is not None)
    }
    return given | {encodable(f"points: {name}"): value for name, value in (points or {}).items()}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -_LARGEST <= value < _LARGEST else "text"
    return "float" if isinstance(value, float) else "text"


def _joint(found: set[str]) -> Kind:
    if found == {"bool"}:
        return "bool"
    if found == {"int"}:
        return "int"
    return "float" if found == {"int", "float"} or found == {"float"} else "text"


def _as_text(value: Any) -> str | None:
    if value is None:
        return None
    return encodable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _as_int(value: Any) -> int | None:
    """None for a number that 64 bits do not hold: an index in a file that anybody wrote."""
    return value if value is not None and -_LARGEST <= value < _LARGEST else None


_FITTED: Mapping[Kind, Callable[[Any], Any]] = {
    "text": _as_text,
    "int": _as_int,
    "float": lambda value: None if value is None else float(value),
    "bool": lambda value: value,
    "floats": lambda value: None if value is None else [float(share) for share in value],
}
