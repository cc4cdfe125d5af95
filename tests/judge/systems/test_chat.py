"""Endpoints whose replies hold pictures, in all the forms they have, and what else they say."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from scripted_endpoint import ScriptedEndpoint, completion

from judge.core.benchmark import find
from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.scoring.score import ScoreOptions, score
from judge.systems import Drawing, Failed, Reply, Workspace
from judge.systems.ask import AskOptions, ask_questions
from judge.systems.chat import ChatSettings
from judge.systems.chat_reply import read_reply
from judge.systems.settings import make_settings
from mmie_tasks.demo import demo_dir, judge_dir

BENCHMARK = find("mmie")
DATASET = BENCHMARK.load(demo_dir(), images=True)
QUESTIONS = BENCHMARK.questions(DATASET, range(3))


def encoded(colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (16, 16), colour).save(file, "PNG")
    return file.getvalue()


PNG = encoded()
BASE64 = base64.b64encode(PNG).decode()
DATA = f"data:image/png;base64,{BASE64}"
AS_URL = {"type": "image_url", "image_url": {"url": DATA}}


def settings(url: str, **keys: Any) -> ChatSettings:
    made = make_settings({"kind": "chat", "address": url, "model": "m", **keys}, Path("mine.toml"))
    assert isinstance(made, ChatSettings)
    return made


def answers(folder: Path, script: Any, **keys: Any) -> dict[int, Reply | Failed]:
    workspace = Workspace(folder)
    workspace.pictures.mkdir(parents=True, exist_ok=True)
    with ScriptedEndpoint(script) as endpoint, settings(endpoint.url, **keys).open(workspace) as system:
        return {question.index: reply for question, reply in system.answer(QUESTIONS)}


def shape(reply: Reply | Failed) -> list[Any] | str:
    """Texts, and the bytes of pictures; of a failure the reason and the note."""
    if isinstance(reply, Failed):
        return f"{reply.reason}: {reply.note}"
    return [part.text if isinstance(part, Text) else part.path.read_bytes() for part in reply.parts]


FORMS = [
    (completion("Step 2: pour.", images=[AS_URL]), ["Step 2: pour.", PNG]),
    (completion(None, images=[AS_URL, AS_URL]), [PNG, PNG]),
    (completion([{"type": "text", "text": "One"}, AS_URL, {"type": "text", "text": "Two"}]), ["One", PNG, "Two"]),
    (completion(["One", {"type": "output_image", "image": BASE64}]), ["One", PNG]),
    (completion([{"type": "image_url", "image_url": DATA}]), [PNG]),
    (completion([{"type": "image", "b64_json": BASE64}, {"type": "text", "text": "One"}]), [PNG, "One"]),
    (completion([{"type": "image", "source": {"type": "base64", "data": BASE64}}]), [PNG]),
    (completion(f"One\n![a cup]({DATA})\nTwo ![]({DATA} \"title\")"), ["One", PNG, "Two ", PNG]),
    (completion("One", images=[{"url": DATA}, DATA, {"b64_json": BASE64}]), ["One", PNG, PNG, PNG]),
    (completion("![a cup](a.png) and [{\"text\": \"x\"}]"), ['![a cup](a.png) and [{"text": "x"}]']),
    (completion([{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "One"}]), ["One"]),
    (completion("I cannot draw that."), ["I cannot draw that."]),
    (completion(None, refusal="I will not."), ["I will not."]),
    (completion("cut", "length"), ["cut"]),
]  # fmt: skip


@pytest.mark.parametrize(("said", "parts"), FORMS)
def test_pictures_are_read_in_every_form(tmp_path, said, parts):
    assert shape(read_reply(said, tmp_path)) == parts


FAILURES = [
    (completion(None), "empty_answer: the reply holds neither text nor picture"),
    (completion(" \n"), "empty_answer: the reply holds neither text nor picture"),
    (completion(None, "content_filter"), "empty_answer: a safety filter held the answer back (content_filter)"),
    (completion("One", images=[{"url": "https://host/a.png"}]),
     "image_address: the reply gives an address instead of a picture: https://host/a.png"),
    (completion([{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]),
     "image_address: the reply gives an address instead of a picture: file:///etc/passwd"),
    (completion([{"type": "image"}]), "image_undecodable: a picture of the reply has no bytes: ['type']"),
    (completion([{"type": "audio", "audio": {}}]), "call_failed: a part of the reply is of the unknown type 'audio'"),
    (completion([3]), "call_failed: a part of the reply is a int"),
    (completion(3), "call_failed: the content of the reply is a int"),
    (completion("a", images="b"), "call_failed: the images of the reply are a str"),
    (completion([AS_URL] * 65), "image_undecodable: the reply has more than 64 pictures"),
    ({}, "call_failed: not a chat completion"),
    ({"choices": []}, "call_failed: not a chat completion"),
    ({"choices": [{"message": None}]}, "call_failed: not a chat completion"),
    ({"choices": [3]}, "call_failed: not a chat completion"),
    ({"choices": [{"message": {}, "error": {"code": 502}}]}, "call_failed: the endpoint failed"),
    ({"choices": [{"message": {}, "finish_reason": "stop", "native_finish_reason": "IMAGE_SAFETY"}]},
     "empty_answer: a safety filter held the answer back (image_safety)"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "failure"), FAILURES)
def test_what_is_no_answer(tmp_path, said, failure):
    assert shape(read_reply(said, tmp_path)).startswith(failure)


@pytest.mark.parametrize(
    "picture", ["", "====", "no base64 at all!", BASE64[:60], base64.b64encode(b"<html>").decode()]
)
def test_half_a_picture_and_a_wrong_type_are_kept_with_a_note(tmp_path, picture):
    reply = read_reply(
        completion(["One", {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}}]), tmp_path
    )
    assert isinstance(reply, Reply)
    assert reply.parts[0] == Text("One")
    assert isinstance(reply.parts[1], Drawing)
    assert reply.note


def test_what_is_sent(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_API_KEY", "sk-0123456789abcdef")
    workspace = Workspace(tmp_path)
    workspace.pictures.mkdir()
    keys = {"key_variable": "MY_API_KEY", "extra": {"temperature": 0.5}, "system": "Draw.", "at_once": 1}
    endpoint = ScriptedEndpoint(lambda number, body: completion("Hi"))
    with endpoint, settings(endpoint.url, **keys).open(workspace) as system:
        list(system.answer(QUESTIONS[:1]))
        assert "MY_API_KEY" not in json.dumps(system.identity)
        assert "sk-0123456789abcdef" not in json.dumps(system.identity)
    (body,) = endpoint.asked
    assert endpoint.keys == ["Bearer sk-0123456789abcdef"]
    assert {name: body[name] for name in ("model", "modalities", "temperature")} == {
        "model": "m",
        "modalities": ["image", "text"],
        "temperature": 0.5,
    }
    system_message, user = body["messages"]
    assert system_message == {"role": "system", "content": "Draw."}
    assert len(user["content"]) == len(QUESTIONS[0].parts)
    for sent, part in zip(user["content"], QUESTIONS[0].parts, strict=True):
        if isinstance(part, Picture):
            media, _, data = sent["image_url"]["url"].partition(";base64,")
            assert media == "data:image/png"
            assert base64.b64decode(data) == part.path.read_bytes()
        else:
            assert sent == {"type": "text", "text": part.text}


def test_questions_are_asked_at_once_and_no_more_than_told(tmp_path):
    def slow(number, body):
        time.sleep(0.1)
        return completion("Hi")

    workspace = Workspace(tmp_path)
    with ScriptedEndpoint(slow) as endpoint, settings(endpoint.url, at_once=2).open(workspace) as system:
        found = list(system.answer(BENCHMARK.questions(DATASET, range(9))))
    assert sorted(question.index for question, _ in found) == list(range(9))
    assert endpoint.most_at_once == 2


def test_what_passes_is_asked_again(tmp_path):
    def script(number, body):
        if number == 0:
            return 503, {"error": {"message": "loading"}}, {"retry-after": "0"}
        if number == 1:
            return 429, {"error": {"message": "slow down"}}, {"retry-after": "0"}
        if number == 2:
            return 200, b'{"choi', {}
        return completion("Hi")

    found = answers(tmp_path, script, at_once=1, attempts=4)
    assert [shape(reply) for reply in found.values()] == [["Hi"]] * 3


def test_what_does_not_pass_is_a_failed_call(tmp_path):
    found = answers(tmp_path, lambda *_: (500, {"error": {"message": "broken"}}, {"retry-after": "0"}), attempts=1)
    assert [shape(reply) for reply in found.values()] == ["call_failed: broken (1 attempts)"] * 3


def test_a_safety_filter_is_the_models_failure(tmp_path):
    blocked = (400, {"error": {"code": "content_policy_violation", "message": "blocked by our content policy"}}, {})
    found = answers(tmp_path, lambda number, body: blocked if number == 1 else completion("Hi"), at_once=1)
    assert [shape(reply) for reply in found.values()] == [
        ["Hi"],
        "empty_answer: a safety filter refused the request: 400: blocked by our content policy",
        ["Hi"],
    ]


def test_one_request_that_is_refused_ends_nothing(tmp_path):
    refused = (400, {"error": {"message": "too many images"}}, {})
    found = answers(tmp_path, lambda number, body: refused if number == 1 else completion("Hi"), at_once=1)
    assert shape(found[1]) == "call_failed: 400: too many images"
    assert shape(found[2]) == ["Hi"]


@pytest.mark.parametrize(("status", "code"), [(401, None), (402, None), (404, None), (429, "insufficient_quota")])
def test_an_endpoint_that_refuses_everybody_ends_the_run(tmp_path, status, code):
    with pytest.raises(UserError, match=f"says {status}: no such key"):
        answers(tmp_path, lambda *_: (status, {"error": {"message": "no such key: Bearer abc", "code": code}}, {}))


def test_a_picture_of_60_MB_is_the_models_failure(tmp_path):  # noqa: N802
    large = b'{"choices": [{"message": {"content": "' + b"A" * (100 << 20) + b'"}}]}'
    found = answers(tmp_path, lambda number, body: (200, large, {}) if number == 0 else completion("Hi"), at_once=1)
    assert shape(found[0]) == "image_undecodable: a reply of more than 100663296 bytes"
    assert shape(found[1]) == ["Hi"]
    address = "data:image/png;base64," + "A" * (44 << 20)
    reply = read_reply(completion(None, images=[{"url": address}]), tmp_path)
    assert shape(reply) == "image_undecodable: a picture of about 34,603,008 bytes; at most 33,554,432 are kept"


def test_a_run_that_ends_early_waits_for_nobody(tmp_path):
    def script(number, body):
        if number:
            return 503, {}, {"retry-after": "100"}
        return completion("Hi")

    workspace, before = Workspace(tmp_path), set(threading.enumerate())
    with ScriptedEndpoint(script) as endpoint, settings(endpoint.url, at_once=2).open(workspace) as system:
        for _ in system.answer(QUESTIONS):
            while len(endpoint.asked) < 2:  # the other one waits for its second attempt, or soon will
                time.sleep(0.01)
            break
    for thread in set(threading.enumerate()) - before:  # the end of the process would wait for them
        thread.join(40)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"address": "localhost:8000"}, "not an address"),
        ({"address": "http://a/v1,http://b/v1"}, 'field "address": 2 addresses'),
        ({"key_variable": "sk-0123456789abcdef"}, r'field "key_variable": is \'\*\*\*\''),
        ({"key_variable": "MINE"}, 'field "key_variable": is'),
        ({"extra": {"n": 2}}, 'field "extra": n: set by keys of their own'),
        ({"api_key": "abc"}, 'field "api_key": is not a key here\n→ known here: '),
    ],
)
def test_what_the_user_can_mend(tmp_path, keys, message):
    with pytest.raises(UserError, match=message):
        settings("http://127.0.0.1:1/v1", **keys).open(Workspace(tmp_path))


def test_failures_are_scored_as_the_table_says(tmp_path):
    """Worst for the model's, no score for the call's, through the whole way."""
    said = {
        0: completion("One", images=[AS_URL]),
        1: completion("One", images=[{"url": DATA[:80]}]),
        2: completion(None, "content_filter"),
        3: completion("One", images=[{"url": "https://host/a.png"}]),
        4: (500, {}, {"retry-after": "0"}),
        5: completion("One", images=[{"url": "data:image/png;base64,"}]),
    }
    out = tmp_path / "a"
    with ScriptedEndpoint(lambda number, body: said[number]) as endpoint:
        system = settings(endpoint.url, at_once=1, attempts=1)
        ask_questions(system, BENCHMARK, DATASET, out, range(6), AskOptions(say=lambda line: None))
    run = score(out / "responses.jsonl", "mmie", tmp_path / "r", judge=str(judge_dir()), data=demo_dir(),
                options=ScoreOptions(partial=True))  # fmt: skip
    found = {verdict.id: verdict for verdict in run.verdicts}
    verdicts = [found[DATASET.records[index].id] for index in range(6)]
    assert verdicts[0].score is not None
    assert verdicts[0].failure is None
    assert [verdict.failure for verdict in verdicts[1:]] == [
        "image_undecodable", "empty_answer", "empty_answer", None, "image_undecodable",
    ]  # fmt: skip
    assert [verdict.score for verdict in verdicts[1:]] == [0, 0, 0, None, 0]
    assert verdicts[4].unscored == "no_response"
