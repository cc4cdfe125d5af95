"""In which order prompts are judged, and how the device is kept full: planned from headers, refilled at every step.

    plan(prompts, layout)     ->  [Planned(number=17, tiles=39, tokens=10_890), …]  longest first, no picture decoded
    Schedule(planned, …).run()  yields (17, Completion(…)) as prompts are done

Prompts are admitted in that order while the cache has room for all they may write (`judge.model.cache`), read together
up to `MAX_BATCHED_TOKENS`, and written one token a step; what a finished one leaves is given to the next before the
following step. Pictures are decoded and cut into tiles ahead of that by threads, in the same order, within a number of
bytes: Pillow and numpy do that work without the interpreter's lock (`benchmarks/preprocessing.py`). What is judged
together depends on the prompts and the budget alone, never on how fast anything was.

Out of memory: everything under way is put back, the budget is halved, and it goes on; only a prompt that does not fit
alone fails. Any other error: those it may come from are judged again one by one, and the one it comes from fails.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from judge.core.request import Picture
from judge.engines import Completion, Prompt
from judge.io.image_paths import ImageRefused
from judge.model import generate, images
from judge.model.counters import Counters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from judge.model.weights.original_layout import Layout

CHARACTERS_A_TOKEN = 3
"""Of English and code in a Llama vocabulary, roughly: good enough to put like beside like."""

THREADS = 4
"""That cut pictures. One GPU takes some eight pictures a second, a core cuts thirty."""

BYTES_AHEAD = 256 << 20
"""Of tiles that are ready and not read yet: ten prompts of three photographs."""
PROMPTS_AHEAD = 64


@dataclasses.dataclass(frozen=True)
class Planned:
    """A prompt to come. number: its position in the caller's list; tiles: of all its pictures; tokens: predicted."""

    number: int
    tiles: int
    tokens: int


@dataclasses.dataclass(frozen=True)
class Ready:
    """A prompt with its pictures cut into tiles."""

    number: int
    row: generate.ModelInput


def plan(
    prompts: Sequence[Prompt], described: Layout, max_tiles: int
) -> tuple[list[Planned], list[tuple[int, Completion]]]:
    """Prompts in the order they are judged, and those that need not be: a header says their picture is refused.

    Longest first: what does not fit is found out early, and the last to finish are short ones.
    """

    def look(numbered: tuple[int, Prompt]) -> Planned | tuple[int, Completion]:
        number, prompt = numbered
        try:
            sizes = [images.read_image_size(piece.path) for piece in prompt.pieces if isinstance(piece, Picture)]
        except ImageRefused as refused:
            return number, Completion(None, unscored=refused.reason, note=refused.message)
        tiles = sum(images.count_tiles(*size, size=described.tile_size, max_num=max_tiles) for size in sizes)
        characters = sum(len(piece.text) for piece in prompt.pieces if not isinstance(piece, Picture))
        tokens = characters // CHARACTERS_A_TOKEN + tiles * described.tokens_per_tile + 2 * len(sizes)
        return Planned(number, tiles, tokens)

    with ThreadPoolExecutor(THREADS) as pool:  # for folders on a network
        found = list(pool.map(look, enumerate(prompts)))
    planned = [item for item in found if isinstance(item, Planned)]
    planned.sort(key=lambda item: (-item.tokens, item.number))
    return planned, [item for item in found if not isinstance(item, Planned)]


