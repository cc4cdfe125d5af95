"""Answers wait, and are decided together when somebody first needs a verdict.

lmms-eval scores a document at a time, in threads, right after generation. A judge wants many answers at once and the
device for itself. So `process_results` only adds the answer to a queue and returns an `Item`, a dict that fills itself

    {"task": "mmie", "verdict": {"id": "PBL-2896694", "by": "judge", "score": 4, …}}
    {"task": "mmie", "verdicts": [{…}, {…}, {…}]}                                       with `--repeats 3`

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
    """What a metric gets for one document. brief: without what only a reader of the samples wants (feedback).

    pendings: the answers to it, one for every time it was asked; of several there are "verdicts" and "answers".
    """

    def __init__(self, task: str, queue: Queue, *pendings: Pending, brief: bool) -> None:
        super().__init__(task=task)
        self._queue, self._pendings, self._brief = queue, pendings, brief

    def resolve(self) -> None:
        """Fill in the verdicts; whatever waits in the queue is decided with them."""
        if self.keys() & {"verdict", "verdicts"}:
            return
        if any(pending.verdict is None for pending in self._pendings):
            self._queue.flush()
        if not self._brief:
            self._fill("answer", [_answer(pending.answer) for pending in self._pendings])
        self._fill("verdict", [self._row(pending) for pending in self._pendings])

    def _fill(self, name: str, rows: list[dict[str, Any]]) -> None:
        self |= {name: rows[0]} if len(rows) == 1 else {f"{name}s": rows}

    def _row(self, pending: Pending) -> dict[str, Any]:
        assert pending.verdict is not None
        row = pending.verdict.to_json()
        if self._brief:
            for name in ("feedback", "score_probs", "expected", "entropy", "key"):
                row.pop(name, None)
            row.get("details", {}).pop("info", None)
        return row

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        self.resolve()
        return dict, (dict(self),)


def _answer(answer: Answer) -> dict[str, Any]:
    return {"id": answer.id, "index": answer.index, "response": answer.response}


def verdicts(items: Sequence[dict[str, Any]]) -> list[list[Verdict]]:
    """The verdicts of items, whether they are still to be decided here or came from another rank; a list in the order
    of the items for every time that the questions were asked."""
    for item in items:
        if isinstance(item, Item):
            item.resolve()
    return [[Verdict.from_json(row) for row in rows] for rows in _by_repeat(items, "verdict")]


def answers(items: Sequence[dict[str, Any]], image_root: Path) -> list[list[Answer]]:
    """The answers that resolved items are about, as `verdicts`; [] where they are brief."""
    return [[Answer(**row, image_root=image_root) for row in rows] for rows in _by_repeat(items, "answer")]


def _by_repeat(items: Sequence[dict[str, Any]], name: str) -> list[tuple[dict[str, Any], ...]]:
    """Raises ValueError where items were asked more or less often than others."""
    every = [item.get(f"{name}s") or [item[name]] for item in items if item.keys() & {name, f"{name}s"}]
    return list(zip(*every, strict=True))
