"""Answers to one question: what the engine computes once for all of them changes none of them."""

from __future__ import annotations

import random

import pytest
from engine_runs import WORDS, engine_of, ready, results, same

from judge.core.request import Picture, Request, Text
from judge.core.rubric import Rubric
from judge.engines import Prompt
from judge.model import images, rope


def about_one_question(number, question, pictures=(), answer=(), words=12):
    """A prompt as a rubric makes it: the question and its pictures, then an answer and its pictures."""
    asked = (Text(question), *(Picture(path, path.name) for path in pictures))
    said = (Text(" ".join(random.Random(number).choices(WORDS, k=words))), *(Picture(p, p.name) for p in answer))
    request = Request(f"r{number}", "PBL", asked, said)
    return Prompt(request, Rubric("toy", {"PBL": "### Question\n{question}### Answer\n{answer}\n"}).render(request))


@pytest.fixture(scope="module")
def several(pictures):
    """Answers of several systems to five questions: with and without pictures, on both sides of the short regime."""
    wide, tall, square, dot = (pictures / f"{name}.png" for name in ("wide", "tall", "square", "dot"))
    return [
        about_one_question(1, "What is next?", [wide], [tall]),
        about_one_question(2, "What is next?", [wide], [square], words=30),
        about_one_question(3, "What is next?", [wide]),
        about_one_question(4, "And then?", [square, dot], [square]),
        about_one_question(5, "And then?", [square, dot], [dot], words=3),
        about_one_question(6, "Why does the small red cat follow the boat?"),
        about_one_question(7, "Why does the small red cat follow the boat?", words=60),
        about_one_question(8, "Why does the small red cat follow the boat?", answer=[dot]),
        about_one_question(9, "What is next?", [square]),  # the words of the first, another picture
        about_one_question(10, "Who?", words=2),
    ]


@pytest.mark.parametrize("name", ["recorded", "second"])
@pytest.mark.parametrize("regime", ["reference", "recompute", "long"])
def test_answers_to_one_question_share_it_and_get_what_they_get_alone(request, name, regime, several):
    judge = request.getfixturevalue(name)
    rope.install_rope(judge.model, regime)
    try:
        alone = [results(engine_of(judge), [one])[0] for one in several]
        assert len({completion.text for completion in alone}) > 5
        for seed, options in enumerate([{}, {"batch_size": 2}, {"batch_size": 1}, {"cache_tokens": 700}]):
            order = random.Random(seed).sample(range(len(several)), k=len(several))
            engine = engine_of(judge, **options)
            same(results(engine, [several[i] for i in order]), [alone[i] for i in order])
            c = engine.counters
            # one at a time nobody is there to take from; with `recompute` what is cached may change
            shares = regime != "recompute" and options.get("batch_size") != 1
            assert (c.question_reused > 0) == (c.tiles_reused > 0) == shares
            assert c.kv_copied == c.prefix_reused
            assert (
                c.prefill_tokens == sum_of_lengths(engine, several) - c.prefix_reused + c.prefix_computed + c.recomputed
            )
    finally:
        rope.install_rope(judge.model)


def sum_of_lengths(engine, some):
    return sum(len(ready(engine, one).input.ids) for one in some)


def test_what_is_shared_is_counted_to_the_token(second, several):
    """All at once and all in the long regime, so that every answer but the first to a question takes it over."""
    rope.install_rope(second.model, "long")
    try:
        engine = engine_of(second, cache_tokens=100_000)
        results(engine, several)
    finally:
        rope.install_rope(second.model)
    ids = [ready(engine, one).input.ids for one in several]
    tiles = [0 if (found := ready(engine, one).input.tiles) is None else len(found) for one in several]
    prefix = next(iter(engine._shared_prefixes(several).values()))
    image = second.tokenizer.special["<IMG_CONTEXT>"]

    def alike(one, other, shared_tiles):
        """Ids both begin with, by the definition; they end before a picture that only one question has."""
        found = 0
        for a, b in zip(ids[one], ids[other][:-1], strict=False):
            if a != b or (a == image and ids[one][:found].count(image) == shared_tiles * 9):  # 9 tokens a tile
                return found
            found += 1
        return found

    # longest first is who computes: of 1-3 and of 6-8 the longest, then the others take from it
    saved = saved_tiles = 0
    for group, shown in (((0, 1, 2), 1), ((3, 4), 2), ((5, 6, 7), 0)):
        shared = sum(count_tiles_of(engine, several[group[0]], shown))
        owner = max(group, key=lambda n: len(ids[n]))
        takers = [n for n in group if n != owner]
        saved += sum(alike(owner, n, shared) - len(prefix) for n in takers)
        saved_tiles += shared * len(takers)
    assert engine.counters.question_reused == saved > 100
    assert engine.counters.tiles_reused == saved_tiles > 0
    assert engine.counters.tiles == sum(tiles) - saved_tiles


def count_tiles_of(engine, one, pictures):
    """Tiles of the first `pictures` pictures of a prompt."""
    paths = [piece for piece in one.pieces if isinstance(piece, Picture)][:pictures]
    return [len(images.cut_tiles(images.decode_image(path), engine.layout.tile_size)) for path in paths]
