"""Which answers are scored, and in which order an annotator meets them.

    items, left_out = collect_items(benchmark, [("anole-7b", Path("anole.jsonl")), …], data=None)
    order_items(items, annotator="a1", seed=0)     # another annotator has another order, the same one every time

An answer is shown as it is put to the judge, by the profile `strict`: what the judge would not be asked about (nothing
in the answer, a picture that is not there) nobody needs to score, and it is left out with its reason.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from judge.core.benchmark import Benchmark, Dataset
from judge.core.request import Request
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.io import responses


@dataclasses.dataclass(frozen=True)
class Item:
    """One answer to be scored: what its judge is asked, and who gave it."""

    model: str
    request: Request

    @property
    def key(self) -> tuple[str, str]:
        """id and model."""
        return self.request.id, self.model


def collect_items(
    benchmark: Benchmark,
    files: Sequence[tuple[str, Path]],
    *,
    data: Path | None = None,
    image_root: Path | None = None,
) -> tuple[list[Item], list[tuple[str, Verdict]]]:
    """The answers in `files`, (model, file), and (model, why) for those left out. Raises UserError."""
    if not benchmark.judged:
        raise UserError(f"{benchmark.name} is decided by rules: there is nothing to score by hand")
    items: list[Item] = []
    left_out: list[tuple[str, Verdict]] = []
    dataset: Dataset | None = None
    for model, file in files:
        answers = responses.read_responses(file, image_root)
        if dataset is None and (data is not None or any(answer.record is None for answer in answers)):
            dataset = benchmark.load(data)
        for item in benchmark.assess(answers, dataset, "strict"):
            if isinstance(item, Request):
                items.append(Item(model, item))
            else:
                left_out.append((model, item))
    if not items:
        reasons = ", ".join(sorted({verdict.reason or "" for _, verdict in left_out}))
        raise UserError(f"no answer can be scored ({reasons})", file=files[0][1])
    return items, left_out


def order_items(items: Sequence[Item], annotator: str, seed: int) -> list[Item]:
    """Shuffled: sorted by a hash, so that answers which are added later change nobody's order of the others."""
    return sorted(items, key=lambda item: _hash(seed, annotator, *item.key))


def draw_items(items: Sequence[Item], n: int, seed: int) -> list[Item]:
    """n of the items, the same for every annotator: from every model and category alike, as far as they go."""
    groups: dict[tuple[str, str], list[Item]] = {}
    for item in sorted(items, key=lambda item: _hash(seed, *item.key)):
        groups.setdefault((item.model, item.request.category), []).append(item)
    # the first of every group, then the second of every group, …
    rounds = [(turn, _hash(seed, *group), item) for group, of in groups.items() for turn, item in enumerate(of)]
    return [item for _, _, item in sorted(rounds, key=lambda entry: entry[:2])[:n]]


def _hash(*parts: object) -> bytes:
    return hashlib.sha256(json.dumps(parts).encode("ascii")).digest()
