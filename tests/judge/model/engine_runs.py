"""What tests of the engine share: prompts of words and pictures, an engine of a few new tokens, its completions."""

from __future__ import annotations

import dataclasses
import random

import pytest

from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal
from judge.engines import EngineOptions, Prompt
from judge.engines.local import LocalEngine

NEW = 10
WORDS = ["the", "small", "red", "cat", "follows", "bright", "boat", "and", "it", "reads", "round", "lamp"]


def prompt(number, words=10, pictures=(), text=None):
    text = text if text is not None else " ".join(random.Random(number).choices(WORDS, k=words))
    pieces = [Literal("### Question\n")]
    for path in pictures:
        pieces += [Literal("Image-0: "), Picture(path, path.name), Literal("\n")]
    return Prompt(Request(f"r{number}", "PBL", (), ()), (*pieces, Text(text), Literal("\n### Feedback\n")))


def engine_of(judge, **options):
    options = EngineOptions(**{"max_new_tokens": NEW, **options})
    return LocalEngine(judge.model, judge.tokenizer, judge.layout, {}, options)


def results(engine, prompts):
    """Completions in the order of prompts; every position exactly once."""
    pairs = list(engine.complete(prompts))
    assert sorted(number for number, _ in pairs) == list(range(len(prompts)))
    return [completion for _, completion in sorted(pairs, key=lambda pair: pair[0])]


def ready(engine, one):
    """One prompt as it is made ready to be read, or the completion that says why it is not."""
    return engine._prepare(0, one, {})


def same(ours, theirs):
    """Equal but for the last digits of the probabilities, which a batch may change."""
    bare = [[dataclasses.replace(c, score_probs=None) for c in side] for side in (ours, theirs)]
    assert bare[0] == bare[1]
    for a, b in zip(ours, theirs, strict=True):
        assert (a.score_probs is None) == (b.score_probs is None)
        assert a.score_probs is None or a.score_probs == pytest.approx(b.score_probs, abs=1.01e-4)
