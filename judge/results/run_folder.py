"""A results folder: its files, and a run as it is read from them.

out/a/run.json            whose answers these are: {"model": "anole-7b", "answers": "3f…"}
out/a/verdicts.jsonl      the journal (`judge.scoring.journal`): one line a decision, appended
out/a/samples.jsonl       questions and answers for reading (`judge.io.samples`), with images/
out/a/results.json        what was found (`judge.results.result`), written last: its presence means complete
out/a/requests.jsonl, dropped.jsonl     of `mmjudge score --dry-run`

run = read_run("out/a")
run.estimate("RA")  ->  {"value": 60.58, "ci_low": 57.3, "ci_high": 63.7, "n": 893}
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Benchmark, find
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.core.version import __version__
from judge.errors import UserError
from judge.io import files, samples
from judge.io.progress import counted
from judge.io.samples import Sample
from judge.io.verdicts import read_verdicts
from judge.results.result import Result, build_result
from judge.results.stored_result import MAX_BYTES, parse_result, refuse_unfounded

RESULTS, VERDICTS = "results.json", "verdicts.jsonl"
FIX = "write the folder again: mmjudge score … --out DIR"
NAMED = 5
"""So many results folders are named where their parent was given."""
DEPTH = 4
"""So many levels below a folder are searched for results: OUT/mmjudge/MODEL/TASK is the deepest that is written."""


class RunFolder:
    """The files of the results folder at `path`, which need not be there yet."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.verdicts = self.path / VERDICTS
        self.results = self.path / RESULTS
        self.owner = self.path / "run.json"
        self.requests = self.path / "requests.jsonl"
        self.dropped = self.path / "dropped.jsonl"

    def make(self) -> RunFolder:
        """Make the folder where it is not there yet. Raises UserError."""
        files.make_folder(self.path)
        return self

    def remove_unfinished(self) -> None:
        """Remove files that runs which were killed had begun to write here. The journal is held. Raises UserError."""
        try:
            files.remove_unfinished(self.path)
            files.remove_unfinished(self.path / samples.IMAGES)
        except OSError as error:
            raise files.cannot_write(self.path, error) from error

    def refuse_other_owner(self, owner: Mapping[str, Any]) -> None:
        """Raise UserError where the folder belongs to other answers, or to those of another model.

        owner: {"model", "answers"}, name and hash (`judge.results.run_info.RunInfo.owner`). A name that one side does
        not know is no difference.
        """
        theirs = self._read_owner()
        if theirs is None:
            return
        if theirs.get("answers") != owner["answers"]:
            raise UserError(
                "belongs to other answers",
                file=self.path,
                fix="one folder is for one set of answers: give another --out",
            )
        if None not in (theirs.get("model"), owner["model"]) and theirs["model"] != owner["model"]:
            raise UserError(
                f"belongs to answers of {theirs['model']!r}, not of {owner['model']!r}",
                file=self.path,
                fix="give another --out",
            )

    def claim(self, owner: Mapping[str, Any]) -> None:
        """Say whose folder this is, before anything is decided. Raises UserError where it is another's."""
        self.refuse_other_owner(owner)
        before = self._read_owner()
        now = {**owner, "model": owner["model"] or (before or {}).get("model")}
        if before != now:
            try:
                files.write_json(self.owner, now)
            except OSError as error:
                raise files.cannot_write(self.owner, error) from error

    def _read_owner(self) -> dict[str, Any] | None:
        try:
            found = json.loads(files.read_bytes(self.owner))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise UserError(f"cannot be read ({error})", file=self.owner, fix="give another --out") from error
        if not isinstance(found, dict):
            raise UserError("is not what mmjudge writes", file=self.owner, fix="give another --out")
        return found

    def keep_results(self, result: Result) -> Result:
        """Write `result`, unless the same stands there but for its `run`: then that stays. What is there afterwards."""
        if self.results.exists():
            before = self.read_results()
            if {**before, "run": None} == {**json.loads(json.dumps(result)), "run": None}:
                return before
        self.write_results(result)
        return result

    def write_results(self, result: Result) -> Path:
        """Write `results.json` as strict JSON, whole or not at all, and return its path. Raises UserError."""
        try:
            files.write_json(self.results, result)
        except OSError as error:
            raise files.cannot_write(self.results, error) from error
        return self.results

    def discard_results(self) -> None:
        """Remove an earlier `results.json`: the run that starts now is not complete. Raises UserError."""
        try:
            files.remove_file(self.results)
        except OSError as error:
            raise files.cannot_write(self.results, error) from error

    def read_results(self) -> Result:
        """The content of `results.json`. Raises UserError where the run is unfinished or the file is no result."""
        try:
            with files.open_file(self.results) as file:
                data = file.read(MAX_BYTES + 1)
        except FileNotFoundError:
            raise self._without_results() from None
        except OSError as error:
            fix = "delete it and score again"
            raise UserError(f"cannot be read ({error.strerror})", file=self.results, fix=fix) from error
        try:
            return parse_result(data)
        except ValueError as error:
            fix = "delete it and score again"
            raise UserError(f"is not a results file: {error}", file=self.results, fix=fix) from error

    def _without_results(self) -> UserError:
        """Why there is no `results.json`: a run that has not ended, a folder that holds runs, or neither."""
        if self.verdicts.exists() or self.owner.exists():
            return UserError(
                "no results here; the run has not ended",
                file=self.results,
                fix="give its `mmjudge score … --out` again",
            )
        below = find_runs(self.path)
        if not below:
            return UserError("no results here, nor in folders below", file=self.results, fix=FIX)
        named = " ".join(shlex.quote(str(folder)) for folder in below[:NAMED])
        more = f" and {len(below) - NAMED} more" if len(below) > NAMED else ""
        return UserError(
            f"is no results folder, but holds {len(below)}", file=self.path, fix=f"give instead: {named}{more}"
        )

    def write_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Write `verdicts.jsonl` anew, whole or not at all; a journal elsewhere keeps them. Raises OSError."""
        files.write_json_lines(self.verdicts, (verdict.to_json() for verdict in verdicts))

    def read_verdicts(self, benchmark: Benchmark | None = None) -> list[Verdict]:
        """The verdict of every question. benchmark: what they must be verdicts of. Raises UserError."""
        if benchmark is None:
            return read_verdicts(self.verdicts)
        return read_verdicts(self.verdicts, benchmark.scale, benchmark.check_verdict)

    def read_samples(self) -> list[Sample]:
        """Questions and answers for reading, [] where none were kept. Raises UserError."""
        return samples.read_samples(self.path)


def find_runs(folder: Path, name: str = RESULTS) -> list[Path]:
    """The folders up to `DEPTH` levels below `folder` that hold the file `name`, sorted; [] for what is no folder."""
    return sorted(file.parent for depth in range(1, DEPTH + 1) for file in folder.glob(f"{'*/' * depth}{name}"))


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run. verdicts: one a question, in the order of the file."""

    folder: Path
    results: Mapping[str, Any]
    verdicts: Sequence[Verdict]

    @property
    def signature(self) -> Signature:
        """What fixes the numbers of this run."""
        return Signature.parse(self.results["signature"])

    def estimate(self, metric: str, category: str | None = None) -> Mapping[str, Any]:
        """The published numbers {"value", "ci_low", "ci_high", "n"} of a metric; empty where there are none."""
        metrics = self.results["metrics"] if category is None else self.results["categories"].get(category, {})
        found: Mapping[str, Any] = metrics.get(metric) or {}
        return found


