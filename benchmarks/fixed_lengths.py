"""The engine's generator with the end token switched off: every answer has the length it is given.

generator = FixedLengths(engine, cache_tokens, lengths={0: 200, 1: 180})
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from judge.engines.local import LocalEngine
from judge.model import generate

NEVER = -1
"""A stop token that no model gives."""


class FixedLengths(generate.Generator):
    """lengths: new tokens for each key. The engine's own limit of new tokens holds as well."""

    def __init__(self, engine: LocalEngine, cache_tokens: int, lengths: Mapping[int, int]) -> None:
        params = generate.DecodingParams(NEVER, engine.max_new_tokens)
        super().__init__(engine.model, params, cache_tokens=cache_tokens, counters=engine.counters)
        self.lengths = lengths

    def _choose_tokens(self, sequences: Any, logits: Any) -> Any:
        finished, best = super()._choose_tokens(sequences, logits)
        done = {key for key, _ in finished}
        enough = [s for s in sequences if s.key not in done and len(s.new) >= self.lengths[s.key]]
        return [*finished, *((s.key, s.generated(False)) for s in enough)], best


class Clock:
    """The times of one run of the engine.

    steps: of every decode step seconds, sequences, and tokens they had cached; launches: seconds the host took for
    each; first: when the first tokens were known, by `time.perf_counter`.
    """

    def __init__(self, lengths: Mapping[int, int]) -> None:
        self.lengths = lengths
        self.steps: list[tuple[float, int, int]] = []
        self.launches: list[float] = []
        self.first: float | None = None

    def generator(self, engine: LocalEngine, tokens: int) -> generate.Generator:
        """What the engine is to use instead of its own, with a cache of so many tokens."""
        return TimedGenerator(engine, tokens, self)


class TimedGenerator(FixedLengths):
    """Keeps the time of each pass on a clock."""

    def __init__(self, engine: LocalEngine, cache_tokens: int, clock: Clock) -> None:
        super().__init__(engine, cache_tokens, clock.lengths)
        self.clock = clock

    def _choose_tokens(self, sequences: Any, logits: Any) -> Any:
        found = super()._choose_tokens(sequences, logits)
        self.clock.first = self.clock.first or time.perf_counter()
        return found

    def _decode(self, sequences: Any) -> Any:
        start = time.perf_counter()
        logits = super()._decode(sequences)
        self.clock.launches.append(time.perf_counter() - start)
        return logits

    def step(self, max_num_seqs: int | None = None) -> Any:
        """As of `generate.Generator`."""
        before = len(self._running), sum(sequence.cached + 1 for sequence in self._running)
        start = time.perf_counter()
        finished = super().step(max_num_seqs)  # ends by waiting for the tokens
        self.clock.steps.append((time.perf_counter() - start, *before))
        return finished
