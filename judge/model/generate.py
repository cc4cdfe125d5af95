"""Greedy decoding of many prompts that gives every prompt what it would get alone.

    generator = Generator(model, stop=32007, max_new_tokens=1024, tokens=135_000)
    generator.admit([("PBL-1", row), ("PBL-2", row)])     # reads them, packed; what is finished already comes back
    generator.step()                                      # a token for everyone; what finished, [("PBL-1", done), …]
    done.ids, done.stopped                                # (293, 21107, …, 32007), True

Between two steps others may be admitted into the room that finished ones have left. Every sequence keeps its own
positions and with them its own rope regime (`judge.model.rope`), its own stretch of the cache (`judge.model.cache`) and
meets the others only in products over tokens (`judge.model.packed`), so company changes rounding and nothing else.

As the reference's `chat()`: greedy, no repetition penalty, `<|end|>` is the only stop token.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from judge.model import attention, conversation, packed, vision
from judge.model.cache import KeyValues
from judge.model.counters import Counters

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from judge.model.tokenizer import Tokenizer

TOKENS_AT_ONCE = 16_384
"""Prompt tokens in one pass of the language model; a longer prompt takes several."""

PREFIXES = 8
"""Shared prefixes kept: three categories in two rope sets, and some. The oldest makes room."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A prompt ready to be read. tiles: uint8 (tiles, side, side, 3) of all its pictures in order, or None.

    shared: the ids that it begins with together with other prompts, kept to be read once; () where there are none.
    They may go on where the prompt does not.
    """

    ids: Sequence[int]
    tiles: npt.NDArray[np.uint8] | None = None
    shared: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True)
class Generated:
    """ids: new tokens, the stop token included where it was reached. prefill_logits: (vocabulary,), of the first new
    token. For every new token, top: its logit, watched: the logits of the `watch` ids."""

    ids: tuple[int, ...]
    stopped: bool
    prefill_logits: Any
    top: tuple[float, ...]
    watched: tuple[tuple[float, ...], ...]


@dataclasses.dataclass
class _Sequence:
    """A prompt under way. start: its first place in the cache; images: where in its ids pictures go; features: what
    goes there, (image tokens, hidden size), while it may be needed."""

    key: Any
    row: Row
    start: int
    images: npt.NDArray[np.int64]
    features: Any = None
    new: list[int] = dataclasses.field(default_factory=list)
    top: list[float] = dataclasses.field(default_factory=list)
    watched: list[tuple[float, ...]] = dataclasses.field(default_factory=list)
    prefill_logits: Any = None

    @property
    def cached(self) -> int:
        """Tokens in the cache: all but the newest."""
        return len(self.row.ids) + len(self.new) - 1

    def span(self, ids: Sequence[int], first: int, long: bool) -> packed.Span:
        """`ids` from position `first` on; no picture is before it."""
        return packed.Span(ids[first:], self.start, first, long, self.images - first, self.features)

    def generated(self, stopped: bool) -> Generated:
        return Generated(tuple(self.new), stopped, self.prefill_logits, tuple(self.top), tuple(self.watched))


class Generator:
    """See the module. An error of `admit` leaves those under way as they were; after an error of `step` the generator
    is of no more use, and `active` still holds the keys of all that is not finished."""

    def __init__(
        self,
        model: Any,
        *,
        stop: int,
        max_new_tokens: int,
        tokens: int,
        watch: Sequence[int] = (),
        ends: Callable[[Sequence[int]], bool] | None = None,
        counters: Counters | None = None,
    ) -> None:
        """tokens: places of the cache, the budget. ends: whether what was generated so far is enough.

        Raises torch.cuda.OutOfMemoryError.
        """
        import torch

        self.model, self.cache = model, KeyValues(model, tokens)
        self.counters = Counters() if counters is None else counters
        self._stop, self._max_new_tokens, self._ends = stop, max_new_tokens, ends
        self._rope = model.model.language_model.rotary_emb
        self._watch = torch.tensor(list(watch), dtype=torch.long, device=model.lm_head.weight.device)
        self._attend = attention.fast(model)
        self._sequences: list[_Sequence] = []
        self._batch: packed.Batch | None = None
        self._prefixes: dict[tuple[tuple[int, ...], bool], KeyValues] = {}
        self._latest = 1

    @property
    def active(self) -> list[Any]:
        """Keys of what is under way."""
        return [sequence.key for sequence in self._sequences]

    def fits(self, lengths: Sequence[int]) -> bool:
        """Whether prompts of these lengths could be admitted together now."""
        needs = [need(length, self._max_new_tokens) for length in lengths]
        starts = list(map(self.cache.regions.take, needs))
        for start, places in zip(starts, needs, strict=True):
            if start is not None:
                self.cache.regions.give(start, places)
        return None not in starts

    def admit(self, rows: Sequence[tuple[Any, Row]]) -> list[tuple[Any, Generated]]:
        """Read prompts and decide their first tokens; what is finished with that. keys: hashable, not under way.

        Raises ValueError for tiles that do not fit the ids, RuntimeError where the cache has no room (see `fits`).
        """
        import torch

        images_at = [_image_places(self.model, row) for _, row in rows]
        admitted: list[_Sequence] = []
        try:
            for (key, row), places in zip(rows, images_at, strict=True):
                start = self.cache.regions.take(need(len(row.ids), self._max_new_tokens))
                if start is None:
                    raise RuntimeError(f"no room for a prompt of {len(row.ids)} tokens")
                admitted.append(_Sequence(key, row, start, places))
            with torch.inference_mode(), exact_float32():
                self._look(admitted)
                finished, _ = self._take(admitted, self._read(admitted))
        except Exception:
            for sequence in admitted:
                self._leave(sequence)
            raise
        self.counters.sequences += len(admitted)
        self._latest = need(len(rows[-1][1].ids), self._max_new_tokens)
        limit = self._rope.limit
        for sequence in admitted:
            length = len(sequence.row.ids)
            if not (self.model.rope_regime == "recompute" and length <= limit < length + self._max_new_tokens):
                sequence.features = None  # nobody will look again
            sequence.row = dataclasses.replace(sequence.row, tiles=None)
        self._settle([*self._sequences, *admitted], finished)
        return finished

    def step(self, most: int | None = None) -> list[tuple[Any, Generated]]:
        """A token for every sequence under way; what is finished with that. most: sequences the caller would allow."""
        import torch

        room = len(self._sequences) + self.cache.regions.free // self._latest
        self.counters.decode_offered += room if most is None else min(room, max(most, len(self._sequences)))
        self.counters.decode_used += len(self._sequences)
        self.counters.decode_steps += 1
        recompute, limit = self.model.rope_regime == "recompute", self._rope.limit
        crossing = [sequence for sequence in self._sequences if recompute and sequence.cached == limit]
        staying = [sequence for sequence in self._sequences if sequence not in crossing]
        if crossing:
            self._batch = None
        with torch.inference_mode(), exact_float32():
            parts = [pass_(some) for pass_, some in ((self._reread, crossing), (self._write, staying)) if some]
            finished, tokens = self._take([*crossing, *staying], torch.cat(parts))
            if self._batch is not None and not crossing and not finished:
                self._batch.advance(tokens)
            else:
                self._settle([*crossing, *staying], finished)
        return finished

    def _settle(self, sequences: list[_Sequence], finished: Sequence[tuple[Any, Generated]]) -> None:
        """Go on with `sequences` but for those finished, whose places become free."""
        done = {key for key, _ in finished}
        self._sequences = [sequence for sequence in sequences if sequence.key not in done]
        self._batch = None
        for sequence in sequences:
            if sequence.key in done:
                self._leave(sequence)

    def _leave(self, sequence: _Sequence) -> None:
        self.cache.regions.give(sequence.start, need(len(sequence.row.ids), self._max_new_tokens))

    def _take(self, sequences: Sequence[_Sequence], logits: Any) -> tuple[list[tuple[Any, Generated]], Any]:
        """The likeliest token for each: what is finished with it, and the tokens (sequences,) on the device.

        The one place where the host waits.
        """
        import torch

        best = logits.max(-1)
        # exact in float64: ids are below 2^53, logits are float32
        columns = [best.indices[:, None], best.values[:, None], logits[:, self._watch]]
        chosen = torch.cat([column.double() for column in columns], dim=1).tolist()
        self.counters.host_syncs += 1
        finished = []
        for sequence, first, (token, top, *watched) in zip(sequences, logits, chosen, strict=True):
            if not sequence.new:
                sequence.prefill_logits = first
            sequence.new.append(int(token))
            sequence.top.append(top)
            sequence.watched.append(tuple(watched))
            stopped = int(token) == self._stop
            if stopped or len(sequence.new) == self._max_new_tokens or (self._ends and self._ends(sequence.new)):
                finished.append((sequence.key, sequence.generated(stopped)))
        return finished, best.indices

    def _look(self, sequences: Sequence[_Sequence]) -> None:
        """Features of all pictures of all sequences, tiles packed."""
        seen = [sequence for sequence in sequences if sequence.row.tiles is not None]
        tiles = [sequence.row.tiles for sequence in seen if sequence.row.tiles is not None]
        if tiles:
            features = vision.features(self.model, tiles, self.counters).split(list(map(len, tiles)))
            for sequence, own in zip(seen, features, strict=True):
                sequence.features = own.flatten(0, 1)

    def _read(self, sequences: Sequence[_Sequence]) -> Any:
        """Logits (sequences, vocabulary) after each prompt."""
        spans = []
        for sequence in sequences:
            ids, long, first = sequence.row.ids, bool(self._rope.beyond(len(sequence.row.ids))), 0
            if sequence.row.shared:
                prefix = self._prefix(sequence.row.shared, long)
                first = common(sequence.row.shared[: prefix.regions.size], ids[:-1])  # one is left to be read
                self.cache.copy(sequence.start, prefix, first)
                self.counters.prefix_reused += first
                self.counters.kv_copied += first
            spans.append(sequence.span(ids, first, long))
        return self._passes(self.cache, spans)

    def _reread(self, sequences: Sequence[_Sequence]) -> Any:
        """Logits after prompt and new tokens, all of them read again by the long rope set."""
        spans = [sequence.span([*sequence.row.ids, *sequence.new], 0, True) for sequence in sequences]
        self.counters.recomputed += sum(len(span.ids) for span in spans)
        for sequence in sequences:
            sequence.features = None
        return self._passes(self.cache, spans)

    def _prefix(self, shared: tuple[int, ...], long: bool) -> KeyValues:
        """A cache of its own with the shared ids, up to the first picture, read by one of the rope sets."""
        if (shared, long) not in self._prefixes:
            image = self.model.config.image_token_id
            ids = shared[: shared.index(image)] if image in shared else shared
            cache = KeyValues(self.model, len(ids))
            self._passes(cache, [packed.Span(ids, 0, 0, long)] if ids else [])
            self.counters.prefix_computed += len(ids)
            self._prefixes[shared, long] = cache
            if len(self._prefixes) > PREFIXES:
                del self._prefixes[next(iter(self._prefixes))]
        return self._prefixes[shared, long]

    def _passes(self, cache: KeyValues, spans: Sequence[packed.Span]) -> Any:
        """Read spans in as few passes as `TOKENS_AT_ONCE` allows; logits (spans, vocabulary) after each."""
        import torch

        logits: list[Any] = []
        for together in _packed(spans):
            found = packed.read(self.model, cache, together)
            count = sum(len(span.ids) for span in together)
            self.counters.forwards += 1
            self.counters.prompt_tokens += count
            self.counters.prompt_places += count
            self.counters.kv_written += count
            # a span that was cut ends only with its last part
            logits += [row for span, row in zip(together, found, strict=True) if span.last]
        return torch.stack(logits) if logits else None

    def _write(self, sequences: Sequence[_Sequence]) -> Any:
        """Logits (sequences, vocabulary) after each one's newest token."""
        if self._batch is None:
            starts, lengths = [s.start for s in sequences], [s.cached for s in sequences]
            device = self.model.lm_head.weight.device
            self._batch = packed.Batch.of(starts, lengths, [s.new[-1] for s in sequences], device)
        self.counters.forwards += 1
        self.counters.kv_written += len(sequences)
        return packed.write(self.model, self.cache, self._batch, self._attend)


