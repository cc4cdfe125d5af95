"""A judge that is to run in this process: its files, what it needs, and its rubric.

    found = find_judge("MMIE/MMIE-Score")
    found.folder      …/snapshots/9e8d…, None where nothing of it is here
    found.missing     ("model-00002-of-00002.safetensors",)
    found.need        Need(4_146_855_936, 196_608), known of MMIE's before it is fetched

Config and the headers of the weights are read; no torch, no network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from judge.core.benchmark import Benchmark
from judge.errors import UserError
from judge.harness.settings import Settings
from judge.io.hub_access import without_network
from judge.io.progress import size as shown_bytes
from judge.model.weights import checkpoint, shapes, shards
from judge.model.weights.original_layout import Layout, read_layout
from judge.model.weights.source import local_folder, resolve_judge, split_repository
from judge.preflight.device import Need
from judge.preflight.finding import Finding, Findings, of_error
from judge.preflight.hub import Access, Place, refused
from judge.scoring.pipeline import default_rubric

JUDGE = "judge"
KNOWN = {"MMIE/MMIE-Score": Need(4_146_855_936, 196_608)}
"""Repository → what the published judge has: keys and values of 32 layers of 32 heads of 96 numbers a token."""
KNOWN_BYTES = 2
"""Of a published number: bfloat16."""
DESCRIPTION = ("config.json", "tokenizer.model")


@dataclasses.dataclass(frozen=True)
class JudgeFiles:
    """place: on the Hub, None for a folder of the user's. missing: files that must be fetched. problem: what is wrong
    with the files that are here."""

    name: str
    place: Place | None = None
    folder: Path | None = None
    layout: Layout | None = None
    missing: tuple[str, ...] = ()
    problem: UserError | None = None

    @property
    def need(self) -> Need | None:
        """What it takes of a device; None where that is not known."""
        if self.layout is not None:
            return Need(shapes.count_parameters(self.layout), _numbers_per_token(self.layout))
        return KNOWN.get(self.place.repo) if self.place is not None else None

    @property
    def to_fetch(self) -> str:
        """What must be fetched, "" for nothing."""
        if not self.missing:
            return ""
        return "all of it" if self.folder is None else f"{len(self.missing)} of its files"


def _numbers_per_token(layout: Layout) -> int:
    text: Mapping[str, Any] = layout.text
    heads = text["num_attention_heads"]
    kept = text.get("num_key_value_heads") or heads
    return int(2 * text["num_hidden_layers"] * kept * (text["hidden_size"] // heads))


def find_judge(name: str) -> JudgeFiles:
    """Look for a judge, in a folder or in the Hub's cache. Raises UserError for a name that is neither's."""
    folder, place = local_folder(name), None
    if folder is None:
        repo, revision = split_repository(name)
        place = Place(repo, "model", revision)
        try:
            with without_network():
                folder = resolve_judge(name).folder
        except UserError:
            return JudgeFiles(name, place, missing=("*",))
    missing = _missing(folder) if place is not None else ()
    if "config.json" in missing:
        return JudgeFiles(name, place, folder, missing=missing)
    try:
        layout = read_layout(folder)
        if not missing:
            checkpoint.check_weights(folder, layout)
    except UserError as error:
        return JudgeFiles(name, place, folder, missing=missing, problem=error)
    return JudgeFiles(name, place, folder, layout, missing)


def _missing(snapshot: Path) -> tuple[str, ...]:
    """Files of a judge that a snapshot of the Hub's cache does not have: it holds what was fetched so far."""
    lost = [name for name in DESCRIPTION if not (snapshot / name).exists()]
    try:
        shards.find_shards(snapshot)
    except UserError:
        names = shards.indexed_names(snapshot) or ["model.safetensors"]
        lost += [name for name in names if not (snapshot / name).exists()]
    return tuple(lost)


def bytes_to_fetch(found: JudgeFiles, access: Access) -> int | None:
    """Bytes that a run would download of it; None where nobody says."""
    if not found.missing or found.place is None:
        return 0
    weights = {name: size for name, size in access.sizes.items() if name.endswith(".safetensors")}
    if found.folder is None:
        known = KNOWN.get(found.place.repo)
        return sum(weights.values()) or (known.parameters * KNOWN_BYTES if known else None)
    return sum(access.sizes[name] for name in found.missing) if set(found.missing) <= access.sizes.keys() else None


def check_judge_files(found: JudgeFiles, access: Access) -> Findings:
    """Lines about the files of a judge. access: what the Hub says of its place."""
    if found.problem is not None:
        yield of_error(JUDGE, found.problem)
        return
    if not found.missing:
        assert found.folder is not None
        size = sum(file.stat().st_size for file in shards.find_shards(found.folder))
        where = found.name if found.place is None else f"{found.name} (Hub cache, {found.folder.name[:12]})"
        yield Finding(JUDGE, "ok", f"{where}: {shown_bytes(size)} of weights that fit its config")
        return
    assert found.place is not None
    size_or_none = bytes_to_fetch(found, access)
    size_said = f", {shown_bytes(size_or_none)}" if size_or_none else ""
    here = "not here" if found.folder is None else f"not whole: {', '.join(found.missing[:3])} must be fetched"
    fetch = found.place.download
    if access.allowed:
        yield Finding(JUDGE, "ok", f"{found.name}: {here}; fetched when first used{size_said}", fetch)
        return
    said = f"{found.name}: {here}{size_said}, and {refused(found.place, access)}"
    mend = "mend what stands under hub, or export MMJUDGE_JUDGE=… (a folder that holds it, or http://HOST:PORT/v1)"
    yield Finding(JUDGE, "fails", said, mend)


def rubric_name(settings: Settings, judge: str) -> str:
    """The wording that would be put to the judge. Raises UserError for a judge folder that names none."""
    return settings.rubric or default_rubric(judge)


def check_rubric(benchmark: Benchmark, name: str, reachable: str | None) -> Findings:
    """Lines about the wording that is put to the judge. reachable: why it cannot be downloaded, "" where it can, None
    where that was not asked."""
    try:
        with without_network():
            benchmark.rubric(name)
    except UserError as error:
        if reachable == "":
            address = getattr(benchmark, "rubric_address", "its authors' page")
            yield Finding(JUDGE, "ok", f"the {name} rubric is not here; fetched from {address} when first used")
            return
        why = f" ({reachable})" if reachable else ""
        mend = (error.fix or "").replace("use --rubric mmjudge", "export MMJUDGE_RUBRIC=mmjudge (other words)")
        yield Finding(JUDGE, "fails", f"{error.problem}{why}", mend or "export MMJUDGE_RUBRIC=mmjudge")
        return
    yield Finding(JUDGE, "ok", f"the {name} rubric is here")
