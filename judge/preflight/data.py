"""The benchmarks' data: whether it is here, which edition it is, and whether its pictures are there.

    ok       mmvu: edition v1, 600 questions, content as published (MMVU_DATA=/data/mmvu)
    warning  mmie: edition unknown (size matches full), 20,103 questions …
    fails    mmie: not here, and the Hub refuses MMIE/MMIE

Records are read whole, since their hash says which edition they are. Of the pictures a few are looked for, all of them
with --deep. Nothing is fetched or unpacked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from judge.core.benchmark import Benchmark, Dataset
from judge.core.edition import UNKNOWN
from judge.core.foreign_text import on_one_line
from judge.core.request import Picture
from judge.errors import UserError
from judge.io.hub_access import without_network
from judge.io.hub_dataset import HubData, hub_data_of
from judge.io.progress import size as shown_bytes
from judge.preflight.finding import Finding, Findings, of_error
from judge.preflight.hub import Access, Place, refused
from judge.preflight.job import Job

DATA = "data"
SAMPLED = 50
"""Questions whose pictures are looked for."""
NOTE = 200
"""Characters of what is said about an edition."""


@dataclasses.dataclass(frozen=True)
class FoundData:
    """The data of one benchmark. folder: the one that the user names, None for the Hub's cache; dataset: None where its
    records are not here, or cannot be read (`problem`). missing: what must be fetched: "records", "pictures". packed:
    the archive that is here and not yet unpacked."""

    benchmark: Benchmark
    folder: Path | None
    dataset: Dataset | None = None
    problem: UserError | None = None
    missing: tuple[str, ...] = ()
    packed: Path | None = None

    @property
    def place(self) -> Place:
        """Where it is fetched from."""
        return place_of(self.benchmark)

    @property
    def to_fetch(self) -> str:
        """What must be fetched, "" for nothing: a folder that the user names is never filled."""
        return " and ".join(self.missing) if self.folder is None else ""


def place_of(benchmark: Benchmark) -> Place:
    """Where the data of a benchmark is fetched from."""
    hub = hub_data_of(benchmark)
    files = (hub.path_of(hub.records), hub.path_of(hub.archive)) if hub else ()
    return Place(benchmark.repo, "dataset", files=files)


def named_folder(job: Job, benchmark: Benchmark) -> Path | None:
    """The folder that the user names for a benchmark's data; None for the Hub's."""
    value = job.environment.get(_variable(benchmark))
    return job.data or (Path(value) if value else None)


def find_data(job: Job, benchmark: Benchmark) -> FoundData:
    """Look for the data that a run would use. Never asks the network."""
    hub, named = hub_data_of(benchmark), named_folder(job, benchmark)
    with without_network():
        try:
            dataset = benchmark.load(job.data)
        except UserError as error:
            missing = () if named else ("records", *(("pictures",) if asks(job, benchmark) else ()))
            return FoundData(benchmark, named, None, error, missing)
        packed = _packed(hub, job.data) if hub else None
    found = FoundData(benchmark, named, dataset, packed=packed)
    if asks(job, benchmark) and packed is None and not _unpacked(found):
        found = dataclasses.replace(found, missing=("pictures",))
    return found


def asks(job: Job, benchmark: Benchmark) -> bool:
    """Whether the run needs the questions' pictures: to ask a model, or to show them to a judge."""
    return job.harness != "none" or benchmark.judged


def _packed(hub: HubData, data: Path | None) -> Path | None:
    """The archive, where it is here and the folder that it becomes is not."""
    located = hub.locate(data)
    root = located.file.parent
    if (root / hub.images).is_dir():
        return None
    if located.commit is None:
        return root / hub.archive if (root / hub.archive).is_file() else None
    try:
        return hub.fetch(hub.archive, located.commit)
    except UserError:
        return None


def _unpacked(found: FoundData) -> bool:
    """Whether pictures are here, be it not all of them."""
    assert found.dataset is not None
    if found.dataset.image_root is None:
        return False
    some, lost = _seen_pictures(found, SAMPLED)
    return some > len(lost) or some == 0


