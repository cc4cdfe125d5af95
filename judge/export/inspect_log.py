"""Runs as logs of Inspect, one `.eval` file a run, for `inspect view` and `inspect_ai.log.read_eval_log`.

    logs/2026-01-31T12-00-00_mmvu_1a2b3c4d5e6f7a8b.eval, a ZIP archive of JSON:

    header.json                      the run: task, model, metrics with their intervals, signature, results.json
    summaries.json                   a short line a sample, for lists
    samples/attribute/…_epoch_1.json a sample: question and answer as messages with pictures, score, feedback
    _journal/start.json              what was known at the start

Written after version 2 of Inspect's log format, a sample at a time, without Inspect: its reader is what tests read it
with (inspect_ai 0.3.285). An unscored answer has the value NaN there, which its metrics skip, and the reason.
"""

from __future__ import annotations

import datetime
import hashlib
import itertools
import json
import re
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from judge.core.benchmark import Benchmark, find
from judge.core.failure import MODEL, UNSCORED
from judge.core.foreign_text import encodable, on_one_line
from judge.core.verdict import Verdict
from judge.export import Content
from judge.export.inspect_messages import Attachments, message
from judge.export.pictures import Pictures
from judge.io.files import replacing_bytes
from judge.io.presentation import view_of
from judge.io.progress import counted
from judge.results.answer_rows import PICTURE, NamedRun, outcome_of, text_of

VERSION = 2
"""Of Inspect's log format."""
SHORT = 500
"""Characters of a text in a list of samples."""
RIGHT, WRONG = "C", "I"
"""How Inspect writes a score that is one of two."""

_ONE_OF_TWO = 2
_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9.-]+")


def write_inspect_logs(runs: Sequence[NamedRun], folder: Path, content: Content, pictures: Pictures) -> None:
    """Write a log a run into `folder`. pictures: counts what was written. Raises OSError, UserError."""
    for named in runs:
        log = _Log(named, content)
        with replacing_bytes(folder / log.file_name) as file:
            log.write(file, pictures)


