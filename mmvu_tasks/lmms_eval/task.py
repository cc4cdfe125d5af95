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
from judge.errors import UserError
from judge.harness.lmms_eval.deferred import Item
from judge.harness.lmms_eval.tasks import Refusal, Tasks
from mmvu_tasks import prompts
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.demo import demo_dir
from mmvu_tasks.location import open_image


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
METRICS = TASKS.metric_list()


def process_results(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, Item]:
    """See `judge.harness.lmms_eval.tasks.Tasks.process_results`. results: one response."""
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
    """The one picture, opened, RGB. Ends the run where it cannot be had."""
    return [_image(doc)]


def doc_to_messages(doc: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For chat models: one user turn, picture first. Ends the run where the picture cannot be had."""
    return prompts.messages(TASKS.record(doc), _image(doc))


def doc_to_target(doc: Mapping[str, Any]) -> str:
    """The right letter; only for the samples file."""
    letter: str = TASKS.record(doc).ground_truth
    return letter


def _image(doc: Mapping[str, Any]) -> Any:
    root = TASKS.image_root(doc)
    assert root is not None  # None only for a model that does not look
    try:
        return open_image(root, TASKS.record(doc))
    except UserError as error:
        raise Refusal(error) from None
