"""An endpoint in a thread of this process whose every reply is scripted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Said = tuple[int, Any, Mapping[str, str]]
"""Status, body (bytes, or a value that becomes JSON), headers."""


class ScriptedEndpoint:
    """A context manager. script(number, body) says what the n-th request gets. asked: bodies; keys: bearer tokens."""

    def __init__(self, script: Callable[[int, Mapping[str, Any]], Any]) -> None:
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.most_at_once = self._at_once = 0
        self._lock = threading.Lock()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with endpoint._lock:
                    number = len(endpoint.asked)
                    endpoint.asked.append(body)
                    endpoint.keys.append(self.headers.get("authorization"))
                    endpoint._at_once += 1
                    endpoint.most_at_once = max(endpoint.most_at_once, endpoint._at_once)
                try:
                    said = script(number, body)
                finally:  # before the client has its reply, and sends the next request
                    with endpoint._lock:
                        endpoint._at_once -= 1
                try:
                    status, value, headers = said if isinstance(said, tuple) else (200, said, {})
                    data = value if isinstance(value, bytes) else json.dumps(value).encode()
                    self.send_response(status)
                    for name, text in {"content-length": str(len(data)), **headers}.items():
                        self.send_header(name, text)
                    self.end_headers()
                    self.wfile.write(data)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client has gone

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    def __enter__(self) -> ScriptedEndpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def completion(content: Any, finish: str = "stop", **message: Any) -> dict[str, Any]:
    """A chat completion with this message."""
    said = {"role": "assistant", "content": content, **message}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": said, "finish_reason": finish}]}