class Schedule:
    """See the module; for one run.

    prepare: a prompt made ready, or why it cannot be; called by `THREADS` threads at once. generator: a new one with so
    many places. finish: what a generated text is to the caller. budget: tokens cached at once; most: prompts judged at
    once, None: as many as fit. `budget` is lower afterwards where memory ran out.
    """

    def __init__(
        self,
        planned: Sequence[Planned],
        prepare: Callable[[Planned], Ready | Completion],
        generator: Callable[[int], generate.Generator],
        finish: Callable[[generate.Generated], Completion],
        *,
        tile_bytes: int,
        max_new_tokens: int,
        budget: int,
        most: int | None = None,
        counters: Counters | None = None,
    ) -> None:
        self.budget, self._counters = budget, counters or Counters()
        self._prepare, self._make, self._finish = prepare, generator, finish
        self._tile_bytes, self._max_new_tokens, self._most = tile_bytes, max_new_tokens, most
        self._waiting = deque(planned)
        self._planned = {item.number: item for item in planned}
        self._upcoming: deque[tuple[Planned, Future[Ready | Completion]]] = deque()
        self._again: deque[int] = deque()
        self._alone: set[int] = set()
        self._next: Ready | None = None
        self._generator: generate.Generator | None = None
        self._flying: dict[int, int] = {}  # number → places in the cache

    def run(self) -> Iterator[tuple[int, Completion]]:
        """Yield (number, completion) once for every prompt planned. Raises what ends the device."""
        with ThreadPoolExecutor(THREADS) as pool:
            try:
                while (done := self._advance(pool)) is not None:
                    yield from done
            finally:
                for _, future in self._upcoming:
                    future.cancel()

    def _advance(self, pool: ThreadPoolExecutor) -> list[tuple[int, Completion]] | None:
        """Admit what fits, or else write a token: what is done with that, or None where nothing is left."""
        done: list[tuple[int, Completion]] = []
        group: list[Ready] = []
        try:
            while (ready := self._peek(pool, done)) is not None and self._fits(group, ready):
                group.append(ready)
                self._next = None
            if group and self._generator is not None:
                finished = self._generator.admit([(ready.number, ready.row) for ready in group])
                self._flying |= {ready.number: self._need(ready) for ready in group}
            elif self._generator is not None and self._flying:
                finished = self._generator.step(self._most)
            else:
                return done or None
        except Exception as error:
            return done + self._recover(error, group)
        for number, generated in finished:
            del self._flying[number]
            done.append((number, self._finished(generated)))
        return done

    def _finished(self, generated: generate.Generated) -> Completion:
        try:
            return self._finish(generated)
        except Exception as error:
            return failed(error)

    def _peek(self, pool: ThreadPoolExecutor, done: list[tuple[int, Completion]]) -> Ready | None:
        """The next prompt in order, waited for if need be; those that cannot be judged go to `done`."""
        while self._next is None:
            self._look_ahead(pool)
            if self._again:
                number = self._again.popleft()
                found = self._prepare(self._planned[number])
            elif self._upcoming:
                planned, future = self._upcoming.popleft()
                number, found = planned.number, future.result()
            else:
                return None
            if isinstance(found, Completion):
                done.append((number, found))
            else:
                self._next = found
        return self._next

    def _look_ahead(self, pool: ThreadPoolExecutor) -> None:
        tiles = sum(planned.tiles for planned, _ in self._upcoming)
        while self._waiting and len(self._upcoming) < PROMPTS_AHEAD:
            tiles += self._waiting[0].tiles
            if self._upcoming and tiles * self._tile_bytes > BYTES_AHEAD:
                return
            planned = self._waiting.popleft()
            self._upcoming.append((planned, pool.submit(self._prepare, planned)))

    def _fits(self, group: Sequence[Ready], ready: Ready) -> bool:
        """Whether `ready` can be read together with `group`, beside what is under way."""
        busy = len(group) + len(self._flying)
        if busy and (ready.number in self._alone or not self._alone.isdisjoint([*self._flying, *_numbers(group)])):
            return False
        if self._most is not None and busy >= self._most:
            return False
        wanted = max(self.budget, self._need(ready))
        if not busy and (self._generator is None or self._generator.cache.slots.size != wanted):
            self._generator = None  # its memory goes before the new one's comes
            self._generator = self._make(wanted)
        if self._generator is None:
            return False
        lengths = [len(item.row.ids) for item in (*group, ready)]
        within = not group or sum(lengths) <= generate.MAX_BATCHED_TOKENS
        return within and self._generator.can_admit(lengths)

    def _need(self, ready: Ready) -> int:
        return generate.slots_needed(len(ready.row.ids), self._max_new_tokens)

    def _recover(self, error: Exception, group: list[Ready]) -> list[tuple[int, Completion]]:
        """Put back what was under way. What fails for good."""
        import torch

        if isinstance(error, getattr(torch, "AcceleratorError", ())):
            raise error  # the device is lost, and every later prompt would fail with it
        error = error.with_traceback(None)  # frames hold the tensors that did not fit
        suspects = {ready.number: self._need(ready) for ready in group}
        if _no_memory(error):
            suspects |= self._flying
            if not suspects and self._next is not None:  # there was not even a cache
                suspects = {self._next.number: self._need(self._next)}
                self._next = None
            return self._with_less(error, suspects)
        if not group:
            suspects = dict(self._flying)
            self._drop()
        if len(suspects) == 1:
            return [(number, failed(error)) for number in suspects]
        if not suspects:
            raise error
        self._alone |= suspects.keys()
        self._again.extend(suspects)
        return []

    def _with_less(self, error: Exception, flying: dict[int, int]) -> list[tuple[int, Completion]]:
        import torch

        self._drop()
        torch.cuda.empty_cache()
        if len(flying) == 1 and self.budget <= max(flying.values()):
            return [(number, failed(error)) for number in flying]
        self.budget = max(1, self.budget // 2)
        self._counters.out_of_memory += 1
        self._again.extend(flying)
        return []

    def _drop(self) -> None:
        self._generator, self._flying = None, {}


def failed(error: Exception) -> Completion:
    return Completion(None, unscored="engine_error", note=f"{type(error).__name__}: {error}")


def _numbers(group: Sequence[Ready]) -> list[int]:
    return [ready.number for ready in group]


def _no_memory(error: Exception) -> bool:
    import torch

    # a CPU's allocator has no error of its own
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)
