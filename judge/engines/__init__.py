"""Engines answer prompts. One file each, one protocol: prompts in, completions out as they finish.

transformers  the judge in this process (native InternVL classes)
processes     the same in several processes, one a GPU
server        OpenAI-compatible endpoints
replay        recorded feedback from a file
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from judge.core.request import Picture, Request
from judge.core.rubric import Piece


@dataclasses.dataclass(frozen=True)
class Prompt:
    """A request and the message made from it. `pieces` is empty for engines that do not read (`Engine.reads` False)."""

    request: Request
    pieces: tuple[Piece, ...]


@dataclasses.dataclass(frozen=True)
class Completion:
    """What an engine gave back for one prompt.

    text: the generated text, stop token cut off. stopped: the stop token was reached (False: token limit).
    score_probs: probabilities of 0…6 at the score position, or None. unscored: a reason code of `judge.core.verdict`
    where there is no text to parse (image refused, request too long, engine error, no feedback); `note` says more.
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


def rough_length(prompt: Prompt) -> int:
    """Good enough to put like beside like before any picture is opened: one picture is some 2,000 tokens."""
    return sum(8_000 if isinstance(piece, Picture) else len(piece.text) for piece in prompt.pieces)
