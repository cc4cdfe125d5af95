"""A site as an ASGI application, behind a gate.

KEY is drawn at every start and stands in the printed address, http://127.0.0.1:8765/KEY/: without it nothing is to be
had here, by other users of the machine or by other pages in the browser. What else keeps those out: requests must name
a loopback host (a name that is rebound to 127.0.0.1 does not), and a POST must carry a token that only our own page can
read. Nothing is looked up by path on a disk. A page may load and contact nothing but this server, by its own policy.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import json
import re
import secrets
import sys
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from judge.core.foreign_text import shown
from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from judge.web.pages import Call, Handler, Refused, Reply, Site, problem

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

BODY = 64 * 1024
"""Bytes of a request's body, at most."""
LEFT_UNREAD = 1024 * 1024
"""Bytes of the body of a refused request that are read and thrown away, at most."""
LEFT_WAITING = 2.0
"""Seconds for which they are waited for, at most."""
TOKEN = "X-Mmjudge-Token"
TICKET = "browser-"
"""Begins a path that leads to the page once: the command line of a browser is no secret on a machine of several."""
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
    "Server": "mmjudge",
}
_LOOPBACK = re.compile(rb"(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?", re.IGNORECASE)
_LENGTH = re.compile("[0-9]{1,9}")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class CutOff(Exception):  # noqa: N818 - told already
    """A file that is sent in pieces cannot be sent to its end."""


class Gate:
    """Lets those through who name a loopback host and know the key; the application sees the path after it.

    key, token: drawn anew for every gate. Every answer, also a refusal, has `HEADERS`.
    """

    def __init__(self, site: Site) -> None:
        self.key, self.token = secrets.token_urlsafe(18), secrets.token_urlsafe(18)
        self._command = site.command
        self._tickets: set[str] = set()
        self._inside = site_app(site, self.token)

    def ticket(self) -> str:
        """A path that leads to the page, once."""
        drawn = f"{TICKET}{secrets.token_urlsafe(18)}"
        self._tickets.add(drawn)
        return drawn

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection of ASGI: http and nothing else."""
        body = _Body(receive)

        async def with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                if message["status"] >= HTTPStatus.BAD_REQUEST:
                    await body.throw_away()
                ours = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message = {**message, "headers": [*message.get("headers", ()), *ours]}
            await send(message)

        asked, refused = self._entered(scope)
        with contextlib.suppress(CutOff):  # the connection ends without the end of the file, and the browser says so
            await (refused or self._inside)({**scope, **asked}, body.receive, with_headers)

    def _entered(self, scope: Scope) -> tuple[Scope, Application | None]:
        """(the path behind the key, None), or ({}, the answer to who may not enter)."""
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not _LOOPBACK.fullmatch(hosts[0]):
            return {}, response(problem(HTTPStatus.FORBIDDEN, "this server answers on the loopback address only"))
        if scope["method"] not in ("GET", "POST"):
            return {}, response(problem(HTTPStatus.NOT_IMPLEMENTED, "pages are read with GET and POST"))
        start, slash, rest = scope["path"].removeprefix("/").partition("/")
        if start in self._tickets:
            self._tickets.discard(start)
            return {}, redirect(f"/{self.key}/")
        if not secrets.compare_digest(start.encode("utf-8", "replace"), self.key.encode()) or not slash:
            text = f"nothing here; open the address that {self._command} has printed"
            return {}, response(problem(HTTPStatus.NOT_FOUND, text))
        return {"path": f"/{rest}", "raw_path": f"/{rest}".encode("utf-8", "replace"), "root_path": ""}, None


class _Body:
    """What is received of one request, and whether it has all been read.

    A refusal ends the connection. Were bytes of the body still to come, the kernel would answer them with a reset, at
    which a browser forgets the refusal that it has not read yet.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._ended = False

    async def receive(self) -> MutableMapping[str, Any]:
        message = await self._receive()
        self._ended = not message.get("more_body", False)  # also where the client has gone
        return message

    async def throw_away(self) -> None:
        """Read the rest, up to `LEFT_UNREAD` bytes and for `LEFT_WAITING` seconds."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._read_on(), LEFT_WAITING)

    async def _read_on(self) -> None:
        read = 0
        while not self._ended and read <= LEFT_UNREAD:
            read += len((await self.receive()).get("body", b""))


def redirect(address: str) -> Response:
    """To another address of this server."""
    from starlette.responses import RedirectResponse

    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


def response(reply: Reply) -> Response:
    """As starlette has it. A refusal ends the connection: its request may be too long to be read to the end."""
    from starlette.responses import Response, StreamingResponse

    headers = {"Connection": "close"} if reply.status >= HTTPStatus.BAD_REQUEST else {}
    if reply.download is not None:
        headers["Content-Disposition"] = f'attachment; filename="{reply.download}"'
    if isinstance(reply.data, bytes):
        made = Response(reply.data, reply.status, headers)
    else:
        made = StreamingResponse(reply.data, reply.status, headers)
    made.headers["Content-Type"] = reply.kind
    return made


def site_app(site: Site, token: str) -> Application:
    """The site's files and functions by address. What goes wrong is answered with {"problem": …}, and names no file."""
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.routing import Route

    def file(reply: Reply) -> Handler:
        return lambda call: reply

    gets = {**{f"/{name}": file(reply) for name, reply in site.files.items()}, **site.gets}
    routes = [
        *(Route(address, _endpoint(handler, site, None), methods=["GET"]) for address, handler in gets.items()),
        *(Route(address, _endpoint(handler, site, token), methods=["POST"]) for address, handler in site.posts.items()),
    ]

    def nothing(request: Request, error: Exception) -> Response:
        return response(problem(HTTPStatus.NOT_FOUND, "nothing here"))

    app = Starlette(routes=routes, exception_handlers={HTTPException: nothing})
    app.router.redirect_slashes = False
    found: Application = app
    return found


