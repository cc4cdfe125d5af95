"""The judge behind any number of OpenAI-compatible endpoints (vLLM: docs/scale.md has the commands).

    engine = connect("http://a:8000/v1,http://b:8000/v1", tokenizer="MMIE/MMIE-Score")
    engine.identity   {"judge": "MMIE/MMIE-Score", "server": "vllm 0.11.0", "prompt": "checked", "tiles": "12x448",
                       "decoding": "greedy-1024", "dtype": "unknown", "rope": "server", "engine": "server"}

All endpoints draw from one list, longest prompts first. What goes wrong stays where it belongs:

- 429, 5xx, timeouts, broken replies: the request goes back to the list, the endpoint rests (exponential backoff with
  jitter, or what Retry-After says) and is then tried with one request until one succeeds
- an endpoint that has only failed for `patience` is dropped and its work done by the others; where nobody is left for
  a request, everything else is finished first and then UserError raised: the journal has all that was decided
- a request that fails `ATTEMPTS` times, or is refused (4xx), is unscored with a reason; the run goes on

What only a server's own report could tell (dtype, weights) is "unknown" in the signature. With `tokenizer`, the folder
or repository of the judge that is served, every prompt's tokens are counted here and compared with what the server says
it read: an endpoint that reads something else (chat template, tiles, first token) is dropped. It also tells short
prompts from long ones (`judge.engines.endpoints`). A server takes one set of rope factors for all prompts, vLLM the
long ones where its window is above the judge's short one; the judge itself takes the short ones for a prompt within it.
A prompt that fits while its answer runs out of the short window is asked again at a long endpoint, and its verdict
says so.
"""

from __future__ import annotations

import collections
import dataclasses
import queue
import random
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePath
from typing import Any

from judge.engines import MAX_NEW_TOKENS, MAX_TILES, Completion, Prompt, rough_length
from judge.engines.endpoints import Address, Client, Failed, Kind, Refused, Reply, Served, addresses
from judge.engines.messages import Message, chat, message, prompt_length
from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from judge.model import conversation, images
from judge.model.tokenizer import Tokenizer
from judge.model.weights import original_layout, source

UNDER_WAY = 64
"""Requests at one endpoint at once, its queue included: more than fit its memory together, so that it never waits."""

ATTEMPTS = 4
FIRST_REFUSALS = 16
"""An endpoint that has refused so many requests, and answered none, is not set up for them."""
FIRST_MISREAD = 3
"""The same for prompts of which it read another number of tokens."""

LONGEST_REST = 60.0
LONGEST_WAIT = 600.0
"""Seconds between two tries: of our own accord, and because the server asks for it."""
BUSY_PATIENCE = 20
"""A server that says it is busy has that many times the patience of one that says nothing."""


@dataclasses.dataclass(frozen=True)
class Pace:
    """seconds: for a reply, the server's queue included. patience: for an endpoint that only fails. rest: after the
    first failure, doubled with each."""

    seconds: float = 600.0
    patience: float = 180.0
    rest: float = 1.0


@dataclasses.dataclass(frozen=True)
class Known:
    """The judge that is served, as far as its small files tell."""

    tokenizer: Tokenizer
    layout: original_layout.Layout

    @property
    def system(self) -> str:
        return str(self.layout.raw.get("system_message") or conversation.SYSTEM_MESSAGE)

    @property
    def short_window(self) -> int:
        return int(self.layout.text["original_max_position_embeddings"])

    @classmethod
    def of(cls, judge: str) -> Known:
        """Raises UserError for a judge that is not there or not in the layout of InternVL2."""
        folder = source.resolve_judge(judge, weights=False).folder
        return cls(Tokenizer.from_folder(folder), original_layout.read_layout(folder))


