"""Answers wait, and are decided together when somebody first needs a verdict.

lmms-eval scores a document at a time, in threads, right after generation. A judge wants many answers at once and the
device for itself. So `process_results` only adds the answer to a queue and returns an `Item`, a dict that fills itself

    {"task": "mmie", "verdict": {"id": "PBL-2896694", "by": "judge", "score": 4, …}}

when it is pickled or asked to. Pickling is how lmms-eval gathers samples and metric items from the other ranks, so
every rank judges its own shard, on its own device, before anything leaves it; with one rank the aggregation asks.
Measured against lmms-eval 0.7.3: `evaluator.py` gathers (:1402-1498) before it aggregates (:1507).
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from judge.core.benchmark import Answer
from judge.core.verdict import Verdict


@dataclasses.dataclass
class Pending:
    """An answer, and its verdict once the queue was flushed."""

    answer: Answer
    verdict: Verdict | None = None


class Queue:
    """Answers of one task in this process. Threads may share it.

    decide: one verdict for every answer, in order; never raises; is given no question twice in one call.
    """

    def __init__(self, decide: Callable[[Sequence[Answer]], Sequence[Verdict]]) -> None:
        self._decide = decide
        self._lock = threading.Lock()
        self._known: dict[tuple[int | None, str], Pending] = {}
        self._waiting: list[Pending] = []

    def add(self, answer: Answer) -> Pending:
        """Queue an answer; the same answer to the same question is decided once (with repeats lmms-eval asks again)."""
        with self._lock:
            pending = self._known.setdefault((answer.index, str(answer.response)), Pending(answer))
            if pending.answer is answer:
                self._waiting.append(pending)
            return pending

    def flush(self) -> None:
        """Decide everything that waits."""
        with self._lock:
            while self._waiting:
                first: dict[int | None, Pending] = {}
                for pending in self._waiting:
                    first.setdefault(pending.answer.index, pending)
                batch = list(first.values())
                for pending, verdict in zip(batch, self._decide([p.answer for p in batch]), strict=True):
                    pending.verdict = verdict
                self._waiting = [pending for pending in self._waiting if pending.verdict is None]


class Item(dict[str, Any]):
    """What a metric gets for one document. brief: without what only a reader of the samples wants (feedback)."""

    def __init__(self, task: str, queue: Queue, pending: Pending, *, brief: bool) -> None:
        super().__init__(task=task)
        self._queue, self._pending, self._brief = queue, pending, brief

    def resolve(self) -> None:
        """Fill in the verdict; whatever waits in the queue is decided with it."""
        if "verdict" in self:
            return
        if self._pending.verdict is None:
            self._queue.flush()
        assert self._pending.verdict is not None
        row = self._pending.verdict.to_json()
        if self._brief:
            for name in ("feedback", "score_probs", "expected", "entropy", "key"):
                row.pop(name, None)
        else:
            answer = self._pending.answer
            self["answer"] = {"id": answer.id, "index": answer.index, "response": answer.response}
        self["verdict"] = row

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        self.resolve()
        return dict, (dict(self),)


def verdicts(items: Sequence[dict[str, Any]]) -> list[Verdict]:
    """The verdicts of items, whether they are still to be decided here or came from another rank."""
    for item in items:
        if isinstance(item, Item):
            item.resolve()
    return [Verdict.from_json(item["verdict"]) for item in items]


def answers(items: Sequence[dict[str, Any]], image_root: Path) -> list[Answer]:
    """The answers that resolved items are about, where these are not brief."""
    return [Answer(**item["answer"], image_root=image_root) for item in items if "answer" in item]
