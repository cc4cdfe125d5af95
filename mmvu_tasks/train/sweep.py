"""How much of a tuned model to merge in: every weight is asked a part of MMVU, and the best is measured on the rest.

    found = choose_weight(base, tuned, Path("out/sweep"), Sweep((0.05, 0.25, 0.5, 1.0)), asked)
    found["weight"]                                   0.25
    found["parts"]["chosen_on"]["pairs"]              ["attribute/shape/01", …]
    found["on_the_rest"]["merged"]["RA"]              {"value": 57.9, "ci_low": 49.1, "ci_high": 66.2, "n": 446}

Whole pairs are dealt to the two parts, category by category, in the order of a hash of their ids, so that every run of
the same data has the same parts. What was chosen on a part is flattered by it: only the rest measures. Of several
weights that are as good, the smallest is taken, which is nearest to the base. One candidate is on the disk at a time;
`out/model` is the chosen one and `out/sweep.json`, written last, says what was chosen, on what, and by which numbers.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from judge.core.benchmark import Answer, Dataset
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io import files
from judge.io.files import new_folder
from judge.model.weights.adapters import is_adapter
from judge.model.weights.merge import Mixture, merge_weights
from judge.results.estimates import estimates
from judge.results.paired import differences, join_units
from judge.systems import Failed
from judge.systems.transformers_writer import TransformersSettings
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.metrics import METRICS

ABOUT = "sweep.json"
BY = "RA"
SHOWN = tuple(metric for metric in METRICS if metric.headline)
MAX_NEW_TOKENS = 64


@dataclasses.dataclass(frozen=True)
class Sweep:
    """weights: those that are tried, 0 to 1. modules: as of a `Mixture`, the same for all. share: of the pairs, for
    choosing."""

    weights: Sequence[float]
    modules: Mapping[str, float] = dataclasses.field(default_factory=dict)
    share: float = 0.5


@dataclasses.dataclass(frozen=True)
class Asking:
    """How a candidate is asked. dataset: MMVU with its pictures. device, dtype, batch_size: of the model in this
    process; device None for a GPU where there is one."""

    dataset: Dataset
    device: str | None = None
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    batch_size: int = 1
    say: Callable[[str], None] = print

    def verdicts(self, model: Path, indices: Sequence[int]) -> list[Verdict]:
        """What the rule makes of the answers of a model folder to the questions at `indices`. Raises UserError."""
        settings = TransformersSettings(
            model=str(model), device=self.device, dtype=self.dtype, batch_size=self.batch_size,
            max_new_tokens=MAX_NEW_TOKENS,
        )  # fmt: skip
        writer = settings.open()
        questions = BENCHMARK.questions(self.dataset, indices)
        said: dict[int, str | None] = {}
        try:
            for position, text in writer.write_texts([question.parts for question in questions]):
                said[position] = None if isinstance(text, Failed) else text
        finally:
            writer.close()
        answers = [Answer(asked.id, asked.index, said.get(n), Path()) for n, asked in enumerate(questions)]
        found = BENCHMARK.assess(answers, self.dataset, "strict")
        return [verdict for verdict in found if isinstance(verdict, Verdict)]


def choose_weight(base: Path, tuned: Path, out: Path, sweep: Sweep, asking: Asking) -> dict[str, Any]:
    """Try all weights, write `out/model` and `out/sweep.json`, and return what stands in the latter.

    Raises UserError where `out` exists, as `merge_weights` does, for data with too few pairs, and for a weight whose
    pairs all went without a score.
    """
    weights = sorted(set(sweep.weights))
    if not weights:
        raise UserError("no weight to try", fix="give some, for example --weights 0.05 0.25 0.5 1")
    chosen_on, rest = deal_pairs(asking.dataset, sweep.share)
    with new_folder(out) as folder:
        tried: dict[float, dict[str, Any]] = {}
        unscored: dict[str, int] = {}
        for weight in weights:
            with _candidate(base, tuned, folder, Mixture(weight, sweep.modules)) as model:
                verdicts = asking.verdicts(model, chosen_on)
            tried[weight], missing = _numbers(verdicts), _unscored(verdicts)
            unscored[f"{weight:g}"] = missing
            asking.say(f"weight {weight:g}: {_line(tried[weight])}{format_unscored(missing)}")
            if tried[weight][BY]["value"] is None:
                raise UserError(
                    f"weight {weight:g} has no {BY}: {missing} of {len(verdicts)} questions have no score",
                    fix="try a smaller --batch-size, or another --device",
                )
        best = max(weights, key=lambda weight: (tried[weight][BY]["value"], -weight))
        asking.say(f"chosen: {best:g}, by {BY} on {tried[best][BY]['n']} pairs, which flatter it")
        merge = merge_weights(base, tuned, folder / "model", Mixture(best, sweep.modules))
        measured = {"base": asking.verdicts(base, rest), "merged": asking.verdicts(folder / "model", rest)}
        if not is_adapter(tuned):
            measured["tuned"] = asking.verdicts(tuned, rest)
        about = {
            "weight": best,
            "chosen_by": BY,
            "modules": dict(sweep.modules),
            "data": dataclasses.asdict(asking.dataset.source),
            "parts": {"chosen_on": _part(asking.dataset, chosen_on), "rest": _part(asking.dataset, rest)},
            "tried": {f"{weight:g}": found for weight, found in tried.items()},
            "on_the_rest": {name: _numbers(verdicts) for name, verdicts in measured.items()},
            "unscored": {
                "tried": unscored,
                "on_the_rest": {name: _unscored(found) for name, found in measured.items()},
            },
            "merged_minus_base": _compared(measured["base"], measured["merged"]),
            "merge": merge,
        }
        files.write_json(folder / ABOUT, about, indent=2)
    return about


def deal_pairs(dataset: Dataset, share: float) -> tuple[list[int], list[int]]:
    """Indices of the questions to choose on, and of the rest; pairs stay whole. Raises UserError for an empty part."""
    ids: defaultdict[str, set[str]] = defaultdict(set)
    for record in dataset.records:
        ids[record.category].add(record.id)
    first: set[str] = set()
    due = 0.5
    for category in sorted(ids):
        for id_ in sorted(ids[category], key=lambda id_: hashlib.sha256(id_.encode()).hexdigest()):
            due += share
            if due >= 1:
                first.add(id_)
                due -= 1
    parts: tuple[list[int], list[int]] = ([], [])
    for index, record in enumerate(dataset.records):
        parts[record.id not in first].append(index)
    if not all(parts):
        raise UserError(f"a share of {share:g} leaves one of the parts without a pair", fix="give another --share")
    return parts


@contextlib.contextmanager
def _candidate(base: Path, tuned: Path, folder: Path, mixture: Mixture) -> Iterator[Path]:
    """A merged folder for as long as the block lasts."""
    path = folder / "candidate"
    merge_weights(base, tuned, path, mixture)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _numbers(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    found = estimates(SHOWN, verdicts)
    return {name: estimate.to_json() for name, estimate in found.items()}


def _unscored(verdicts: Sequence[Verdict]) -> int:
    """Questions without a score: the model failed at them. They count in no number."""
    return sum(verdict.unscored is not None for verdict in verdicts)


def _part(dataset: Dataset, indices: Sequence[int]) -> dict[str, Any]:
    return {"questions": len(indices), "pairs": sorted({dataset.records[index].id for index in indices})}


def _compared(first: Sequence[Verdict], second: Sequence[Verdict]) -> dict[str, Any]:
    """Second minus first by metric, paired."""
    found: dict[str, Any] = {}
    for metric in SHOWN:
        joint = join_units(metric.units(first), metric.units(second), len(metric.ratio.numerator))
        overall, _ = differences(joint, {metric.name: metric.ratio})
        found |= {name: difference.to_json() for name, difference in overall.items()}
    return found


def _line(numbers: Mapping[str, Any]) -> str:
    return ", ".join(format_number(name, numbers[name]) for name in ("RA", "MR", "POS", "NEG"))


def format_unscored(count: int) -> str:
    """ ", 3 questions unscored", "" for none."""
    return f", {count} questions unscored" if count else ""


def format_number(name: str, estimate: Mapping[str, Any]) -> str:
    """ "RA 57.9 [49.1, 66.2]", or "MR undefined" where there is nothing to count."""
    if estimate["value"] is None:
        return f"{name} undefined"
    return f"{name} {estimate['value']:.1f} [{estimate['ci_low']:.1f}, {estimate['ci_high']:.1f}]"
