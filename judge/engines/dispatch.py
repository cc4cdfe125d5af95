"""Prompts go to any number of endpoints that fail now and then, and each gets its completion once.

    dispatch = Dispatch(endpoints, requests, Pace(patience=180), 64, prompts)
    for number, completion in dispatch.completions(): …
    dispatch.stop()

All endpoints draw from one list, longest prompts first. The one loop that tries again is `_take` and `_ask`, with these
rules:

- 429, 5xx, timeouts, broken replies: the request goes back to the list, the endpoint rests (exponential backoff with
  jitter, or what Retry-After says) and is then tried with one request until one succeeds
- an endpoint that has only failed for `patience` is dropped and its work done by the others; where nobody is left for
  a request, everything else is finished first and then UserError raised
- a request that fails `ATTEMPTS` times, or is refused (4xx), is unscored with a reason; the run goes on
- an endpoint with requests under way is asked whether it is alive; where it is not, time and again, and another one is
  idle, its requests go there (a process that was killed may leave its connections open behind it)
- an endpoint that has answered nothing and refuses, or reads another number of tokens than a prompt has, is dropped
  after the first few
"""

from __future__ import annotations

import collections
import dataclasses
import queue
import random
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from judge.core.foreign_text import shown
from judge.engines import Completion, Prompt, rough_length, without_answer
from judge.engines.chat_request import ChatRequest, ChatRequests
from judge.engines.endpoints import Address, Client, Failed, Kind, Refused, Reply, Served
from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from judge.model import conversation

ATTEMPTS = 4
FIRST_REFUSALS = 16
"""An endpoint that has refused so many requests, and answered none, is not set up for them."""
FIRST_MISREAD = 3
"""The same for prompts of which it read another number of tokens."""

PROBE_SECONDS = 5.0
"""For the answer whether an endpoint is alive."""
MOST_PROBES = 3
"""An endpoint that has not answered so many of these in a row, and nothing else meanwhile, is taken for dead."""

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


class Endpoint:
    """One address and how it has been doing. Its fields are guarded by the lock of the run."""

    def __init__(self, address: Address, served: Served) -> None:
        self.address, self.served = address, served
        self.dropped: str | None = None
        self.trial: object | None = None
        """After a failure: the one request that is let through."""
        self.failures, self.failing_since, self.last_failure, self.rests_until = 0, 0.0, 0.0, 0.0
        self.answered = self.refused = self.read_right = self.misread = 0

    def takes(self, kind: Kind | None) -> bool:
        """Whether prompts of this kind may go there; None: of a kind that is not known yet."""
        return kind is None or self.address.kind in (None, kind)


@dataclasses.dataclass
class _Task:
    number: int
    prompt: Prompt
    request: ChatRequest | None = None
    attempts: int = 0

    @property
    def kind(self) -> Kind | None:
        """Of endpoint; None as long as nobody has looked."""
        return self.request.kind if self.request else None


