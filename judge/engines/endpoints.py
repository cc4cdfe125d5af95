"""OpenAI-compatible endpoints: what `--judge http://…` names, what each says it serves, and one question to one.

    http://a:8000/v1,http://b:8000/v1                two equals
    http://a:8000/v1#short,http://b:8000/v1#long     prompts within the judge's short window to a, the others to b
    http://a:8000/v1#model=MMIE/MMIE-Score           one of several models served there; "#long&model=…" for both

What is after "#" never leaves this machine. `$MMJUDGE_API_KEY`, where it is set, is sent as the bearer token.

No endpoint is trusted to end what it says, or to keep it small: one clock runs over the whole exchange, from the
connection to the last byte, and a reply has a most in bytes. Nothing is unpacked: replies are asked for as they are.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import datetime
import email.utils
import json
import os
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, get_args

import httpx

from judge.core.foreign_text import MOST_OF_A_NOTE, on_one_line
from judge.core.secrets import HIDDEN, SHORTEST_SECRET, hide_known_secrets, hide_secrets
from judge.engines.event_loop import EventLoop
from judge.errors import UserError

KEY_VARIABLE = "MMJUDGE_API_KEY"

Kind = Literal["short", "long"]

CONNECT_SECONDS = 10.0
DESCRIBE_SECONDS = 30.0
MOST_BYTES = 4 << 20
"""Of a reply: a thousand tokens are some KB, the list of a large gateway's models is about one MB."""
MOST_NAMES = 20
"""Of models in a message."""
TOO_LONG = ("maximum context length", "context_length_exceeded", "max_model_len", "is longer than the maximum")
"""What servers say of a prompt that does not fit (vLLM, OpenAI)."""
NO_QUOTA = "insufficient_quota"
"""Code of an error 429 by which OpenAI says that the money is spent, not that there is too much to do."""


@dataclasses.dataclass(frozen=True)
class Address:
    """url: without the fragment and the last slash. kind: None for prompts of any length."""

    url: str
    kind: Kind | None = None
    model: str | None = None

    def __str__(self) -> str:
        """As shown to people: without user and password."""
        return str(httpx.URL(self.url).copy_with(userinfo=b""))


def addresses(judge: str) -> list[Address]:
    """The addresses in a list with commas. Raises UserError for one that is not as in the module's examples."""
    found = [_address(part.strip()) for part in judge.split(",") if part.strip()]
    urls = [address.url for address in found]
    if twice := next((url for url in urls if urls.count(url) > 1), None):
        fix = "name each endpoint once; --batch-size is what it is asked at once"
        raise UserError(f"{hide_secrets(twice)}: named twice", fix=fix)
    if len({address.kind is None for address in found}) > 1:
        raise UserError("some endpoints say #short or #long and some do not", fix="say it of all of them, or of none")
    return found


def _address(text: str) -> Address:
    url, _, fragment = text.partition("#")
    text = hide_secrets(text)  # for the messages
    options: dict[str, Any] = {}
    for option in filter(None, fragment.split("&")):
        name, _, value = option.partition("=")
        if option in get_args(Kind):
            options["kind"] = option
        elif name == "model" and value:
            options["model"] = value
        else:
            raise UserError(f"{text}: unknown option {option!r}", fix="after #: short, long or model=NAME, joined by &")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UserError(f"{text}: not an address ({error})", fix="give http://HOST:PORT/v1") from None
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query:
        raise UserError(f"{text}: not an address", fix="give http://HOST:PORT/v1")
    return Address(url.rstrip("/"), **options)


@dataclasses.dataclass(frozen=True)
class Served:
    """What an endpoint says of itself. server: "vllm 0.11.0", or whose model it says it is; window: tokens, or None.

    others: the models that it lists, where the one that was chosen is not among them. takes_stop: whether it knows the
    field `stop`. lacks: other fields of a request that it has refused.
    """

    model: str
    server: str = "unknown"
    window: int | None = None
    others: str = ""
    takes_stop: bool = True
    lacks: frozenset[str] = frozenset()

    @property
    def is_vllm(self) -> bool:
        """Whether it takes what vLLM has beyond the protocol."""
        return self.server.partition(" ")[0] == "vllm"