class _Log:
    """One run as a log."""

    def __init__(self, named: NamedRun, content: Content) -> None:
        self.named, self.content = named, content
        self.results: Mapping[str, Any] = named.run.results
        self.benchmark: Benchmark = find(self.results["benchmark"])
        self.ended = _ended(named)
        known_by = json.dumps([self.results["signature"], named.name, self.results.get("run")], sort_keys=True)
        self.id = hashlib.sha256(known_by.encode()).hexdigest()[:22]
        times = Counter(verdict.id for verdict in named.run.verdicts)
        self._shared = {id_ for id_, count in times.items() if count > 1}
        self._given: set[str] = set()

    @property
    def file_name(self) -> str:
        """As Inspect names its logs: when, what, which."""
        date = self.ended.strftime("%Y-%m-%dT%H-%M-%S")
        return f"{date}_{_NOT_IN_A_NAME.sub('-', self.benchmark.name)}_{self.id}.eval"

    def write(self, file: IO[bytes], pictures: Pictures) -> None:
        """The whole log."""
        spec = self._spec()
        plan: dict[str, Any] = {"name": "plan", "steps": [], "config": {}}
        summaries = []
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            _add(archive, "_journal/start.json", {"version": VERSION, "eval": spec, "plan": plan})
            for verdict in counted(self.named.run.verdicts, f"exporting {self.named.name}", "answer"):
                sample = self._sample(verdict, pictures)
                _add(archive, f"samples/{sample['id']}_epoch_1.json", sample)
                summaries.append(_summary(sample))
            _add(archive, "summaries.json", summaries)
            header = {"version": VERSION, "status": "success", "eval": spec, "plan": plan, "results": self._found()}
            _add(archive, "header.json", header | {"stats": self._stats()})

    def _spec(self) -> dict[str, Any]:
        """What was run: an Inspect `EvalSpec`."""
        run = self.results.get("run") or {}
        dataset = self.results["dataset"]
        versions = run.get("versions")
        known = {str(name): str(version) for name, version in (versions if isinstance(versions, dict) else {}).items()}
        return {
            "eval_id": self.id,
            "run_id": self.id,
            "task_id": self.id,
            "created": self.ended.isoformat(),
            "task": self.benchmark.name,
            "task_display_name": self._title(),
            "task_version": 0,
            "tags": ["mmjudge", *(["partial"] if self.named.part else [])],
            "dataset": {"name": dataset.get("repo"), "location": dataset.get("repo"), "samples": self.results["n"]},
            "model": encodable(self.named.name),
            "config": {},
            "packages": known,
            "scorers": [{"name": self.benchmark.name, "metadata": {"signature": self.results["signature"]}}],
            "metadata": {
                "signature": self.results["signature"],
                "part": self.named.part,
                "questions_left_out": not self.content.questions,
                "results": _clean(self.results),
            },
        }

    def _title(self) -> str:
        parts = [self.benchmark.title, *(f"PARTIAL {part}" for part in [self.named.part] if part)]
        condition = self.results.get("condition")
        return encodable(", ".join([*parts, *([condition["name"]] if condition else [])]))

    def _found(self) -> dict[str, Any]:
        """Metrics and the ends of their intervals: an Inspect `EvalResults`. Those without a value are left out."""
        metrics = {}
        for name in self.benchmark.headline:
            estimate = self.named.run.estimate(name)
            for ending, field in (("", "value"), (" ci_low", "ci_low"), (" ci_high", "ci_high")):
                if (value := estimate.get(field)) is not None:
                    shown = f"{name}{ending}"
                    metrics[shown] = {"name": shown, "value": value, "metadata": dict(estimate)}
        n, unscored = self.results["n"], self.results["unscored"]["n"]
        score = {
            "name": self.benchmark.name, "scorer": self.benchmark.name, "scored_samples": n - unscored,
            "unscored_samples": unscored, "params": {}, "metrics": metrics,
        }  # fmt: skip
        return {"total_samples": n, "completed_samples": n, "scores": [score]}

    def _stats(self) -> dict[str, Any]:
        seconds = (self.results.get("run") or {}).get("seconds")
        took = seconds if isinstance(seconds, int | float) and 0 <= seconds < 10**8 else 0
        try:
            started = self.ended - datetime.timedelta(seconds=took)
        except OverflowError:  # it says that it ended in the year 1
            started = self.ended
        return {"started_at": started.isoformat(), "completed_at": self.ended.isoformat(), "model_usage": {}}

    def _sample(self, verdict: Verdict, pictures: Pictures) -> dict[str, Any]:
        """One answer: an Inspect `EvalSample`."""
        sample = self.named.samples.get((verdict.id, verdict.index))
        attachments = Attachments()
        asked = sample.question if sample is not None and self.content.questions else ()
        question = message("user", pictures.load(asked), attachments)
        answer = message("assistant", pictures.load(sample.answer if sample is not None else ()), attachments)
        text = "" if sample is None else text_of(sample.answer)
        choice = {"message": answer, "stop_reason": "stop"}
        return {
            "id": self._sample_id(verdict),
            "epoch": 1,
            "input": [question] if asked else "",
            "target": encodable(sample.truth or "") if sample is not None and self.content.questions else "",
            "messages": [*([question] if asked else []), answer],
            "output": {"model": encodable(self.named.name), "choices": [choice], "completion": text},
            "scores": {self.benchmark.name: self._score(verdict)},
            "metadata": self._about(verdict),
            "attachments": attachments.held,
        }

    def _sample_id(self, verdict: Verdict) -> str:
        """The id, with the position behind it where several questions share it. It names a file: visible, not long, and
        no other's, with a number where ids differ only in what cannot be seen or is left out."""
        name = on_one_line(f"{verdict.id}#{verdict.index}" if verdict.id in self._shared else verdict.id)
        tries = (f"{name} ({number})" if number > 1 else name for number in itertools.count(1))
        free = next(one for one in tries if one not in self._given)
        self._given.add(free)
        return free

    def _score(self, verdict: Verdict) -> dict[str, Any]:
        named = view_of(self.benchmark).answer
        answer = verdict.details.get(named) if named else None
        reasons = {**MODEL, **UNSCORED}
        said = [reasons[verdict.reason]] if verdict.reason else []
        score: dict[str, Any] = {
            "value": self._value(verdict),
            "answer": None if answer is None else encodable(str(answer)),
            "explanation": encodable("\n\n".join([*said, *([verdict.feedback] if verdict.feedback else [])])) or None,
            "metadata": {
                "outcome": outcome_of(verdict), "by": verdict.by, "points": verdict.score, "failure": verdict.failure,
                "expected": verdict.expected, "entropy": verdict.entropy,
                **({"unscored_reason": verdict.unscored} if verdict.unscored else {}),
            },
        }  # fmt: skip
        return score | ({"reason": verdict.reason} if verdict.reason else {})

    def _value(self, verdict: Verdict) -> float | int | str:
        if verdict.score is None:
            return float("nan")
        if len(self.benchmark.scale) == _ONE_OF_TWO:
            return RIGHT if verdict.score == self.benchmark.scale.highest else WRONG
        return verdict.score

    def _about(self, verdict: Verdict) -> dict[str, Any]:
        row = verdict.to_json()
        about = {name: row[name] for name in ("category", "index", "key") if name in row}
        pair = {"pair": verdict.id} if verdict.id in self._shared else {}
        found: dict[str, Any] = _clean({**row.get("details", {}), "id": verdict.id, **pair, **about})
        return found