def greedy(
    model: Any, rows: Sequence[Row], *, stop: int, max_new_tokens: int, watch: Sequence[int] = ()
) -> Iterator[tuple[int, Generated]]:
    """All rows at once: yield (position in rows, what was generated) as they finish."""
    tokens = sum(need(len(row.ids), max_new_tokens) for row in rows)
    generator = Generator(model, stop=stop, max_new_tokens=max_new_tokens, tokens=tokens, watch=watch)
    yield from generator.admit(list(enumerate(rows)))
    while generator.active:
        yield from generator.step()


def need(length: int, max_new_tokens: int) -> int:
    """Places in the cache that a prompt of `length` tokens takes: the last token written is never cached."""
    return length + max_new_tokens - 1


def common(ids: Sequence[int], others: Sequence[int]) -> int:
    """How many ids the two begin with alike."""
    pairs = enumerate(zip(ids, others, strict=False))
    return next((place for place, (ours, theirs) in pairs if ours != theirs), min(len(ids), len(others)))


def text(tokenizer: Tokenizer, generated: Generated) -> str:
    """What was generated, as `chat()` gives it back: stop token cut off, white space stripped."""
    ids = generated.ids[:-1] if generated.stopped else generated.ids
    # a stop token that was spelled out in ordinary pieces ends the text too
    return tokenizer.decode(ids).split(conversation.STOP)[0].strip()


