"""Engines answer prompts. One file each, one protocol: prompts in, completions out as they finish.

local      the judge in this process (native InternVL classes)
cluster    the same in actors of Ray, one a GPU, on any number of machines
remote     OpenAI-compatible endpoints
replay     recorded feedback from a file

    options = EngineOptions(device="cuda", batch_size=16)
    engine = judge.engines.loading.load_engine("MMIE/MMIE-Score", options)      any of the four
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from judge.core.request import Picture, Request
from judge.core.rubric import Piece
from judge.model.rope import Regime

MAX_NEW_TOKENS = 1024
"""As the official scorer's `generation_config` (MMIE repository, main.py)."""

MAX_TILES = 12
"""Tiles of a picture, thumbnail apart: the official scorer's `load_image`. What config.json says is for training."""


@dataclasses.dataclass(frozen=True)
class EngineOptions:
    """How to load and run a judge. Each engine takes what means something to it; the command line refuses the rest.

    Changes answers, hence in the signature:
    dtype: "float32" or "bfloat16"; None: bfloat16 on CUDA, float32 on a CPU.
    rope: the rotary frequencies of a sequence that outgrows the short window (`judge.model.rope`).
    max_new_tokens: the longest answer, in tokens.
    stop_at_score: end an answer where the profile `reference` is certain of its score.

    Changes speed and memory only:
    device: "cpu", "cuda", "cuda:1"; None: CUDA where there is one.
    batch_size: most prompts generated together, or at one endpoint at once; None: as many as memory holds, or 64.
    ray: the address of a Ray cluster, "local" for one of this machine alone; None: this process alone.
    workers: with ray, how many actors, each with a judge of its own; None: one a GPU, or one a node without GPUs.
    cache_tokens: tokens cached at once, prompts and answers; None: by the free memory.

    tokenizer: for endpoints, the judge that they serve, a folder or a repository: prompts are checked with it.
    """

    device: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    rope: Regime = "reference"
    ray: str | None = None
    workers: int | None = None
    tokenizer: str | None = None
    stop_at_score: bool = False
    max_new_tokens: int = MAX_NEW_TOKENS
    cache_tokens: int | None = None


DEFAULT_OPTIONS = EngineOptions()


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A request and the message made from it. `pieces` is empty for engines that do not read (`Engine.reads` False)."""

    request: Request
    pieces: tuple[Piece, ...]


@dataclasses.dataclass(frozen=True)
class Completion:
    """What an engine gave back for one prompt.

    text: the generated text, stop token cut off. stopped: the stop token was reached (False: token limit).
    score_probs: probabilities of 0…6 at the score position, or None. unscored: a reason of `judge.core.failure` where
    there is no text to parse (image refused, answer too long, engine error, no feedback); `note` says more.
    """

    text: str | None
    stopped: bool = True
    new_tokens: int = 0
    score_probs: tuple[float, ...] | None = None
    unscored: str | None = None
    note: str | None = None


class Engine(Protocol):
    reads: bool
    """Whether the engine looks at prompts and images at all (replay does not)."""

    @property
    def identity(self) -> Mapping[str, str]:
        """Parts of the signature this engine fixes: judge, weights, tiles, decoding, dtype, rope, engine, …"""
        ...

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """Yield (position in `prompts`, completion) once for every prompt, in any order, as each one is done.

        A prompt that fails yields a completion with a reason; only what ends the whole run raises.
        """
        ...


def rough_length(pieces: Iterable[Piece]) -> int:
    """In characters, good enough to put like beside like unopened: one picture is some 2,000 tokens."""
    return sum(8_000 if isinstance(piece, Picture) else len(piece.text) for piece in pieces)


def without_answer(prompt: Prompt) -> tuple[Piece, ...]:
    """The message without the answer's texts and pictures: what the judge reads whatever the model answers."""
    answer = {id(segment) for segment in prompt.request.answer}
    return tuple(piece for piece in prompt.pieces if id(piece) not in answer)


def too_long(length: int, room: int, without: int) -> Completion:
    """A prompt that does not fit, in tokens: the answer's doing, unless even the prompt without it does not fit."""
    reason = "answer_too_long" if without <= room else "request_too_long"
    return Completion(None, unscored=reason, note=f"{length} tokens, room for {room}")
