"""Questions that are asked while the checks go on.

asked = Later(lambda: HfApi().whoami())     in a thread, from now on
asked.result(NETWORK_SECONDS)               what it says; TimeoutError so long after it was asked
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

NETWORK_SECONDS = 3.0
"""For all that is asked of the network, from the start of the checks."""


class Later(Generic[T]):
    """The result of a function that runs in a thread of its own, for which nobody waits when the process ends."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function, self._value = function, list[T]()
        self._error: BaseException | None = None
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()

    def _call(self) -> None:
        try:
            self._value.append(self._function())
        except BaseException as error:
            self._error = error

    def result(self, seconds: float = NETWORK_SECONDS) -> T:
        """What the function returned. seconds: from its start. Raises TimeoutError, and what the function raised."""
        self._thread.join(max(0.0, seconds - (time.monotonic() - self._started)))
        if self._error is not None:
            raise self._error
        if not self._value:
            raise TimeoutError(f"no answer in {seconds:g} s")
        return self._value[0]
