"""What is sent where, against what is there.

    model ORG/NAME, a pull request "Add MMVU CVPR results"
    --- .eval_results/mmvu.yaml, there
    +++ .eval_results/mmvu.yaml, ours
    +- dataset: …

    dataset ORG/DETAILS
      new        mmvu/ORG__NAME/1a2b3c4d5e6f/results.json                                     12.3 kB
      unchanged  mmvu/ORG__NAME/1a2b3c4d5e6f/verdicts.jsonl                                  412.0 kB

`make_plan` only reads; `push_plan` then sends what is missing, the details first, since the entries name them.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Callable, Mapping, Sequence

from judge.core.benchmark import Benchmark
from judge.core.foreign_text import visible
from judge.core.secrets import known_secrets
from judge.errors import UserError
from judge.publish import details, entries, model_index
from judge.publish.details import Digests, File
from judge.publish.hub import LOGIN, Head, Hub, PullRequest, Repo, UnreachableError
from judge.publish.ready import edition_of
from judge.results.run_folder import Run

Merge = Callable[[str | None], str]
"""From the text of a file, None where there is none, to the same with ours in it."""
MOST_FILES = 5_000
"""Files of one commit; the Hub takes 25,000 and grows slow before."""
SHOWN_BYTES = 200_000
"""Changed details up to this size are shown as a diff."""


@dataclasses.dataclass(frozen=True)
class Text:
    """A file of the model's repository. there: None where there is none."""

    path: str
    there: str | None
    merge: Merge

    @property
    def ours(self) -> str:
        """What it is to be. Raises UserError where that is in the way of others."""
        return self.merge(self.there)

    @property
    def changed(self) -> bool:
        """Whether anything of ours is missing there."""
        return self.ours != self.there


@dataclasses.dataclass(frozen=True)
class Detail:
    """A file of the dataset repository. state: "new", "changed" or "unchanged". there: the text to compare with."""

    file: File
    size: int
    state: str
    there: str | None = None


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a run goes, and as what.

    dataset: for its details, None for none. index: the model's `model-index` as well. allowed: names of the reasons
    that stood against publishing and were overruled.
    """

    model: Repo
    dataset: Repo | None
    index: bool
    allowed: Sequence[str] = ()


@dataclasses.dataclass(frozen=True)
class Plan:
    """heads: the last commit of each repository; None where it is not there, or was not asked for."""

    title: str
    description: str
    model: Repo
    model_head: Head | None
    texts: Sequence[Text]
    dataset: Repo | None
    dataset_head: Head | None
    details: Sequence[Detail]
    reached: bool


def make_plan(hub: Hub, run: Run, benchmark: Benchmark, target: Target, *, offline: bool) -> Plan:
    """What is to be sent, from what is there. offline: go on where the Hub does not answer, as if nothing were there.

    Raises UserError where the model is not there, and where what is there is in the way.
    """
    model, dataset = target.model, target.dataset
    folder = details.folder_of(run, model.id)
    url = f"{hub.endpoint}/{dataset.path}/tree/main/{folder}" if dataset else None
    head, dataset_head, reached = None, None, True
    try:
        head = hub.head(model)
        dataset_head = hub.head(dataset) if dataset else None
    except UnreachableError:
        if not offline:
            raise
        reached = False
    if reached and head is None:
        raise UserError(f"{model}: there is no such repository, or this account may not see it", fix=LOGIN)
    files = details.detail_files(run, folder) if dataset else []
    return Plan(
        title=f"Add {benchmark.title} {edition_of(run)} results",
        description=f"Measured with mmjudge on {run.results['n']} questions.\n\nSignature: `{run.results['signature']}`"
        + (f"\n\nNot as published systems: {', '.join(target.allowed)}" if target.allowed else "")
        + (f"\n\nVerdicts and responses: {url}" if url else ""),
        model=model,
        model_head=head,
        texts=_texts(hub, model, head, _merges(run, benchmark, url, target)),
        dataset=dataset,
        dataset_head=dataset_head,
        details=[compare_file(hub, dataset, dataset_head, file) for file in files] if dataset else [],
        reached=reached,
    )


def show_plan(plan: Plan) -> str:
    """Every file and diff, for a terminal."""
    lines = [] if plan.reached else ["The Hub was not reached: shown as if nothing were there.", ""]
    changed = any(text.changed for text in plan.texts)
    lines.append(f'{plan.model}, a pull request "{plan.title}"' if changed else str(plan.model))
    for text in plan.texts:
        lines += diff(text.path, text.there, text.ours) if text.changed else [f"  unchanged  {text.path}"]
    if plan.dataset is not None:
        lines += ["", str(plan.dataset) + (", to be created" if plan.dataset_head is None else "")]
        lines += show_details(plan.details)
    return "\n".join(map(visible, lines))


def show_details(details: Sequence[Detail]) -> list[str]:
    """A line a file, with the diff where it is known."""
    lines = []
    for detail in details:
        lines.append(f"  {detail.state:<10} {detail.file.path:<80} {_size(detail.size):>9}")
        if detail.there is not None:
            lines += diff(detail.file.path, detail.there, detail.file.data().decode("utf-8", "replace"))
    return lines


def push_plan(hub: Hub, plan: Plan, say: Callable[[str], None]) -> None:
    """Send what is missing: the details, results.json last, then the entries in one pull request.

    Where an open pull request brings the same, it is named instead. Raises UserError.
    """
    if not hub.logged_in:
        raise UserError("publishing needs a login", fix=LOGIN)
    texts = [File(text.path, text.ours.encode("utf-8")) for text in plan.texts if text.changed]
    missing = [detail.file for detail in plan.details if detail.state != "unchanged"]
    refuse_secrets(hub, [*texts, *missing])
    requests = hub.pull_requests(plan.model, plan.title) if texts else []
    same = next((request for request in requests if _brings(hub, plan, request)), None)
    if plan.dataset is not None:
        if plan.dataset_head is None:
            hub.create(plan.dataset)
        if missing:
            parent = plan.dataset_head.commit if plan.dataset_head else None
            for start in range(0, len(missing), MOST_FILES):
                some = missing[start : start + MOST_FILES]
                address = hub.send(plan.dataset, some, plan.title, plan.description, parent=parent)
                parent = None  # what follows ours
            say(f"{plan.dataset}: {len(missing)} files sent, {address}")
        else:
            say(f"{plan.dataset}: everything is there already")
    if not texts:
        say(f"{plan.model}: everything is there already")
    elif same is not None:
        say(f"{plan.model}: an open pull request brings it already, {same.url}")
    else:
        parent = plan.model_head.commit if plan.model_head else None
        address = hub.send(plan.model, texts, plan.title, plan.description, parent=parent, pull_request=True)
        say(f"{plan.model}: pull request opened, {address}")
        for other in requests:
            say(f"also open, with other numbers: {other.url}")


def diff(path: str, old: str | None, new: str) -> list[str]:
    """Unified, without line ends."""
    there = (old or "").splitlines()
    return list(difflib.unified_diff(there, new.splitlines(), f"{path}, there", f"{path}, ours", lineterm=""))


def _merges(run: Run, benchmark: Benchmark, url: str | None, target: Target) -> dict[str, Merge]:
    """What is to be in the model's repository, by path."""
    path, ours = entries.file_of(benchmark), entries.build_entries(run, benchmark, url, target.allowed)
    merges: dict[str, Merge] = {path: lambda text: entries.merge_entries(text, ours, path)}
    if target.index:
        result = model_index.build_result(run, benchmark, url, target.allowed)
        merges[model_index.FILE] = lambda text: model_index.merge_result(text, result, target.model.id.split("/")[-1])
    return merges


