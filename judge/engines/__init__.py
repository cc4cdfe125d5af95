"""Engines answer prompts. One file each, one protocol: prompts in, completions out as they finish.

local      the judge in this process (native InternVL classes)
cluster    the same in actors of Ray, one a GPU, on any number of machines
remote     MMIE's judges behind OpenAI-compatible endpoints
general    any model that sees pictures, behind the same kind of endpoints
replay     recorded feedback from a file

    options = EngineOptions(device="cuda", batch_size=16)
    engine = judge.engines.loading.load_engine("MMIE/MMIE-Score", options)      any of the five
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

GENERAL_PREFIX = "openai:"
"""Of the name of a general judge: any model that sees pictures, behind an endpoint."""

MAX_TILES = 12
"""Tiles of a picture, thumbnail apart: the official scorer's `load_image`. What config.json says is for training."""
WINDOW, TOKENS_PER_TILE = 131_072, 256
"""Of MMIE's judge: the tokens it reads and writes, and those of a tile of a picture."""


@dataclasses.dataclass(frozen=True)
class GeneralOptions:
    """How a general judge is asked; all of it is in the signature.

    votes: how often every answer is put to it. temperature: None for the server's own, which is all that some models
    take. max_side: pixels of the longer side that pictures are scaled down to; 0 for as they are.
    """

    votes: int = 1
    temperature: float | None = 0.0
    max_side: int = 1536


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
    general: for a general judge ("openai:…"), what changes its answers.
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
    general: GeneralOptions = GeneralOptions()


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
    there is no text to parse (image refused, answer too long, engine error, no feedback); `note` says more. votes: the
    scores of several completions that were combined into this one, None for one that had none.
    """

    text: str | None
    stopped: bool = True
    new_tokens: int = 0
    score_probs: tuple[float, ...] | None = None
    unscored: str | None = None
    note: str | None = None
    votes: tuple[int | None, ...] | None = None


@dataclasses.dataclass
class Usage:
    """What an engine has been answered so far, by the server's count. uncounted: replies that came without one."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    uncounted: int = 0

    def add(self, prompt_tokens: int | None, completion_tokens: int | None) -> None:
        """One reply more."""
        self.calls += 1
        self.uncounted += prompt_tokens is None or completion_tokens is None
        self.prompt_tokens += prompt_tokens or 0
        self.completion_tokens += completion_tokens or 0

    def sentence(self, cost: str = "") -> str:
        """For a terminal. cost: what it was, where that is known."""
        uncounted = f"; {self.uncounted} replies did not say" if self.uncounted else ""
        return (
            f"{self.calls:,} calls, {self.prompt_tokens:,} tokens in and {self.completion_tokens:,} out"
            f"{uncounted}{f': {cost}' if cost else ''}"
        )

    @classmethod
    def from_json(cls, said: object) -> Usage | None:
        """What `to_json` wrote; None for anything else."""
        if not isinstance(said, Mapping) or said.keys() != {field.name for field in dataclasses.fields(cls)}:
            return None
        return cls(**said) if all(type(count) is int for count in said.values()) else None

    def to_json(self) -> dict[str, int]:
        """As in the part `run` of `results.json`."""
        return dataclasses.asdict(self)


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


def surely_fits(pieces: Iterable[Piece]) -> bool:
    """Whether MMIE's judge would have room for a prompt beside its own answer, unopened: by the most tokens that two
    bytes of text and the tiles of a picture come to."""
    most = sum(
        (MAX_TILES + 1) * TOKENS_PER_TILE
        if isinstance(piece, Picture)
        else len(piece.text.encode("utf-8", "replace")) / 2
        for piece in pieces
    )
    return most <= WINDOW - MAX_NEW_TOKENS


def without_answer(prompt: Prompt) -> tuple[Piece, ...]:
    """The message without the answer's texts and pictures: what the judge reads whatever the model answers."""
    answer = {id(segment) for segment in prompt.request.answer}
    return tuple(piece for piece in prompt.pieces if id(piece) not in answer)


def too_long(length: int, room: int, without: int) -> Completion:
    """A prompt that does not fit, in tokens: the answer's doing, unless even the prompt without it does not fit."""
    reason = "answer_too_long" if without <= room else "request_too_long"
    return Completion(None, unscored=reason, note=f"{length} tokens, room for {room}")