def _endpoint(handler: Handler, site: Site, token: str | None) -> Callable[[Request], Awaitable[Response]]:
    """token: what a request with a body must carry; None for one without."""

    async def answer(request: Request) -> Response:
        from starlette.concurrency import run_in_threadpool

        try:
            body = {} if token is None else await _body(request, token)
            call = Call(request.path_params, request.query_params.multi_items(), body)
            return response(await run_in_threadpool(_begun, handler, call, site))
        except Refused as refused:
            return response(problem(refused.status, str(refused)))
        except ImageRefused:  # the message names the file
            return response(problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "this picture cannot be shown"))
        except (OSError, UserError) as error:
            print(f"{site.unusable} cannot be used: {shown(str(error))}", file=sys.stderr)
            why = error.strerror if isinstance(error, OSError) else None  # the rest may name the file
            text = f"{site.unusable} cannot be used ({why or 'see the terminal'})"
            return response(problem(HTTPStatus.INTERNAL_SERVER_ERROR, text))

    return answer


def _begun(handler: Handler, call: Call, site: Site) -> Reply:
    """The reply, of pieces with the first ones made: what goes wrong there can still be answered in words."""
    reply = handler(call)
    if isinstance(reply.data, bytes):
        return reply
    pieces = iter(reply.data)
    first = list(itertools.islice(pieces, 2))  # the first may be a header
    return dataclasses.replace(reply, data=itertools.chain(first, _rest(pieces, site)))


def _rest(pieces: Iterator[bytes], site: Site) -> Iterator[bytes]:
    try:
        yield from pieces
    except (Refused, OSError, UserError) as error:
        print(f"{site.unusable} cannot be used, a file was cut off: {shown(str(error))}", file=sys.stderr)
        raise CutOff from None


async def _body(request: Request, token: str) -> dict[str, Any]:
    """The JSON object that was sent, where our own page sent it. Raises Refused."""
    length = request.headers.get("Content-Length", "")
    if not _LENGTH.fullmatch(length) or "Transfer-Encoding" in request.headers:
        raise Refused("a request says how long it is", HTTPStatus.LENGTH_REQUIRED)
    if int(length) > BODY:
        raise Refused(f"a request has at most {BODY} bytes", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    data = await request.body()
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.headers['Host']}":
        raise Refused("what is sent comes from this server's own page only", HTTPStatus.FORBIDDEN)
    if not secrets.compare_digest(request.headers.get(TOKEN, "").encode(), token.encode()):
        raise Refused("this page is of an earlier start: load it again", HTTPStatus.FORBIDDEN)
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        raise Refused("a request is a JSON object")
    return given
