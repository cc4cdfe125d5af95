"""What a server is asked before anything is judged, and what is said of one that reads or answers it otherwise."""

from __future__ import annotations

import base64
import dataclasses
import io
import json

import pytest
from fake_endpoint import FakeEndpoint, Fault, hashed, said
from PIL import Image
from served_prompts import MANY, PACE, connected, results, right, tokens

from judge.engines import known_prompts
from judge.engines.chat_request import ServedJudge
from judge.engines.remote import connect
from judge.errors import UserError
from judge.model import images
from mmie_tasks.demo import judge_dir

JUDGE = ServedJudge.of(str(judge_dir()))


def reads(more_a_picture: int = 0, more: int = 0, tiles: int = 12):
    """An answer of a server that reads more tokens than are due, or cuts a picture into fewer tiles."""

    def answer(text: str, pictures: list[bytes]) -> dict:
        sizes = [Image.open(io.BytesIO(picture)).size for picture in pictures]
        size = JUDGE.layout.tile_size
        fewer = sum(images.count_tiles(*each, size) - images.count_tiles(*each, size, max_num=tiles) for each in sizes)
        length = tokens(JUDGE, text, pictures) + more + more_a_picture * len(pictures)
        return {"text": said(text, pictures), "prompt_tokens": length - fewer * JUDGE.layout.tokens_per_tile}

    return answer


def test_four_known_prompts_of_one_token_are_asked_and_none_of_them_is_judged():
    with FakeEndpoint(reads()) as fake:
        server = connect(fake.url, tokenizer=str(judge_dir()), pace=PACE)
        assert fake.asked == []
        users = [body["messages"][1]["content"] for body in fake.known_prompts]
        right(results(server, MANY[:2]), MANY[:2])
    assert {body["max_tokens"] for body in fake.known_prompts} == {1}
    assert [0 if isinstance(user, str) else len(user) - 1 for user in users] == [0, 1, 3, 1]
    wide = base64.b64decode(users[3][1]["image_url"]["url"].partition(",")[2])
    # 80 x 60 is 4 : 3, hence 4 x 3 tiles and the thumbnail
    assert images.count_tiles(*Image.open(io.BytesIO(wide)).size, JUDGE.layout.tile_size) == 13


def test_without_a_tokenizer_a_text_and_a_picture_must_be_answered():
    with FakeEndpoint(hashed) as fake:
        connected(fake)
        users = [body["messages"][1]["content"] for body in fake.known_prompts]
    assert [isinstance(user, str) for user in users] == [True, False]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        # the prompt of text alone has 72 tokens
        (reads(more=-29), "the server reads 43 tokens where 72 are due for a prompt of text alone"),
        (reads(more_a_picture=4), r"the server reads \d+ tokens where \d+ are due for a prompt with one picture"),
        # 6 tiles and the thumbnail are 6 tiles fewer
        (reads(tiles=6), r"the server reads \d+ tokens where \d+ are due for a prompt with one picture of many tiles"),
    ],
)
def test_one_line_says_what_is_read_otherwise(answer, words, capsys):
    with FakeEndpoint(answer) as wrong, FakeEndpoint(reads()) as good:
        with pytest.raises(UserError, match=rf"{words}: is its chat template that of `mmjudge convert`\?") as error:
            connect(wrong.url, tokenizer=str(judge_dir()), pace=PACE)
        server = connect(f"{wrong.url},{good.url}", tokenizer=str(judge_dir()), pace=PACE)
        right(results(server, MANY), MANY)
        assert wrong.asked == []
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"mmjudge: {wrong.url} is left out: {error.value.problem.partition(': ')[2]}"


@pytest.mark.parametrize("number", [0, 1])
def test_a_server_that_refuses_what_every_request_has_is_left_out_with_its_words(number):
    words = "As of transformers v4.44, default chat template is no longer allowed"

    def refusing(asked, body):
        return Fault(status=400, body=json.dumps({"message": words}).encode()) if asked == number else None

    with FakeEndpoint(hashed) as fake:
        fake.known_script = refusing
        with pytest.raises(UserError, match=f"it refuses a prompt .*: 400: {words}"):
            connected(fake)
        assert len(fake.known_prompts) == number + 1


def test_a_server_without_stop_is_asked_without_it_and_its_text_cut_here():
    """As transformers serve 5.23. Its text may go on behind the end, and then ends for its length."""

    def script(number, body):
        return Fault(status=500, body=b"Internal Server Error") if "stop" in body else None

    def goes_on(text: str, pictures: list[bytes]) -> dict:
        return {"text": f"{said(text, pictures)}<|end|>\n<|user|>\nAnd this?", "finish": "length"}

    with FakeEndpoint(goes_on, script, owned_by="someone") as fake:
        fake.known_script = script
        found = results(connected(fake), MANY)
    right(found, MANY)
    assert {completion.stopped for completion in found} == {True}
    assert ["stop" in body for body in fake.known_prompts] == [True, False, False]
    assert not [body for body in fake.asked if "stop" in body]


def test_a_server_that_fails_with_and_without_stop_is_left_out():
    with FakeEndpoint(hashed) as fake:
        fake.known_script = lambda number, body: Fault(status=500)
        with pytest.raises(UserError, match="told to fail"):
            connected(fake)
        assert ["stop" in body for body in fake.known_prompts] == [True, False]


def test_a_busy_server_is_not_left_out():
    with FakeEndpoint(hashed) as fake:
        fake.known_script = lambda number, body: Fault(status=429)
        right(results(connected(fake), MANY[:3]), MANY[:3])


def test_a_server_that_does_not_answer_a_known_prompt_is_left_out(monkeypatch):
    monkeypatch.setattr(known_prompts, "SECONDS", 0.3)
    with FakeEndpoint(hashed) as fake:
        fake.known_script = lambda number, body: Fault("hang")
        with pytest.raises(UserError, match=r"no whole reply in 0\.3 s"):
            connect(fake.url, pace=dataclasses.replace(PACE, seconds=60))


@pytest.mark.parametrize("cards", [[{"id": "from/the-cache", "owned_by": "from"}], [], [{}], None])
def test_a_model_that_is_named_in_the_address_need_not_be_listed(cards):
    with FakeEndpoint(hashed) as fake:
        fake.serves_listed_only, fake.cards = False, cards
        server = connect(f"{fake.url}#model=/models/native", pace=PACE)
        assert (server.identity["judge"], server.identity["server"]) == ("native", "unknown")
        right(results(server, MANY[:2]), MANY[:2])
        assert {body["model"] for body in fake.asked} == {"/models/native"}


def test_where_models_cannot_be_listed_one_must_be_named():
    with FakeEndpoint(hashed) as fake:
        fake.cards = None
        with pytest.raises(UserError, match=r"/models does not say .* \(Internal Server Error\): .* #model=NAME"):
            connected(fake)


def test_a_named_model_that_is_refused_is_left_out_with_what_is_served():
    with (
        FakeEndpoint(hashed) as fake,
        pytest.raises(UserError, match=r"404: The model does not .*; it serves the-judge"),
    ):
        connect(f"{fake.url}#model=three", pace=PACE)
