"""Runs as `mmjudge view` reads them, made of plain rows, and a server that shows them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from urllib.parse import urlencode

from local_pages import get, serving

from judge.core.benchmark import Source, find
from judge.core.request import Picture, Text
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.io import samples
from judge.io.samples import Sample
from judge.results.result import build_result
from judge.results.run_folder import RunFolder
from judge.view.runs import open_runs
from judge.view.server import Viewer
from judge.view.table import make_tables
from judge.web.server import Server

MMIE = {"benchmark": "mmie", "edition": "v1", "profile": "strict", "judge": "tiny@1"}
MMVU = {"benchmark": "mmvu", "edition": "v1", "extraction": "careful-3"}


def judged(id_, score, *, answer="an answer", feedback="good", question="a question", probs=None, **more):
    """(verdict, sample) of MMIE. score: None for what the judge left without one; more: of the verdict."""
    category = id_.partition("-")[0]
    details = {"field": more.pop("field", "Art")}
    unscored = "truncated" if score is None else None
    verdict = Verdict(
        id_, "judge", score, unscored, category, feedback=feedback, score_probs=probs, details=details, **more
    )
    return verdict, Sample(id_, None, category, _pieces(question), _pieces(answer), f"reference of {id_}")


def _pieces(said):
    pieces = [said] if isinstance(said, str) else said
    return tuple(Text(piece) if isinstance(piece, str) else piece for piece in pieces)


def ruled(id_, index, right, *, kind="POS", letter="B", answer="B", question="Is it?\nA. yes\nB. no"):
    """(verdict, sample) of MMVU."""
    details = {"type": kind, "level": "attribute", "letter": letter, "rule": "letter alone", "score_reference": right}
    verdict = Verdict(id_, "rule", right, None, "Number", index, details=details)
    return verdict, Sample(id_, index, "Number", (Text(question),), (Text(answer),), "B")


def write_run(folder: Path, rows, signature=None, model=None) -> Path:
    """A results folder of (verdict, sample) pairs; a sample may be None."""
    folder.mkdir(parents=True)
    verdicts = [verdict for verdict, _ in rows]
    parts = signature or (MMVU if verdicts[0].by == "rule" else MMIE)
    benchmark = find(parts["benchmark"])
    RunFolder(folder).write_verdicts(verdicts)
    if kept := [sample for _, sample in rows if sample is not None]:
        samples.write_samples(folder, kept, keep_images=True)
    source = Source(benchmark.repo, "local:0123456789ab", parts.get("edition", "v1"))
    result = build_result(benchmark, verdicts, None, source, Signature(parts))
    RunFolder(folder).write_results({**result, "run": {"model": model}} if model else result)
    return folder


def picture(folder: Path, name: str, data: bytes) -> Picture:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return Picture(folder / name, name)


@contextlib.contextmanager
def viewed(*folders: Path):
    """A server that shows the runs in `folders`."""
    with open_runs(folders) as runs:
        tables = make_tables(runs)
        with serving(Server(Viewer(lambda: tables).site)) as server:
            yield server


def ids(server, benchmark="mmie", **query):
    """The ids of the rows that are found, in order."""
    return [row[0] for row in listing(server, benchmark, **query)["rows"]]


def listing(server, benchmark="mmie", **query):
    return get(server, f"list/{benchmark}?{urlencode({name.replace('d_', 'd.'): v for name, v in query.items()})}")


def lines_of(body: bytes):
    return [json.loads(line) for line in body.decode("ascii").splitlines()]