@dataclasses.dataclass(frozen=True)
class Reply:
    """finish: the server's word for why it stopped. The counts are None where it does not give them. logprobs: what
    stands in the choice under that name, unchecked."""

    text: str
    finish: str
    prompt_tokens: int | None
    new_tokens: int | None
    logprobs: Any = None


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The server will not take this request (4xx; of 429 `NO_QUOTA` alone), or a filter or the model will not answer it
    (status 200): sending it again changes nothing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {on_one_line(message, MOST_OF_A_NOTE)}")
        self.status = status
        # no such key, no money, no such model, no such page: every other request would be refused alike
        self.of_the_endpoint = status in (401, 402, 403, 404, 405, 429)
        # what a model says (status 200) may hold any words
        self.too_long = status != 200 and any(words in message for words in TOO_LONG)


class Failed(Exception):  # noqa: N818
    """No usable reply this time. wait: seconds that the server asks for. busy: it lives, and has too much to do.

    status: of the reply, where there was one. reached: the request had got there, so that it may itself be what brought
    the server down.
    """

    def __init__(
        self, message: str, *, wait: float | None = None, busy: bool = False, status: int = 0, reached: bool = True
    ) -> None:
        super().__init__(on_one_line(hide_secrets(message), MOST_OF_A_NOTE))
        self.wait, self.busy, self.status, self.reached = wait, busy, status, reached


class TooLarge(Failed):
    """The reply has more bytes than are read."""


