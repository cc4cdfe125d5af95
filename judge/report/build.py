"""From results folders to one HTML file."""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import find
from judge.core.version import __version__
from judge.errors import UserError
from judge.io import samples
from judge.io.presentation import view_of
from judge.report import browser, content, findings
from judge.report.conditions import names_of
from judge.report.content import Entry, Section
from judge.report.pictures import Album
from judge.results.run_folder import Run, read_run

SIZE = 28_000_000
"""Bytes of a report, at most: what mail takes."""
PICTURES = 6_000_000
"""Characters that all small copies of pictures may take."""
_FOLDER = Path(__file__).parent
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NAMED = re.compile(r"([^=/\\]+)=(.+)")


def build_report(folders: Sequence[str], out: Path) -> str:
    """The report as HTML.

    folders: results folders, or NAME=FOLDER; out: where the file will lie, for pictures beside it.

    Raises UserError where a folder is no results folder, and where the packages of the extra "report" are missing.
    """
    entries = read_entries(folders)
    by_benchmark: dict[str, list[Entry]] = {}
    for entry in entries:
        by_benchmark.setdefault(entry.result["benchmark"], []).append(entry)
    album = Album(out.absolute().parent, PICTURES)
    sections = []
    for name, of in by_benchmark.items():
        benchmark = find(name)
        sections.append(content.section(benchmark, view_of(benchmark), of, album))
    page = _render(sections, [])
    room = (SIZE - len(page.encode("utf-8", "replace"))) // len(sections)
    browsers = []
    for section in sections:
        # every section numbers its pictures in an album of its own
        own = Album(out.absolute().parent, 0)
        runs = [(entry.name, entry.run, entry.samples) for entry in section.entries]
        encoded, cut = browser.browser_data(browser.Shown(runs, section.view, own), room)
        browsers.append({"data": encoded, "cut": cut})
    return _render(sections, browsers)


def read_entries(folders: Sequence[str]) -> list[Entry]:
    """The runs in results folders, or NAME=FOLDER, each with a name of its own. Raises UserError for what is none."""
    found = []
    for given in folders:
        named = None if Path(given).is_dir() else _NAMED.fullmatch(given)
        name, folder = (named[1], named[2]) if named else (None, given)
        run = read_run(folder)
        kept = {sample.key: sample for sample in samples.read_samples(run.folder)}
        found.append((name, run, kept))
    defaults = _defaults([run for _, run, _ in found])
    calls = [_name(name or default) for (name, _, _), default in zip(found, defaults, strict=True)]
    times = Counter((run.results["benchmark"], call) for (_, run, _), call in zip(found, calls, strict=True))
    return [
        Entry(_name(str(run.folder)) if name is None and times[run.results["benchmark"], call] > 1 else call, run, kept)
        for (name, run, kept), call in zip(found, calls, strict=True)
    ]


def _defaults(runs: Sequence[Run]) -> list[str]:
    """What runs are called that nobody named."""
    names: dict[int, str] = {}
    for benchmark in dict.fromkeys(run.results["benchmark"] for run in runs):
        of = [number for number, run in enumerate(runs) if run.results["benchmark"] == benchmark]
        folders = [_of_folder(runs[number].folder, benchmark) for number in of]
        names |= zip(of, names_of([runs[number] for number in of], folders), strict=True)
    return [names[number] for number in range(len(runs))]


def _of_folder(folder: Path, benchmark: str) -> str:
    """The last part of the path that does not only say which benchmark it is."""
    parts = [part for part in folder.absolute().parts if part != folder.anchor]
    telling = [part for part in parts if part != "mmjudge" and re.split(r"[_\W]", part)[0] != benchmark]
    return telling[-1] if telling else folder.name


def _name(text: str) -> str:
    return _CONTROL.sub(" ", text)[-80:].strip() or "run"


def _render(sections: Sequence[Section], browsers: Sequence[Mapping[str, Any]]) -> str:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
        from markupsafe import Markup
    except ImportError as error:
        raise missing_package(error) from error
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    script = (_FOLDER / "browser.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return environment.get_template("template.html").render(
        sections=sections,
        browsers=browsers,
        style=Markup((_FOLDER / "style.css").read_text(encoding="utf-8")),
        script=Markup(script),
        script_hash=digest,
        markup=Markup,
        number=findings.number,
        interval=findings.interval,
        p_value=findings.p_value,
        signed=findings.signed,
        version=__version__,
    )


def missing_package(error: ImportError) -> UserError:
    """The error for a package of the extra "report" that is not installed."""
    return UserError(f"a report needs {error.name}", fix="pip install 'mmjudge[report]'")
