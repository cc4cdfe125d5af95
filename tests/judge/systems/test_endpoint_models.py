"""An endpoint as writer and as painter: what it is sent, and what comes of each way in which it can fail."""

import base64
import io
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from judge.core.request import Picture, Text
from judge.errors import UserError
from judge.systems import Failed
from judge.systems.endpoint_painter import EndpointPainterSettings
from judge.systems.endpoint_writer import EndpointWriterSettings
from judge.systems.painters import Wanted
from judge.systems.posting import Patience

PATIENCE = Patience(seconds=60, attempts=3, pause=0.001)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch):
    """The keys of TOML know whole seconds only; nobody waits for a pause here."""
    for module in ("endpoint_writer",):
        monkeypatch.setattr(f"judge.systems.{module}.Patience", lambda *_: PATIENCE)


class Server:
    """Answers POSTs with what `reply(page, body, number)` gives: an object, (status, object) or bytes."""

    def __init__(self, reply):
        self.asked, self.keys, lock = [], [], threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with lock:
                    number = len(server.asked)
                    server.asked.append((self.path, body))
                    server.keys.append(self.headers.get("authorization"))
                said = reply(self.path, body, number)
                status, value = said if isinstance(said, tuple) else (200, said)
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def serve():
    started = []

    def start(reply):
        started.append(Server(reply))
        return started[-1]

    yield start
    for server in started:
        server.http.shutdown()
        server.http.server_close()


def message(content, finish="stop"):
    return {"choices": [{"message": {"role": "assistant", "content": content}, "finish_reason": finish}]}


def texts(server, prompts, **keys):
    writer = EndpointWriterSettings(**{"address": server.address, "model": "m", **keys}).open()
    return dict(writer.write_texts(prompts))


def test_what_a_writer_is_sent(serve, tmp_path, monkeypatch):
    Image.new("RGB", (3, 2), "red").save(tmp_path / "red.png")
    server = serve(lambda page, body, number: message("Fine."))
    monkeypatch.setenv("MY_KEY", "sk-very-secret-key")
    prompt = (Text("One "), Picture(tmp_path / "red.png", "red.png"), Text(" two"))
    keys = {"max_new_tokens": 7, "key_variable": "MY_KEY", "extra": {"reasoning_effort": "low", "temperature": ""}}
    assert texts(server, [prompt], **keys) == {0: "Fine."}
    url = f"data:image/png;base64,{base64.b64encode((tmp_path / 'red.png').read_bytes()).decode()}"
    content = [
        {"type": "text", "text": "One "},
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "text", "text": " two"},
    ]
    assert server.asked == [
        (
            "/v1/chat/completions",
            {
                "model": "m",
                "messages": [{"role": "user", "content": content}],
                "max_tokens": 7,
                "reasoning_effort": "low",
            },
        )
    ]
    assert server.keys == ["Bearer sk-very-secret-key"]
    identity = EndpointWriterSettings(address=server.address, model="m", **keys).open().identity
    assert "sk-very" not in str(identity)
    assert "127.0.0.1" not in str(identity)
    assert (identity["model"], identity["temperature"]) == ("m", 0.0)


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (message([{"type": "text", "text": "A "}, {"type": "text", "text": "cat."}]), "A cat."),
        (message(None, "length"), Failed("empty_answer", "no text (finish_reason 'length')", "writer")),
        (message("", "content_filter"), Failed("empty_answer", "no text (finish_reason 'content_filter')", "writer")),
        ({"choices": []}, "not a chat completion"),
        ({}, "not a chat completion"),
        ({"choices": [{"message": {"content": None, "refusal": "I cannot."}, "finish_reason": "stop"}]}, "I cannot."),
        (
            {"choices": [{"message": {"content": ""}, "finish_reason": "error", "error": {"message": "no GPU"}}]},
            "the endpoint failed: {'message': 'no GPU'}",
        ),
        (
            (400, {"error": {"message": "The prompt was flagged"}}),
            Failed("empty_answer", "a safety filter refused the request: 400: The prompt was flagged", "writer"),
        ),
        (
            (400, {"error": {"message": "Invalid input: flagged"}}),
            Failed("empty_answer", "a safety filter refused the request: 400: Invalid input: flagged", "writer"),
        ),
        ((400, {"error": {"message": "Unknown parameter: 'moderation'."}}), "400: Unknown parameter"),
        ((400, {"error": {"message": 'Unknown name "safety_settings"'}}), "400: Unknown name"),
        ((400, {"error": {"message": "too many pictures"}}), "400: too many pictures"),
        ((500, {"error": {"message": "down"}}), "down (3 attempts)"),
        (b"no json", "not JSON"),
    ],
)
def test_what_a_writer_makes_of_replies(serve, reply, result):
    server = serve(lambda page, body, number: reply)
    found = texts(server, [(Text("a"),)])[0]
    if isinstance(found, Failed) and isinstance(result, str):
        assert (found.reason, found.by) == ("call_failed", "writer")
        assert result in found.note
    else:
        assert found == result
    # a refusal is not sent again; a failure is, three times in all
    again = isinstance(found, Failed) and "attempts" in found.note
    assert len(server.asked) == (3 if again else 1)


