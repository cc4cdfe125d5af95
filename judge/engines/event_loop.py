"""An event loop in a thread of its own, for callers that wait.

    with contextlib.closing(EventLoop()) as loop:
        loop.start(one_request()).result()
        for completion in loop.values(all_requests): …

Leaving ends what is under way.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

T = TypeVar("T")
AGAIN_SECONDS = 1.0
"""After which a task that goes on though it was cancelled is cancelled again."""


class EventLoop:
    """Threads may share it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock, self._closed = threading.Lock(), False
        self._thread = threading.Thread(target=self._loop.run_forever, name="judging", daemon=True)
        self._thread.start()

    def start(self, coroutine: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin it. Raises CancelledError once the loop is closed, as does what was under way then."""
        with self._lock:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        coroutine.close()
        raise CancelledError

    def values(self, produce: Callable[[Callable[[T], None]], Coroutine[Any, Any, None]]) -> Iterator[T]:
        """What the coroutine `produce(put)` puts, as it comes, and what it raises."""
        found: queue.SimpleQueue[tuple[T] | None] = queue.SimpleQueue()
        ended = self.start(produce(lambda value: found.put((value,))))
        ended.add_done_callback(lambda _: found.put(None))
        while (item := found.get()) is not None:
            yield item[0]
        ended.result()

    def close(self) -> None:
        """End what is under way, and wait for that."""
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    async def _end(self) -> None:
        this = asyncio.current_task()
        # more than once: up to Python 3.11 a `wait_for` that has just been answered swallows it
        while others := asyncio.all_tasks() - {this}:
            for task in others:
                task.cancel()
            await asyncio.wait(others, timeout=AGAIN_SECONDS)
        await self._loop.shutdown_asyncgens()
        await self._loop.shutdown_default_executor()