class Dispatch:
    """One list of prompts, for one run: threads of every endpoint draw tasks from it."""

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        requests: ChatRequests,
        pace: Pace,
        connections: int,
        prompts: Sequence[Prompt],
    ) -> None:
        """Starts asking at once. connections: requests under way at one endpoint."""
        self._endpoints, self._requests, self._pace = endpoints, requests, pace
        order = sorted(range(len(prompts)), key=lambda number: rough_length(prompts[number].pieces), reverse=True)
        self._waiting: dict[Kind | None, collections.deque[_Task]] = {None: collections.deque()}
        self._waiting[None].extend(_Task(number, prompts[number]) for number in order)
        self._left = len(prompts)  # tasks without a completion
        self._changed = threading.Condition()
        self._stopped = False
        self._results: queue.SimpleQueue[tuple[int, Completion] | BaseException | None] = queue.SimpleQueue()
        self._clients: dict[Endpoint, Client] = {}
        self._running: collections.Counter[Endpoint] = collections.Counter()
        self._ended = threading.Event()
        self._threads = threads = min(connections, max(1, len(prompts)))  # of one endpoint
        for endpoint in endpoints:
            endpoint.trial = None  # of a run that was left
            if endpoint.dropped is None:
                self._clients[endpoint] = Client(endpoint.address, self._pace.seconds, threads)
        for endpoint, client in self._clients.items():
            for _ in range(threads):
                threading.Thread(target=self._work, args=(endpoint, client), name="judging", daemon=True).start()
            if len(self._clients) > 1:
                threading.Thread(target=self._watch, args=(endpoint, client), name="judging", daemon=True).start()
        with self._changed:
            self._settle()

    def completions(self) -> Iterator[tuple[int, Completion]]:
        """(position in prompts, completion), as they come in. Raises UserError where nobody is left for the rest."""
        while (result := self._results.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            yield result

    def stop(self) -> None:
        """Nothing more is asked; threads that wait for a reply end with it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._ended.set()
        for client in self._clients.values():
            client.close()

    def _work(self, endpoint: Endpoint, client: Client) -> None:
        try:
            while (task := self._take(endpoint)) is not None:
                completion = self._ask(task, endpoint, client)
                with self._changed:
                    self._running[endpoint] -= 1
                    if endpoint.trial is task:
                        endpoint.trial = None
                    if completion is None:
                        tasks = self._waiting.setdefault(task.kind, collections.deque())
                        # what has failed comes last: another one tells whether it was the endpoint or the request
                        (tasks.append if task.attempts else tasks.appendleft)(task)
                    else:
                        self._left -= 1
                        self._results.put((task.number, completion))
                    self._settle()
        except BaseException as error:  # a fault of ours must not leave the run waiting
            if not self._stopped:
                self._results.put(error)

    def _take(self, endpoint: Endpoint) -> _Task | None:
        """The next task for this endpoint, or None when there will be none."""
        with self._changed:
            while not (self._stopped or self._left == 0 or endpoint.dropped is not None):
                resting = endpoint.rests_until - time.monotonic()
                if resting <= 0 and not (endpoint.failures and endpoint.trial):
                    for kind, tasks in self._waiting.items():
                        if tasks and endpoint.takes(kind):
                            task = tasks.popleft()
                            endpoint.trial = task if endpoint.failures else None
                            self._running[endpoint] += 1
                            return task
                self._changed.wait(resting if resting > 0 else None)
            return None

    def _watch(self, endpoint: Endpoint, client: Client) -> None:
        """Give the work of a dead endpoint back, as soon as there is an idle one to do it."""
        unanswered, answered = 0, endpoint.answered
        while not self._ended.wait(self._pace.probe):
            with self._changed:
                quiet = self._running[endpoint] > 0 and endpoint.answered == answered
                answered = endpoint.answered
            why = client.trouble(PROBE_SECONDS) if quiet else None
            unanswered = unanswered + 1 if why else 0
            if why and unanswered >= MOST_PROBES and self._is_one_idle_beside(endpoint):
                client.give_up(f"seems to be dead: {why}")
                unanswered = 0

    def _is_one_idle_beside(self, endpoint: Endpoint) -> bool:
        with self._changed:
            return any(
                other.dropped is None and other.failures == 0 and self._running[other] < self._threads
                for other in self._clients
                if other is not endpoint and other.address.kind == endpoint.address.kind
            )

    def _settle(self) -> None:
        """Wake who waits; end the run where all is done, or where nobody is left for what waits. Under the lock."""
        self._changed.notify_all()
        if self._left == 0:
            self._results.put(None)
            return
        live = [endpoint for endpoint in self._clients if endpoint.dropped is None]
        kinds = [kind for kind, tasks in self._waiting.items() if tasks]
        waiting = sum(map(len, self._waiting.values()))
        if waiting == self._left and not any(endpoint.takes(kind) for endpoint in live for kind in kinds):
            dropped = [endpoint for endpoint in self._endpoints if endpoint.dropped is not None]
            why = "; ".join(f"{endpoint.address}: {endpoint.dropped}" for endpoint in dropped)
            of = f" for {' and '.join(kind for kind in kinds if kind)} prompts" if None not in kinds else ""
            self._results.put(
                UserError(
                    f"no endpoint is left{of}, and {self._left} answers are not judged{f' ({why})' if why else ''}",
                    fix="start the servers again, then give the same command: it goes on from here",
                )
            )

    def _ask(self, task: _Task, endpoint: Endpoint, client: Client) -> Completion | None:
        """One attempt. None: the task goes back to the list."""
        if task.request is None:
            made = self._requests.chat_request(task.prompt)
            if isinstance(made, Completion):
                return made
            task.request = made
            if not endpoint.takes(made.kind):
                return None
        request, started = task.request, time.monotonic()
        try:
            reply = client.ask(self._requests.body(request))
        except ImageRefused as refused:
            return Completion(None, unscored=refused.reason, note=refused.message)
        except Refused as refused:
            return self._refused(refused, task.prompt, endpoint)
        except Failed as failed:
            if self._stopped:
                return None
            task.attempts += failed.reached and not failed.busy
            self._failed(failed, endpoint, started)
            return _again(task, f"{endpoint.address}: {failed} ({task.attempts} attempts)")
        with self._changed:
            endpoint.failures, endpoint.trial = 0, None
            endpoint.answered += 1
            self._changed.notify_all()
        return self._judged(reply, task, request, endpoint)

    def _judged(self, reply: Reply, task: _Task, request: ChatRequest, endpoint: Endpoint) -> Completion | None:
        if request.tokens is not None and reply.prompt_tokens is not None:
            if reply.prompt_tokens != request.tokens:
                note = f"the server read {reply.prompt_tokens} tokens, the judge's prompt has {request.tokens}"
                return self._misread(note, task, endpoint)
            with self._changed:
                endpoint.read_right += 1
        if reply.finish == "length" and request.kind == "short" and request.max_tokens < self._requests.max_new_tokens:
            task.request = dataclasses.replace(
                request, kind="long", max_tokens=self._requests.max_new_tokens, crossed=True
            )  # a whole answer is longer than the short window has room for
            return None
        notes = []
        if request.message.broken:
            notes.append(f"{request.message.broken} spellings of special tokens or headings broken up for the server")
        if request.crossed:
            notes.append("prompt and answer cross the short window; read with the factors for long ones throughout")
        return Completion(
            text=reply.text.split(conversation.STOP)[0].strip(),
            stopped=reply.finish == "stop",
            new_tokens=reply.new_tokens or 0,
            note="; ".join(notes) or None,
        )

    def _refused(self, refused: Refused, prompt: Prompt, endpoint: Endpoint) -> Completion | None:
        with self._changed:
            if refused.of_the_endpoint:
                self._drop(endpoint, str(refused))
                return None
            endpoint.refused += not refused.too_long
            if endpoint.answered == 0 and endpoint.refused >= FIRST_REFUSALS:
                self._drop(endpoint, f"it refused {endpoint.refused} requests and answered none: {refused}")
        reason = "engine_error"
        if refused.too_long:  # whose tokens nobody has counted here
            mostly_answer = 2 * rough_length(without_answer(prompt)) <= rough_length(prompt.pieces)
            reason = "answer_too_long" if mostly_answer else "request_too_long"
        return Completion(None, unscored=reason, note=f"{endpoint.address}: {refused}")

    def _misread(self, note: str, task: _Task, endpoint: Endpoint) -> Completion | None:
        """Of an endpoint that reads other prompts right, this answer is lost; else another endpoint may do."""
        task.attempts += 1
        with self._changed:
            endpoint.misread += 1
            unfit = endpoint.read_right == 0
            if unfit and endpoint.misread >= FIRST_MISREAD:
                self._drop(endpoint, f"{note}: was it started for this judge, with the chat template of docs/scale.md?")
        note = f"{endpoint.address}: {note}"
        return _again(task, note) if unfit else Completion(None, unscored="engine_error", note=note)

    def _failed(self, failed: Failed, endpoint: Endpoint, started: float) -> None:
        """The endpoint rests; it is dropped after too long a time without an answer."""
        with self._changed:
            now = time.monotonic()
            if endpoint.failures and started < endpoint.last_failure:
                return  # under way when the endpoint failed: the same failure
            if endpoint.failures == 0:
                endpoint.failing_since = now
            endpoint.failures += 1
            endpoint.last_failure = now
            patience = self._pace.patience * (BUSY_PATIENCE if failed.busy else 1)
            if endpoint.failures > 1 and now - endpoint.failing_since >= patience:
                self._drop(endpoint, str(failed))
                return
            rest = min(LONGEST_REST, self._pace.rest * 2 ** min(endpoint.failures - 1, 16)) * random.uniform(0.5, 1)
            endpoint.rests_until = now + (rest if failed.wait is None else min(failed.wait, LONGEST_WAIT))

    def _drop(self, endpoint: Endpoint, why: str) -> None:
        """Under the lock."""
        if endpoint.dropped is None:
            endpoint.dropped = why
            say_on_stderr(f"{endpoint.address} is dropped, the others go on: {why}")


def _again(task: _Task, note: str) -> Completion | None:
    """None, for another attempt; after the last one the completion."""
    return None if task.attempts < ATTEMPTS else Completion(None, unscored="engine_error", note=note)


def say_on_stderr(text: str) -> None:
    """A line about the run for its user."""
    print(f"mmjudge: {shown(text)}", file=sys.stderr, flush=True)
