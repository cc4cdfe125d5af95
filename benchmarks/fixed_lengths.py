"""The engine's generator with the end token switched off: every answer has the length it is given.

generator = FixedLengths(engine, cache_tokens, lengths={0: 200, 1: 180})
"""

from __future__ import annotations

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
