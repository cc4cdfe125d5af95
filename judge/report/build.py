"""From results folders to one HTML file."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.version import __version__
from judge.errors import UserError
from judge.io.progress import MOMENT, doing, say
from judge.report import browser, findings
from judge.report.content import Section, section_of
from judge.report.entries import read_entries
from judge.report.head import Caution, cautions_of, heads_of
from judge.report.left_out import Packed, left_out
from judge.report.marks import SERIES, symbols
from judge.report.pictures import Album
from judge.results.remarks import listed

MEGABYTES = 28
"""Of a report, at most: what mail takes."""
PICTURES = 6_000_000
"""Characters that all small copies of pictures may take, of a report of `MEGABYTES`."""
_FOLDER = Path(__file__).parent


@dataclasses.dataclass(frozen=True)
class Page:
    """What the template shows. packed: what every section's sample browser holds; left_out: what is cut, a sentence
    each."""

    sections: Sequence[Section]
    cautions: Sequence[Caution]
    packed: Sequence[Packed] = ()
    left_out: Sequence[str] = ()

    @property
    def title(self) -> str:
        """ "MMVU and MMIE: 3 runs"."""
        runs = sum(len(section.entries) for section in self.sections)
        names = listed([section.benchmark.title for section in self.sections])
        return f"{names}: {_counted(runs)}"


def build_report(folders: Sequence[str], out: Path, *, megabytes: int = MEGABYTES) -> str:
    """The report as HTML. Says on stderr what takes time, and why conditions are not contrasted.

    folders: results folders, or NAME=FOLDER; out: where the file will lie, for pictures beside it; megabytes: how large
    it may become.

    Raises UserError where a folder is no results folder, and where the packages of the extra "report" are missing.
    """
    entries = read_entries(folders)
    with doing(f"comparing {_counted(len(entries))}", MOMENT):
        heads = heads_of(entries)
    album = Album(out.absolute().parent, PICTURES * megabytes // MEGABYTES)
    with doing("drawing the charts", MOMENT):
        sections = [section_of(head, album) for head in heads]
    for section in sections:
        if section.not_contrasted:
            say(f"the conditions of {section.benchmark.title} are not contrasted: {section.not_contrasted}")
    cautions = cautions_of(heads, [said for section in sections for said in section.cautions])
    page = Page(sections, cautions)
    room = (megabytes * 1_000_000 - len(_render(page).encode("utf-8", "replace"))) // len(sections)
    with doing("packing the answers", MOMENT):
        packed = [_packed(section, out.absolute().parent, room) for section in sections]
    said = left_out(sections, packed, len(album.travelling), megabytes)
    return _render(dataclasses.replace(page, packed=packed, left_out=said))


def _packed(section: Section, beside: Path, room: int) -> Packed:
    """The sample browser of a section, whose pictures are numbered in an album of its own."""
    own = Album(beside, 0)
    runs = [(entry.name, entry.run, entry.samples) for entry in section.entries]
    data, cut = browser.browser_data(browser.Shown(runs, section.view, own), room)
    return Packed(data, cut, len(own.addresses))


def _counted(runs: int) -> str:
    return f"{runs} run{'' if runs == 1 else 's'}"


def _render(page: Page) -> str:
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
    values: Mapping[str, Any] = {
        "page": page,
        "style": Markup((_FOLDER / "style.css").read_text(encoding="utf-8")),
        "script": Markup(script),
        "script_hash": digest,
        "symbols": Markup(symbols()),
        "marks": SERIES,
        "markup": Markup,
        "findings": findings,
        "once": _once(),
        "version": __version__,
    }
    return environment.get_template("page.html").render(values)


def _once() -> Callable[[str], bool]:
    """Whether a sentence is new on the page: what explains a table explains it for all benchmarks."""
    said: set[str] = set()

    def new(sentence: str) -> bool:
        known = sentence in said
        said.add(sentence)
        return not known

    return new


def missing_package(error: ImportError) -> UserError:
    """The error for a package of the extra "report" that is not installed."""
    return UserError(f"a report needs {error.name}", fix="pip install 'mmjudge[report]'")
