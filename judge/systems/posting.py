"""Calls to an OpenAI-compatible endpoint by systems under test: one JSON object there, one back, tried again in reason.

    api = Api("https://openrouter.ai/api/v1", Patience(seconds=300, attempts=4))
    api.post_json("chat/completions", {"model": …, "messages": […]})  ->  {"choices": […]}

The exchanges are those of `judge.engines.endpoints`. What the server refuses is not sent again; what fails is, after a
pause that doubles. An endpoint that takes no connection at all ends the run: what is there already is kept.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

from judge.engines.endpoints import KEY_VARIABLE, Address, Client, Failed, Refused, TooLarge, addresses
from judge.errors import UserError

MOST_BYTES = 96 << 20
"""Of a reply: pictures come inside it, a third larger than they are."""
LONGEST_PAUSE = 60.0

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclasses.dataclass(frozen=True)
class Patience:
    """seconds: for one exchange. attempts: of one question. pause: seconds before the second one."""

    seconds: float = 600.0
    attempts: int = 5
    pause: float = 1.0


BLOCKED = ("content_policy", "content_filter", "content policy", "safety", "moderation", "flagged", "responsibleai")
"""Words by which endpoints say that a filter refused a request (OpenAI, Azure, OpenRouter, Google)."""
_OF_A_FIELD = re.compile(r"\bextra inputs\b|\b(?:unknown|unrecognized|unsupported|unexpected|invalid)\W+(?:\w+\W+)?"
                         r"(?:parameter|field|name|argument|value|key)\b", re.IGNORECASE)  # fmt: skip
"""How they say that a field of the request is wrong, which may be called `moderation` or `safety_settings`."""


class NoAnswer(Exception):  # noqa: N818 - an outcome that becomes a failure of one question
    """No answer to this question. refused: the server will not take it, and sending it again changes nothing.

    reason: of `judge.core.failure`: "call_failed"; the model's where a filter refuses ("empty_answer") or the reply is
    too large ("image_undecodable").
    """

    def __init__(self, message: str, *, refused: bool = False, reason: str = "call_failed") -> None:
        super().__init__(message)
        self.refused, self.reason = refused, reason


class Api:
    """One endpoint; threads may share it. Raises UserError for what is no address."""

    def __init__(self, address: str, patience: Patience, at_once: int = 8, key_variable: str = KEY_VARIABLE) -> None:
        """key_variable: of the environment, whose value is the bearer token."""
        self._address, self._patience, self._key = only_address(address), patience, key_variable
        self._client = Client(self._address, patience.seconds, at_once, key_variable, MOST_BYTES)
        self._closed = threading.Event()

    def close(self) -> None:
        """End what is under way, and let the connections go."""
        self._closed.set()
        self._client.close()

    def post_json(self, page: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The reply to `body`. Raises NoAnswer, and UserError where no question can be answered there."""
        for attempt in itertools.count(1):
            try:
                return self._client.post(page, body)
            except Refused as refused:
                if _is_of_a_filter(refused):
                    message = f"a safety filter refused the request: {refused}"
                    raise NoAnswer(message, refused=True, reason="empty_answer") from None
                if refused.of_the_endpoint:
                    fix = f"mend address, model or ${self._key}, then give the same command: it goes on from here"
                    raise UserError(f"{self._address} says {refused}", fix=fix) from None
                raise NoAnswer(str(refused), refused=True) from None
            except TooLarge as failed:
                raise NoAnswer(str(failed), reason="image_undecodable") from None
            except Failed as failed:
                if self._closed.is_set():  # nobody waits for it any more
                    raise NoAnswer(str(failed)) from None
                if attempt == self._patience.attempts:
                    if not failed.reached:
                        fix = "start it, then give the same command: it goes on from here"
                        raise UserError(f"{self._address}: {failed}", fix=fix) from None
                    raise NoAnswer(f"{failed} ({attempt} attempts)") from None
                pause = self._patience.pause * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
                self._closed.wait(min(LONGEST_PAUSE, max(pause, failed.wait or 0.0)))
        raise AssertionError


def _is_of_a_filter(refused: Refused) -> bool:
    """Whether a filter refused what the question says; a wrong key, model, page or field is no answer of a model."""
    said = str(refused).lower()
    of_the_question = refused.status not in (401, 404, 405) and _OF_A_FIELD.search(said) is None
    return of_the_question and any(word in said for word in BLOCKED)


def only_address(text: str) -> Address:
    """The one address in `text`. Raises UserError."""
    found = addresses(text)
    if len(found) != 1:
        raise UserError(f"{len(found)} addresses", field="address", fix="give one: http://HOST:PORT/v1")
    return found[0]


def at_the_same_time(
    items: Sequence[Item], at_once: int, call: Callable[[Item], Result]
) -> Iterator[tuple[int, Result, float]]:
    """(position, result, seconds) as they come, `at_once` under way. An exception of `call` ends it."""

    def timed(item: Item) -> tuple[Result, float]:
        began = time.monotonic()
        return call(item), time.monotonic() - began

    pool = ThreadPoolExecutor(at_once)
    waiting = iter(enumerate(items))
    under_way: dict[Future[tuple[Result, float]], int] = {}
    try:
        while True:
            for position, item in itertools.islice(waiting, at_once - len(under_way)):
                under_way[pool.submit(timed, item)] = position
            if not under_way:
                return
            done, _ = wait(under_way, return_when=FIRST_COMPLETED)
            for future in done:
                yield under_way.pop(future), *future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
