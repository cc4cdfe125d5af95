"""What the task files of this folder name: how MMIE is asked in lmms-eval, and the rows of its table.

    |Tasks|Version|Metric   |Value  |   |Stderr_CLT|
    |mmie |1      |mean     | 3.9167|   |0.4167    |
    |     |       |score    |65.2778|   |6.9444    |
    |     |       |score_PBL|72.2222|   |9.6225    |

`score` (0-100) and `mean` (0-6) are over the scored answers; `unscored` is the percentage of the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from judge.core.benchmark import Dataset
from judge.harness.lmms_eval.tasks import Tasks
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir, judge_dir


def _load(asks: bool) -> Dataset:
    return BENCHMARK.load(images=asks)


def _load_1k(asks: bool) -> Dataset:
    return BENCHMARK.take_subset(BENCHMARK.load(images=asks), "1k")


def _load_demo(asks: bool) -> Dataset:
    return BENCHMARK.load(demo_dir(), images=asks)


TASKS = Tasks(BENCHMARK)
mmie = TASKS.documents("mmie", _load)
mmie_score = TASKS.documents("mmie_score", _load)
mmie_1k = TASKS.documents("mmie_1k", _load_1k)
mmie_demo = TASKS.documents("mmie_demo", _load_demo, judge=str(judge_dir()))
doc_to_text = TASKS.doc_to_text
doc_to_visual = TASKS.doc_to_visual
doc_to_messages = TASKS.doc_to_messages
process_results = TASKS.process_results
METRICS = TASKS.metric_list()
ASKED = BENCHMARK.asked
"""Into lmms-eval's own results file, so that its samples say how they were asked for."""


def doc_to_target(doc: Mapping[str, Any]) -> str:
    """The text of the reference answer; only for the samples file."""
    return "\n".join(part.text for part in TASKS.record(doc).answer if part.text)
