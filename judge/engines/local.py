"""The judge in this process: native InternVL classes of transformers, on CPU or CUDA.

    engine = load_local_engine("MMIE/MMIE-Score")
    engine.identity   {"judge": "MMIE/MMIE-Score@9e8d…", "weights": "5b1c…", "tiles": "12x448",
                       "decoding": "greedy-1024", "dtype": "bfloat16", "rope": "reference", "engine": "transformers"}

Prompts are planned from the headers of their pictures, longest first, prepared ahead of the device, and run side by
side while the cache has slots; those that a finished one releases are filled at once (`judge.engines.scheduler`).
Nothing that only changes speed changes an answer in float32: see `judge.model.generate`. `engine.counters` says what
was done (`judge.model.counters`). How it works, and what was not tried: docs/engine.md.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from judge.core import score_text
from judge.core.foreign_text import MOST_OF_A_LINE, on_one_line
from judge.core.request import Picture, Text
from judge.core.rubric import Literal, Piece
from judge.engines import (
    DEFAULT_OPTIONS,
    MAX_TILES,
    Completion,
    Engine,
    EngineOptions,
    Prompt,
    too_long,
    without_answer,
)
from judge.engines.deferred import DeferredEngine
from judge.engines.devices import check_device, default_device, require_cuda, require_torch, say_idle_gpus
from judge.engines.scheduler import (
    Limits,
    PreparedPrompt,
    Scheduler,
    engine_error,
    plan_prompts,
    question_pieces,
)
from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from judge.io.progress import doing, size
from judge.model import conversation, distribution, generate, images
from judge.model.cache import bytes_per_token
from judge.model.counters import Counters
from judge.model.tokenizer import Tokenizer
from judge.model.weights import checkpoint, original_layout, shapes, shards, source

ITEM_BYTES = {"float32": 4, "bfloat16": 2}

# A quarter of this many prompts of 1,000 tokens at the real size fits the memory of a desktop machine.
CPU_TOKENS = 16_384
# Of a device's free memory: for activations and shared prefixes, and the share of the rest that is for cached tokens.
# By what is read, half of it would be nine tenths as fast; but a step should last longer than launching it takes.
RESERVED_BYTES = 6 << 30
CACHE_SHARE = 0.8


@dataclasses.dataclass(frozen=True)
class FoundJudge:
    """A judge whose files are here and fit together; its weights are not read yet. torch was not needed.

    bytes: of the weights' files. identity: as of the engine that it becomes.
    """

    source: source.Source
    layout: original_layout.Layout
    tokenizer: Tokenizer
    bytes: int
    device: str
    options: EngineOptions
    identity: Mapping[str, str]

    @property
    def shown_name(self) -> str:
        """The repository, or the folder where it is none."""
        return str(self.source.folder) if self.is_local else self.source.name

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of the user's, not a snapshot of the Hub's cache."""
        return self.source.revision.startswith(source.LOCAL)

    def refuse_changes(self) -> None:
        """Raise UserError where the files are not those that the identity tells of."""
        now = source.resolve_judge(str(self.source.folder)).revision if self.is_local else self.source.revision
        weights = checkpoint.weights_sha256(self.source.folder)[:12]
        if (now, weights) != (self.source.revision, self.identity["weights"]):
            raise UserError(
                "the judge's files were changed after they had been checked",
                file=self.source.folder,
                fix="give the same command again: verdicts of the changed judge get a signature of their own",
            )


def find_local_judge(judge: str, options: EngineOptions = DEFAULT_OPTIONS) -> FoundJudge:
    """Find or fetch a judge, a folder or `ORG/NAME[@REVISION]`, and check and hash its files.

    Raises UserError for a judge that is missing, gated or in another layout, and where `options.device` is not there;
    ModuleNotFoundError where torch is not installed.
    """
    device, dtype = _placed(options.device, options.dtype)
    found = source.resolve_judge(judge)
    described = original_layout.read_layout(found.folder)
    tokenizer = conversation.read_tokenizer(found.folder, described.text["vocab_size"])
    checkpoint.check_weights(found.folder, described)
    identity = {
        "judge": str(found),
        "weights": checkpoint.weights_sha256(found.folder)[:12],
        "tiles": f"{MAX_TILES}x{described.tile_size}",
        # the score of profile `reference` is the same, but feedback kept, and what is read from it, is not
        "decoding": f"greedy-{options.max_new_tokens}{'-to-score' if options.stop_at_score else ''}",
        "dtype": dtype,
        "rope": options.rope,
        "engine": "transformers",
    }
    stored = sum(file.stat().st_size for file in shards.find_shards(found.folder))
    return FoundJudge(found, described, tokenizer, stored, device, options, identity)


