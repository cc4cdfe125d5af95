"""The page's server: this machine's loopback address, standard library only.

    GET  /KEY/                 the page       GET  /KEY/item/3            {"item": 3, "question": […], …}
    GET  /KEY/page.css, .js, .svg             POST /KEY/score, /KEY/undo  {"scored": 12, "of": 40, "next": 17}
    GET  /KEY/progress                        GET  /KEY/picture/5f0c…     PNG

KEY is drawn at every start and stands in the printed address: without it nothing is to be had here, by other users of
the machine or by other pages in the browser. What else keeps those out: requests must name a loopback host (a name
that is rebound to 127.0.0.1 does not), and what changes scores must carry a token that only our own page can read.
Nothing is looked up by path on a disk. The page may load and contact nothing but this server, by its own policy.
"""

from __future__ import annotations

import json
import re
import secrets
import socketserver
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from judge.annotate.session import Refused, Session
from judge.core.foreign_text import shown
from judge.core.scale import JUDGE_SCALE
from judge.errors import UserError
from judge.io.image_paths import ImageRefused

HOST = "127.0.0.1"
BODY = 64 * 1024
"""Bytes of a request's body, at most."""
TOKEN = "X-Mmjudge-Token"
FILES = {
    "": ("page.html", "text/html; charset=utf-8"),
    "page.css": ("page.css", "text/css; charset=utf-8"),
    "page.js": ("page.js", "text/javascript; charset=utf-8"),
    "page.svg": ("page.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_FOLDER = Path(__file__).parent


class Server(ThreadingHTTPServer):
    """port: 0 for any that is free. Raises UserError where it is not to be had."""

    daemon_threads = True

    def __init__(self, session: Session, port: int = 0) -> None:
        self.session = session
        self.key, self.token = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
        self.files = {name: ((_FOLDER / file).read_bytes(), kind) for name, (file, kind) in FILES.items()}
        try:
            super().__init__((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            problem = error.strerror if isinstance(error, OSError) else "not a port"
            raise UserError(f"port {port} cannot be had ({problem})", fix="--port 0 takes any that is free") from error

    def server_bind(self) -> None:
        """Bind, without asking the network for this machine's name as HTTPServer's does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    @property
    def address(self) -> str:
        """What to open in a browser, the key included."""
        return f"http://{HOST}:{self.server_port}/{self.key}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what went wrong, but for a browser that has left."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """One request. Failures are answered with {"problem": …} and a status, and name no file."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "mmjudge", ""
    timeout = 60  # seconds for which a connection may say nothing

    def do_GET(self) -> None:
        """The page and its files, progress, items and pictures."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """A score, or the last one taken back."""
        self._answer(self._post)

    def _answer(self, method: Callable[[str], None]) -> None:
        try:
            if not _LOOPBACK.fullmatch(self.headers.get("Host", "")):
                raise _Problem(HTTPStatus.FORBIDDEN, "this server answers on the loopback address only")
            path = self.path.partition("?")[0]
            start, _, name = path.removeprefix("/").partition("/")
            if not secrets.compare_digest(start.encode(), self.server.key.encode()) or path == f"/{start}":
                raise _Problem(HTTPStatus.NOT_FOUND, "nothing here; open the address that mmjudge annotate has printed")
            method(name)
        except _Problem as problem:
            self._problem(problem.status, str(problem))
        except Refused as refused:
            self._problem(HTTPStatus.BAD_REQUEST, str(refused))
        except ImageRefused:  # the message names the file
            self._problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "this picture cannot be shown")
        except (ConnectionError, TimeoutError):  # the browser has left
            raise
        except (OSError, UserError) as error:
            print(f"not saved: {shown(str(error))}", file=sys.stderr)
            why = error.strerror if isinstance(error, OSError) else None  # the rest may name the file
            self._problem(
                HTTPStatus.INTERNAL_SERVER_ERROR, f"the file of scores cannot be used ({why or 'see the terminal'})"
            )

    def _get(self, name: str) -> None:
        session = self.server.session
        kind, _, rest = name.partition("/")
        if name in self.server.files:
            self._send(HTTPStatus.OK, *self.server.files[name])
        elif name == "progress":
            self._json({**session.progress(), "token": self.server.token, "scores": [*JUDGE_SCALE]})
        elif kind == "item" and re.fullmatch("[0-9]{1,9}", rest):
            self._json(session.item(int(rest)))
        elif kind == "picture" and (data := session.album.png(rest)) is not None:
            self._send(HTTPStatus.OK, data, "image/png")
        else:
            raise _Problem(HTTPStatus.NOT_FOUND, "nothing here")

    def _post(self, name: str) -> None:
        given = self._body()
        session = self.server.session
        if name == "score":
            self._json(session.score(given))
        elif name == "undo":
            self._json(session.undo())
        else:
            raise _Problem(HTTPStatus.NOT_FOUND, "nothing here")

    def _body(self) -> Mapping[str, Any]:
        """The JSON object that was sent, where our own page sent it."""
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,9}", length) or "Transfer-Encoding" in self.headers:
            raise _Problem(HTTPStatus.LENGTH_REQUIRED, "a request says how long it is")
        if int(length) > BODY:
            raise _Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {BODY} bytes")
        data = self.rfile.read(int(length))
        origin = self.headers.get("Origin")
        if origin is not None and origin != f"http://{self.headers['Host']}":
            raise _Problem(HTTPStatus.FORBIDDEN, "scores come from this server's own page only")
        if not secrets.compare_digest(self.headers.get(TOKEN, "").encode(), self.server.token.encode()):
            raise _Problem(HTTPStatus.FORBIDDEN, "this page is of an earlier start: load it again")
        try:
            given = json.loads(data)
        except (ValueError, RecursionError):
            given = None
        if not isinstance(given, dict):
            raise _Problem(HTTPStatus.BAD_REQUEST, "a request is a JSON object")
        return given

    def _json(self, value: Mapping[str, Any]) -> None:
        self._send(HTTPStatus.OK, json.dumps(value, allow_nan=False).encode("ascii"), "application/json")

    def _problem(self, status: int, problem: str) -> None:
        self.close_connection = True  # there may be a body that nobody has read
        self._send(status, json.dumps({"problem": problem}).encode("ascii"), "application/json")

    def _send(self, status: int, data: bytes, kind: str) -> None:
        self.send_response(status)
        for name, value in (*HEADERS.items(), ("Content-Type", kind), ("Content-Length", str(len(data)))):
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(data)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the standard library finds wrong with a request, without repeating it."""
        self._problem(code, HTTPStatus(code).phrase.lower())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the address holds the key."""


class _Problem(Exception):  # noqa: N818 - an answer with a status
    def __init__(self, status: HTTPStatus, problem: str) -> None:
        super().__init__(problem)
        self.status = status
