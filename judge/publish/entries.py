"""Numbers as entries of `.eval_results/*.yaml`, which the Hub shows on the model's page and on leaderboards.

    - dataset:
        id: BAAI/Multimodal-Robustness-Benchmark
        task_id: mmvu_cvpr_ra
        revision: 5503434ddd753f426f4b38109466949a1217c2bb
      value: 60.5823
      source:
        url: https://huggingface.co/datasets/ORG/DETAILS/tree/main/mmvu/ORG__NAME/1a2b3c4d5e6f
        name: mmjudge
      notes: 'RA 60.58, 95% interval 57.34 to 63.74, n 893; edition CVPR; unscored 0.0%; signature: benchmark:mmvu|…'

An entry is known by its dataset and task. One that is there already is replaced only where it has our source and a
signature that compares with ours; everything else in the file stays, byte for byte.
Format: https://huggingface.co/docs/hub/eval-results; classes: `huggingface_hub.EvalResultEntry`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

from judge.core.benchmark import Benchmark
from judge.core.signature import Signature
from judge.errors import UserError
from judge.publish import splice
from judge.publish.ready import edition_of
from judge.results.run_folder import Run

FOLDER = ".eval_results"
SOURCE_NAME = "mmjudge"
COMMIT = re.compile(r"[0-9a-f]{40}")
_SIGNATURE = re.compile(r"signature: (benchmark:.+)\Z", re.DOTALL)
Entry = dict[str, Any]


def file_of(benchmark: Benchmark) -> str:
    """The file of a model's repository that entries of ours go into."""
    return f"{FOLDER}/{benchmark.name}.yaml"


def build_entries(run: Run, benchmark: Benchmark, source_url: str | None, allowed: Sequence[str] = ()) -> list[Entry]:
    """One entry for every headline metric. source_url: where the details are, None where they are nowhere.

    allowed: names of the reasons that stood against publishing and were overruled. Raises UserError where
    huggingface_hub is too old.
    """
    try:
        from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml
    except ImportError:
        raise UserError(
            "this huggingface_hub has no EvalResultEntry", fix="pip install --upgrade huggingface_hub"
        ) from None
    dataset = run.results["dataset"]
    entries = [
        EvalResultEntry(
            dataset_id=benchmark.repo,
            task_id=task_of(run, metric, allowed),
            value=rounded(run.estimate(metric)["value"]),
            dataset_revision=dataset["revision"] if COMMIT.fullmatch(dataset["revision"] or "") else None,
            source_url=source_url,
            source_name=SOURCE_NAME if source_url else None,
            notes=notes(run, metric, allowed),
        )
        for metric in benchmark.headline
    ]
    return eval_result_entries_to_yaml(entries)


def rounded(value: float) -> float:
    """Four decimals: finer than any interval, short enough to read."""
    return round(value, 4)


def task_of(run: Run, metric: str, allowed: Sequence[str] = ()) -> str:
    """ "mmvu_cvpr_ra": what is not the whole of a published edition has a task of its own, "mmvu_unknown_ra"."""
    part = "_part" if "subset" in allowed else ""
    edition = re.sub(r"[^a-z0-9]+", "_", edition_of(run).lower()).strip("_")
    return f"{run.results['benchmark']}_{edition}{part}_{metric}".lower()


def notes(run: Run, metric: str, allowed: Sequence[str] = ()) -> str:
    """What the number needs beside it, the signature last."""
    estimate, unscored = run.estimate(metric), run.results["unscored"]
    return (
        f"{metric} {estimate['value']:.2f}, 95% interval {estimate['ci_low']:.2f} to {estimate['ci_high']:.2f}, "
        f"n {estimate['n']}; edition {edition_of(run)}; unscored {100 * unscored['rate']:.1f}%; "
        + (f"not as published systems: {', '.join(allowed)}; " if allowed else "")
        + f"signature: {run.results['signature']}"
    )