def _seen_pictures(found: FoundData, most: int) -> tuple[int, list[str]]:
    """How many questions with pictures were looked at, and what is wrong with those whose pictures are not all here."""
    dataset = found.dataset
    assert dataset is not None
    step = max(1, -(-len(dataset.records) // most))
    some, lost = 0, []
    for index in range(0, len(dataset.records), step):
        problem, pictures = _question(found.benchmark, dataset, index)
        if problem is not None:
            lost.append(problem)
        some += problem is not None or pictures > 0
    return some, lost


def _question(benchmark: Benchmark, dataset: Dataset, index: int) -> tuple[str | None, int]:
    """(what is wrong with its pictures or None, how many it has)."""
    try:
        (question,) = benchmark.questions(dataset, [index])
    except UserError as error:
        return error.problem, 0
    pictures = [part for part in question.parts if isinstance(part, Picture)]
    return (question.missing[0] if question.missing else None), len(pictures)


def check_data(job: Job, found: FoundData, access: Access) -> Findings:
    """Lines about one benchmark's data. access: what the Hub says of its place."""
    name = found.benchmark.name
    if found.dataset is None:
        yield _absent(found, access)
        return
    source = found.dataset.source
    where = "--data" if job.data else _variable(found.benchmark)
    where = f"{where}={found.folder}" if found.folder else f"Hub cache, {source.revision[:12]}"
    said = f"{name}: edition {source.edition}, {len(found.dataset.records):,} questions ({where})"
    note = on_one_line((source.note or "").partition("; ")[0], NOTE)
    if source.edition.startswith(UNKNOWN):
        note = f": {note}" if note else ""
        mend = f"for published numbers: {_use_the_hub(found)}"
        yield Finding(DATA, "warning", f"{said}; not known as published{note}", mend)
    else:
        yield Finding(DATA, "ok", f"{said}; {note or 'content as published'}")
    if asks(job, found.benchmark):
        yield _pictures(job, found, access)


def _use_the_hub(found: FoundData) -> str:
    variable = _variable(found.benchmark)
    return f"unset {variable} (the Hub's is fetched), or give the published files" if found.folder else "fetch it again"


def _variable(benchmark: Benchmark) -> str:
    hub = hub_data_of(benchmark)
    return hub.variable if hub else f"{benchmark.name.upper()}_DATA"


def _absent(found: FoundData, access: Access) -> Finding:
    benchmark = found.benchmark
    if found.folder is not None:
        assert found.problem is not None
        return of_error(DATA, found.problem, name=benchmark.name)
    size = _size(found, access.sizes)
    if access.allowed:
        said = f"{benchmark.name}: not here; fetched from {benchmark.repo} when first used{size}"
        return Finding(DATA, "ok", said, found.place.download)
    return Finding(
        DATA, "fails", f"{benchmark.name}: not here, and {refused(found.place, access)}",
        f"mend what stands under hub, or export {_variable(benchmark)}=… (a folder that holds it)",
    )  # fmt: skip


def _pictures(job: Job, found: FoundData, access: Access) -> Finding:
    name = found.benchmark.name
    if found.packed is not None:
        size = shown_bytes(found.packed.stat().st_size)
        return Finding(DATA, "ok", f"{name}: pictures are in {found.packed.name} ({size}), unpacked when first used")
    if found.missing and found.folder is None and access.allowed:
        said = f"{name}: pictures are not here; fetched when first used{_size(found, access.sizes)}"
        return Finding(DATA, "ok", said, found.place.download)
    hub = hub_data_of(found.benchmark)
    archive = hub.archive if hub else "the pictures"
    if found.missing:
        page = found.place.page
        said = f"{name}: pictures are not here"
        said += "" if found.folder else f", and {refused(found.place, access)}"
        mend = f"put {archive} of {page} into {found.folder}" if found.folder else "mend what stands under hub"
        return Finding(DATA, "fails", said, mend)
    some, lost = _seen_pictures(found, len(found.dataset.records) if job.deep and found.dataset else SAMPLED)
    if lost:
        said = f"{name}: of {some} questions with pictures, {len(lost)} lack one: {on_one_line(lost[0])}"
        return Finding(DATA, "fails", said, f"unpack {archive} of {found.place.page} again")
    return Finding(DATA, "ok", f"{name}: pictures are here (those of {some} questions were looked for)")


def _size(found: FoundData, sizes: Mapping[str, int]) -> str:
    size = bytes_to_fetch(found, sizes)
    return f" ({shown_bytes(size)})" if size else ""


def bytes_to_fetch(found: FoundData, sizes: Mapping[str, int]) -> int | None:
    """Bytes that a run would download of it; None where the Hub does not say."""
    hub = hub_data_of(found.benchmark)
    if not found.to_fetch:
        return 0
    if hub is None:
        return None
    names = [hub.path_of(hub.records if part == "records" else hub.archive) for part in found.missing]
    return sum(sizes[name] for name in names) if all(name in sizes for name in names) else None