class Endpoint:
    """One address and how it has been doing. Its fields are guarded by the lock of the run."""

    def __init__(self, address: Address, served: Served) -> None:
        self.address, self.served = address, served
        self.dropped: str | None = None
        self.trial: object | None = None
        """After a failure: the one request that is let through."""
        self.failures, self.failing_since, self.last_failure, self.rests_until = 0, 0.0, 0.0, 0.0
        self.answered = self.refused = self.read_right = self.misread = 0

    def fits(self, kind: Kind | None) -> bool:
        return kind is None or self.address.kind in (None, kind)


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
    known = Known.of(tokenizer) if tokenizer else None
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
            _say(f"{address} is left out: {said}")
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
    return Server(endpoints, known, under_way or UNDER_WAY, max_new_tokens, pace)


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

    def __init__(
        self, endpoints: Sequence[Endpoint], known: Known | None, under_way: int, max_new_tokens: int, pace: Pace
    ) -> None:
        self.endpoints, self.known, self.under_way = endpoints, known, under_way
        self.max_new_tokens, self.pace = max_new_tokens, pace

    @property
    def identity(self) -> Mapping[str, str]:
        served, known = self.endpoints[0].served, self.known
        model = served.model
        split = self.endpoints[0].address.kind is not None
        return {
            # vLLM's default name of a model is the path it was loaded from, which says nothing elsewhere
            "judge": PurePath(model).name if model.startswith(("/", ".")) else model,
            "server": served.server,
            "prompt": "checked" if known else "unchecked",
            "tiles": f"{MAX_TILES}x{known.layout.tile_size}" if known else "unknown",
            "decoding": f"greedy-{self.max_new_tokens}",
            "dtype": "unknown",
            "rope": "split" if split else "server",
            "engine": "server",
        }

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """Completions as they come in. Raises UserError where no endpoint is left for what is left."""
        run = _Run(self, prompts)
        try:
            yield from run.completions()
        finally:
            run.stop()

    def plan(self, prompt: Prompt) -> Plan | Completion:
        """What to send for a prompt, or why there is nothing to send. Pictures are looked at, not yet read."""
        known = self.known
        special = known.tokenizer.special if known else ()
        try:
            said = message(prompt.pieces, special)
            if known is None:
                return Plan(said, self.max_new_tokens)
            size = known.layout.tile_size
            tiles = [
                images.count_tiles(*images.read_image_size(path), size, max_num=MAX_TILES) for path in said.pictures
            ]
            length = prompt_length(said.text, tiles, known.layout.tokens_per_tile, known.tokenizer, known.system)
        except ImageRefused as refused:
            return Completion(None, unscored=refused.reason, note=refused.message)
        except Exception as error:
            return Completion(None, unscored="engine_error", note=f"{type(error).__name__}: {error}")
        room = known.layout.window - self.max_new_tokens
        if length > room:
            return Completion(None, unscored="request_too_long", note=f"{length} tokens, room for {room}")
        if self.endpoints[0].address.kind is None:
            return Plan(said, self.max_new_tokens, length)
        left = known.short_window - length
        if left <= 0:
            return Plan(said, self.max_new_tokens, length, "long")
        return Plan(said, min(self.max_new_tokens, left), length, "short")

    def body(self, plan: Plan) -> dict[str, Any]:
        """The request as JSON. Raises ImageRefused.

        What vLLM needs beyond the protocol: only <|end|> ends the text (its own default are the tokens that
        generation_config.json lists), and nothing of that file changes the greedy choice.
        """
        served, known = self.endpoints[0].served, self.known
        body: dict[str, Any] = {
            "model": served.model,
            "messages": chat(plan.message, known.system if known else conversation.SYSTEM_MESSAGE),
            "temperature": 0,
            "max_tokens": plan.max_tokens,
            "stop": [conversation.STOP],
        }
        if served.is_vllm:
            body["repetition_penalty"] = 1.0
            if known:
                body |= {"stop_token_ids": [known.tokenizer.special[conversation.STOP]], "ignore_eos": True}
            else:  # a stop token that is not printed would not be seen as a stop text
                body["skip_special_tokens"] = False
        return body