def _texts(hub: Hub, model: Repo, head: Head | None, merges: Mapping[str, Merge]) -> list[Text]:
    """Raises UserError where the file of ours, or another in its folder, has another's number for the same task."""
    there: dict[str, str | None] = dict.fromkeys(merges)
    if head is not None:
        for path in head.files:
            if path in merges or (path.startswith(f"{entries.FOLDER}/") and path.endswith((".yaml", ".yml"))):
                there[path] = _decoded(hub.read(model, path, head.commit), path)
    texts = [Text(path, there.pop(path), merge) for path, merge in merges.items()]
    ours = entries.parse_entries(texts[0].ours, texts[0].path)
    known = entries.parse_entries(texts[0].there, texts[0].path)
    entries.refuse_elsewhere(there, [entry for entry in ours if entry not in known])
    return texts


def compare_file(hub: Hub, dataset: Repo, head: Head | None, file: File) -> Detail:
    """A file beside what is there. Raises UserError."""
    digests = Digests.of(file.data())
    if head is None or file.path not in head.files:
        return Detail(file, digests.size, "new")
    if head.files[file.path] in (digests.git, digests.lfs):
        return Detail(file, digests.size, "unchanged")
    shown = file.path.endswith(".json") and digests.size <= SHOWN_BYTES
    there = hub.read(dataset, file.path, head.commit) if shown else None
    return Detail(file, digests.size, "changed", there.decode("utf-8", "replace") if there is not None else None)


def _brings(hub: Hub, plan: Plan, request: PullRequest) -> bool:
    """Whether nothing of ours is missing in a pull request."""
    for text in plan.texts:
        there = _decoded(hub.read(plan.model, text.path, request.revision), text.path)
        try:
            if text.merge(there) != there:
                return False
        except UserError:  # other numbers, or another's
            return False
    return True


def refuse_secrets(hub: Hub, files: Sequence[File]) -> None:
    """Raise UserError for a file that holds a secret: harnesses write tokens into their logs, a run its command."""
    secrets = {name: os.fsencode(value).decode("latin-1") for name, value in known_secrets().items()}
    for file in files:
        text = file.data().decode("latin-1")
        for name, value in secrets.items():
            if value in text and value != hub.token:
                raise UserError(
                    f"holds the value of ${name}, so nothing is sent", file=file.path, fix="take it out, change the key"
                )
        if hub.hide(text) != text:
            raise UserError("holds your token, so nothing is sent", file=file.path, fix="take it out, revoke the token")


def _decoded(data: bytes | None, path: str) -> str | None:
    if data is None:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"is not UTF-8 ({error})", file=path, fix="mend it on the Hub") from None


def _size(size: int) -> str:
    return f"{size / 1e3:.1f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"
