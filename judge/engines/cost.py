"""What judging by a general model will be, before it is asked: calls, tokens and, where prices are given, money.

    estimate_cost(prompts, GeneralOptions(votes=3))  ->  Cost(calls=36, tokens_in=58_320, tokens_out=10_800, most_out=…)
    Price.parse("2.50/10").of(58_320, 10_800)        ->  0.2538

No tokenizer of a hosted model is at hand, so tokens are estimated: a token for every four bytes of text in UTF-8, and
for a picture 85 and 170 more for every square of 512 pixels that it is cut into after it was scaled down, as OpenAI
counts for GPT-4o (platform.openai.com, "Calculating costs"; there it is also scaled to a shorter side of 768). A reply
is taken for `REPLY_TOKENS`; what a model thinks before it is not foreseen, and the limit of a reply is the upper bound.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable

from judge.core.request import Picture
from judge.engines import Completion, GeneralOptions, Prompt
from judge.engines.general import MAX_TOKENS, GeneralRequests, system_message
from judge.io.image_paths import ImageRefused
from judge.model import images

BYTES_PER_TOKEN = 4
PICTURE_TOKENS, SQUARE_TOKENS, SQUARE = 85, 170, 512
SHORTER_SIDE = 768
REPLY_TOKENS = 250
_PRICE = re.compile(r"(\d+(?:\.\d+)?)/(\d+(?:\.\d+)?)")


@dataclasses.dataclass(frozen=True)
class Price:
    """Of a million tokens: of prompts and of replies, in whatever currency."""

    tokens_in: float
    tokens_out: float

    @classmethod
    def parse(cls, text: str) -> Price:
        """From "IN/OUT", such as "2.50/10". Raises ValueError."""
        match = _PRICE.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is no price; write IN/OUT for a million tokens, such as 2.50/10")
        return cls(float(match[1]), float(match[2]))

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """What so many tokens cost."""
        return (tokens_in * self.tokens_in + tokens_out * self.tokens_out) / 1_000_000


@dataclasses.dataclass(frozen=True)
class Cost:
    """most_out: tokens of replies where every one is as long as it may be."""

    calls: int
    tokens_in: int
    tokens_out: int
    most_out: int

    def sentence(self, price: Price | None = None) -> str:
        """For a terminal."""
        said = (
            f"{self.calls:,} calls, about {self.tokens_in:,} tokens in and {self.tokens_out:,} out "
            f"(at most {self.most_out:,})"
        )
        if price is None:
            return said
        about, most = price.of(self.tokens_in, self.tokens_out), price.of(self.tokens_in, self.most_out)
        return f"{said}: about {about:,.2f}, at most about {most:,.2f} (at {price.tokens_in:g}/{price.tokens_out:g})"


def estimate_cost(prompts: Iterable[Prompt], options: GeneralOptions) -> Cost:
    """Of judging `prompts`, every one `options.votes` times. A picture that cannot be read is not judged, and costs
    nothing."""
    requests = GeneralRequests("", options)
    calls = tokens = 0
    for prompt in prompts:
        request = requests.chat_request(prompt)
        if isinstance(request, Completion):
            continue
        text = system_message(request) + request.message.text
        try:
            pictures = sum(picture_tokens(picture, options.max_side) for picture in request.message.pictures)
        except ImageRefused:
            continue
        calls += options.votes
        tokens += options.votes * (math.ceil(len(text.encode("utf-8", "replace")) / BYTES_PER_TOKEN) + pictures)
    return Cost(calls, tokens, calls * REPLY_TOKENS, calls * MAX_TOKENS)


def picture_tokens(picture: Picture, max_side: int = 0) -> int:
    """Tokens of a picture as it is sent; see the module. Raises ImageRefused."""
    width, height = images.read_image_size(picture)
    scale = min(1.0, max_side / max(width, height) if max_side else 1.0, SHORTER_SIDE / min(width, height))
    across, down = (max(1, math.ceil(round(side * scale) / SQUARE)) for side in (width, height))
    return PICTURE_TOKENS + SQUARE_TOKENS * across * down
