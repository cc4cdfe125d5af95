"""Greedy decoding of many prompts that gives every prompt what it would get alone.

    generator = Generator(model, DecodingParams(stop=32007, max_new_tokens=1024), cache_tokens=135_000)
    generator.admit([("PBL-1", prompt), ("PBL-2", prompt)])   # prefill; what is finished already comes back
    generator.step()                                          # decode: a token for every running sequence
    done.ids, done.stopped                                    # (293, 21107, …, 32007), True

Between two steps waiting prompts may be admitted into the slots that finished ones have released. Every sequence keeps
its own positions and with them its own rope regime (`judge.model.rope`), its own slots of the cache
(`judge.model.cache`) and meets the others only in products over tokens (`judge.model.packed`), so company changes
rounding and nothing else.

As the reference's `chat()`: greedy, no repetition penalty, `<|end|>` is the only stop token.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from judge.model import attention, conversation, packed, vision
from judge.model.cache import KeyValueCache
from judge.model.counters import Counters
from judge.model.precision import exact_float32
from judge.model.same_question import Beginning, common_prefix_length, find_donors

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from judge.model.tokenizer import Tokenizer

MAX_BATCHED_TOKENS = 16_384
"""Prompt tokens in one prefill pass of the language model; a longer prompt takes several."""

MAX_PREFIXES = 8
"""Shared prefixes kept: three categories in two rope sets, and some. The oldest makes room."""


@dataclasses.dataclass(frozen=True)
class ModelInput:
    """A prompt ready for prefill. tiles: uint8 (tiles, side, side, 3) of all its pictures in order, or None.

    shared_prefix: ids that it begins with together with other prompts, computed once for all of them; () where there
    are none. They may go on where the prompt does not.

    group: prompts of one group begin with the same pictures, of `group_tiles` tiles; what they begin with alike is
    computed once for those that run at the same time. None: not known to begin as another does.
    """

    ids: Sequence[int]
    tiles: npt.NDArray[np.uint8] | None = None
    shared_prefix: tuple[int, ...] = ()
    group: Hashable = None
    group_tiles: int = 0


@dataclasses.dataclass(frozen=True)
class DecodingParams:
    """When an answer ends: at the token `stop`, after `max_new_tokens`, or where `ends` says of all new tokens so far
    that they are enough. watch: ids whose logits are kept at every new token."""

    stop: int
    max_new_tokens: int
    watch: Sequence[int] = ()
    ends: Callable[[Sequence[int]], bool] | None = None


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
    """A running prompt. start: its first slot in the cache; images: where in its ids pictures go; features: what goes
    there, (image tokens, hidden size), while it may be needed.

    donor: the running prompt of its group that has the first `donated` tokens in the cache, until they are copied;
    features are then those of the pictures that come later."""

    key: Any
    prompt: ModelInput
    start: int
    images: npt.NDArray[np.int64]
    features: Any = None
    donor: _Sequence | None = None
    donated: int = 0
    new: list[int] = dataclasses.field(default_factory=list)
    top: list[float] = dataclasses.field(default_factory=list)
    watched: list[tuple[float, ...]] = dataclasses.field(default_factory=list)
    prefill_logits: Any = None

    @property
    def cached(self) -> int:
        """Tokens in the cache: all but the newest."""
        return len(self.prompt.ids) + len(self.new) - 1

    def chunk(self, ids: Sequence[int], first: int, long: bool) -> packed.PrefillChunk:
        """`ids` from position `first` on; `features` are of the pictures there."""
        images = self.images[self.images >= first] - first
        return packed.PrefillChunk(ids[first:], self.start, first, long, images, self.features)

    def generated(self, stopped: bool) -> Generated:
        return Generated(tuple(self.new), stopped, self.prefill_logits, tuple(self.top), tuple(self.watched))


class Generator:
    """See the module. An error of `admit` leaves the running sequences as they were; after an error of `step` the
    generator is of no more use, and `running` still holds the keys of all that is not finished."""

    def __init__(
        self, model: Any, params: DecodingParams, *, cache_tokens: int, counters: Counters | None = None
    ) -> None:
        """cache_tokens: slots of the cache, the budget. Raises torch.cuda.OutOfMemoryError."""
        import torch

        self.model, self.params, self.cache = model, params, KeyValueCache(model, cache_tokens)
        self.counters = Counters() if counters is None else counters
        self._rope = model.model.language_model.rotary_emb
        self._watch = torch.tensor(list(params.watch), dtype=torch.long, device=model.lm_head.weight.device)
        self._decode_kernel = attention.find_decode_kernel(model)
        self._running: list[_Sequence] = []
        self._batch: packed.DecodeBatch | None = None
        self._prefixes: dict[tuple[tuple[int, ...], bool], KeyValueCache] = {}
        self._latest_slots = 1

    @property
    def running(self) -> list[Any]:
        """Keys of the sequences that are not finished."""
        return [sequence.key for sequence in self._running]

    def can_admit(self, lengths: Sequence[int]) -> bool:
        """Whether prompts of these lengths, in tokens, could be admitted together now."""
        wanted = list(map(self._slots_for, lengths))
        starts = list(map(self.cache.slots.allocate, wanted))
        for start, length in zip(starts, wanted, strict=True):
            if start is not None:
                self.cache.slots.release(start, length)
        return None not in starts

    def admit(self, prompts: Sequence[tuple[Any, ModelInput]]) -> list[tuple[Any, Generated]]:
        """Prefill (key, prompt) pairs and choose their first tokens; what is finished with that. Keys are hashable and
        not of running sequences.

        Raises ValueError for tiles that do not fit the ids, RuntimeError where the cache has no room (`can_admit`).
        """
        import torch

        positions = [vision.image_positions(self.model, prompt.ids, prompt.tiles) for _, prompt in prompts]
        admitted: list[_Sequence] = []
        try:
            for (key, prompt), images in zip(prompts, positions, strict=True):
                start = self.cache.slots.allocate(self._slots_for(len(prompt.ids)))
                if start is None:
                    raise RuntimeError(f"no room for a prompt of {len(prompt.ids)} tokens")
                admitted.append(_Sequence(key, prompt, start, images))
            self._find_donors(admitted)
            with torch.inference_mode(), exact_float32():
                self._encode_images(admitted)
                finished, _ = self._choose_tokens(admitted, self._prefill_all(admitted))
        except Exception:
            for sequence in admitted:
                self._release(sequence)
            raise
        self.counters.sequences += len(admitted)
        self._latest_slots = self._slots_for(len(prompts[-1][1].ids))
        limit = self._rope.limit
        for sequence in admitted:
            length = len(sequence.prompt.ids)
            crosses = length <= limit < length + self.params.max_new_tokens
            if not (self.model.rope_regime == "recompute" and crosses):
                sequence.features = None  # nobody will need them again
            sequence.prompt = dataclasses.replace(sequence.prompt, tiles=None)
        self._retire([*self._running, *admitted], finished)
        return finished

    def step(self, max_num_seqs: int | None = None) -> list[tuple[Any, Generated]]:
        """Decode a token for every running sequence; what is finished with that. max_num_seqs: how many the caller
        would let run."""
        import torch

        capacity = len(self._running) + self.cache.slots.num_free // self._latest_slots
        if max_num_seqs is not None:
            capacity = min(capacity, max(max_num_seqs, len(self._running)))
        self.counters.decode_capacity += capacity
        self.counters.decode_sequences += len(self._running)
        self.counters.decode_steps += 1
        recompute, limit = self.model.rope_regime == "recompute", self._rope.limit
        crossing = [sequence for sequence in self._running if recompute and sequence.cached == limit]
        staying = [sequence for sequence in self._running if sequence not in crossing]
        if crossing:
            self._batch = None
        with torch.inference_mode(), exact_float32():
            parts = [pass_(some) for pass_, some in ((self._recompute, crossing), (self._decode, staying)) if some]
            finished, tokens = self._choose_tokens([*crossing, *staying], torch.cat(parts))
            if self._batch is not None and not crossing and not finished:
                self._batch.advance(tokens)
            else:
                self._retire([*crossing, *staying], finished)
        return finished

    def _retire(self, sequences: list[_Sequence], finished: Sequence[tuple[Any, Generated]]) -> None:
        """Go on with `sequences` but for those finished, whose slots become free."""
        done = {key for key, _ in finished}
        self._running = [sequence for sequence in sequences if sequence.key not in done]
        self._batch = None
        for sequence in sequences:
            if sequence.key in done:
                self._release(sequence)

    def _slots_for(self, length: int) -> int:
        return slots_needed(length, self.params.max_new_tokens)

    def _release(self, sequence: _Sequence) -> None:
        self.cache.slots.release(sequence.start, self._slots_for(len(sequence.prompt.ids)))

    def _choose_tokens(self, sequences: Sequence[_Sequence], logits: Any) -> tuple[list[tuple[Any, Generated]], Any]:
        """The likeliest token for each: what is finished with it, and the tokens (sequences,) on the device.

        The one place where the host waits.
        """
        import torch

        best = logits.max(-1)
        # exact in float64: ids are below 2^53, logits are float32
        columns = [best.indices[:, None], best.values[:, None], logits[:, self._watch]]
        chosen = torch.cat([column.double() for column in columns], dim=1).tolist()
        self.counters.host_syncs += 1
        params, finished = self.params, []
        for sequence, first, (token, top, *watched) in zip(sequences, logits, chosen, strict=True):
            if not sequence.new:
                sequence.prefill_logits = first
            sequence.new.append(int(token))
            sequence.top.append(top)
            sequence.watched.append(tuple(watched))
            stopped = int(token) == params.stop
            if stopped or len(sequence.new) == params.max_new_tokens or (params.ends and params.ends(sequence.new)):
                finished.append((sequence.key, sequence.generated(stopped)))
        return finished, best.indices

    def _find_donors(self, admitted: Sequence[_Sequence]) -> None:
        """Give each sequence the donor that its group has, running or admitted before it."""
        if self.model.rope_regime == "recompute":
            return  # keys in the cache may be rotated anew, and all pictures may be needed again
        every = [*self._running, *admitted]
        begun = [self._beginning(sequence) for sequence in every]
        for sequence, found in zip(
            admitted, find_donors(begun[: len(self._running)], begun[len(self._running) :]), strict=True
        ):
            if found is not None and found[1] > self._from_shared_prefix(sequence):
                sequence.donor, sequence.donated = every[found[0]], found[1]

    def _beginning(self, sequence: _Sequence) -> Beginning:
        prompt, size = sequence.prompt, self.model.config.image_seq_length
        long = bool(self._rope.beyond(len(prompt.ids)))
        return Beginning(prompt.ids, sequence.images, prompt.group, prompt.group_tiles * size, long)

    def _encode_images(self, sequences: Sequence[_Sequence]) -> None:
        """Features of all pictures of all sequences that no donor has, tiles packed."""
        left = []
        for sequence in sequences:
            if sequence.prompt.tiles is not None:
                donated = int((sequence.images < sequence.donated).sum()) // self.model.config.image_seq_length
                self.counters.tiles_reused += donated
                left.append((sequence, sequence.prompt.tiles[donated:]))
        left = [(sequence, tiles) for sequence, tiles in left if len(tiles)]
        if left:
            tiles = [tiles for _, tiles in left]
            features = vision.tile_features(self.model, tiles, self.counters).split(list(map(len, tiles)))
            for (sequence, _), own in zip(left, features, strict=True):
                sequence.features = own.flatten(0, 1)

    def _prefill_all(self, admitted: list[_Sequence]) -> Any:
        """Logits (sequences, vocabulary) after each prompt. Donors come before those that copy from them, in `admitted`
        as well."""
        import torch

        new = {id(sequence) for sequence in admitted}
        admitted.sort(key=lambda sequence: id(sequence.donor) in new)
        later = sum(id(sequence.donor) in new for sequence in admitted)
        split = len(admitted) - later
        parts = [self._prefill(some) for some in (admitted[:split], admitted[split:]) if some]
        for sequence in admitted:
            sequence.donor = None
        return torch.cat(parts)

    def _prefill(self, sequences: Sequence[_Sequence]) -> Any:
        """Logits (sequences, vocabulary) after each prompt."""
        chunks = []
        for sequence in sequences:
            ids, shared, first = sequence.prompt.ids, sequence.prompt.shared_prefix, 0
            long = bool(self._rope.beyond(len(ids)))
            if sequence.donor is not None:
                first = sequence.donated
                self.cache.copy_within(sequence.donor.start, first, sequence.start)
                self.counters.question_reused += first - self._from_shared_prefix(sequence)
            elif shared:
                first = self._from_shared_prefix(sequence)
                self.cache.copy_from(self._shared_prefix(shared, long), first, sequence.start)
            self.counters.prefix_reused += first
            self.counters.kv_copied += first
            chunks.append(sequence.chunk(ids, first, long))
        return self._prefill_chunks(self.cache, chunks)

    def _from_shared_prefix(self, sequence: _Sequence) -> int:
        """How many tokens of a prompt its shared prefix has."""
        shared = self._without_pictures(sequence.prompt.shared_prefix)
        return common_prefix_length(shared, sequence.prompt.ids[:-1])  # one is left to be computed

    def _without_pictures(self, shared: tuple[int, ...]) -> tuple[int, ...]:
        image = self.model.config.image_token_id
        return shared[: shared.index(image)] if image in shared else shared

    def _recompute(self, sequences: Sequence[_Sequence]) -> Any:
        """Logits after prompt and new tokens, all of them computed again by the long rope set."""
        chunks = [sequence.chunk([*sequence.prompt.ids, *sequence.new], 0, True) for sequence in sequences]
        self.counters.recomputed += sum(len(chunk.ids) for chunk in chunks)
        for sequence in sequences:
            sequence.features = None
        return self._prefill_chunks(self.cache, chunks)

    def _shared_prefix(self, shared: tuple[int, ...], long: bool) -> KeyValueCache:
        """A cache of its own with the shared ids, up to the first picture, computed by one of the rope sets."""
        if (shared, long) not in self._prefixes:
            ids = self._without_pictures(shared)
            cache = KeyValueCache(self.model, len(ids))
            self._prefill_chunks(cache, [packed.PrefillChunk(ids, 0, 0, long)] if ids else [])
            self.counters.prefix_computed += len(ids)
            self._prefixes[shared, long] = cache
            if len(self._prefixes) > MAX_PREFIXES:
                del self._prefixes[next(iter(self._prefixes))]
        return self._prefixes[shared, long]

    def _prefill_chunks(self, cache: KeyValueCache, chunks: Sequence[packed.PrefillChunk]) -> Any:
        """Prefill in as few passes as `MAX_BATCHED_TOKENS` allows; logits (chunks, vocabulary) after each."""
        import torch

        logits: list[Any] = []
        for together in packed.split_into_passes(chunks, MAX_BATCHED_TOKENS):
            found = packed.prefill(self.model, cache, together)
            count = sum(len(chunk.ids) for chunk in together)
            self.counters.forwards += 1
            self.counters.prefill_tokens += count
            self.counters.prefill_positions += count
            self.counters.kv_written += count
            # a chunk that was cut ends only with its last part
            logits += [row for chunk, row in zip(together, found, strict=True) if chunk.last]
        return torch.stack(logits) if logits else None

    def _decode(self, sequences: Sequence[_Sequence]) -> Any:
        """Logits (sequences, vocabulary) after each one's newest token."""
        if self._batch is None:
            starts, lengths = [s.start for s in sequences], [s.cached for s in sequences]
            device = self.model.lm_head.weight.device
            self._batch = packed.DecodeBatch.from_lists(starts, lengths, [s.new[-1] for s in sequences], device)
        self.counters.forwards += 1
        self.counters.kv_written += len(sequences)
        return packed.decode(self.model, self.cache, self._batch, self._decode_kernel)


def generate_all(
    model: Any, prompts: Sequence[ModelInput], *, stop: int, max_new_tokens: int, watch: Sequence[int] = ()
) -> Iterator[tuple[int, Generated]]:
    """All prompts at once: yield (position in prompts, what was generated) as they finish.

    Raises as `Generator` and `Generator.admit` do.
    """
    tokens = sum(slots_needed(len(prompt.ids), max_new_tokens) for prompt in prompts)
    generator = Generator(model, DecodingParams(stop, max_new_tokens, watch), cache_tokens=tokens)
    yield from generator.admit(list(enumerate(prompts)))
    while generator.running:
        yield from generator.step()


def slots_needed(length: int, max_new_tokens: int) -> int:
    """Slots in the cache for a prompt of `length` tokens and its answer: the last new token is never cached."""
    return length + max_new_tokens - 1


def generated_text(tokenizer: Tokenizer, generated: Generated) -> str:
    """What was generated, as `chat()` gives it back: stop token cut off, white space stripped."""
    ids = generated.ids[:-1] if generated.stopped else generated.ids
    # a stop token that was spelled out in ordinary pieces ends the text too
    return tokenizer.decode(ids).split(conversation.STOP)[0].strip()
