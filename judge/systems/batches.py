"""Work in batches on a model in this process, where one bad item must not cost the others of its batch.

    for position, result, seconds in in_batches(prompts, 8, generate, by="writer", fix="try batch_size = 1"):
        ...     # result: what `generate` gave for this prompt, or Failed("call_failed", "RuntimeError: …", by="writer")
                # seconds: its share of its batch's time

A batch that raises is done again one by one. A model that fails at everything from the start is broken, not unlucky:
that is a UserError, so that nobody waits for a thousand failures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from judge.core.foreign_text import described
from judge.errors import UserError
from judge.systems import By, Failed

Item = TypeVar("Item")
Result = TypeVar("Result")

FIRST_FAILURES = 3
"""In a row before anything succeeded."""


def in_batches(
    items: Sequence[Item], size: int, work: Callable[[Sequence[Item]], Sequence[Result]], *, by: By, fix: str
) -> Iterator[tuple[int, Result | Failed, float]]:
    """(position, result, seconds) of every item, in order. work: a result for each item of a batch; may raise.

    fix: what the user can do where nothing succeeds. Raises UserError.
    """
    succeeded, failed = False, 0
    for start in range(0, len(items), size):
        batch, began = items[start : start + size], time.monotonic()
        try:
            results: Sequence[Result | Failed] = work(batch)
        except Exception as error:
            results = [_failure(error, by)] if len(batch) == 1 else [_alone(item, work, by) for item in batch]
        seconds = (time.monotonic() - began) / len(batch)
        for position, result in enumerate(results, start):
            if not isinstance(result, Failed) or result.side == "model":
                succeeded = True
            elif not succeeded:
                failed += 1
                if failed == FIRST_FAILURES:
                    raise UserError(f"the {by} failed at the first {failed}: {result.note}", fix=fix)
            yield position, result, seconds


def _alone(item: Item, work: Callable[[Sequence[Item]], Sequence[Result]], by: By) -> Result | Failed:
    try:
        return work([item])[0]
    except Exception as error:
        return _failure(error, by)


def _failure(error: Exception, by: By) -> Failed:
    return Failed("call_failed", described(error), by)