def test_a_picture_that_cannot_be_sent_costs_its_own_question(serve, tmp_path):
    server = serve(lambda page, body, number: message("Fine."))
    found = texts(server, [(Picture(tmp_path / "gone.png", "gone.png"),), (Text("a"),)], at_once=1)
    assert found[1] == "Fine."
    assert found[0] == Failed("call_failed", "gone.png: no such file", "writer")


def test_what_passes_is_tried_again_and_many_are_asked_at_once(serve):
    together = threading.Barrier(4, timeout=60)

    def reply(page, body, number):
        if number < 4:
            together.wait()  # fails the test where fewer are under way
        return (503, {"error": "busy"}) if number == 2 else message(body["messages"][0]["content"][0]["text"])

    prompts = [(Text(f"p{n}"),) for n in range(9)]
    server = serve(reply)
    assert texts(server, prompts, at_once=4) == {n: f"p{n}" for n in range(9)}
    assert len(server.asked) == 10


@pytest.mark.parametrize("status", [401, 404])
def test_what_every_question_would_be_refused_for_ends_the_run(serve, status):
    server = serve(lambda page, body, number: (status, {"error": {"message": "no such model: safety-7b"}}))
    with pytest.raises(UserError, match="no such model"):
        texts(server, [(Text("a"),)] * 50, at_once=1)
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_ends_the_run(serve):
    server = serve(lambda *_: {})
    server.http.server_close()
    with pytest.raises(UserError, match="cannot be reached"):
        texts(server, [(Text("a"),)])


@pytest.mark.parametrize("address", ["localhost:8000", "file:///etc/passwd", "http://a/v1,http://b/v1"])
def test_what_is_no_address(address):
    with pytest.raises(UserError, match="address"):
        EndpointWriterSettings(address=address, model="m").open()


# Pictures -----------------------------------------------------------------------------------------------------------


def png(colour="red", size=(8, 8)):
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def packed(data):
    return base64.b64encode(data).decode()


def drawn(server, wanted, **keys):
    painter = EndpointPainterSettings(**{"address": server.address, "model": "p", **keys}).open()
    return {position: image for position, image, _ in painter.draw_pictures(wanted)}


def test_what_a_painter_is_sent(serve):
    server = serve(lambda page, body, number: {"data": [{"b64_json": packed(png())}]})
    keys = {"width": 512, "height": 256, "extra": {"quality": "low", "response_format": ""}}
    (image,) = drawn(server, [Wanted("a cup", 5)], **keys).values()
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (8, 8), (255, 0, 0))
    body = {"model": "p", "prompt": "a cup", "n": 1, "size": "512x256", "seed": 5, "quality": "low"}
    assert server.asked == [("/v1/images/generations", body)]
    painter = EndpointPainterSettings(address=server.address, model="p", **keys).open()
    assert painter.identity == {
        "kind": "endpoint", "model": "p", "width": 512, "height": 256,
        "extra": {"quality": "low", "response_format": ""},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "reason", "words"),
    [
        ((400, {"error": {"message": "rejected by the safety system"}}), "empty_answer", "safety system"),
        ((403, {"error": {"message": "flagged by a filter"}}), "empty_answer", "a safety filter refused"),
        ((400, {"error": {"message": "size is not supported"}}), "call_failed", "not supported"),
        ((400, {"error": {"message": "Invalid value for moderation"}}), "call_failed", "Invalid value"),
        ({"data": [{"url": "https://example.com/a.png"}]}, "call_failed", "holds no picture itself"),
        ({"data": []}, "call_failed", "not a list of pictures"),
        ({"data": [{"b64_json": packed(png(size=(64, 64))[:90])}]}, "image_undecodable", ""),
        ({"data": [{"b64_json": packed(b"<svg></svg>")}]}, "image_undecodable", ""),
        ({"data": [{"b64_json": "no base64!"}]}, "image_undecodable", ""),
        ({"data": [{"b64_json": "A" * (45 << 20)}]}, "image_undecodable", "at most"),
        ((500, {"error": "down"}), "call_failed", "3 attempts"),
    ],
)
def test_what_a_painter_makes_of_replies(serve, reply, reason, words):
    server = serve(lambda page, body, number: reply)
    (failed,) = drawn(server, [Wanted("a cup", 5)]).values()
    assert isinstance(failed, Failed)
    assert (failed.reason, failed.by) == (reason, "painter")
    assert words in failed.note


def test_a_data_address_is_a_picture(serve):
    url = f"data:image/png;base64,{packed(png('blue'))}"
    server = serve(lambda page, body, number: {"data": [{"url": url}]})
    (image,) = drawn(server, [Wanted("a cup", 5)]).values()
    assert image.getpixel((0, 0)) == (0, 0, 255)
