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
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from judge.core.benchmark import Dataset
from judge.harness.lmms_eval.deferred import Item
from judge.harness.lmms_eval.tasks import Tasks
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.demo import demo_dir


def _load(asks: bool) -> Dataset:
    return BENCHMARK.load(images=asks)


def _load_demo(asks: bool) -> Dataset:
    return BENCHMARK.load(demo_dir(), images=asks)


def _slug(category: str) -> str:
    return re.sub(r"\W+", "_", category.lower())


TASKS = Tasks(BENCHMARK, slug=_slug)
mmvu = TASKS.documents("mmvu", _load)
mmvu_robust = TASKS.documents("mmvu_robust", _load)
mmvu_demo = TASKS.documents("mmvu_demo", _load_demo)
doc_to_text = TASKS.doc_to_text
doc_to_visual = TASKS.doc_to_visual
doc_to_messages = TASKS.doc_to_messages
METRICS = TASKS.metric_list()
ASKED = BENCHMARK.asked
"""Into lmms-eval's own results file, so that its samples say how they were asked for."""


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Item]:
    """See `judge.harness.lmms_eval.tasks.Tasks.process_results`. results: one response."""
    return TASKS.process_results(doc, [_as_text(response) for response in results])


def _as_text(response: str) -> str:
    """A replayed list of parts, carried as JSON through lmms-eval, as the texts `mmvu_tasks.benchmark` makes of it."""
    if response.startswith('[{"text": '):
        with contextlib.suppress(ValueError, TypeError, KeyError, RecursionError):
            return "\n".join(part["text"] for part in json.loads(response) if part["text"])
    return response


def doc_to_target(doc: Mapping[str, Any]) -> str:
    """The right letter; only for the samples file."""
    letter: str = TASKS.record(doc).ground_truth
    return letter
