"""What an endpoint is sent beside the messages, so that it holds the model to a contract.

    with sending(lm, {"tools": […], "tool_choice": "auto"}):
        lm.generate_until(requests)        every call of chat.completions.create has these arguments, too

lmms-eval's endpoint classes build their calls themselves and read texts only. They keep an `openai` client in `client`
(openai and async_openai, chat and simple, of 0.7.3), whose `create` is wrapped while such a task is asked. A reply that
calls functions comes back as a text that says which:

    {"content": null, "tool_calls": [{"name": "submit_answer", "arguments": "{\\"letter\\": \\"B\\", …}"}]}

A server that does not know the arguments answers 400 or the like to every call. The classes try again and then give
failure texts, so the answers are unscored; a line on stderr says at the first of them what the server said.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import re
import sys
import threading
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any

from judge.harness.session import say

NAMED = {
    "response_format": re.compile(r"response_?format|schema|structured|guided|grammar", re.IGNORECASE),
    "tools": re.compile(r"tool|function", re.IGNORECASE),
}
"""What is sent → the words by which servers say that it is this that they do not take."""
MENDED = {
    "response_format": "start it with structured outputs",
    "tools": "start it with calls of functions (vLLM: --enable-auto-tool-choice --tool-call-parser …)",
}


def can_send(lm: object) -> bool:
    """Whether this model's class calls an endpoint through an `openai` client."""
    return callable(getattr(_completions(lm), "create", None))


@contextlib.contextmanager
def sending(lm: object, payload: Mapping[str, Any]) -> Iterator[None]:
    """Add `payload` to every call that `lm` makes meanwhile; nothing to do where it is empty."""
    completions = _completions(lm)
    if not payload or completions is None:
        yield
        return
    original, unsaid = completions.create, threading.Lock()

    def create(*args: Any, **kwargs: Any) -> Any:
        with _refusals_said(payload, unsaid):
            reply = original(*args, **{**kwargs, **payload})
        return _awaited(reply, payload, unsaid) if inspect.isawaitable(reply) else calls_as_text(reply)

    completions.create = create
    try:
        yield
    finally:
        del completions.create


def renew_connections(lm: Any) -> None:
    """Give an asynchronous client new connections: async_openai runs an event loop for every `generate_until`, and
    those of the one before cannot be used in the next."""
    openai, client = sys.modules.get("openai"), getattr(lm, "client", None)
    if openai is not None and isinstance(client, openai.AsyncOpenAI):
        connections = openai.DefaultAsyncHttpxClient(base_url=client.base_url, timeout=client.timeout)
        lm.client = client.copy(http_client=connections)


def calls_as_text(reply: Any) -> Any:
    """`reply`, in which calls of functions are the text of the message. A class that runs functions itself, or reads a
    text, finds a reply that has ended."""
    for choice in reply.choices:
        calls = getattr(choice.message, "tool_calls", None)
        if calls:
            functions = [call.function for call in calls]
            said = [{"name": function.name, "arguments": function.arguments} for function in functions]
            choice.message.content = json.dumps({"content": choice.message.content, "tool_calls": said})
            choice.finish_reason = "stop"
    return reply


async def _awaited(reply: Awaitable[Any], payload: Mapping[str, Any], unsaid: threading.Lock) -> Any:
    with _refusals_said(payload, unsaid):
        return calls_as_text(await reply)


@contextlib.contextmanager
def _refusals_said(payload: Mapping[str, Any], unsaid: threading.Lock) -> Iterator[None]:
    """Say, once for all calls that share `unsaid`, that the server does not take the payload. The error goes on."""
    try:
        yield
    except Exception as error:
        status = getattr(error, "status_code", None)
        named = [name for name, words in NAMED.items() if name in payload and words.search(str(error))]
        if isinstance(status, int) and named and status not in (401, 403, 408, 429) and unsaid.acquire(blocking=False):
            message = " ".join(str(error).split())[:300]
            say(f"mmjudge: the model's server answers {status} to a call with {named[0]}: {message}")
            say(f"→ {MENDED[named[0]]}, or take a model class without an endpoint: then the prompt alone asks for it")
        raise


def _completions(lm: object) -> Any:
    client = getattr(lm, "client", None)
    return getattr(getattr(client, "chat", None), "completions", None)
