"""The judge behind any number of OpenAI-compatible endpoints (vLLM: docs/scale.md has the commands).

    engine = connect("http://a:8000/v1,http://b:8000/v1", tokenizer="MMIE/MMIE-Score")
    engine.identity   {"judge": "MMIE/MMIE-Score", "server": "vllm 0.11.0", "prompt": "checked", "tiles": "12x448",
                       "decoding": "greedy-1024", "dtype": "unknown", "rope": "server", "engine": "server"}

All endpoints draw from one list; what happens when one fails: `judge.engines.dispatch`. What is sent for a prompt:
`judge.engines.chat_request`.

What only a server's own report could tell (dtype, weights) is "unknown" in the signature. With `tokenizer`, the folder
or repository of the judge that is served, every prompt's tokens are counted here and compared with what the server says
it read: an endpoint that reads something else (chat template, tiles, first token) is dropped. It also tells short
prompts from long ones (`judge.engines.endpoints`). A server takes one set of rope factors for all prompts, vLLM the
long ones where its window is above the judge's short one; the judge itself takes the short ones for a prompt within it.
A prompt that fits while its answer runs out of the short window is asked again at a long endpoint, and its verdict
says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath

from judge.engines import MAX_NEW_TOKENS, MAX_TILES, Completion, Prompt
from judge.engines.chat_request import ChatRequests, ServedJudge
from judge.engines.dispatch import Dispatch, Endpoint, Pace, say_on_stderr
from judge.engines.endpoints import Address, Client, Failed, Refused, Served, addresses
from judge.errors import UserError

UNDER_WAY = 64
"""Requests at one endpoint at once, its queue included: more than fit its memory together, so that it never waits."""


def connect(
    judge: str,
    tokenizer: str | None = None,
    under_way: int | None = None,
    max_new_tokens: int = MAX_NEW_TOKENS,
    pace: Pace | None = None,
) -> Server:
    """Ask every address in `judge` what it serves. Those out of reach are reported and left out.

    Raises UserError where none can be used, where they differ in what they serve, and for a bad `judge` or `tokenizer`.
    """
    pace = pace or Pace()
    wanted = addresses(judge)
    known = ServedJudge.of(tokenizer) if tokenizer else None
    if known is None and wanted[0].kind is not None:
        raise UserError(
            "#short and #long need the judge's tokenizer",
            fix="give --tokenizer with the folder or repository of the judge",
        )
    with ThreadPoolExecutor(len(wanted)) as pool:
        found = list(pool.map(lambda address: _described(address, pace), wanted))
    endpoints = [
        Endpoint(address, said) for address, said in zip(wanted, found, strict=True) if isinstance(said, Served)
    ]
    for address, said in zip(wanted, found, strict=True):
        if not isinstance(said, Served):
            if not endpoints:
                raise UserError(f"{address}: {said}", fix="start it (docs/scale.md has the commands), or mend --judge")
            say_on_stderr(f"{address} is left out: {said}")
    for name in ("model", "server"):
        values = sorted({str(getattr(endpoint.served, name)) for endpoint in endpoints})
        if len(values) > 1:
            raise UserError(f"the endpoints differ in their {name}: {', '.join(values)}", fix="one run, one judge")
    for endpoint in endpoints:
        window = endpoint.served.window
        if known and endpoint.address.kind == "short" and window is not None and window > known.short_window:
            raise UserError(
                f"{endpoint.address} is to take short prompts, but serves up to {window} tokens: "
                "with that it reads short ones, too, with the factors for long ones",
                fix=f"start it with --max-model-len {known.short_window}",
            )
    requests = ChatRequests(endpoints[0].served, known, max_new_tokens, split=endpoints[0].address.kind is not None)
    return Server(endpoints, requests, under_way or UNDER_WAY, pace)


def _described(address: Address, pace: Pace) -> Served | str:
    client = Client(address, pace.seconds, 1)
    try:
        return client.describe()
    except (Failed, Refused) as error:
        return str(error)
    finally:
        client.close()


class Server:
    """See the module. Built by `connect`."""

    reads = True

    def __init__(self, endpoints: Sequence[Endpoint], requests: ChatRequests, under_way: int, pace: Pace) -> None:
        """under_way: requests at one endpoint at once."""
        self.endpoints, self.requests, self.under_way, self.pace = endpoints, requests, under_way, pace

    @property
    def identity(self) -> Mapping[str, str]:
        """Parts of the signature; what only the server could tell is "unknown"."""
        served, known = self.requests.served, self.requests.judge
        model = served.model
        return {
            # vLLM's default name of a model is the path it was loaded from, which says nothing elsewhere
            "judge": PurePath(model).name if model.startswith(("/", ".")) else model,
            "server": served.server,
            "prompt": "checked" if known else "unchecked",
            "tiles": f"{MAX_TILES}x{known.layout.tile_size}" if known else "unknown",
            "decoding": f"greedy-{self.requests.max_new_tokens}",
            "dtype": "unknown",
            "rope": "split" if self.requests.split else "server",
            "engine": "server",
        }

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """Completions as they come in. Raises UserError where no endpoint is left for what is left."""
        run = Dispatch(self.endpoints, self.requests, self.pace, self.under_way, prompts)
        try:
            yield from run.completions()
        finally:
            run.stop()