@dataclasses.dataclass(frozen=True)
class Plan:
    """tokens: of the prompt, or None where they cannot be counted. kind: of endpoint, or None for any."""

    message: Message
    max_tokens: int
    tokens: int | None = None
    kind: Kind | None = None
    crossed: bool = False
    """Asked at a short endpoint before, where the answer did not fit."""


@dataclasses.dataclass
class _Task:
    number: int
    prompt: Prompt
    plan: Plan | None = None
    attempts: int = 0

    @property
    def kind(self) -> Kind | None:
        """Of endpoint; None as long as nobody has looked."""
        return self.plan.kind if self.plan else None


class _Run:
    """One call of `complete`: threads of every endpoint draw tasks from one list."""

    def __init__(self, server: Server, prompts: Sequence[Prompt]) -> None:
        self._server, self._pace = server, server.pace
        order = sorted(range(len(prompts)), key=lambda number: rough_length(prompts[number]), reverse=True)
        self._waiting: dict[Kind | None, collections.deque[_Task]] = {None: collections.deque()}
        self._waiting[None].extend(_Task(number, prompts[number]) for number in order)
        self._left = len(prompts)  # tasks without a completion
        self._changed = threading.Condition()
        self._stopped = False
        self._results: queue.SimpleQueue[tuple[int, Completion] | BaseException | None] = queue.SimpleQueue()
        self._clients: dict[Endpoint, Client] = {}
        threads = min(server.under_way, max(1, len(prompts)))
        for endpoint in server.endpoints:
            endpoint.trial = None  # of a run that was left
            if endpoint.dropped is None:
                self._clients[endpoint] = Client(endpoint.address, self._pace.seconds, threads)
        for endpoint, client in self._clients.items():
            for _ in range(threads):
                threading.Thread(target=self._work, args=(endpoint, client), name="judging", daemon=True).start()
        with self._changed:
            self._look()

    def completions(self) -> Iterator[tuple[int, Completion]]:
        while (result := self._results.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            yield result

    def stop(self) -> None:
        """Nothing more is asked; threads that wait for a reply end with it."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        for client in self._clients.values():
            client.close()

    def _work(self, endpoint: Endpoint, client: Client) -> None:
        try:
            while (task := self._take(endpoint)) is not None:
                completion = self._try(task, endpoint, client)
                with self._changed:
                    if endpoint.trial is task:
                        endpoint.trial = None
                    if completion is None:
                        tasks = self._waiting.setdefault(task.kind, collections.deque())
                        # what has failed comes last: another one tells whether it was the endpoint or the request
                        (tasks.append if task.attempts else tasks.appendleft)(task)
                    else:
                        self._left -= 1
                        self._results.put((task.number, completion))
                    self._look()
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
                        if tasks and endpoint.fits(kind):
                            task = tasks.popleft()
                            endpoint.trial = task if endpoint.failures else None
                            return task
                self._changed.wait(resting if resting > 0 else None)
            return None

    def _look(self) -> None:
        """Wake who waits; end the run where all is done, or where nobody is left for what waits. Under the lock."""
        self._changed.notify_all()
        if self._left == 0:
            self._results.put(None)
            return
        live = [endpoint for endpoint in self._clients if endpoint.dropped is None]
        kinds = [kind for kind, tasks in self._waiting.items() if tasks]
        waiting = sum(map(len, self._waiting.values()))
        if waiting == self._left and not any(endpoint.fits(kind) for endpoint in live for kind in kinds):
            dropped = [endpoint for endpoint in self._server.endpoints if endpoint.dropped is not None]
            why = "; ".join(f"{endpoint.address}: {endpoint.dropped}" for endpoint in dropped)
            of = f" for {' and '.join(kind for kind in kinds if kind)} prompts" if None not in kinds else ""
            self._results.put(
                UserError(
                    f"no endpoint is left{of}, and {self._left} answers are not judged{f' ({why})' if why else ''}",
                    fix="start the servers again, then give the same command: it goes on from here",
                )
            )

    def _try(self, task: _Task, endpoint: Endpoint, client: Client) -> Completion | None:
        """One attempt. None: the task goes back to the list."""
        if task.plan is None:
            planned = self._server.plan(task.prompt)
            if isinstance(planned, Completion):
                return planned
            task.plan = planned
            if not endpoint.fits(planned.kind):
                return None
        plan, started = task.plan, time.monotonic()
        try:
            reply = client.ask(self._server.body(plan))
        except ImageRefused as refused:
            return Completion(None, unscored=refused.reason, note=refused.message)
        except Refused as refused:
            return self._refused(refused, plan, endpoint)
        except Failed as failed:
            if self._stopped:
                return None
            task.attempts += failed.reached and not failed.busy
            self._failed(failed, endpoint, started)
            if task.attempts >= ATTEMPTS:
                note = f"{endpoint.address}: {failed} ({task.attempts} attempts)"
                return Completion(None, unscored="engine_error", note=note)
            return None
        with self._changed:
            endpoint.failures, endpoint.trial = 0, None
            endpoint.answered += 1
            self._changed.notify_all()
        return self._judged(reply, task, plan, endpoint)

    def _judged(self, reply: Reply, task: _Task, plan: Plan, endpoint: Endpoint) -> Completion | None:
        if plan.tokens is not None and reply.prompt_tokens is not None:
            if reply.prompt_tokens != plan.tokens:
                note = f"the server read {reply.prompt_tokens} tokens, the judge's prompt has {plan.tokens}"
                return self._misread(note, task, endpoint)
            with self._changed:
                endpoint.read_right += 1
        if reply.finish == "length" and plan.kind == "short" and plan.max_tokens < self._server.max_new_tokens:
            task.plan = dataclasses.replace(
                plan, kind="long", max_tokens=self._server.max_new_tokens, crossed=True
            )  # a whole answer is longer than the short window has room for
            return None
        notes = []
        if plan.message.broken:
            notes.append(f"{plan.message.broken} spellings of special tokens or headings broken up for the server")
        if plan.crossed:
            notes.append("prompt and answer cross the short window; read with the factors for long ones throughout")
        return Completion(
            text=reply.text.split(conversation.STOP)[0].strip(),
            stopped=reply.finish == "stop",
            new_tokens=reply.new_tokens or 0,
            note="; ".join(notes) or None,
        )

    def _refused(self, refused: Refused, plan: Plan, endpoint: Endpoint) -> Completion | None:
        with self._changed:
            if refused.of_the_endpoint:
                self._drop(endpoint, str(refused))
                return None
            endpoint.refused += not refused.too_long
            if endpoint.answered == 0 and endpoint.refused >= FIRST_REFUSALS:
                self._drop(endpoint, f"it refused {endpoint.refused} requests and answered none: {refused}")
        reason = "request_too_long" if refused.too_long else "engine_error"
        return Completion(None, unscored=reason, note=f"{endpoint.address}: {refused}")

    def _misread(self, note: str, task: _Task, endpoint: Endpoint) -> Completion | None:
        """Of an endpoint that reads other prompts right, this answer is lost; else another endpoint may do."""
        task.attempts += 1
        with self._changed:
            endpoint.misread += 1
            unfit = endpoint.read_right == 0
            if unfit and endpoint.misread >= FIRST_MISREAD:
                self._drop(endpoint, f"{note}: was it started for this judge, with the chat template of docs/scale.md?")
        if unfit and task.attempts < ATTEMPTS:
            return None
        return Completion(None, unscored="engine_error", note=f"{endpoint.address}: {note}")

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
            _say(f"{endpoint.address} is dropped, the others go on: {why}")


def _say(text: str) -> None:
    print(f"mmjudge: {text}", file=sys.stderr, flush=True)
