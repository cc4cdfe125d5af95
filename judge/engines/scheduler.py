"""In which order prompts are judged, and how the device is kept full: planned from headers, refilled at every step.

    plan_prompts(prompts, layout, 12)     [WaitingPrompt(number=17, tiles=39, tokens=10_890), …], no picture decoded
    Scheduler(waiting, …).completions()   yields (17, Completion(…)) as prompts are done

Waiting prompts are admitted in that order, the longest first, while the cache has slots for all they may write
(`judge.model.cache`). Those admitted together are one prefill of up to `MAX_BATCHED_TOKENS`; then every running
sequence decodes one token a step, and the slots that a finished one releases are given to the next before the following
step. Pictures are decoded and cut into tiles ahead of that by threads, in the same order, within a number of bytes:
Pillow and numpy do that work without the interpreter's lock (`benchmarks/preprocessing.py`). What is judged together
depends on the prompts and the size of the cache alone, never on how fast anything was.

Out of memory: everything that runs is preempted, the cache is halved, and it goes on; only a prompt that does not fit
alone fails. Any other error: those it may come from are judged again one by one, and the one it comes from fails.
"""

from __future__ import annotations

import dataclasses
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from judge.core.foreign_text import described
from judge.core.request import Picture
from judge.core.rubric import Piece
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
"""Of tiles that are cut and wait for prefill: ten prompts of three photographs."""
PROMPTS_AHEAD = 64
"""Prompts that are being prepared, or are prepared and wait for prefill."""


@dataclasses.dataclass(frozen=True)
class WaitingPrompt:
    """A prompt that waits. number: its position in the caller's list; tiles: of all its pictures; tokens: predicted.
    group: of prompts with one and the same question (`number_questions`)."""

    number: int
    tiles: int
    tokens: int
    group: int | None = None


@dataclasses.dataclass(frozen=True)
class PreparedPrompt:
    """A prompt with its ids, and its pictures cut into tiles."""

    number: int
    input: generate.ModelInput


@dataclasses.dataclass(frozen=True)
class Limits:
    """cache_tokens: slots of the cache. max_new_tokens: of an answer. tile_bytes: of one tile, prepared. max_num_seqs:
    sequences that run at once; None: as many as the cache holds."""

    cache_tokens: int
    max_new_tokens: int
    tile_bytes: int
    max_num_seqs: int | None = None


def plan_prompts(
    prompts: Sequence[Prompt], described: Layout, max_tiles: int
) -> tuple[list[WaitingPrompt], list[tuple[int, Completion]]]:
    """Prompts in the order they are judged, and those that need not be: a header says their picture is refused.

    Longest first: what does not fit is found out early, and the last to finish are short ones. Prompts with one and the
    same question follow each other, where the longest of them is, so that they run at the same time. max_tiles: of a
    picture, thumbnail apart.
    """
    groups = number_questions(prompts)

    def predict(numbered: tuple[int, Prompt]) -> WaitingPrompt | tuple[int, Completion]:
        number, prompt = numbered
        try:
            sizes = [images.read_image_size(piece) for piece in prompt.pieces if isinstance(piece, Picture)]
        except ImageRefused as refused:
            return number, Completion(None, unscored=refused.reason, note=refused.message)
        tiles = sum(images.count_tiles(*size, size=described.tile_size, max_num=max_tiles) for size in sizes)
        characters = sum(len(piece.text) for piece in prompt.pieces if not isinstance(piece, Picture))
        tokens = characters // CHARACTERS_A_TOKEN + tiles * described.tokens_per_tile + 2 * len(sizes)
        return WaitingPrompt(number, tiles, tokens, groups[number])

    with ThreadPoolExecutor(THREADS) as pool:  # for folders on a network
        found = list(pool.map(predict, enumerate(prompts)))
    planned = [item for item in found if isinstance(item, WaitingPrompt)]
    planned.sort(key=lambda item: (-item.tokens, item.number))
    first: dict[int, WaitingPrompt] = {}
    for item in planned:
        if item.group is not None:
            first.setdefault(item.group, item)

    def rank(item: WaitingPrompt) -> tuple[int, int, int, int]:
        longest = item if item.group is None else first[item.group]
        return -longest.tokens, longest.number, -item.tokens, item.number

    planned.sort(key=rank)
    return planned, [item for item in found if not isinstance(item, WaitingPrompt)]


