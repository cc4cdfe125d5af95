"""What the task files of this folder name: how MMVU is asked in lmms-eval, and the rows of its table.

    |Tasks|Version|Metric   |Value  |   |Stderr_CLT|
    |mmvu |1      |MR       |35.2941|↓  |11.9478   |
    |     |       |NEG      |62.5000|↑  |10.0947   |
    |     |       |RA       |45.8333|↑  |10.3892   |
    |     |       |RA_shape |50.0000|↑  |50.0000   |

All in percent. RA, MR, POS and NEG as in `mmvu_tasks.metrics`, RA and MR also per category, the first four also under
the reference extraction; `unscored` is the percentage of absent answers. Standard errors are over whole pairs for RA,
over pairs whose positive question is right for MR, over questions for POS and NEG.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.benchmark import Dataset
from judge.core.verdict import Verdict
from judge.errors import UserError
from judge.harness.lmms_eval.deferred import Item
from judge.harness.lmms_eval.tasks import Refusal, Row, Tasks, Units, unscored_row
from mmvu_tasks import prompts
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.demo import demo_dir
from mmvu_tasks.location import open_image
from mmvu_tasks.metrics import HEADLINE, REFERENCE
from mmvu_tasks.pairs import half_of, join
from mmvu_tasks.records import TYPES, Record


def _pairs(metric: str, reference: bool) -> Units:
    """RA: every whole pair, 100 if both halves are right. MR: every pair right or misled, 100 if misled."""
    counted = {"RA": ("PP", "PN", "NP", "NN"), "MR": ("PP", "PN")}[metric]
    hit = {"RA": "PP", "MR": "PN"}[metric]

    def units(verdicts: Sequence[Verdict]) -> dict[int, float]:
        first: dict[str, int] = {}
        for position, verdict in enumerate(verdicts):
            first.setdefault(verdict.id, position)
        outcomes = {pair.id: pair.outcome(reference=reference) for pair in join(verdicts).pairs}
        return {first[name]: 100.0 * (outcome == hit) for name, outcome in outcomes.items() if outcome in counted}

    return units


def _questions(question_type: str, reference: bool) -> Units:
    """Every scored question of a type, 100 if right."""

    def units(verdicts: Sequence[Verdict]) -> dict[int, float]:
        halves = {i: half_of(verdict) for i, verdict in enumerate(verdicts) if verdict.score is not None}
        return {
            position: 100.0 * (half.right_reference if reference else half.right)
            for position, half in halves.items()
            if half.question_type == question_type
        }

    return units


def _row(name: str, *, reference: bool = False, category: str | None = None) -> Row:
    metric = name + REFERENCE * reference
    slug = "_" + re.sub(r"\W+", "_", category.lower()) if category else ""
    if name in TYPES:
        only = functools.partial(_is_of, name)
        return Row(metric, metric, _questions(name, reference), category, only)
    return Row(metric + slug, metric, _pairs(name, reference), category, higher_is_better=name != "MR")


def _is_of(question_type: str, record: Record) -> bool:
    return record.question_type == question_type


def _load(asks: bool) -> Dataset:
    return BENCHMARK.load(images=asks)


def _load_demo(asks: bool) -> Dataset:
    return BENCHMARK.load(demo_dir(), images=asks)


TASKS = Tasks(
    BENCHMARK,
    (
        *(_row(name) for name in HEADLINE),
        *(_row(name, reference=True) for name in HEADLINE),
        *(_row(name, category=category) for category in BENCHMARK.categories for name in ("RA", "MR")),
        unscored_row(),
    ),
)
mmvu = TASKS.documents("mmvu", _load)
mmvu_robust = TASKS.documents("mmvu_robust", _load)
mmvu_demo = TASKS.documents("mmvu_demo", _load_demo)
METRICS = TASKS.metric_list()


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Item]:
    return TASKS.process_results(doc, [_as_text(response) for response in results])


def _as_text(response: str) -> str:
    """A replayed list of parts, carried as JSON through lmms-eval, as the texts `mmvu_tasks.benchmark` makes of it."""
    if response.startswith('[{"text": '):
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            return "\n".join(part["text"] for part in json.loads(response) if part["text"])
    return response


def doc_to_text(doc: Mapping[str, Any]) -> str:
    """For models that take text and pictures apart; they put the one picture first."""
    return prompts.text(TASKS.record(doc))


def doc_to_visual(doc: Mapping[str, Any]) -> list[Any]:
    return [_image(doc)]


def doc_to_messages(doc: Mapping[str, Any]) -> list[dict[str, Any]]:
    return prompts.messages(TASKS.record(doc), _image(doc))


def doc_to_target(doc: Mapping[str, Any]) -> str:
    letter: str = TASKS.record(doc).ground_truth
    return letter


def _image(doc: Mapping[str, Any]) -> Any:
    root = TASKS.image_root(doc)
    assert root is not None  # None only for a model that does not look
    try:
        return open_image(root, TASKS.record(doc))
    except UserError as error:
        raise Refusal(error) from None
