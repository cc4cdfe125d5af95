"""A few prompts whose tokens are known, asked of a server before anything is judged.

    await find_misfit(endpoint, ServedJudge.of("MMIE/MMIE-Score"))
    ->  None, or "the server reads 483 tokens where 479 are due for a prompt with one picture: is its chat template that
        of `mmjudge convert`?"

Text alone shows the system line and the first tokens, pictures where they are put, and one of many tiles how the server
cuts it. Each is asked for one token. A server that does not know `stop` is found here, too: transformers serve 5.23
answers 500 ("'InternVLProcessor' object has no attribute 'get_vocab'") until the field is left out.
"""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from judge.core.request import Picture, Request, Text
from judge.core.rubric import Literal, Piece
from judge.engines import Completion, Prompt
from judge.engines.chat_request import ChatRequest, ChatRequests, ServedJudge
from judge.engines.endpoints import Endpoint, Failed, Refused, Reply
from judge.errors import UserError

SECONDS = 120.0
"""For a reply of one token, the time included that a server takes to load the model when it is first asked."""
SEVERAL = 3
WIDTH, HEIGHT = 80, 60
"""Of the picture that is cut into the most tiles: 4 x 3, and a smaller picture of the whole."""


async def find_misfit(endpoint: Endpoint, judge: ServedJudge | None) -> str | None:
    """Ask an endpoint what it serves, and known prompts: why it cannot be used, None where it can.

    judge: what it should serve; None where that is not known: then it must answer a text and a picture, however it
    reads them. Raises UserError where it serves several models, and none was chosen, and where it is to take short
    prompts and has a window for long ones.
    """
    requests = ChatRequests(judge, max_new_tokens=1)
    with tempfile.TemporaryDirectory() as folder:
        async with endpoint.opened(1):
            try:
                await endpoint.describe()
                _refuse_long_window(endpoint, judge)
                for name, prompt in _known_prompts(Path(folder), every=judge is not None):
                    request = await asyncio.to_thread(requests.chat_request, prompt)
                    if isinstance(request, Completion):
                        continue  # too long for the judge
                    if (misfit := await _misfit(endpoint, requests, request, name)) is not None:
                        return misfit
            except (Failed, Refused) as error:
                return str(error)
    return None


def _refuse_long_window(endpoint: Endpoint, judge: ServedJudge | None) -> None:
    window = endpoint.served.window
    if judge and endpoint.address.kind == "short" and window is not None and window > judge.short_window:
        raise UserError(
            f"{endpoint.address} is to take short prompts, but serves up to {window} tokens: "
            "with that it reads short ones, too, with the factors for long ones",
            fix=f"start it with --max-model-len {judge.short_window}",
        )


async def _misfit(endpoint: Endpoint, requests: ChatRequests, request: ChatRequest, name: str) -> str | None:
    """What is wrong with how one prompt is read. Raises Failed and Refused where it is not answered."""
    window = endpoint.served.window
    if request.tokens is not None and window is not None and request.tokens >= window:
        return None
    try:
        reply = await _ask(endpoint, requests, request)
    except Refused as refused:
        listed = f"; it serves {endpoint.served.others}" if endpoint.served.others else ""
        return None if refused.too_long else f"it refuses a prompt {name}: {refused}{listed}"
    except Failed as failed:
        if failed.busy:
            return None  # it lives; every prompt of the run is compared as well
        raise
    if request.tokens is None or reply.prompt_tokens in (None, request.tokens):
        return None
    return (
        f"the server reads {reply.prompt_tokens} tokens where {request.tokens} are due for a prompt {name}: "
        "is its chat template that of `mmjudge convert`?"
    )


async def _ask(endpoint: Endpoint, requests: ChatRequests, request: ChatRequest) -> Reply:
    """The reply; of a server that answers 500, once more without `stop`, which it then is never sent again."""
    try:
        return await endpoint.ask(requests.body(request, endpoint.served), SECONDS)
    except Failed as failed:
        if failed.status != 500:
            raise
    without = dataclasses.replace(endpoint.served, takes_stop=False)
    reply = await endpoint.ask(requests.body(request, without), SECONDS)
    endpoint.served = without
    return reply


def _known_prompts(folder: Path, every: bool) -> Iterator[tuple[str, Prompt]]:
    """What is special about each, and the prompt."""
    small, wide = (Picture(folder / f"{name}.png", name) for name in ("small", "wide"))
    Image.new("RGB", (40, 40), "white").save(small.path)
    Image.new("RGB", (WIDTH, HEIGHT), "white").save(wide.path)
    cases = {"of text alone": [], "with one picture": [small]}
    if every:
        cases |= {f"with {SEVERAL} pictures": [small] * SEVERAL, "with one picture of many tiles": [wide]}
    for name, pictures in cases.items():
        pieces: list[Piece] = [Literal("### Question\n")]
        for number, picture in enumerate(pictures):
            pieces += [Literal(f"Image-{number}: "), picture, Literal("\n")]
        pieces += [Literal("### Answer\n"), Text("An answer."), Literal("\n### Feedback\n")]
        yield name, Prompt(Request("known", "", (), ()), tuple(pieces))
