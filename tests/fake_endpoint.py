"""A server that speaks as vLLM's OpenAI-compatible one does, in threads of this process, and goes wrong on demand.

What it answers comes from `answer(prompt, pictures)`: the user's text with `<image>` where a picture stands, and the
pictures' bytes. `script` says what to do with the n-th request instead: see `Fault`.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HANG_SECONDS = 30
KNOWN = "1. Sense: it answers the question."
"""Of the prompt that a general judge's endpoint is asked first."""

Answer = Callable[[str, list[bytes]], Mapping[str, Any]]


@dataclasses.dataclass(frozen=True)
class Fault:
    """status with headers and body; or kind: "hang" (no reply while the server lives), "drip" (a byte now and then),
    "cut" (the connection ends inside the reply), "die" (the server is gone for good), "slow" (right, but late)."""

    kind: str = "status"
    status: int = 500
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b'{"error": {"message": "told to fail"}}'


def said(text: str, pictures: list[bytes]) -> str:
    """A judge that is a hash of all it sees."""
    digest = hashlib.sha256(repr((text, pictures)).encode()).digest()
    return f"### Feedback\nSeen {digest.hex()[:12]}.\n### Score\n{digest[0] % 7}"


def hashed(text: str, pictures: list[bytes]) -> dict[str, Any]:
    return {"text": said(text, pictures)}


Script = Callable[[int, Mapping[str, Any]], Fault | None]


class FakeEndpoint:
    """A context manager. asked: bodies in order of arrival, faulty ones included. known_prompts: those of one token,
    and that of a general judge, which are asked before anything is judged; a `known_script` of their own says what to
    do with them. What `answer` gives may hold "logprobs" and "completion_tokens".

    cards: of the models that it lists; None for a list that fails. serves_listed_only: others are refused.
    health: the status of /health; None for a server that answers no question at all. held: how many requests that were
    told to hang did so to the end.
    """

    def __init__(
        self,
        answer: Answer,
        script: Script = lambda number, body: None,
        model: str = "the-judge",
        window: int = 8192,
        owned_by: str = "vllm",
    ) -> None:
        self.answer, self.script = answer, script
        self.asked: list[dict[str, Any]] = []
        self.known_prompts: list[dict[str, Any]] = []
        self.known_script: Script = lambda number, body: None
        self.serves_listed_only = True
        self.seen_headers: list[Mapping[str, str]] = []
        self.health: int | None = 404
        self.health_asked, self.held = 0, 0
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._connections: set[socket.socket] = set()
        self._retired = False
        self.card = {"id": model, "object": "model", "owned_by": owned_by, "max_model_len": window}
        self.cards: list[dict[str, Any]] | None = [self.card]
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with fake._lock:
                    fake._connections.add(self.connection)

            def finish(self) -> None:
                with fake._lock:
                    fake._connections.discard(self.connection)
                super().finish()

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                if fake._ended.is_set() or fake._retired:
                    self.close_connection = True
                elif fake.health is None:
                    fake._ended.wait(HANG_SECONDS)
                    self.close_connection = True
                elif self.path == "/health":
                    fake.health_asked += 1
                    self.reply(fake.health, b"")
                elif self.path == "/v1/models" and fake.cards is None:
                    self.reply(500, b"Internal Server Error")
                elif self.path == "/v1/models":
                    self.reply(200, {"object": "list", "data": fake.cards})
                elif self.path == "/version":
                    self.reply(200, {"version": "0.99"})
                else:
                    self.reply(404, {"error": {"message": "no such page"}})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                if fake._ended.is_set():
                    self.close_connection = True
                    return
                assert self.path == "/v1/chat/completions"
                if body.get("max_tokens") == 1 or KNOWN in json.dumps(body.get("messages")):
                    fake.known_prompts.append(body)
                    self.post(fake.known_script(len(fake.known_prompts) - 1, body), body)
                    return
                with fake._lock:
                    number = len(fake.asked)
                    fake.asked.append(body)
                    fake.seen_headers.append({name.lower(): value for name, value in self.headers.items()})
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the client has gone
                    self.post(fake.script(number, body), body)

            def post(self, fault: Fault | None, body: dict[str, Any]) -> None:
                listed = [card.get("id") for card in fake.cards or ()]
                if fault is None and fake.serves_listed_only and body.get("model") not in listed:
                    fault = Fault(status=404, body=b'{"error": {"message": "The model does not exist."}}')
                if fault is None or fault.kind == "slow":
                    if fault is not None:
                        time.sleep(0.05)
                    self.reply(200, fake.completion(body))
                elif fault.kind == "status":
                    self.reply(fault.status, fault.body, fault.headers)
                elif fault.kind == "die":
                    fake.die()
                    self.close_connection = True
                elif fault.kind == "hang":
                    fake.held += not fake._ended.wait(HANG_SECONDS)
                    self.close_connection = True
                elif fault.kind == "cut":
                    self.reply(200, fake.completion(body), cut=True)
                elif fault.kind == "drip":
                    self.send_response(200)
                    self.send_header("content-length", "1000000")
                    self.end_headers()
                    while not fake._ended.wait(0.02):
                        self.wfile.write(b" ")
                        self.wfile.flush()
                else:
                    raise AssertionError(fault.kind)

            def reply(
                self, status: int, value: Any, headers: Mapping[str, str] | None = None, cut: bool = False
            ) -> None:
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in {"content-type": "application/json", **(headers or {})}.items():
                    self.send_header(name, text)
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if cut else data)
                self.close_connection = self.close_connection or cut

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def completion(self, body: Mapping[str, Any]) -> dict[str, Any]:
        system, user = body["messages"]
        assert (system["role"], user["role"]) == ("system", "user")
        content = user["content"]
        if isinstance(content, str):
            text, pictures = content, []
        else:
            texts = [part["text"] for part in content if part["type"] == "text"]
            in_place = "".join("<image>" if part["type"] == "image_url" else part["text"] for part in content)
            text = in_place if len(texts) > 1 or "<image>" not in texts[0] else texts[0]
            urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
            pictures = [base64.b64decode(url.partition(";base64,")[2], validate=True) for url in urls]
        # as vLLM's `_get_full_multimodal_text_prompt`: more placeholders than pictures are an error
        assert text.count("<image>") == len(pictures)
        said = {"text": "", "finish": "stop", "prompt_tokens": None, **self.answer(text, pictures)}
        return {
            "object": "chat.completion",
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": said["text"]},
                    "finish_reason": said["finish"],
                    "logprobs": said.get("logprobs"),
                }
            ],
            "usage": {"prompt_tokens": said["prompt_tokens"], "completion_tokens": said.get("completion_tokens", 7)},
        }

    def retire(self) -> None:
        """As vLLM after SIGTERM: no new connections, but those with requests under way stay open."""
        self._retired = True
        self._server.socket.close()

    def die(self) -> None:
        """As a killed process: no new connections, and the old ones end without a word."""
        self._ended.set()
        self._server.socket.close()
        with self._lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):  # the client has closed it
                    connection.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> FakeEndpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