def load_found(found: FoundJudge) -> LocalEngine:
    """Read the weights of a judge. Raises UserError, also where they do not fit into the device's memory, and where the
    files are not what was found."""
    import torch

    require_cuda(found.device)
    say_idle_gpus(found.options.device)
    dtype, bytes_ = found.identity["dtype"], size(found.bytes)
    try:
        with doing(f"loading the judge {found.shown_name} ({bytes_}) on {found.device}, {dtype}"):
            model = checkpoint.load_model(
                found.source.folder, device=found.device, dtype=dtype, regime=found.options.rope
            )
            found.refuse_changes()
            return LocalEngine(model, found.tokenizer, found.layout, found.identity, found.options)
    except torch.cuda.OutOfMemoryError as error:
        raise UserError(
            f"the judge {found.shown_name} ({bytes_}) does not fit into what is free of {found.device}'s memory: "
            f"{on_one_line(str(error), MOST_OF_A_LINE)}",
            fix="end what else runs there, name another --device, or wait with --device cpu",
        ) from error


def open_local_engine(judge: str, options: EngineOptions = DEFAULT_OPTIONS) -> Engine:
    """A judge that is loaded into this process when it is first asked something. Raises as `find_local_judge` does."""
    found = find_local_judge(judge, options)
    return DeferredEngine(found.identity, lambda: load_found(found))


def load_local_engine(judge: str, options: EngineOptions = DEFAULT_OPTIONS) -> LocalEngine:
    """Load a judge into this process: a folder or `ORG/NAME[@REVISION]`. Raises as `find_local_judge` and `load_found`
    do."""
    return load_found(find_local_judge(judge, options))


def check_judge(judge: str, device: str | None = None, dtype: str | None = None) -> int:
    """Look at a judge without loading it, and without torch; returns the bytes its weights will take.

    Fetches no weights. Raises UserError for a judge that is missing, gated or not in the layout this engine reads, and
    ModuleNotFoundError where torch is not installed.
    """
    _, dtype = _placed(device, dtype)
    found = source.resolve_judge(judge, weights=False)
    described = original_layout.read_layout(found.folder)
    conversation.read_tokenizer(found.folder, described.text["vocab_size"])
    local = found.revision.startswith(source.LOCAL)
    parameters = checkpoint.check_weights(found.folder, described) if local else shapes.count_parameters(described)
    return parameters * ITEM_BYTES[dtype]