def vision_features(model: Any, tiles: npt.NDArray[np.uint8]) -> Any:
    """What the language model sees of uint8 tiles (T, side, side, 3): (T, tokens of a tile, hidden size)."""
    import torch

    with torch.inference_mode(), exact_float32():
        return vision.features(model, [tiles], Counters())


@contextlib.contextmanager
def exact_float32() -> Iterator[None]:
    """Float32 that is float32 on CUDA: no TF32, whatever another model of this process has set."""
    import torch

    backends: list[Any] = [torch.backends.cuda.matmul, torch.backends.cudnn]
    name, exact = "allow_tf32", False
    if hasattr(torch.backends.cuda.matmul, "fp32_precision"):  # torch 2.9: the two interfaces must not be mixed
        backends[1], name, exact = torch.backends.cudnn.conv, "fp32_precision", "ieee"  # type: ignore[assignment]
    before = [getattr(backend, name) for backend in backends]
    try:
        for backend in backends:
            setattr(backend, name, exact)
        yield
    finally:
        for backend, value in zip(backends, before, strict=True):
            setattr(backend, name, value)


def _image_places(model: Any, row: Row) -> npt.NDArray[np.int64]:
    """Where in the ids of a prompt its pictures go. Raises ValueError where their number is not that of the tiles."""
    import numpy as np

    places = np.flatnonzero(np.asarray(row.ids) == model.config.image_token_id)
    features = 0 if row.tiles is None else len(row.tiles) * model.config.image_seq_length
    if row.tiles is None and len(places):
        raise ValueError("image tokens without images")
    if len(places) != features:
        raise ValueError(f"{len(places)} image tokens for {features} image features")
    return places


def _packed(spans: Sequence[packed.Span]) -> Iterator[list[packed.Span]]:
    """Spans side by side, at most `TOKENS_AT_ONCE` tokens in each list; one that is longer is cut."""
    together: list[packed.Span] = []
    room = TOKENS_AT_ONCE
    for span in spans:
        if together and len(span.ids) > room:
            yield together
            together, room = [], TOKENS_AT_ONCE
        while len(span.ids) > TOKENS_AT_ONCE:
            part, span = span.cut(TOKENS_AT_ONCE)
            yield [part]
        together.append(span)
        room -= len(span.ids)
    if together:
        yield together
