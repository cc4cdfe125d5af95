"""What tests of servers share: prompts, what `FakeEndpoint` answers to them, and how both are held together."""

from __future__ import annotations

import io

from fake_endpoint import FakeEndpoint, said
from PIL import Image

from judge.core.request import Request, Text
from judge.core.rubric import Literal
from judge.engines import Completion, Prompt
from judge.engines.chat_request import ServedJudge
from judge.engines.messages import message, prompt_length
from judge.engines.remote import Pace, Remote, connect
from judge.model import images

PACE = Pace(seconds=600, patience=0.2, rest=0.01)
"""Servers that fail are given up quickly here, those that are only slow are not: the machine may be busy."""


def prompt(number: int, *pieces) -> Prompt:
    request = Request(f"q{number}", "PBL", (), (Text(f"answer {number}"),))
    return Prompt(
        request, pieces or (Literal("### Answer\n"), Text(f"answer {number} " * (number % 5 + 1)), Literal("\n"))
    )


def expected(one: Prompt) -> str:
    sent = message(one.pieces)
    return said(sent.text, [picture.path.read_bytes() for picture in sent.pictures])


def tokens(judge: ServedJudge, text: str, pictures: list[bytes]) -> int:
    """Of the prompt that a server which is set up right reads."""
    sizes = [Image.open(io.BytesIO(picture)).size for picture in pictures]
    tiles = [images.count_tiles(*size, judge.layout.tile_size) for size in sizes]
    return prompt_length(text, tiles, judge.layout.tokens_per_tile, judge.tokenizer)


def results(server: Remote, prompts: list[Prompt]) -> list[Completion]:
    """Completions in the order of prompts; every position exactly once."""
    pairs = list(server.complete(prompts))
    assert sorted(number for number, _ in pairs) == list(range(len(prompts)))
    return [completion for _, completion in sorted(pairs, key=lambda pair: pair[0])]


def right(completions: list[Completion], prompts: list[Prompt]) -> None:
    assert [completion.text for completion in completions] == [expected(one) for one in prompts]


def connected(*fakes: FakeEndpoint, pace: Pace = PACE, under_way: int | None = 4) -> Remote:
    return connect(",".join(fake.url for fake in fakes), under_way=under_way, pace=pace)


MANY = [prompt(number) for number in range(40)]