def _summary(sample: Mapping[str, Any]) -> dict[str, Any]:
    """A sample for a list: an Inspect `EvalSampleSummary`, texts cut and pictures left out."""
    asked = [part for each in sample["input"] or () for part in each["content"]]
    question = "\n".join(part["text"] if part["type"] == "text" else PICTURE for part in asked)
    scores = {
        name: {**score, **{field: _short(score[field]) for field in ("answer", "explanation")}}
        for name, score in sample["scores"].items()
    }
    plain = (str, int, float, bool, type(None))
    return {
        "id": sample["id"],
        "epoch": sample["epoch"],
        "input": _short(question) or "",
        "target": _short(sample["target"]) or "",
        "scores": scores,
        "metadata": {name: value for name, value in sample["metadata"].items() if isinstance(value, plain)},
        "completed": True,
        "message_count": len(sample["messages"]),
    }


def _short(text: str | None) -> str | None:
    return text if text is None or len(text) <= SHORT else text[:SHORT] + "…"


def _clean(value: Any) -> Any:
    """JSON values with texts that UTF-8 has."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {encodable(str(name)): _clean(inner) for name, inner in value.items()}
    return [_clean(inner) for inner in value] if isinstance(value, list | tuple) else value


def _add(archive: zipfile.ZipFile, name: str, value: Any) -> None:
    # a date of its own would make another file of the same run
    entry = zipfile.ZipInfo(name)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, json.dumps(value, ensure_ascii=False))


def _ended(named: NamedRun) -> datetime.datetime:
    """When the run ended: as it says, else when its results were written; with a time zone."""
    said = (named.run.results.get("run") or {}).get("date")
    try:
        found = datetime.datetime.fromisoformat(str(said))
    except ValueError:
        found = datetime.datetime.fromtimestamp(_written(named), datetime.timezone.utc)
    return found if found.tzinfo else found.replace(tzinfo=datetime.timezone.utc)


def _written(named: NamedRun) -> float:
    return int((named.run.folder / "results.json").stat().st_mtime)
