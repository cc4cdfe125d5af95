"""What the task files of this folder name: how MMIE is asked in lmms-eval, and the rows of its table.

    |Tasks|Version|Metric   |Value  |   |Stderr_CLT|
    |mmie |1      |mean     | 3.9167|   |0.4167    |
    |     |       |score    |65.2778|   |6.9444    |
    |     |       |score_PBL|72.2222|   |9.6225    |

`score` (0-100) and `mean` (0-6) are over the scored answers; `unscored` is the percentage of the others.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from judge.core.benchmark import Dataset
from judge.harness.lmms_eval.tasks import Tasks
from judge.harness.session import say
from judge.io.image_paths import ImageRefused
from judge.model.images import decode_image, read_image_size
from mmie_tasks import prompts
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir, judge_dir
from mmie_tasks.judging import locate
from mmie_tasks.records import Part, Record


def _load(asks: bool) -> Dataset:
    return BENCHMARK.load(images=asks)


def _load_demo(asks: bool) -> Dataset:
    return BENCHMARK.load(demo_dir(), images=asks)


TASKS = Tasks(BENCHMARK)
mmie = TASKS.documents("mmie", _load)
mmie_score = TASKS.documents("mmie_score", _load)
mmie_demo = TASKS.documents("mmie_demo", _load_demo, judge=str(judge_dir()))
process_results = TASKS.process_results
METRICS = TASKS.metric_list()


def doc_to_text(doc: Mapping[str, Any], lmms_eval_specific_kwargs: Mapping[str, Any] | None = None) -> str:
    """For models that take text and pictures apart: one `<image>` for each picture of `doc_to_visual`."""
    return prompts.text(_asked(TASKS.record(doc), TASKS.image_root(doc)))


def doc_to_visual(doc: Mapping[str, Any]) -> list[Any]:
    """The opened pictures of the question, RGB, in the order of the placeholders of `doc_to_text`."""
    root = TASKS.image_root(doc)
    return [_open(name, root) for name in prompts.visuals(_asked(TASKS.record(doc), root))]


def doc_to_messages(
    doc: Mapping[str, Any], lmms_eval_specific_kwargs: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """For chat models: text and pictures in their order.

    lmms_eval_specific_kwargs: "needs_picture" for a model class that fails at a message without one; a question
    without pictures (none of the 20,103, one of the demo's) is then sent with a blank one in front.
    """
    root = TASKS.image_root(doc)
    messages = prompts.messages(_asked(TASKS.record(doc), root))
    pictures = [part for message in messages for part in message["content"] if part["type"] == "image"]
    for part in pictures:
        part["url"] = _open(part["url"], root)
    if not pictures and (lmms_eval_specific_kwargs or {}).get("needs_picture"):
        messages[0]["content"].insert(0, {"type": "image", "url": Image.new("RGB", (64, 64), "white")})
    return messages


def doc_to_target(doc: Mapping[str, Any]) -> str:
    """The text of the reference answer; only for the samples file."""
    return "\n".join(part.text for part in TASKS.record(doc).answer if part.text)


def _open(name: str, root: Path | None) -> Any:
    assert root is not None
    return decode_image(locate(name, root, linked=True).path)


@functools.lru_cache(maxsize=65_536)
def _asked(record: Record, root: Path | None) -> Record:
    """`record` without the pictures that are not to be had: text and pictures must count the same. root: see `Tasks`.

    That the answer is unscored for it (or scored without, in the reference profile) is decided where it is judged.
    """
    if root is None:
        return record
    parts = []
    for part in record.question:
        try:
            if part.image is not None:
                read_image_size(locate(part.image, root, linked=True).path)
        except ImageRefused as refused:
            say(f"mmjudge: {record.id} is asked without a picture: {refused.message}")
            part = Part(part.text, None)
        parts.append(part)
    return dataclasses.replace(record, question=tuple(parts))
