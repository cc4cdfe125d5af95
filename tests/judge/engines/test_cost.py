"""What judging will cost, estimated from what would be sent."""

from __future__ import annotations

import pytest
from PIL import Image

from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal
from judge.engines import GeneralOptions, Prompt
from judge.engines.cost import Cost, Price, estimate_cost, picture_tokens
from judge.engines.general import MAX_TOKENS, GeneralRequests, system_message


@pytest.mark.parametrize(
    ("size", "side", "tokens"),
    [
        ((512, 512), 0, 85 + 170),
        ((513, 512), 0, 85 + 2 * 170),
        ((1024, 1024), 0, 85 + 4 * 170),  # scaled to 768 x 768: 2 x 2
        ((2048, 1024), 1024, 85 + 2 * 170),  # sent as 1024 x 512: 2 x 1
        ((2048, 1024), 0, 85 + 6 * 170),  # 1536 x 768: 3 x 2
        ((1, 1), 1536, 85 + 170),
    ],
)
def test_tokens_of_a_picture(tmp_path, size, side, tokens):
    Image.new("1", size).save(tmp_path / "a.png")
    assert picture_tokens(Picture(tmp_path / "a.png", "a.png"), side) == tokens


def test_every_vote_is_counted_and_a_picture_that_is_not_there_costs_nothing(tmp_path):
    Image.new("1", (8, 8)).save(tmp_path / "a.png")
    rubric, end = Literal("1. Wit: x\n2. Form: y\n### Answer\n"), Literal("\n### Feedback\n")
    pieces = [(rubric, Text("é" * 400), end), (rubric, Picture(tmp_path / "a.png", "a"), end)]
    gone = (rubric, Picture(tmp_path / "b.png", "b"), end)
    prompts = [Prompt(Request("q", "", (), ()), one) for one in [*pieces, gone]]
    requests = GeneralRequests("", GeneralOptions())
    said = [requests.chat_request(prompt) for prompt in prompts]
    texts = [-(-len((system_message(one) + one.message.text).encode()) // 4) for one in said]
    assert "é" * 400 in said[0].message.text  # of 800 bytes: 200 tokens
    cost = estimate_cost(prompts, GeneralOptions(votes=3, temperature=1.0))
    assert cost == Cost(6, 3 * (texts[0] + texts[1] + 255), 6 * 250, 6 * MAX_TOKENS)


@pytest.mark.parametrize(("text", "price"), [("2.50/10", (2.5, 10.0)), ("0/0", (0.0, 0.0)), ("1/0.4", (1.0, 0.4))])
def test_prices(text, price):
    found = Price.parse(text)
    assert (found.tokens_in, found.tokens_out) == price


@pytest.mark.parametrize(
    "text", ["", "2.5", "2,5/10", "-1/2", "1/-2", "1/2/3", "nan/1", "1e3/1", "inf/1", "$1/$2", " 1/2"]
)
def test_prices_that_are_none(text):
    with pytest.raises(ValueError, match="is no price; write IN/OUT"):
        Price.parse(text)


def test_money():
    # 1,000,000 in at 2.50 and 200,000 out at 10: 2.50 + 2; at most 400,000 out: 2.50 + 4
    cost = Cost(800, 1_000_000, 200_000, 400_000)
    assert cost.sentence(Price(2.5, 10)) == (
        "800 calls, about 1,000,000 tokens in and 200,000 out (at most 400,000): about 4.50, at most about 6.50 "
        "(at 2.5/10)"
    )
    assert cost.sentence() == "800 calls, about 1,000,000 tokens in and 200,000 out (at most 400,000)"