class LocalEngine:
    """See the module. Built by `load_local_engine`. counters: of all that was judged so far."""

    reads = True

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        described: original_layout.Layout,
        identity: Mapping[str, str],
        options: EngineOptions = DEFAULT_OPTIONS,
    ) -> None:
        """model: on its device, in its dtype; options then say nothing about where and how it was loaded."""
        self.model, self.tokenizer, self.layout = model, tokenizer, described
        self.max_new_tokens = options.max_new_tokens
        self.counters = Counters()
        self._identity = dict(identity)
        self._stop = tokenizer.special[conversation.STOP]
        self._watch = distribution.score_tokens(tokenizer)
        self._ends = self._has_score if options.stop_at_score else None
        on_cpu = model.lm_head.weight.device.type == "cpu"
        self._max_num_seqs = options.batch_size
        self._cache_tokens = options.cache_tokens or (CPU_TOKENS if on_cpu else self._tokens_that_fit())

    @property
    def identity(self) -> Mapping[str, str]:
        """Parts of the signature, as in the module's example."""
        return self._identity

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """Completions as they are done, longest prompts first: what does not fit is found out early."""
        waiting, refused = plan_prompts(prompts, self.layout, MAX_TILES)
        yield from refused
        prefixes = self._shared_prefixes(prompts)
        limits = Limits(self._cache_tokens, self.max_new_tokens, 3 * self.layout.tile_size**2, self._max_num_seqs)
        scheduler = Scheduler(
            waiting,
            lambda item: self._prepare(item.number, prompts[item.number], prefixes, item.group),
            self._generator,
            self._completion,
            limits,
            self.counters,
        )
        try:
            yield from scheduler.completions()
        finally:
            self._cache_tokens = scheduler.cache_tokens

    def _prepare(
        self, number: int, prompt: Prompt, prefixes: Mapping[str, tuple[int, ...]], group: int | None = None
    ) -> PreparedPrompt | Completion:
        """Ids and tiles of one prompt, or why there are none."""
        described = self.layout
        try:
            pictures = [piece for piece in prompt.pieces if isinstance(piece, Picture)]
            decoded = (images.decode_image(picture, scaled=picture.scaled) for picture in pictures)
            tiles = [images.cut_tiles(image, described.tile_size, max_num=MAX_TILES) for image in decoded]
            encoded = conversation.encode_prompt(
                self.tokenizer, prompt.pieces, list(map(len, tiles)), described.tokens_per_tile, self._system
            )
            room = described.window - self.max_new_tokens
            if len(encoded.ids) > room:
                counts = {picture.path: len(cut) for picture, cut in zip(pictures, tiles, strict=True)}
                without = self._length(without_answer(prompt), counts)
                return too_long(len(encoded.ids), room, without)
            together = np.concatenate(tiles) if tiles else None
        except ImageRefused as refused:
            return Completion(None, unscored=refused.reason, note=refused.message)
        except Exception as error:
            return engine_error(error)
        prefix = prefixes.get(_prefix_text(prompt), ())
        shared = sum(isinstance(piece, Picture) for piece in question_pieces(prompt))
        group_tiles = sum(map(len, tiles[:shared]))
        read = generate.ModelInput(encoded.ids, together, prefix, group, group_tiles)
        return PreparedPrompt(number, read)

    def _length(self, pieces: Sequence[Piece], tiles: Mapping[Path, int]) -> int:
        """Tokens of a prompt. tiles: how many its pictures have, by path."""
        counts = [tiles[piece.path] for piece in pieces if isinstance(piece, Picture)]
        encoded = conversation.encode_prompt(self.tokenizer, pieces, counts, self.layout.tokens_per_tile, self._system)
        return len(encoded.ids)

    def _shared_prefixes(self, prompts: Sequence[Prompt]) -> dict[str, tuple[int, ...]]:
        """First words of a prompt → the ids it begins with as others do: those of the system line and the rubric.

        A prefix that goes on where a shorter one ends (the label of a picture that a question begins with) gets the
        ids of the shorter one. One that nobody shares is not there.
        """
        counts = collections.Counter(filter(None, map(_prefix_text, prompts)))
        shortest: dict[str, str] = {}
        for text in sorted(counts, key=len):
            shortest[text] = next((other for other in shortest if text.startswith(other)), text)
        uses = collections.Counter[str]()
        for text, other in shortest.items():
            uses[other] += counts[text]
        ids = {}
        for text in {other for other, count in uses.items() if count > 1}:
            encoded = conversation.encode_prompt(self.tokenizer, [Literal(text), Text("x")], (), 1, self._system)
            ids[text] = encoded.ids[: encoded.spans[0][0]]
        return {text: ids[other] for text, other in shortest.items() if other in ids}

    def _generator(self, tokens: int) -> generate.Generator:
        params = generate.DecodingParams(self._stop, self.max_new_tokens, self._watch, self._ends)
        return generate.Generator(self.model, params, cache_tokens=tokens, counters=self.counters)

    def _has_score(self, ids: Sequence[int]) -> bool:
        """Whether the score can be read from what was generated so far, and nothing that follows would change it."""
        # a line has just ended, or nothing has that was not seen at the token before
        if ids[-1] >= len(self.tokenizer) or "\n" not in self.tokenizer.text_of(ids[-1:]):
            return False
        return score_text.settled(self.tokenizer.decode(ids).split(conversation.STOP)[0])

    def _completion(self, generated: generate.Generated) -> Completion:
        return Completion(
            text=generate.generated_text(self.tokenizer, generated),
            stopped=generated.stopped or len(generated.ids) < self.max_new_tokens,
            new_tokens=len(generated.ids),
            score_probs=distribution.score_distribution(self.tokenizer, generated.ids, generated.watched),
        )

    @property
    def _system(self) -> str:
        return str(self.layout.raw.get("system_message") or conversation.SYSTEM_MESSAGE)

    def _tokens_that_fit(self) -> int:
        import torch

        free, _ = torch.cuda.mem_get_info(self.model.lm_head.weight.device)
        return tokens_that_fit(free, bytes_per_token(self.model))


def tokens_that_fit(free: int, token: int) -> int:
    """Slots of a cache in `free` bytes, where keys and values of a token take `token` bytes; where that was too much,
    the scheduler halves it."""
    return int(CACHE_SHARE * max(free - RESERVED_BYTES, free / 4) / token)


def _placed(device: str | None, dtype: str | None) -> tuple[str, str]:
    check_device(device)
    require_torch()
    device = default_device(device)
    dtype = dtype or ("float32" if device == "cpu" else "bfloat16")
    if dtype not in ITEM_BYTES:
        raise UserError(f"dtype {dtype!r} is not one of {', '.join(ITEM_BYTES)}")
    return device, dtype


def _prefix_text(prompt: Prompt) -> str:
    """The words of the protocol that a prompt begins with."""
    first = prompt.pieces[0] if prompt.pieces else None
    return first.text if isinstance(first, Literal) else ""