class Endpoint:
    """One address, what is served there, and how it has been doing in the run (`judge.engines.remote`)."""

    served: Served
    _http: httpx.AsyncClient

    def __init__(
        self, address: Address, seconds: float, key_variable: str = KEY_VARIABLE, most_bytes: int = MOST_BYTES
    ) -> None:
        """seconds: how long a reply may take, the server's queue included. key_variable: of the environment, whose
        value is sent as the bearer token. most_bytes: of a reply."""
        self.address, self._seconds, self._key, self._most = address, seconds, key_variable, most_bytes
        self._beside = address.url.removesuffix("/v1")  # where the pages are that are not below /v1
        self.dropped: str | None = None
        self.trouble: Failed | None = None
        self.working: set[asyncio.Task[None]] = set()
        self.trial: asyncio.Task[None] | None = None  # after a failure: the one request that is let through
        self.failures, self.failing_since, self.last_failure, self.rests_until = 0, 0.0, 0.0, 0.0
        self.answered = self.lost = 0

    @contextlib.asynccontextmanager
    async def opened(self, connections: int) -> AsyncIterator[None]:
        """Its connections, for the event loop that runs now."""
        key = os.environ.get(self._key)
        # One more for `find_trouble`. None is used again: a server may close it at any time, such as after an error.
        limits = httpx.Limits(max_connections=connections + 1, max_keepalive_connections=0)
        async with httpx.AsyncClient(
            headers={"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})},
            timeout=httpx.Timeout(None, connect=min(CONNECT_SECONDS, self._seconds)),
            limits=limits,
        ) as self._http:
            self.working = set()
            yield

    def is_ready(self, most: int) -> bool:
        """Whether it may be asked something more; `most` at once, after a failure one."""
        resting = self.rests_until > time.monotonic() or (self.failures > 0 and self.trial in self.working)
        return self.dropped is None and not resting and len(self.working) < most

    async def find_trouble(self, seconds: float) -> Failed | None:
        """Why the server seems to be dead, None where it is alive: what /health says, else whether /models answers.

        seconds: for each of the two. `reached` is False where it is certain: it says so, or takes no connection.
        """
        for page in (f"{self._beside}/health", f"{self.address.url}/models"):
            try:
                status, _, _ = await self._exchange(page, None, seconds)
            except Failed as failed:
                return failed
            if status >= 500:
                return Failed(f"/{page.rpartition('/')[2]} says {status}", reached=False)
            if status < 400:
                return None
        return None

    async def describe(self) -> None:
        """Ask what is served. Raises Failed, Refused and UserError (several models, and none was chosen).

        A model that was chosen need not be listed, and the list need not be there: transformers serve 5.23 lists the
        models of the Hub's cache, whatever it serves.
        """
        seconds, model = min(DESCRIBE_SECONDS, self._seconds), self.address.model
        cards: dict[str, Mapping[str, Any]] = {}
        try:
            listed = await self._json(f"{self.address.url}/models", None, seconds)
            cards = {str(card["id"]): card for card in listed["data"]}
        except (Failed, Refused) as error:
            if not getattr(error, "reached", True):
                raise
            if model is None:
                raise Failed(f"/models does not say what is served ({error}): name it, as in #model=NAME") from None
        except (KeyError, TypeError) as error:
            if model is None:
                raise Failed(f"/models lists no models ({error!r})") from None
        names = ", ".join(map(on_one_line, list(cards)[:MOST_NAMES]))
        names += f" and {len(cards) - MOST_NAMES} more" if len(cards) > MOST_NAMES else ""
        if model is None and len(cards) == 1:
            (model,) = cards
        if model is None:
            raise UserError(
                f"{self.address}: which model? it serves {names or 'none'}", fix=f"add #model=NAME to {self.address}"
            )
        if model not in cards:
            self.served = Served(model, others=names)
            return
        window = cards[model].get("max_model_len")
        server = on_one_line(hide_secrets(str(cards[model].get("owned_by") or "unknown")))
        if server == "vllm":
            version: object = "unknown"
            with contextlib.suppress(Failed, Refused):
                version = (await self._json(f"{self._beside}/version", None, seconds)).get("version", version)
            server = f"vllm {on_one_line(str(version))}"
        self.served = Served(model, server, window if isinstance(window, int) else None)

    async def ask(self, body: bytes, seconds: float | None = None) -> Reply:
        """One chat completion. body: JSON. seconds: where they are fewer than usual. Raises Failed and Refused (also
        where a filter or the model refuses: with status 200)."""
        reply = await self.post("chat/completions", body, seconds)
        try:
            (choice,) = reply["choices"]
            text, finish = choice["message"]["content"], choice["finish_reason"]
            refusal = choice["message"].get("refusal")
            usage = reply.get("usage") or {}
            counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Failed(f"not a chat completion ({error!r})") from None
        if finish == "content_filter" or (refusal and not text):
            said = hide_secrets(self._hide(str(refusal or finish)))
            raise Refused(200, f"refused by a filter or by the model: {said}")
        if text is None and finish == "length":
            text = ""  # all of it was thought before the answer
        if not isinstance(text, str) or finish not in ("stop", "length"):
            raise Failed(f"no text, or unfinished (finish_reason {finish!r})")
        prompt_tokens, new_tokens = (count if isinstance(count, int) else None for count in counts)
        return Reply(self._hide(text), finish, prompt_tokens, new_tokens, choice.get("logprobs"))

    async def post(self, page: str, body: bytes, seconds: float | None = None) -> dict[str, Any]:
        """What it answers to `body` at `page`, such as "chat/completions"; nothing of it is checked.

        Raises Failed (TooLarge among them) and Refused.
        """
        return await self._json(f"{self.address.url}/{page}", body, min(seconds or self._seconds, self._seconds))

    def _said(self, status: int, data: bytes) -> str:
        """What the server gives as the reason, in one line."""
        text = data[:4000].decode("utf-8", "replace")
        with contextlib.suppress(ValueError, AttributeError, RecursionError):
            value = json.loads(data)
            error = value.get("error", value)
            text = str(error.get("message", text)) if isinstance(error, dict) else str(error)
        text = "".join(c if c.isprintable() else " " for c in hide_secrets(self._hide(text)))
        return " ".join(text.split())[:300] or httpx.codes.get_reason_phrase(status) or str(status)

    def _hide(self, text: str) -> str:
        """What the server says, without what it was told in confidence."""
        text, password = hide_known_secrets(text), httpx.URL(self.address.url).password
        return text.replace(password, HIDDEN) if len(password) >= SHORTEST_SECRET else text

    async def _json(self, url: str, body: bytes | None, seconds: float) -> dict[str, Any]:
        status, headers, data = await self._exchange(url, body, seconds)
        wait = _wait(headers.get("retry-after"))
        spent = status == 429 and wait is None and _has_no_quota(data)
        if (status in (408, 409, 425, 429) and not spent) or status >= 500:
            # what stands in front of a server says 502 to 504 when the server does not answer
            reached, busy = status not in (502, 503, 504), status == 429 or wait is not None
            raise Failed(self._said(status, data), wait=wait, busy=busy, status=status, reached=reached)
        if status != 200:
            raise Refused(status, self._said(status, data))
        if encoding := _encoding(headers):
            raise Failed(f"a reply in the encoding {encoding}, which nobody asked for")
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Failed(f"a reply that is not JSON ({error})") from None
        if not isinstance(value, dict):
            raise Failed("a reply that is not an object")
        return value

    async def _exchange(self, url: str, body: bytes | None, seconds: float) -> tuple[int, httpx.Headers, bytes]:
        """A request and all of its answer, which is empty where it is packed. Raises Failed."""
        try:
            return await asyncio.wait_for(self._read(url, body), seconds)
        except asyncio.TimeoutError:
            raise Failed(f"no whole reply in {seconds:g} s") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            cause: BaseException = error  # what the system said
            while cause.__cause__ is not None:
                cause = cause.__cause__
            raise Failed(f"cannot be reached ({str(cause) or type(cause).__name__})", reached=False) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Failed(f"{type(error).__name__}: {error}") from None

    async def _read(self, url: str, body: bytes | None) -> tuple[int, httpx.Headers, bytes]:
        method, headers = ("GET", None) if body is None else ("POST", {"Content-Type": "application/json"})
        data = bytearray()
        async with self._http.stream(method, url, content=body, headers=headers) as response:
            if not _encoding(response.headers):
                async for block in response.aiter_raw():
                    data += block
                    if len(data) > self._most:
                        raise TooLarge(f"a reply of more than {self._most} bytes")
        return response.status_code, response.headers, bytes(data)


class Client:
    """An endpoint for threads that may share it; the exchanges run in an event loop of its own."""

    def __init__(
        self,
        address: Address,
        seconds: float,
        connections: int,
        key_variable: str = KEY_VARIABLE,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """As of `Endpoint`; connections: the most at once."""
        self._endpoint = Endpoint(address, seconds, key_variable, most_bytes)
        self._loop = EventLoop()
        self._opened = self._endpoint.opened(connections)
        self._loop.start(self._opened.__aenter__()).result()

    def post(self, page: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """As `Endpoint.post`, with Failed where the client has been closed meanwhile."""
        try:
            return self._loop.start(self._endpoint.post(page, json.dumps(body).encode())).result()
        except concurrent.futures.CancelledError:
            raise Failed("given up, since the run has ended") from None

    def close(self) -> None:
        """Ends what is under way, too."""
        self._loop.close()


def _has_no_quota(data: bytes) -> bool:
    """Whether an error has `NO_QUOTA` as its code or its type."""
    try:
        error = json.loads(data)["error"]
        return NO_QUOTA in (error.get("code"), error.get("type"))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return False


def _encoding(headers: httpx.Headers) -> str:
    """How the content is packed, "" where it is not."""
    return ", ".join(sorted(set(headers.get_list("content-encoding", split_commas=True)) - {"identity", ""}))


def _wait(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date."""
    try:
        return max(0.0, float(value or ""))
    except ValueError:
        pass
    try:
        until = email.utils.parsedate_to_datetime(value or "")
    except (ValueError, TypeError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=datetime.timezone.utc)
    return max(0.0, (until - datetime.datetime.now(datetime.timezone.utc)).total_seconds())
