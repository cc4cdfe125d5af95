"""The same numbers as `model-index` in the metadata of a model's README.md, the older form that cards and tools read.

    model-index:
    - name: NAME
      results:
      - task: {type: image-text-to-text}
        dataset: {type: BAAI/Multimodal-Robustness-Benchmark, name: MMVU (edition CVPR), revision: 5503…}
        metrics:
        - {type: ra, value: 60.5823, name: RA, args: {interval: [57.34, 63.74], n: 893, signature: "benchmark:…"}}
        source: {url: https://huggingface.co/datasets/ORG/DETAILS/…, name: mmjudge}

Only our result is written; the rest of the README, results of others too, stays as it is, byte for byte.
Format: https://huggingface.co/docs/hub/model-cards; classes: `huggingface_hub.EvalResult`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import yaml

from judge.core.benchmark import Benchmark
from judge.core.signature import Signature
from judge.errors import UserError
from judge.publish import entries, splice
from judge.publish.ready import edition_of
from judge.results.run_folder import Run

FILE = "README.md"
KEY = "model-index"
TASK = "image-text-to-text"
_BLOCK = re.compile(r"\A(\ufeff?\s*---[^\S\n]*\n)(.*?)^---[^\S\n]*$", re.DOTALL | re.MULTILINE)
"""What the Hub takes for metadata: between the first line of three dashes and the next."""


def build_result(run: Run, benchmark: Benchmark, source_url: str | None, allowed: Sequence[str] = ()) -> dict[str, Any]:
    """One result with a metric for every headline number; parameters as of `entries.build_entries`."""
    from huggingface_hub import EvalResult
    from huggingface_hub.repocard_data import eval_results_to_model_index

    dataset = run.results["dataset"]
    found = []
    name = f"{benchmark.title} ({'part of ' if 'subset' in allowed else ''}edition {edition_of(run)})"
    differing = {"not_as_published": ", ".join(allowed)} if allowed else {}
    for metric in benchmark.headline:
        estimate = run.estimate(metric)
        interval = [entries.rounded(estimate[end]) for end in ("ci_low", "ci_high")]
        found.append(
            EvalResult(
                task_type=TASK,
                dataset_type=benchmark.repo,
                dataset_name=name,
                dataset_revision=dataset["revision"] if entries.COMMIT.fullmatch(dataset["revision"] or "") else None,
                metric_type=metric.lower(),
                metric_name=metric,
                metric_value=entries.rounded(estimate["value"]),
                metric_args={
                    "interval": interval,
                    "n": estimate["n"],
                    **differing,
                    "signature": run.results["signature"],
                },
                source_url=source_url,
                source_name=entries.SOURCE_NAME if source_url else None,
            )
        )
    result: dict[str, Any] = eval_results_to_model_index("", found)[0]["results"][0]
    return result


def merge_result(text: str | None, ours: dict[str, Any], name: str) -> str:
    """The README with our result in its metadata; the same text where it is there already.

    text: None where there is no README. name: the model's, used where its index has none. Raises UserError where the
    metadata cannot be read or edited, and where a result for the same dataset is somebody else's.
    """
    text = text or ""
    block = _BLOCK.match(text)
    lines = block[2] if block else ""
    metadata = _mapping(lines)
    index, before = _index(metadata), _index(metadata)
    model, number = _put(index, ours, name)
    if splice.same_value(index, before):
        return text
    wanted = {**metadata, KEY: index}
    edited = splice.first_that(lambda made: _means(made, wanted), _spliced(text, lines, index, (model, number)))
    if edited is None:
        raise UserError("the metadata cannot be edited line by line", file=FILE, fix="leave --model-index out")
    if block:
        return text[: block.start(2)] + edited + text[block.end(2) :]
    newline = splice.newline_of(text, 0)
    return f"---{newline}{edited}---{newline}{text}"


def _put(index: list[dict[str, Any]], ours: dict[str, Any], name: str) -> tuple[int, int]:
    """Add our result to the model's list, or replace its earlier state by it; the numbers of model and result."""
    for place, model in enumerate(index):
        for number, result in enumerate(model["results"]):
            if _key(result) == _key(ours):
                if result != ours:
                    _refuse_foreign(result, ours)
                    model["results"][number] = ours
                return place, number
    if not index:
        index.append({"name": name, "results": []})
    index[0]["results"].append(ours)
    return 0, len(index[0]["results"]) - 1


def _spliced(text: str, lines: str, index: list[dict[str, Any]], place: tuple[int, int]) -> Iterator[str]:
    """The metadata with the result at `place` of the index in it, in each layout that might be meant.

    text: the README, for the way its lines end.
    """
    model, number = place
    root = splice.root_of(lines)
    found = splice.value_of(root, KEY)
    if found is None:
        key = splice.dump_yaml({KEY: index}).replace("\n", splice.newline_of(text, 0))
        yield lines + key
    elif isinstance(found, yaml.SequenceNode) and found.value:
        ours, results = index[model]["results"][number], splice.value_of(found.value[model], "results")
        if results is None:
            made = splice.dump_yaml({"results": [ours]})
            edits = splice.append_lines(lines, found.value[model], made, found.value[model].start_mark.column)
        elif not isinstance(results, yaml.SequenceNode):
            edits = [splice.replace_scalar(results, [ours])]
        elif number < len(results.value):
            edits = [splice.replace_item(lines, results, number, ours)]
        else:
            edits = splice.append_items(lines, results, [ours])
        yield from (splice.apply_edits(lines, [edit]) for edit in edits)
    elif isinstance(found, yaml.SequenceNode):
        yield from (splice.apply_edits(lines, [edit]) for edit in splice.append_items(lines, found, index))
    else:
        yield splice.apply_edits(lines, [splice.replace_scalar(found, index)])


def _refuse_foreign(other: dict[str, Any], ours: dict[str, Any]) -> None:
    name, fix = f"{KEY}: {ours['dataset']['name']}", "leave --model-index out, or remove that result first"
    if other.get("source") != ours.get("source"):
        raise UserError(f"{name} has numbers by another source already", file=FILE, fix=fix)
    entries.refuse_other_signature(_signature(other), _signature(ours), name, FILE, fix)


def _signature(result: dict[str, Any]) -> Signature | None:
    try:
        line = result["metrics"][0]["args"]["signature"]
    except (KeyError, IndexError, TypeError):
        return None
    return Signature.parse(line) if isinstance(line, str) else None


def _key(result: dict[str, Any]) -> tuple[Any, Any]:
    return result["dataset"].get("type"), result["dataset"].get("name")


def _mapping(lines: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(lines)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(f"the metadata is not YAML ({error})", file=FILE, fix="mend it on the Hub") from None
    if found is not None and not isinstance(found, dict):
        raise UserError("the metadata is not a mapping", file=FILE, fix="mend it on the Hub")
    return found or {}


def _means(lines: str, metadata: dict[str, Any]) -> bool:
    try:
        return splice.same_value(_mapping(lines), metadata)
    except UserError:
        return False


def _index(metadata: dict[str, Any]) -> list[dict[str, Any]]:
    """A copy of the index, down to the lists that grow."""
    found = metadata.get(KEY) or []
    try:
        copy = [{**model, "results": list(model.get("results") or [])} for model in found]
        for model in copy:
            for result in model["results"]:
                _key(result)
    except (TypeError, KeyError, AttributeError):
        raise UserError(
            "is not a list of models with results", file=FILE, field=KEY, fix="mend it, or leave --model-index out"
        ) from None
    return copy
