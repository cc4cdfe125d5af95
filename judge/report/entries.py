"""The runs that a report is about, each under a name of its own.

    read_entries(["out/llava/mmvu", "Qwen=out/qwen/mmvu", "out/repeated/mmvu"])
    ->  [Entry("llava", run, samples), Entry("Qwen", …), Entry("repeated", first run, samples, repeats=[run, run, run])]

A folder with `repeats.json` is one run that was asked several times: the first time is shown and compared, as in
`mmjudge contrast`, and the spread over all times stands beside it.
"""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.io.progress import counted
from judge.io.samples import Question, Sample
from judge.report.conditions import names_of
from judge.results.contrast import Asked, read_asked
from judge.results.repeats import FILE as REPEATS
from judge.results.repeats import summarise_repeats
from judge.results.run_folder import Run

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NAMED = re.compile(r"([^=/\\]+)=(.+)")


@dataclasses.dataclass(frozen=True)
class Entry:
    """A run under the name it has in the report. samples: empty where its folder has none. repeats: the runs of all
    times where its questions were asked several times, the first of which is `run`; else ()."""

    name: str
    run: Run
    samples: Mapping[Question, Sample]
    repeats: Sequence[Run] = ()

    @property
    def result(self) -> Mapping[str, Any]:
        """What its `results.json` holds."""
        return self.run.results

    @property
    def asked(self) -> Asked:
        """As a contrast of conditions wants it."""
        return Asked(self.run.folder, self.run, self.samples, self.repeats)

    @property
    def spread(self) -> Mapping[str, Mapping[str, Any]]:
        """Metric → {"mean", "sd", "values", …} over the times its questions were asked; {} where that was once."""
        if not self.repeats:
            return {}
        found: Mapping[str, Mapping[str, Any]] = summarise_repeats([run.results for run in self.repeats])["metrics"]  # type: ignore[misc]
        return found


def read_entries(folders: Sequence[str]) -> list[Entry]:
    """The runs in results folders, or NAME=FOLDER, each with a name of its own. Raises UserError for what is none."""
    given = [_named(folder) for folder in folders]
    _refuse_rivals([Path(folder) for _, folder in given])
    found = [(name, read_asked(folder)) for name, folder in counted(given, "reading results", "folder")]
    defaults = _defaults([asked for _, asked in found])
    calls = [_name(name or default) for (name, _), default in zip(found, defaults, strict=True)]
    times = Counter((asked.run.results["benchmark"], call) for (_, asked), call in zip(found, calls, strict=True))
    return [
        Entry(
            _name(str(asked.folder)) if name is None and times[asked.run.results["benchmark"], call] > 1 else call,
            asked.run, asked.samples, asked.repeats,
        )
        for (name, asked), call in zip(found, calls, strict=True)
    ]  # fmt: skip


def _named(given: str) -> tuple[str | None, str]:
    named = None if Path(given).is_dir() else _NAMED.fullmatch(given)
    return (named[1], named[2]) if named else (None, given)


def _refuse_rivals(folders: Sequence[Path]) -> None:
    """Raise UserError for two repeats of one run: they answer the same questions again, and are no rivals."""
    above = Counter(folder.resolve().parent for folder in folders)
    for folder in folders:
        parent = folder.resolve().parent
        if above[parent] > 1 and (parent / REPEATS).exists():
            raise UserError(
                f"holds repeats of one run, which are no rivals; {above[parent]} of them were given",
                file=parent,
                fix=f"give the folder with all of them: {folder.parent}",
            )


def _defaults(asked: Sequence[Asked]) -> list[str]:
    """What runs are called that nobody named."""
    names: dict[int, str] = {}
    for benchmark in dict.fromkeys(one.run.results["benchmark"] for one in asked):
        of = [number for number, one in enumerate(asked) if one.run.results["benchmark"] == benchmark]
        folders = [_of_folder(asked[number].folder, benchmark) for number in of]
        names |= zip(of, names_of([asked[number].run for number in of], folders), strict=True)
    return [names[number] for number in range(len(asked))]


def _of_folder(folder: Path, benchmark: str) -> str:
    """The last part of the path that does not only say which benchmark it is."""
    parts = [part for part in folder.absolute().parts if part != folder.anchor]
    telling = [part for part in parts if part != "mmjudge" and re.split(r"[_\W]", part)[0] != benchmark]
    return telling[-1] if telling else folder.name


def _name(text: str) -> str:
    return _CONTROL.sub(" ", text)[-80:].strip() or "run"