def merge_entries(text: str | None, ours: Sequence[Entry], where: str) -> str:
    """The file with our entries in it; the same text where they are in it already.

    text: the file as it is, None where there is none. where: its name, for errors. Raises UserError where the file is
    not a list of entries, or an entry for the same dataset and task is somebody else's.
    """
    there = parse_entries(text, where)
    wanted, new, replaced = list(there), [], {}
    for entry in ours:
        twins = [number for number, other in enumerate(there) if _key(other) == _key(entry)]
        if not twins:
            new.append(entry)
        elif any(there[number] != entry for number in twins):
            for number in twins:
                _refuse_foreign(there[number], entry, where)
                wanted[number] = replaced[number] = entry
    if not new and not replaced:
        return text or ""
    wanted += new
    merged = splice.first_that(lambda made: _means(made, wanted, where), _spliced(text or "", replaced, new))
    if merged is None:
        raise UserError(
            "cannot be added to without a change to what others wrote", file=where,
            fix="write it as a list of entries in lines of their own on the Hub, then publish again",
        )  # fmt: skip
    return merged


def _spliced(text: str, replaced: Mapping[int, Entry], new: Sequence[Entry]) -> Iterator[str]:
    """The file with entries replaced and new ones at its end, in each layout that might be meant."""
    root = splice.root_of(text)
    at_end = splice.append_to_end(text, splice.dump_yaml(list(new)))
    if isinstance(root, yaml.SequenceNode):
        edits = [splice.replace_item(text, root, number, entry) for number, entry in replaced.items()]
        if not new:
            yield splice.apply_edits(text, edits)
            return
        # the end of the file is behind its last comments, which may be about its last entry
        for edit in reversed(splice.append_items(text, root, new)):
            yield splice.apply_edits(text, [*edits, edit])
    else:
        yield splice.apply_edits(text, [at_end])
        if root is not None:
            yield splice.apply_edits(text, [splice.replace_scalar(root, list(new))])


def _means(text: str, wanted: Sequence[Entry], where: str) -> bool:
    try:
        return splice.same_value(parse_entries(text, where), list(wanted))
    except UserError:
        return False


def refuse_elsewhere(files: Mapping[str, str | None], ours: Sequence[Entry]) -> None:
    """Raise UserError where another file (name → text) of the folder has an entry for the same dataset and task."""
    for where, text in files.items():
        try:
            there = parse_entries(text, where)
        except UserError:  # not ours to mend, and the Hub does not show it
            continue
        for other in there:
            for entry in ours:
                if _key(other) == _key(entry):
                    raise UserError(
                        f"has an entry for {_name(entry)} already", file=where, fix="ask its author to withdraw it"
                    )


def parse_entries(text: str | None, where: str) -> list[Entry]:
    """The entries of a file as plain data. Raises UserError where it is no list of entries."""
    try:
        found = yaml.safe_load(text or "")
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"is not YAML ({error})", file=where, fix="mend it on the Hub") from None
    found = [] if found is None else found
    if not isinstance(found, list) or not all(
        isinstance(e, dict) and isinstance(e.get("dataset"), dict) for e in found
    ):
        raise UserError('is not a list of entries with a "dataset"', file=where, fix="mend it on the Hub")
    return found


def signature_in(notes: object) -> Signature | None:
    """The signature that our notes end with; None where they are somebody else's."""
    found = _SIGNATURE.search(notes) if isinstance(notes, str) else None
    return Signature.parse(found[1].strip()) if found else None


def _key(entry: Entry) -> tuple[Any, Any]:
    return entry["dataset"].get("id"), entry["dataset"].get("task_id")


def _name(entry: Entry) -> str:
    return "{} / {}".format(*_key(entry))


def _refuse_foreign(other: Entry, entry: Entry, where: str) -> None:
    """Raise UserError unless `other` is an earlier state of `entry`."""
    fix = "remove that entry from the model's repository first, if it is yours to remove"
    if other.get("source") != entry.get("source"):
        raise UserError(
            f"{_name(entry)} has a number by another source already: {_source(other)}; ours: {_source(entry)}",
            file=where, fix=fix,
        )  # fmt: skip
    refuse_other_signature(signature_in(other.get("notes")), signature_in(entry["notes"]), _name(entry), where, fix)


def refuse_other_signature(theirs: Signature | None, ours: Signature | None, name: str, where: str, fix: str) -> None:
    """Raise UserError unless both numbers were measured in the same way."""
    differing = None if theirs is None or ours is None else ours.differences(theirs)
    if differing is None:
        raise UserError(f"{name} has a number without a signature of ours already", file=where, fix=fix)
    if differing:
        parts = "; ".join(f"{part}: {old} there, {new} here" for part, (new, old) in differing.items())
        raise UserError(f"{name} has a number that was measured differently: {parts}", file=where, fix=fix)


def _source(entry: Entry) -> str:
    source = entry.get("source")
    return str(source.get("url")) if isinstance(source, dict) else "none named"