def read_runs(folders: Sequence[str | Path]) -> list[Run]:
    """`read_run` of each, with a bar where that takes longer than a moment. Raises UserError."""
    return [read_run(folder) for folder in counted(folders, "reading results", "run")]


def read_run(folder: str | Path) -> Run:
    """A results folder. Raises UserError where it or a file in it is missing or is not what `mmjudge score` writes.

    Every number of the result must be the one that the verdicts give: whoever prints one, prints what was decided.
    """
    where = RunFolder(folder)
    if not where.path.is_dir():
        raise UserError("no such results folder", file=where.path, fix=FIX)
    found = where.read_results()
    benchmark = find(found["benchmark"])
    verdicts = where.read_verdicts(benchmark)
    if len(verdicts) != found["n"]:
        raise UserError(f"{len(verdicts)} questions, but {found['n']} in {RESULTS}", file=where.verdicts, fix=FIX)
    signature = Signature.parse(found["signature"])
    try:
        made = build_result(benchmark, verdicts, None, None, signature)
    except ValueError as error:  # each is a verdict, and together they are none of the benchmark's results
        raise UserError(str(error), file=where.verdicts, fix=FIX) from error
    try:
        refuse_unfounded(found, made, intervals=signature.parts.get("version", __version__) == __version__)
    except ValueError as error:
        raise UserError(str(error), file=where.results, fix=FIX) from error
    return Run(where.path, found, verdicts)
