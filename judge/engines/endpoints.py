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
import dataclasses
import datetime
import email.utils
import json
import os
import threading
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

import httpx

from judge.core.foreign_text import MOST_OF_A_NOTE, on_one_line
from judge.core.secrets import HIDDEN, SHORTEST_SECRET, hide_known_secrets, hide_secrets
from judge.errors import UserError

KEY_VARIABLE = "MMJUDGE_API_KEY"

Kind = Literal["short", "long"]
_KINDS: tuple[Kind, ...] = get_args(Kind)

CONNECT_SECONDS = 10.0
DESCRIBE_SECONDS = 30.0
MOST_BYTES = 4 << 20
"""Of a reply: a thousand tokens are some KB, the list of a large gateway's models is about one MB."""
MOST_NAMES = 20
"""Of models in a message."""

TOO_LONG = ("maximum context length", "context_length_exceeded", "max_model_len", "is longer than the maximum")
"""What servers say of a prompt that does not fit (vLLM, OpenAI)."""


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
    for url in urls:
        if urls.count(url) > 1:
            raise UserError(
                f"{hide_secrets(url)}: named twice",
                fix="name each endpoint once; --batch-size is what it is asked at once",
            )
    kinds = {address.kind for address in found}
    if None in kinds and len(kinds) > 1:
        raise UserError("some endpoints say #short or #long and some do not", fix="say it of all of them, or of none")
    return found


def _address(text: str) -> Address:
    url, _, fragment = text.partition("#")
    text = hide_secrets(text)  # for the messages
    kind: Kind | None = None
    model = None
    for option in filter(None, fragment.split("&")):
        name, _, value = option.partition("=")
        if option in _KINDS:
            kind = _KINDS[_KINDS.index(option)]
        elif name == "model" and value:
            model = value
        else:
            raise UserError(f"{text}: unknown option {option!r}", fix="after #: short, long or model=NAME, joined by &")
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise UserError(f"{text}: not an address ({error})", fix="give http://HOST:PORT/v1") from None
    if parsed.scheme not in ("http", "https") or not parsed.host or parsed.query:
        raise UserError(f"{text}: not an address", fix="give http://HOST:PORT/v1")
    return Address(url.rstrip("/"), kind, model)


@dataclasses.dataclass(frozen=True)
class Served:
    """What an endpoint says of itself. server: "vllm 0.11.0", or whose model it says it is; window: tokens, or None."""

    model: str
    server: str
    window: int | None

    @property
    def is_vllm(self) -> bool:
        """Whether it takes what vLLM has beyond the protocol."""
        return self.server.partition(" ")[0] == "vllm"


