"""OpenAI-compatible endpoints: what `--judge http://…` names, what each says it serves, and one question to one.

    http://a:8000/v1,http://b:8000/v1                two equals
    http://a:8000/v1#short,http://b:8000/v1#long     prompts within the judge's short window to a, the others to b
    http://a:8000/v1#model=MMIE/MMIE-Score           one of several models served there; "#long&model=…" for both

What is after "#" never leaves this machine. `$MMJUDGE_API_KEY`, where it is set, is sent as the bearer token.
"""

from __future__ import annotations

import dataclasses
import datetime
import email.utils
import json
import os
import time
from collections.abc import Mapping
from typing import Any, Literal, get_args

import httpx

from judge.errors import UserError

KEY_VARIABLE = "MMJUDGE_API_KEY"

Kind = Literal["short", "long"]
_KINDS: tuple[Kind, ...] = get_args(Kind)

CONNECT_SECONDS = 10.0
DESCRIBE_SECONDS = 30.0
MOST_BYTES = 16 << 20
"""Of a reply: a thousand tokens with their alternatives are a few hundred KB."""

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
                f"{url}: named twice", fix="name each endpoint once; --batch-size is what it is asked at once"
            )
    kinds = {address.kind for address in found}
    if None in kinds and len(kinds) > 1:
        raise UserError("some endpoints say #short or #long and some do not", fix="say it of all of them, or of none")
    return found


def _address(text: str) -> Address:
    url, _, fragment = text.partition("#")
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
        super().__init__(f"{status}: {message}")
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
        super().__init__(message)
        self.wait, self.busy, self.reached = wait, busy, reached


class Client:
    """One endpoint over HTTP; threads may share it."""

    def __init__(self, address: Address, seconds: float, connections: int) -> None:
        """seconds: how long a reply may take, the server's queue included."""
        key = os.environ.get(KEY_VARIABLE)
        self.address, self._seconds = address, seconds
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
            limits=httpx.Limits(max_connections=connections, max_keepalive_connections=connections),
        )

    def close(self) -> None:
        """Ends what is under way, too."""
        self._http.close()

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
            names = ", ".join(cards) or "none"
            raise UserError(f"{self.address}: which model? it serves {names}", fix=f"add #model=NAME to {self.address}")
        card = cards[model]
        window = card.get("max_model_len")
        server = str(card.get("owned_by") or "unknown")
        if server == "vllm":
            server = f"vllm {self._version()}"
        return Served(model, server, window if isinstance(window, int) else None)

    def ask(self, body: Mapping[str, Any]) -> Reply:
        """One chat completion. Raises Failed and Refused."""
        reply = self._json("POST", f"{self.address.url}/chat/completions", body, self._seconds)
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
        return Reply(text, finish, prompt_tokens, new_tokens)

    def _version(self) -> str:
        # beside /v1, not below it
        try:
            said = self._json("GET", f"{self.address.url.removesuffix('/v1')}/version", None, DESCRIBE_SECONDS)
        except (Failed, Refused):
            return "unknown"
        return str(said.get("version", "unknown"))

    def _json(self, method: str, url: str, body: Mapping[str, Any] | None, seconds: float) -> dict[str, Any]:
        # a server that sends a byte now and then would never be late for httpx, which times each read
        end = time.monotonic() + seconds
        data = b""
        try:
            with self._http.stream(
                method, url, json=body, timeout=httpx.Timeout(seconds, connect=CONNECT_SECONDS)
            ) as r:
                status, headers = r.status_code, r.headers
                for block in r.iter_bytes():
                    data += block
                    if len(data) > MOST_BYTES:
                        raise Failed(f"a reply of more than {MOST_BYTES} bytes")
                    if time.monotonic() > end:
                        raise Failed(f"no whole reply in {seconds:g} s")
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Failed(f"cannot be reached ({error or type(error).__name__})", reached=False) from None
        except httpx.TimeoutException:
            raise Failed(f"no reply in {seconds:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:  # RuntimeError: the client has been closed
            raise Failed(f"{type(error).__name__}: {error}") from None
        if status in (408, 409, 425, 429) or status >= 500:
            wait = _wait(headers.get("retry-after"))
            # what stands in front of a server says these when the server does not answer
            reached = status not in (502, 503, 504)
            raise Failed(_said(status, data), wait=wait, busy=status == 429 or wait is not None, reached=reached)
        if status != 200:
            raise Refused(status, _said(status, data))
        try:
            value = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise Failed(f"a reply that is not JSON ({error})") from None
        if not isinstance(value, dict):
            raise Failed("a reply that is not an object")
        return value


def _said(status: int, data: bytes) -> str:
    """What the server gives as the reason, in one line."""
    text = data[:4000].decode("utf-8", "replace")
    try:
        value = json.loads(data)
        error = value.get("error", value)
        text = str(error.get("message", text)) if isinstance(error, dict) else str(error)
    except (ValueError, AttributeError, RecursionError):
        pass
    text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())[:300] or httpx.codes.get_reason_phrase(status) or str(status)


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
