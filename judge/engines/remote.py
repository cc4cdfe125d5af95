"""The judge behind any number of OpenAI-compatible endpoints (vLLM: docs/scale.md has the commands).

    engine = connect("http://a:8000/v1,http://b:8000/v1", tokenizer="MMIE/MMIE-Score")
    engine.identity   {"judge": "MMIE/MMIE-Score", "server": "vllm 0.11.0", "prompt": "checked", "tiles": "12x448",
                       "decoding": "greedy-1024", "dtype": "unknown", "rope": "server", "engine": "server"}

What only a server's own report could tell (dtype, weights) is "unknown" in the signature. With `tokenizer`, the folder
or repository of the judge that is served, every prompt's tokens are counted here and compared with what the server says
it read; known prompts come first (`judge.engines.known_prompts`). It also tells short prompts from long ones: a server
takes one set of rope factors for all, vLLM the long ones where its window is above the judge's short one; the judge
itself takes the short ones for a prompt within it. A prompt that fits while its answer runs out of the short window is
asked again at a long endpoint, and its verdict says so.

All endpoints draw from one list, longest prompts first, and each prompt gets its completion once:

- 429, 5xx, timeouts, broken replies: the request goes back to the list, the endpoint rests (exponential backoff with
  jitter, or what Retry-After says) and is then tried with one request until one succeeds
- an endpoint that has only failed for `patience` is dropped and its work done by the others; where nobody is left for
  a request, everything else is finished first and then UserError raised
- 401 and its like, and a 429 that says that the money is spent: the endpoint is dropped at once
- a request that fails `ATTEMPTS` times, or is refused (4xx), is unscored with a reason; the run goes on
- an endpoint that answers nothing while requests are under way is asked whether it is alive; where it is not, time and
  again, they end there as failures (a process that was killed may leave its connections open behind it)
- an endpoint that has answered nothing and refused its first few requests, or read another number of tokens than their
  prompts have, is dropped
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import dataclasses
import random
import sys
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

from judge.core.foreign_text import shown
from judge.engines import MAX_NEW_TOKENS, Completion, Prompt, Usage, rough_length, surely_fits, without_answer
from judge.engines.chat_request import ChatRequest, ChatRequests, ServedJudge
from judge.engines.endpoints import Endpoint, Failed, Kind, Refused, Reply, Served, addresses
from judge.engines.event_loop import EventLoop
from judge.engines.known_prompts import find_misfit
from judge.errors import UserError
from judge.io.image_paths import ImageRefused

UNDER_WAY = 64
"""Requests at one endpoint at once, its queue included: more than fit its memory together, so that it never waits."""
ATTEMPTS = 4
FIRST_REFUSALS, FIRST_MISREAD = 16, 3
"""An endpoint that has refused so many requests, or read them wrong, and answered none, is not set up for them."""
PROBE_SECONDS = 5.0
"""For the answer whether an endpoint is alive."""
MOST_PROBES, MOST_UNANSWERED = 3, 6
"""An endpoint that says so often in a row that it is dead, or takes no connection, and answers nothing else meanwhile,
is taken for dead; one that only does not answer the probe may be busy, and has longer."""
LONGEST_REST = 60.0
LONGEST_WAIT = 600.0
"""Seconds between two tries: of our own accord, and because the server asks for it."""
BUSY_PATIENCE = 20
"""A server that says it is busy has that many times the patience of one that says nothing."""


@dataclasses.dataclass(frozen=True)
class Pace:
    """seconds: for a reply, the server's queue included. patience: for an endpoint that only fails. rest: after the
    first failure, doubled with each. probe: between two questions whether an endpoint is alive."""

    seconds: float = 600.0
    patience: float = 180.0
    rest: float = 1.0
    probe: float = 5.0


def connect(
    judge: str,
    tokenizer: str | None = None,
    under_way: int | None = None,
    max_new_tokens: int = MAX_NEW_TOKENS,
    pace: Pace | None = None,
) -> Remote:
    """Ask every address in `judge` what it serves, and a few known prompts. Those that will not do are reported and
    left out.

    Raises UserError where none can be used, where they differ in what they serve, and for a bad `judge` or `tokenizer`.
    """
    pace, wanted = pace or Pace(), addresses(judge)
    known = ServedJudge.of(tokenizer) if tokenizer else None
    if known is None and wanted[0].kind is not None:
        fix = "give --tokenizer with the folder or repository of the judge"
        raise UserError("#short and #long need the judge's tokenizer", fix=fix)
    every = [Endpoint(address, pace.seconds) for address in wanted]
    endpoints = usable(every, lambda endpoint: find_misfit(endpoint, known))
    requests = ChatRequests(known, max_new_tokens, split=wanted[0].kind is not None)
    return Remote(endpoints, requests, under_way or UNDER_WAY, pace)


def usable(
    every: Sequence[Endpoint],
    misfit_of: Callable[[Endpoint], Coroutine[Any, Any, str | None]],
    fix: str = "start it (docs/scale.md has the commands), or mend --judge",
) -> list[Endpoint]:
    """Those that will do, all asked at once; the others are reported. misfit_of: why one cannot be used, None where it
    can. Raises UserError where none can be, and where they differ in what they serve."""
    with contextlib.closing(EventLoop()) as loop:
        asked = [(endpoint, loop.start(misfit_of(endpoint))) for endpoint in every]
        misfits = {endpoint: misfit.result() for endpoint, misfit in asked}
    endpoints = [endpoint for endpoint in every if misfits[endpoint] is None]
    for endpoint in (endpoint for endpoint in every if endpoint not in endpoints):
        if not endpoints:
            raise UserError(f"{endpoint.address}: {misfits[endpoint]}", fix=fix)
        say_on_stderr(f"{endpoint.address} is left out: {misfits[endpoint]}")
    for name in ("model", "server"):
        values = sorted({str(getattr(endpoint.served, name)) for endpoint in endpoints})
        if len(values) > 1:
            raise UserError(f"the endpoints differ in their {name}: {', '.join(values)}", fix="one run, one judge")
    return endpoints


class Requests(Protocol):
    """What is asked of a kind of judge, and what its replies say: `judge.engines.chat_request` for MMIE's judges,
    `judge.engines.general` for any other model."""

    def identity(self, served: Served) -> Mapping[str, str]:
        """Parts of the signature; what only the server could tell is "unknown"."""
        ...

    def chat_request(self, prompt: Prompt) -> ChatRequest | Completion:
        """What to send for a prompt, or why there is nothing to send."""
        ...

    def body(self, request: ChatRequest, served: Served) -> bytes:
        """The request as JSON, for an endpoint that serves `served`. Raises ImageRefused."""
        ...

    def completion(self, reply: Reply, request: ChatRequest) -> Completion | ChatRequest:
        """What a reply says; or the request to be sent instead."""
        ...


class Remote:
    """See the module. Built by `connect`."""

    reads = True

    def __init__(self, endpoints: Sequence[Endpoint], requests: Requests, under_way: int, pace: Pace) -> None:
        """under_way: requests at one endpoint at once."""
        self.endpoints, self.requests, self.under_way, self.pace = endpoints, requests, under_way, pace
        self.usage = Usage()

    @property
    def identity(self) -> Mapping[str, str]:
        """Parts of the signature; what only the server could tell is "unknown"."""
        return self.requests.identity(self.endpoints[0].served)

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """Completions as they come in. Raises UserError where no endpoint is left for what is left."""
        with contextlib.closing(EventLoop()) as loop:
            found: Iterator[tuple[int, Completion]] = loop.values(lambda put: _Run(self, prompts, put).judge())
            yield from found


@dataclasses.dataclass(eq=False)
class _Task:
    number: int
    prompt: Prompt
    request: ChatRequest | None = None
    attempts: int = 0

    def again(self, note: str) -> Completion | None:
        """None, for another attempt; after the last one the completion."""
        return None if self.attempts < ATTEMPTS else Completion(None, unscored="engine_error", note=note)


class _Run:
    """One list of prompts. All of it happens in one event loop, pictures and tokens in threads."""

    def __init__(
        self, remote: Remote, prompts: Sequence[Prompt], put: Callable[[tuple[int, Completion]], None]
    ) -> None:
        self._endpoints, self._requests, self._pace, self._put = remote.endpoints, remote.requests, remote.pace, put
        self._usage = remote.usage
        self._most = min(remote.under_way, max(1, len(prompts)))
        order = sorted(range(len(prompts)), key=lambda number: rough_length(prompts[number].pieces), reverse=True)
        self._waiting: dict[Kind | None, collections.deque[_Task]] = {
            kind: collections.deque() for kind in (None, "short", "long")
        }  # None: of a kind that is not known yet, or for every endpoint
        self._waiting[None].extend(_Task(number, prompts[number]) for number in order)
        self._left = len(prompts)  # tasks without a completion
        self._changed, self._ended = asyncio.Event(), False

    async def judge(self) -> None:
        """Ask until each prompt has its completion. Raises UserError where nobody is left for the rest."""
        live = [endpoint for endpoint in self._endpoints if endpoint.dropped is None]
        async with contextlib.AsyncExitStack() as opened:
            for endpoint in live:
                await opened.enter_async_context(endpoint.opened(self._most))
            watching = [asyncio.create_task(self._watch(endpoint)) for endpoint in live]
            try:
                while self._left:
                    await self._go_on(live)
            finally:
                self._ended = True
                for task in (others := watching + [task for endpoint in live for task in endpoint.working]):
                    task.cancel()
                await asyncio.gather(*others, return_exceptions=True)

    async def _go_on(self, live: Sequence[Endpoint]) -> None:
        """Start what may be started, and wait until something has changed."""
        self._changed.clear()
        # before it is seen who may be asked: a rest that ends in between must not be waited for without an end
        rests = [rest for endpoint in live if (rest := endpoint.rests_until - time.monotonic()) > 0]
        while ready := [one for one in live if one.is_ready(self._most) and self._tasks_for(one)]:
            endpoint = min(ready, key=lambda one: len(one.working))
            task = cast("collections.deque[_Task]", self._tasks_for(endpoint)).popleft()
            working = asyncio.create_task(self._work(task, endpoint))
            endpoint.working.add(working)
            endpoint.trial = working if endpoint.failures else None
        if not any(endpoint.working or self._tasks_for(endpoint) for endpoint in live):
            raise self._nobody_left()
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._changed.wait(), min(rests, default=None))
        for endpoint in live:
            for done in [working for working in endpoint.working if working.done()]:
                endpoint.working.remove(done)
                done.result()  # a fault of ours must not leave the run waiting

    def _tasks_for(self, endpoint: Endpoint) -> collections.deque[_Task] | None:
        """Those that wait and may go there; None where there are none, or it is dropped."""
        kinds = (None, endpoint.address.kind) if endpoint.address.kind else self._waiting
        return next((self._waiting[kind] for kind in kinds if self._waiting[kind] and not endpoint.dropped), None)

    def _nobody_left(self) -> UserError:
        kinds = [kind for kind, tasks in self._waiting.items() if tasks and kind]
        of = f" for {' and '.join(kinds)} prompts" if not self._waiting[None] else ""
        why = "; ".join(f"{endpoint.address}: {endpoint.dropped}" for endpoint in self._endpoints if endpoint.dropped)
        return UserError(
            f"no endpoint is left{of}, and {self._left} answers are not judged{f' ({why})' if why else ''}",
            fix="mend what they say or start them again, then give the same command: it goes on from here",
        )

    async def _work(self, task: _Task, endpoint: Endpoint) -> None:
        try:
            completion = await self._ask(task, endpoint)
        finally:
            self._changed.set()
        if completion is not None:
            self._left -= 1
            self._put((task.number, completion))
            return
        tasks = self._waiting[task.request.kind if task.request else None]
        # what has failed comes last: another one tells whether it was the endpoint or the request
        (tasks.append if task.attempts else tasks.appendleft)(task)

    async def _ask(self, task: _Task, endpoint: Endpoint) -> Completion | None:
        """One attempt. None: the task goes back to the list."""
        started = time.monotonic()
        try:
            if task.request is None:
                made = await asyncio.to_thread(self._requests.chat_request, task.prompt)
                if isinstance(made, Completion):
                    return made
                task.request = made
                if endpoint.address.kind != made.kind:
                    return None
            reply = await endpoint.ask(await asyncio.to_thread(self._requests.body, task.request, endpoint.served))
        except ImageRefused as refused:
            return Completion(None, unscored=refused.reason, note=refused.message)
        except Refused as refused:
            return self._refused(refused, task, endpoint)
        except Failed as failed:
            return self._failed(failed, task, endpoint, started)
        except asyncio.CancelledError:
            if self._ended:
                raise
            return self._failed(Failed(f"seems to be dead: {endpoint.trouble}"), task, endpoint, started)
        endpoint.failures = 0
        self._usage.add(reply.prompt_tokens, reply.new_tokens)
        due, read = task.request.tokens, reply.prompt_tokens
        if due is not None and read is not None and due != read:
            note = f"the server read {read} tokens, the judge's prompt has {due}"
            return self._lost(endpoint, "misread", FIRST_MISREAD, note)
        endpoint.answered += 1
        made = self._requests.completion(reply, task.request)
        if isinstance(made, Completion):
            return made
        task.request = made
        return None

    def _refused(self, refused: Refused, task: _Task, endpoint: Endpoint) -> Completion | None:
        if refused.of_the_endpoint:
            _drop(endpoint, str(refused))
            return None
        if refused.status == 200:  # the endpoint is as it must be
            endpoint.failures, endpoint.answered = 0, endpoint.answered + 1
            return Completion(None, unscored="engine_error", note=f"{endpoint.address}: {refused}")
        if not refused.too_long:
            return self._lost(endpoint, "refused", FIRST_REFUSALS, str(refused))
        prompt = task.prompt
        if (task.request and task.request.tokens is not None) or surely_fits(prompt.pieces):
            # not the answer's doing: another server takes as much; start it so, and the same command asks again
            note = f"{endpoint.address}: its window is too small for this prompt, which MMIE's judge reads: {refused}"
            return Completion(None, unscored="engine_error", note=note)
        mostly_answer = 2 * rough_length(without_answer(prompt)) <= rough_length(prompt.pieces)
        reason = "answer_too_long" if mostly_answer else "request_too_long"
        return Completion(None, unscored=reason, note=f"{endpoint.address}: {refused}")

    def _lost(self, endpoint: Endpoint, did: str, most: int, why: str) -> Completion:
        """One answer is lost; an endpoint that loses the first ones is dropped."""
        endpoint.lost += 1
        if endpoint.answered == 0 and endpoint.lost >= most:
            _drop(endpoint, f"it {did} {endpoint.lost} requests and answered none: {why}")
        return Completion(None, unscored="engine_error", note=f"{endpoint.address}: {why}")

    def _failed(self, failed: Failed, task: _Task, endpoint: Endpoint, started: float) -> Completion | None:
        """The endpoint rests; it is dropped after too long a time without an answer."""
        task.attempts += failed.reached and not failed.busy
        now = time.monotonic()
        if not endpoint.failures or started >= endpoint.last_failure:  # else the same failure: it was under way
            endpoint.failing_since = endpoint.failing_since if endpoint.failures else now
            endpoint.failures, endpoint.last_failure = endpoint.failures + 1, now
            patience = self._pace.patience * (BUSY_PATIENCE if failed.busy else 1)
            if endpoint.failures > 1 and now - endpoint.failing_since >= patience:
                _drop(endpoint, str(failed))
            rest = min(LONGEST_REST, self._pace.rest * 2 ** min(endpoint.failures - 1, 16)) * random.uniform(0.5, 1)
            endpoint.rests_until = now + (rest if failed.wait is None else min(failed.wait, LONGEST_WAIT))
        return task.again(f"{endpoint.address}: {failed} ({task.attempts} attempts)")

    async def _watch(self, endpoint: Endpoint) -> None:
        """End what is under way at a dead endpoint, so that it is asked again, elsewhere where another one is idle."""
        in_a_row, answered = 0, endpoint.answered
        # up to Python 3.11 a `wait_for` that has just been answered swallows that we are cancelled
        while endpoint.dropped is None and not self._ended:
            await asyncio.sleep(self._pace.probe)
            quiet, answered = endpoint.working and endpoint.answered == answered, endpoint.answered
            endpoint.trouble = await endpoint.find_trouble(PROBE_SECONDS) if quiet else None
            in_a_row = in_a_row + 1 if endpoint.trouble else 0
            if endpoint.trouble and in_a_row >= (MOST_UNANSWERED if endpoint.trouble.reached else MOST_PROBES):
                if endpoint.failures == 0:
                    say_on_stderr(
                        f"{endpoint.address} seems to be dead; what it was asked is asked again, and it is dropped "
                        f"unless it answers within {self._pace.patience:g} s: {endpoint.trouble}"
                    )
                for working in endpoint.working:  # soon: one that was just made must have begun
                    asyncio.get_running_loop().call_soon(working.cancel)
                in_a_row = 0


def _drop(endpoint: Endpoint, why: str) -> None:
    if endpoint.dropped is None:
        endpoint.dropped = why
        say_on_stderr(f"{endpoint.address} is dropped, the others go on: {why}")


def say_on_stderr(text: str) -> None:
    """A line about the run for its user."""
    print(f"mmjudge: {shown(text)}", file=sys.stderr, flush=True)