@dataclasses.dataclass(frozen=True)
class Reply:
    """finish: the server's word for why it stopped. The counts are None where it does not give them."""

    text: str
    finish: str
    prompt_tokens: int | None
    new_tokens: int | None


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """The server will not take this request (4xx): sending it again changes nothing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {on_one_line(message, MOST_OF_A_NOTE)}")
        self.status, self.message = status, message

    @property
    def of_the_endpoint(self) -> bool:
        """Whether every other request would be refused alike: no such key, no such model, no such page."""
        return self.status in (401, 403, 404, 405)

    @property
    def too_long(self) -> bool:
        """Whether it says that the prompt does not fit its window."""
        return any(words in self.message for words in TOO_LONG)


class Failed(Exception):  # noqa: N818
    """No usable reply this time. wait: seconds that the server asks for. busy: it lives, and has too much to do.

    reached: the request had got there, so that it may itself be what brought the server down.
    """

    def __init__(self, message: str, *, wait: float | None = None, busy: bool = False, reached: bool = True) -> None:
        super().__init__(on_one_line(hide_secrets(message), MOST_OF_A_NOTE))
        self.wait, self.busy, self.reached = wait, busy, reached


class TooLarge(Failed):
    """The reply has more bytes than are read."""


class Client:
    """One endpoint over HTTP; threads may share it.

    The exchanges run in an event loop of its own, where they end on time whatever they are waiting for.
    """

    def __init__(
        self,
        address: Address,
        seconds: float,
        connections: int,
        key_variable: str = KEY_VARIABLE,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """seconds: how long a reply may take, the server's queue included. key_variable: of the environment, whose
        value is sent as the bearer token. most_bytes: of a reply."""
        key = os.environ.get(key_variable)
        self.address, self._seconds, self._most = address, seconds, most_bytes
        self._password = httpx.URL(address.url).password
        most = connections + 1  # one is for `trouble`
        self._http = httpx.AsyncClient(
            headers={"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})},
            timeout=httpx.Timeout(None, connect=min(CONNECT_SECONDS, seconds)),
            limits=httpx.Limits(max_connections=most, max_keepalive_connections=most),
        )
        self._lock, self._closed = threading.Lock(), False
        self._under_way: set[concurrent.futures.Future[_Answer]] = set()
        self._given_up = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="judging", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends what is under way, too."""
        with self._lock:
            if self._closed:
                return
            self._closed, self._given_up = True, "given up, since the run has ended"
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def give_up(self, why: str) -> None:
        """What is under way ends now, and raises Failed with `why`."""
        with self._lock:
            self._given_up = why
            under_way = list(self._under_way)
        for exchange in under_way:
            exchange.cancel()

    def trouble(self, seconds: float) -> str | None:
        """Why the server seems to be dead, None where it is alive: what /health says, else whether /models answers.

        seconds: for each of the two.
        """
        for page in (f"{self._beside}/health", f"{self.address.url}/models"):
            try:
                status = self._exchange("GET", page, None, seconds).status
            except Failed as failed:
                return str(failed)
            if status >= 500:
                return f"/{page.rpartition('/')[2]} says {status}"
            if status < 400:
                return None
        return None

    @property
    def _beside(self) -> str:
        """Where the pages are that are not below /v1."""
        return self.address.url.removesuffix("/v1")

    def describe(self) -> Served:
        """Ask what is served. Raises Failed, Refused and UserError (several models, and none was chosen)."""
        listed = self._json("GET", f"{self.address.url}/models", None, min(DESCRIBE_SECONDS, self._seconds))
        try:
            cards: dict[str, Mapping[str, Any]] = {str(card["id"]): card for card in listed["data"]}
        except (KeyError, TypeError) as error:
            raise Failed(f"/models lists no models ({error!r})") from None
        model = self.address.model
        if model is None and len(cards) == 1:
            (model,) = cards
        if model is None or model not in cards:
            names = ", ".join(map(on_one_line, list(cards)[:MOST_NAMES])) or "none"
            names += f" and {len(cards) - MOST_NAMES} more" if len(cards) > MOST_NAMES else ""
            raise UserError(f"{self.address}: which model? it serves {names}", fix=f"add #model=NAME to {self.address}")
        card = cards[model]
        window = card.get("max_model_len")
        server = on_one_line(hide_secrets(str(card.get("owned_by") or "unknown")))
        if server == "vllm":
            server = f"vllm {self._version()}"
        return Served(model, server, window if isinstance(window, int) else None)

    def ask(self, body: Mapping[str, Any]) -> Reply:
        """One chat completion. Raises Failed and Refused."""
        reply = self.post("chat/completions", body)
        try:
            (choice,) = reply["choices"]
            text, finish = choice["message"]["content"], choice["finish_reason"]
            usage = reply.get("usage") or {}
            counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise Failed(f"not a chat completion ({error!r})") from None
        if not isinstance(text, str) or finish not in ("stop", "length"):
            raise Failed(f"no text, or unfinished (finish_reason {finish!r})")
        prompt_tokens, new_tokens = (count if isinstance(count, int) else None for count in counts)
        return Reply(self._hide(text), finish, prompt_tokens, new_tokens)

    def post(self, page: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """What the endpoint answers to `body` at `page`, such as "chat/completions"; nothing of it is checked.

        Raises Failed (TooLarge among them) and Refused.
        """
        return self._json("POST", f"{self.address.url}/{page}", body, self._seconds)

    def _said(self, status: int, data: bytes) -> str:
        """What the server gives as the reason, in one line."""
        text = data[:4000].decode("utf-8", "replace")
        try:
            value = json.loads(data)
            error = value.get("error", value)
            text = str(error.get("message", text)) if isinstance(error, dict) else str(error)
        except (ValueError, AttributeError, RecursionError):
            pass
        text = hide_secrets(self._hide(text))
        text = "".join(c if c.isprintable() else " " for c in text)
        return " ".join(text.split())[:300] or httpx.codes.get_reason_phrase(status) or str(status)

    def _hide(self, text: str) -> str:
        """What the server says, without what it was told in confidence."""
        text = hide_known_secrets(text)
        return text.replace(self._password, HIDDEN) if len(self._password) >= SHORTEST_SECRET else text

    def _version(self) -> str:
        try:
            said = self._json("GET", f"{self._beside}/version", None, DESCRIBE_SECONDS)
        except (Failed, Refused):
            return "unknown"
        return on_one_line(str(said.get("version", "unknown")))

    def _json(self, method: str, url: str, body: Mapping[str, Any] | None, seconds: float) -> dict[str, Any]:
        status, headers, data = self._exchange(method, url, body, seconds)
        if status in (408, 409, 425, 429) or status >= 500:
            wait = _wait(headers.get("retry-after"))
            # what stands in front of a server says these when the server does not answer
            reached = status not in (502, 503, 504)
            raise Failed(self._said(status, data), wait=wait, busy=status == 429 or wait is not None, reached=reached)
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

    def _exchange(self, method: str, url: str, body: Mapping[str, Any] | None, seconds: float) -> _Answer:
        """A request and all of its answer. Raises Failed."""
        try:
            request = self._http.build_request(method, url, json=body)
            with self._lock:
                if self._closed:
                    raise Failed(self._given_up)
                exchange = asyncio.run_coroutine_threadsafe(self._timed(request, seconds), self._loop)
                self._under_way.add(exchange)
            try:
                return exchange.result()
            finally:
                with self._lock:
                    self._under_way.discard(exchange)
        except concurrent.futures.CancelledError:
            raise Failed(self._given_up) from None
        except asyncio.TimeoutError:
            raise Failed(f"no whole reply in {seconds:g} s") from None
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Failed(f"cannot be reached ({_cause(error)})", reached=False) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Failed(f"{type(error).__name__}: {error}") from None

    async def _timed(self, request: httpx.Request, seconds: float) -> _Answer:
        return await asyncio.wait_for(self._read(request), seconds)

    async def _read(self, request: httpx.Request) -> _Answer:
        response = await self._http.send(request, stream=True)
        try:
            data = bytearray()
            if not _encoding(response.headers):
                async for block in response.aiter_raw():
                    data += block
                    if len(data) > self._most:
                        raise TooLarge(f"a reply of more than {self._most} bytes")
        finally:
            await response.aclose()
        return _Answer(response.status_code, response.headers, bytes(data))

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._http.aclose()


class _Answer(NamedTuple):
    """data: as sent; nothing, where that is encoded."""

    status: int
    headers: httpx.Headers
    data: bytes


def _encoding(headers: httpx.Headers) -> str:
    """How the content is packed, "" where it is not."""
    return ", ".join(sorted(set(headers.get_list("content-encoding", split_commas=True)) - {"identity", ""}))


def _cause(error: BaseException) -> str:
    """What the system said of a connection that did not come about."""
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


def _wait(value: str | None) -> float | None:
    """Seconds that a Retry-After header asks for: a number, or a date."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        until = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError):
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=datetime.timezone.utc)
    return max(0.0, (until - datetime.datetime.now(datetime.timezone.utc)).total_seconds())
