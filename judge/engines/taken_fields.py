"""Which fields of a request an endpoint takes: asked once before anything is judged.

    await find_general_misfit(endpoint, requests, "MMJUDGE_API_KEY")    None, and endpoint.served.lacks is {"logprobs"}

A prompt with one small picture is put to it with all that a request may hold. Where it is refused, it is asked again
without the field that the refusal names, or else without one after the other; each is left out once, and a line on
standard error says so. What the model replies is not looked at.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import tempfile
from pathlib import Path

from PIL import Image

from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal
from judge.engines import Completion, Prompt
from judge.engines.endpoints import Endpoint, Failed, Refused
from judge.engines.known_prompts import SECONDS
from judge.engines.remote import Requests, say_on_stderr

FIELDS = {
    "max_tokens": (("max_completion_tokens",), "max_completion_tokens is sent instead"),
    "logprobs": (("logprobs",), "so there are no probabilities of scores"),
    "response_format": (
        ("response_format", "json_schema", "schema", "structured output", "guided", "grammar"),
        "so replies are not held to the JSON schema, and read as they come",
    ),
}
"""Field → the words of a refusal that mean it, and what follows. A refusal that names none is taken for one after the
other, in this order from the second."""


async def find_general_misfit(endpoint: Endpoint, requests: Requests, key_variable: str) -> str | None:
    """Why an endpoint cannot be used, None where it can; `endpoint.served.lacks` then says what it does not take."""
    with tempfile.TemporaryDirectory() as folder:
        async with endpoint.opened(1):
            try:
                await endpoint.describe()
                request = await asyncio.to_thread(requests.chat_request, _known_prompt(Path(folder)))
                assert not isinstance(request, Completion)
                while (why := await _refusal(endpoint, requests.body(request, endpoint.served))) is not None:
                    if why.of_the_endpoint or (field := _meant(str(why), endpoint.served.lacks)) is None:
                        return _explained(why, endpoint, key_variable)
                    lacks = endpoint.served.lacks | {field}
                    endpoint.served = dataclasses.replace(endpoint.served, lacks=lacks)
                    say_on_stderr(f"{endpoint.address} takes no {field}, {FIELDS[field][1]} ({why})")
            except Refused as refused:
                return _explained(refused, endpoint, key_variable)
            except Failed as failed:
                return str(failed)
    return None


async def _refusal(endpoint: Endpoint, body: bytes) -> Refused | None:
    """Why a request is refused; an error of the server's own counts, too, for some fail on fields they do not know."""
    try:
        await endpoint.post("chat/completions", body, SECONDS)
    except Refused as refused:
        return refused
    except Failed as failed:
        if failed.busy:
            return None  # it lives, and is asked again in the run
        if failed.status != 500:
            raise
        return Refused(failed.status, str(failed))
    return None


def _meant(said: str, lacks: frozenset[str]) -> str | None:
    """The field that a refusal is about, None where there is nothing left to leave out."""
    words = said.lower()
    named = [field for field, (spellings, _) in FIELDS.items() if any(each in words for each in spellings)]
    left = [field for field in named or [*FIELDS][1:] if field not in lacks]
    if not named and "temperature" in words:
        return None
    return left[0] if left else None


def _explained(refused: Refused, endpoint: Endpoint, key_variable: str) -> str:
    status, words = refused.status, str(refused)
    if status in (401, 403):
        known = "refuses the key in" if os.environ.get(key_variable) else "wants a key, and none is in"
        return f"{known} ${key_variable} ({words})"
    if status in (402, 429):
        return f"has nothing left for ${key_variable} to spend ({words})"
    if "temperature" in words.lower():
        return f"refuses the temperature ({words}): --temperature default sends none"
    served = getattr(endpoint, "served", None)
    if status == 404 and served is not None:
        listed = f"; it serves {served.others}" if served.others else ""
        return f"does not serve {served.model} ({words}){listed}"
    return f"refuses a prompt with one picture ({words})"


def _known_prompt(folder: Path) -> Prompt:
    picture = Picture(folder / "small.png", "small")
    Image.new("RGB", (40, 40), "white").save(picture.path)
    asks = Literal(
        "Grade one answer.\n1. Sense: it answers the question.\n2. Form: it is one word.\n### Question\nImage-0: "
    )
    pieces = (asks, picture, Literal("\nWhich colour?\n### Answer\n"), Text("White."), Literal("\n### Feedback\n"))
    return Prompt(Request("known", "", (), ()), pieces)
