"""A loop that others wait for: what it gives, what it raises, and that nothing outlives it."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import CancelledError

import pytest

from judge.engines import event_loop
from judge.engines.event_loop import EventLoop


async def count(put, most: int) -> None:
    for number in range(most):
        put(number)
        await asyncio.sleep(0)
    if most > 3:
        raise ValueError("more than three")


def test_values_come_in_order_and_an_error_after_them():
    with contextlib.closing(EventLoop()) as loop:
        assert list(loop.values(lambda put: count(put, 3))) == [0, 1, 2]
        values = loop.values(lambda put: count(put, 4))
        assert [next(values) for _ in range(4)] == [0, 1, 2, 3]
        with pytest.raises(ValueError, match="more than three"):
            next(values)


def test_closing_ends_what_is_under_way_and_what_comes_later():
    ended = []

    async def wait() -> None:
        try:
            await asyncio.sleep(600)
        finally:
            ended.append(True)

    loop = EventLoop()
    under_way = loop.start(wait())
    loop.start(asyncio.sleep(0)).result()
    loop.close()
    with pytest.raises(CancelledError):
        under_way.result()
    assert ended == [True]
    assert not loop._thread.is_alive()
    with pytest.raises(CancelledError):
        loop.start(wait())
    loop.close()


def test_closing_ends_what_swallows_that_it_is_cancelled(monkeypatch):
    """As `asyncio.wait_for` does up to Python 3.11 where the answer has just come."""
    monkeypatch.setattr(event_loop, "AGAIN_SECONDS", 0.01)
    swallowed = []

    async def wait() -> None:
        while True:
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                swallowed.append(True)
                if len(swallowed) == 3:
                    raise

    loop = EventLoop()
    loop.start(wait())
    loop.start(asyncio.sleep(0)).result()
    loop.close()
    assert len(swallowed) == 3
