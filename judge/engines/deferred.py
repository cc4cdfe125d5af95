"""A judge that is loaded when it is first asked something: where nothing is left to judge, it never is.

engine = DeferredEngine(found.identity, lambda: load_found(found))
engine.identity             known from the judge's files
engine.complete([])         asks nothing, loads nothing
engine.complete(prompts)    loads, then judges
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from judge.engines import Completion, Engine, Prompt
from judge.model.counters import Counters


class DeferredEngine:
    """See the module, and `judge.engines.Engine`."""

    reads = True

    def __init__(self, identity: Mapping[str, str], load: Callable[[], Engine]) -> None:
        """identity: that of the engine that `load` gives."""
        self._identity, self._load = dict(identity), load
        self._engine: Engine | None = None

    @property
    def identity(self) -> Mapping[str, str]:
        """Of the judge, which need not be loaded for it."""
        return self._identity

    def load(self) -> Engine:
        """The judge, loaded unless it is. Raises what that raises."""
        if self._engine is None:
            self._engine = self._load()
        return self._engine

    @property
    def counters(self) -> Counters:
        """What was done so far."""
        found = getattr(self._engine, "counters", None)
        return found if isinstance(found, Counters) else Counters()

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """As of the judge. Raises what loading it raises."""
        if prompts:
            yield from self.load().complete(prompts)