def number_questions(prompts: Sequence[Prompt]) -> list[int | None]:
    """For each prompt the number of its question; None for a question that no other prompt has."""
    questions = list(map(question_pieces, prompts))
    times = Counter(questions)
    numbers = {question: number for number, question in enumerate(times)}
    return [numbers[question] if question and times[question] > 1 else None for question in questions]


def question_pieces(prompt: Prompt) -> tuple[Piece, ...]:
    """What a prompt begins with, up to the end of its question; () where it has none."""
    question = {id(segment) for segment in prompt.request.question}
    ends = (number for number, piece in enumerate(prompt.pieces, 1) if id(piece) in question)
    return prompt.pieces[: max(ends, default=0)]


class Scheduler:
    """See the module; for one run.

    prepare: ids and tiles of a prompt, or why there are none; called by `THREADS` threads at once. make_generator: one
    whose cache has so many slots. finish: what a generated text is to the caller. counters: counts out of memory.
    `cache_tokens` is that of the limits at first, and lower afterwards where memory ran out.
    """

    def __init__(
        self,
        waiting: Sequence[WaitingPrompt],
        prepare: Callable[[WaitingPrompt], PreparedPrompt | Completion],
        make_generator: Callable[[int], generate.Generator],
        finish: Callable[[generate.Generated], Completion],
        limits: Limits,
        counters: Counters | None = None,
    ) -> None:
        self.cache_tokens, self._limits, self._counters = limits.cache_tokens, limits, counters or Counters()
        self._prepare, self._make_generator, self._finish = prepare, make_generator, finish
        self._waiting = deque(waiting)
        self._planned = {item.number: item for item in waiting}
        self._preparing: deque[tuple[WaitingPrompt, Future[PreparedPrompt | Completion]]] = deque()
        self._preempted: deque[int] = deque()
        self._alone: set[int] = set()
        self._next: PreparedPrompt | None = None
        self._generator: generate.Generator | None = None
        self._running: dict[int, int] = {}  # number → slots in the cache

    def completions(self) -> Iterator[tuple[int, Completion]]:
        """Yield (number, completion) once for every waiting prompt. Raises what ends the device."""
        with ThreadPoolExecutor(THREADS) as pool:
            try:
                while (done := self._advance(pool)) is not None:
                    yield from done
            finally:
                for _, future in self._preparing:
                    future.cancel()

    def _advance(self, pool: ThreadPoolExecutor) -> list[tuple[int, Completion]] | None:
        """Prefill what fits, or else decode a token: what is done with that, or None where nothing is left."""
        done: list[tuple[int, Completion]] = []
        group: list[PreparedPrompt] = []
        try:
            while (ready := self._first_prepared(pool, done)) is not None and self._can_prefill(group, ready):
                group.append(ready)
                self._next = None
            if group and self._generator is not None:
                finished = self._generator.admit([(ready.number, ready.input) for ready in group])
                self._running |= {ready.number: self._slots(ready) for ready in group}
            elif self._generator is not None and self._running:
                finished = self._generator.step(self._limits.max_num_seqs)
            else:
                return done or None
        except Exception as error:
            return done + self._recover(error, group)
        for number, generated in finished:
            del self._running[number]
            done.append((number, self._finished(generated)))
        return done

    def _finished(self, generated: generate.Generated) -> Completion:
        try:
            return self._finish(generated)
        except Exception as error:
            return engine_error(error)

    def _first_prepared(self, pool: ThreadPoolExecutor, done: list[tuple[int, Completion]]) -> PreparedPrompt | None:
        """The next prompt in order, waited for if need be; those that cannot be judged go to `done`."""
        while self._next is None:
            self._prepare_ahead(pool)
            if self._preempted:
                number = self._preempted.popleft()
                found = self._prepare(self._planned[number])
            elif self._preparing:
                planned, future = self._preparing.popleft()
                number, found = planned.number, future.result()
            else:
                return None
            if isinstance(found, Completion):
                done.append((number, found))
            else:
                self._next = found
        return self._next

    def _prepare_ahead(self, pool: ThreadPoolExecutor) -> None:
        tiles = sum(planned.tiles for planned, _ in self._preparing)
        while self._waiting and len(self._preparing) < PROMPTS_AHEAD:
            tiles += self._waiting[0].tiles
            if self._preparing and tiles * self._limits.tile_bytes > BYTES_AHEAD:
                return
            planned = self._waiting.popleft()
            self._preparing.append((planned, pool.submit(self._prepare, planned)))

    def _can_prefill(self, group: Sequence[PreparedPrompt], ready: PreparedPrompt) -> bool:
        """Whether `ready` can be prefilled together with `group`, beside what runs."""
        busy = len(group) + len(self._running)
        if busy and (ready.number in self._alone or not self._alone.isdisjoint([*self._running, *_numbers(group)])):
            return False
        if self._limits.max_num_seqs is not None and busy >= self._limits.max_num_seqs:
            return False
        wanted = max(self.cache_tokens, self._slots(ready))
        if not busy and (self._generator is None or self._generator.cache.slots.size != wanted):
            self._generator = None  # its memory goes before the new one's comes
            self._generator = self._make_generator(wanted)
        if self._generator is None:
            return False
        lengths = [len(item.input.ids) for item in (*group, ready)]
        within = not group or sum(lengths) <= generate.MAX_BATCHED_TOKENS
        return within and self._generator.can_admit(lengths)

    def _slots(self, ready: PreparedPrompt) -> int:
        return generate.slots_needed(len(ready.input.ids), self._limits.max_new_tokens)

    def _recover(self, error: Exception, group: list[PreparedPrompt]) -> list[tuple[int, Completion]]:
        """Preempt what an error may come from. What fails for good."""
        import torch

        if isinstance(error, getattr(torch, "AcceleratorError", ())):
            raise error  # the device is lost, and every later prompt would fail with it
        error = error.with_traceback(None)  # frames hold the tensors that did not fit
        suspects = {ready.number: self._slots(ready) for ready in group}
        if _no_memory(error):
            suspects |= self._running
            if not suspects and self._next is not None:  # there was not even a cache
                suspects = {self._next.number: self._slots(self._next)}
                self._next = None
            return self._halve_cache(error, suspects)
        if not group:
            suspects = dict(self._running)
            self._drop_cache()
        if len(suspects) == 1:
            return [(number, engine_error(error)) for number in suspects]
        if not suspects:
            raise error
        self._alone |= suspects.keys()
        self._preempted.extend(suspects)
        return []

    def _halve_cache(self, error: Exception, preempted: dict[int, int]) -> list[tuple[int, Completion]]:
        import torch

        self._drop_cache()
        torch.cuda.empty_cache()
        if len(preempted) == 1 and self.cache_tokens <= max(preempted.values()):
            return [(number, engine_error(error)) for number in preempted]
        self.cache_tokens = max(1, self.cache_tokens // 2)
        self._counters.out_of_memory += 1
        self._preempted.extend(preempted)
        return []

    def _drop_cache(self) -> None:
        self._generator, self._running = None, {}


def engine_error(error: Exception) -> Completion:
    """The completion of a prompt whose judging ended with an error."""
    return Completion(None, unscored="engine_error", note=described(error))


def _numbers(group: Sequence[PreparedPrompt]) -> list[int]:
    return [ready.number for ready in group]


def _no_memory(error: Exception) -> bool:
    import torch

    # a CPU's allocator has no error of its own
    return isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)
