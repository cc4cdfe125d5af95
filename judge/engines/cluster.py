"""The judge on all GPUs of a Ray cluster: one actor a GPU, fed from one list, so that nobody waits for the slowest.

    engine = Cluster("MMIE/MMIE-Score", EngineOptions(ray="auto"))
    engine.identity     that of `judge.engines.local`: how many actors there are changes no answer

Every actor is a whole judge (`judge.engines.actor`). Prompts go out longest first, in units that shrink as the list
does: large ones keep an engine's batches full, small ones at the end let all finish together. Completions come back as
they are had, to this process alone. Nodes and GPUs that join are used. A node reads pictures where it sees the files of
this process, by their SHA-256; else they are sent through Ray's object store.

An actor that dies is reported and replaced, and its prompts are judged again: alone, and last of all, since one of them
may be what killed it. A prompt that an actor died on twice is unscored (engine_error); a node that is lost is no
prompt's fault. Where actors die again and again without an answer, and where none has a place for long, UserError is
raised: the journal has all that was decided.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import os
import sys
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.core.foreign_text import on_one_line, shown
from judge.core.version import __version__
from judge.engines import DEFAULT_OPTIONS, Completion, EngineOptions, Prompt, rough_length
from judge.engines.actor import JudgeActor, Loaded, Loader, Place, Report, Unit, load_on_device, sha256_of_pictures
from judge.engines.ray_connection import CLIENT, connect_to_ray, default_address
from judge.errors import UserError

SMALLEST_UNIT = 32
SHARES = 4
"""A unit is the list's rest, divided by the actors and by this."""
DEATHS = 2
DEATHS_IN_A_ROW = 5
"""Of actors that have not answered anything, before the run is given up."""
POLL_SECONDS = 2.0
"""Between two looks at what the cluster has."""
PATIENCE = 1800.0
"""Seconds without any actor that has a place: a node that is started anew may fetch its image first."""
MOST_OF_A_DEATH = 200
"""Characters of what Ray says about one."""


@dataclasses.dataclass(eq=False)
class _Worker:
    """actor: Ray's handle. wanted: the node that it was made for, None: any. unit: numbers without an answer."""

    actor: Any
    wanted: str | None
    place: Place | None = None
    loaded: bool = False
    unit: set[int] = dataclasses.field(default_factory=set)
    has_answered: bool = False


class _Work:
    """Prompts by number, and which of them wait, longest first. suspects: an actor or its node died with them."""

    def __init__(self, prompts: Sequence[Prompt], smallest_unit: int) -> None:
        self.prompts, self._smallest = prompts, smallest_unit
        order = sorted(range(len(prompts)), key=lambda number: rough_length(prompts[number].pieces), reverse=True)
        self.waiting = collections.deque(order)
        self.suspects: collections.deque[int] = collections.deque()
        self.open = set(order)
        self._deaths: collections.Counter[int] = collections.Counter()

    def next_unit(self, actors: int, *, small: bool) -> list[int]:
        """Numbers for one of so many actors. small: as few as allowed."""
        if not self.waiting:
            return [self.suspects.popleft()] if self.suspects else []
        size = self._smallest if small else max(self._smallest, len(self.waiting) // (SHARES * actors))
        return [self.waiting.popleft() for _ in range(min(size, len(self.waiting)))]

    def give_back(self, numbers: set[int], *, killed: bool) -> Iterator[tuple[int, Completion]]:
        """Take back what had no answer; yields what killed too often. killed: the actor died, not its node."""
        for number in sorted(numbers):
            self._deaths[number] += killed
            if self._deaths[number] < DEATHS:
                self.suspects.append(number)
            else:
                self.open.discard(number)
                note = f"the judge's process died on it {DEATHS} times"
                yield number, Completion(None, unscored="engine_error", note=note)


class Cluster:
    """See the module. A context manager: leaving it ends the actors, as does the end of this process."""

    reads = True

    def __init__(
        self,
        judge: str,
        options: EngineOptions = DEFAULT_OPTIONS,
        load: Loader | None = None,
        smallest_unit: int = SMALLEST_UNIT,
    ) -> None:
        """options: `ray` is the address, `workers` the most actors; the rest is handed on to each. load:
        `load_on_device` or its like. smallest_unit: fewest prompts handed out at once.

        Returns when the first actor has loaded its judge. Raises UserError where none can, and where there is no Ray.
        """
        if options.device not in (None, "cpu", "cuda"):
            raise UserError(f"--device {options.device}: Ray hands out the GPUs", fix="leave --device out")
        address = options.ray or default_address()
        connection = connect_to_ray(address, options.workers)
        import ray

        self._ray: Any = ray
        self._calls: dict[Any, _Worker] = {}  # what is waited for, oldest first
        self._idle: list[_Worker] = []
        self._end = weakref.finalize(self, _end_actors, self._calls, self._idle, connection.ours)
        self._judge, self._options, self._load = _found_everywhere(judge), options, load or load_on_device
        self._smallest = smallest_unit
        self._identity: Mapping[str, str] | None = None
        self._without_files: set[str] = set()
        self._failed: list[str] = []  # nodes, one for each actor that could not load
        self._deaths: set[object] = set()
        self._next_poll, self._placed_at, self._size = 0.0, time.monotonic(), (0, 0)
        try:
            self._here = None if address.startswith(CLIENT) else ray.get_runtime_context().get_node_id()
            self._on_gpus = self._choose_device()
            self._say_where(address, connection.dashboard)
            nothing = _Work([], smallest_unit)
            while self._identity is None:
                self._recruit()
                for _ in self._listen(nothing):
                    pass
        except BaseException:
            self.close()
            raise

    @property
    def identity(self) -> Mapping[str, str]:
        return self._identity or {}

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """Completions as any actor has them. Raises UserError where no actor can go on."""
        work = _Work(prompts, self._smallest)
        try:
            while work.open:
                self._recruit(most=len(work.open))
                self._hand_out(work)
                for number, completion in self._listen(work):
                    work.open.discard(number)
                    yield number, completion
        except ConnectionError as error:
            fix = "the same command goes on from here"
            raise UserError(f"the connection to Ray was lost: {error}", fix=fix) from error
        finally:
            for call, worker in list(self._calls.items()):
                if worker.unit:  # whoever asked has stopped listening
                    del self._calls[call]
                    self._kill(worker)

    def close(self) -> None:
        """End the actors; what they were judging is lost. A Ray that this engine started ends, too."""
        self._end()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _choose_device(self) -> bool:
        """Whether actors run on GPUs. Raises UserError where they must and cannot."""
        wanted, gpus = self._options.device, self._ray.cluster_resources().get("GPU", 0)
        if wanted == "cuda" and not gpus and self._options.workers is None:
            fix = "leave --device out, or give --workers N, so that a cluster that can grow knows how far"
            raise UserError("no node of the Ray cluster has a GPU", fix=fix)
        return wanted == "cuda" or (wanted is None and gpus > 0)

    def _recruit(self, most: int | None = None) -> None:
        """Make actors where there is room, from time to time. most: that there is work for. Raises UserError."""
        now = time.monotonic()
        if now < self._next_poll:
            return
        self._next_poll = now + POLL_SECONDS
        workers = self._workers()
        vacant = self._vacant(workers)
        for node in vacant if most is None else vacant[: max(0, most - len(workers))]:
            actor = self._ray.remote(JudgeActor).options(**self._needs(node)).remote()
            self._ask(_Worker(actor, node), actor.place.remote())
        loaded = [worker.place.node for worker in workers if worker.loaded and worker.place]
        size = (len(loaded), len(set(loaded)))
        if size != self._size and loaded:
            _say(f"judging with {_count(size[0], 'actor')} on {_count(size[1], 'node')}")
        self._size = size
        if any(worker.place for worker in workers):
            self._placed_at = now
        elif now - self._placed_at > PATIENCE:
            fix = "see `ray status`; the same command goes on from here"
            raise UserError(f"no actor of the judge has had a place for {PATIENCE / 60:.0f} minutes", fix=fix)

    def _vacant(self, workers: Sequence[_Worker]) -> list[str | None]:
        """Nodes to make actors for, None for any: of `workers` in number, else a GPU each, else a node each."""
        if self._options.workers is not None:
            return [None] * (self._options.workers - len(workers) - len(self._failed))
        if self._on_gpus:
            # one that waits for its place has not taken it yet; one that could not load has left it free
            waiting = sum(worker.place is None for worker in workers)
            free = int(self._ray.available_resources().get("GPU", 0))
            return [None] * (free - waiting - len(self._failed))
        taken = {worker.wanted for worker in workers} | set(self._failed)
        return [
            node["NodeID"] for node in self._alive() if node["Resources"].get("CPU") and node["NodeID"] not in taken
        ]

    def _needs(self, node: str | None) -> dict[str, Any]:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        if self._on_gpus:
            return {"num_gpus": 1, "num_cpus": 0}
        return {
            "num_cpus": 1,
            "scheduling_strategy": "SPREAD" if node is None else NodeAffinitySchedulingStrategy(node, soft=False),
        }

    def _alive(self) -> list[dict[str, Any]]:
        return [node for node in self._ray.nodes() if node["Alive"]]

    def _workers(self) -> list[_Worker]:
        return [*self._calls.values(), *self._idle]

    def _ask(self, worker: _Worker, call: Any) -> None:
        self._calls[call] = worker

    def _hand_out(self, work: _Work) -> None:
        actors = sum(worker.loaded for worker in self._workers())
        for worker in list(self._idle):
            node = worker.place.node if worker.place else ""
            send = node in self._without_files
            if not (numbers := work.next_unit(actors, small=send)):
                return
            self._idle.remove(worker)
            worker.unit = set(numbers)
            prompts = {number: work.prompts[number] for number in numbers}
            if send:
                unit = Unit(prompts, contents=self._contents(prompts))
            else:
                unit = Unit(prompts, None if node == self._here else sha256_of_pictures(prompts))
            self._ask(worker, worker.actor.begin.remote(unit))

    def _contents(self, prompts: Mapping[int, Prompt]) -> dict[Path, Any]:
        """The bytes of pictures in Ray's object store, where they stay until the unit is done; None for no file."""
        contents: dict[Path, Any] = {}
        for path in {picture.path for prompt in prompts.values() for picture in prompt.request.pictures}:
            try:
                contents[path] = self._ray.put(path.read_bytes())
            except OSError:
                contents[path] = None
        return contents

    def _listen(self, work: _Work) -> Iterator[tuple[int, Completion]]:
        """Wait for the next thing an actor says, or for a while."""
        if not self._calls:
            time.sleep(POLL_SECONDS / 10)
            return
        for call in self._ray.wait(list(self._calls), timeout=POLL_SECONDS)[0]:
            worker = self._calls.pop(call)
            try:
                said = self._ray.get(call)
            except self._ray.exceptions.RayError as error:
                yield from self._bury(worker, error, work)
                continue
            if isinstance(said, Place):
                worker.place = said
                self._ask(worker, worker.actor.load.remote(self._load, self._judge, *self._load_options()))
            elif isinstance(said, Report):
                yield from self._hear(worker, said, work)
            else:
                self._welcome(worker, said)

    def _load_options(self) -> tuple[EngineOptions, int | None]:
        options = dataclasses.replace(self._options, device="cuda" if self._on_gpus else "cpu", ray=None, workers=None)
        if self._on_gpus or "OMP_NUM_THREADS" in os.environ:
            return options, None
        actors = self._options.workers or len(self._alive())
        return options, max(1, int(self._ray.cluster_resources().get("CPU", 1)) // actors)

    def _welcome(self, worker: _Worker, said: Loaded | Exception) -> None:
        """An actor has loaded its judge, or has not. Raises UserError for another judge, and where none is left."""
        host, node = (worker.place.host, worker.place.node) if worker.place else ("?", "?")
        if isinstance(said, Exception):
            self._kill(worker)
            self._failed.append(node)
            if not self._workers():
                raise said
            _say(f"no judge on {host}: {said}")
            return
        worker.loaded = True
        self._idle.append(worker)
        if said.version != __version__:
            fix = "install the same on every node"
            raise UserError(f"mmjudge is {said.version} on {host}, and {__version__} here", fix=fix)
        self._identity = self._identity or said.identity
        if differing := sorted(
            name for name in {**self._identity, **said.identity} if self._identity.get(name) != said.identity.get(name)
        ):
            fix = "put the same judge on every node; was its folder changed just now? then try again"
            raise UserError(f"the actors have loaded different judges: {', '.join(differing)} on {host}", fix=fix)

    def _hear(self, worker: _Worker, report: Report, work: _Work) -> Iterator[tuple[int, Completion]]:
        for number, completion in report.completions:
            worker.unit.discard(number)
            worker.has_answered = True
            self._deaths.clear()
            yield number, completion
        if report.unseen and worker.place:
            if worker.place.node not in self._without_files:
                _say(f"{worker.place.host} does not see the pictures' files: they are sent to it")
            self._without_files.add(worker.place.node)
            worker.unit.difference_update(report.unseen)
            work.waiting.extendleft(reversed(report.unseen))
        if report.error is not None:
            _say(report.error)
            yield from self._bury(worker, RuntimeError(report.error.splitlines()[-1]), work)
        elif report.ended:
            self._idle.append(worker)
        else:
            self._ask(worker, worker.actor.more.remote())

    def _bury(self, worker: _Worker, error: Exception, work: _Work) -> Iterator[tuple[int, Completion]]:
        """Report a dead actor, and give back what it leaves. Raises UserError after too many."""
        self._kill(worker)
        host, node = (worker.place.host, worker.place.node) if worker.place else ("a node", worker.wanted)
        lost = isinstance(error, self._ray.exceptions.ActorUnavailableError) or (
            node is not None and node not in {other["NodeID"] for other in self._alive()}
        )
        how = "its node is lost" if lost else on_one_line(str(error).splitlines()[-1], MOST_OF_A_DEATH)
        _say(f"the judge's actor on {host} has died ({how}); {len(worker.unit)} answers go to the others")
        if not worker.loaded and not lost:  # as it would again
            self._failed.append(node or host)
            if not self._workers():
                raise UserError("no actor could load the judge", fix="the lines above say how they died")
        elif not worker.has_answered:
            self._deaths.add(node if lost else worker)
        yield from work.give_back(worker.unit, killed=not lost)
        if len(self._deaths) >= DEATHS_IN_A_ROW:
            raise UserError(
                f"{len(self._deaths)} actors of the judge have died one after the other without an answer, and "
                f"{len(work.open)} answers are not judged",
                fix="the lines above say how they died; the same command goes on from here",
            )

    def _kill(self, worker: _Worker) -> None:
        with contextlib.suppress(Exception):  # it may be dead
            self._ray.kill(worker.actor)

    def _say_where(self, address: str, dashboard: str | None) -> None:
        what = _count(len(self._alive()), "node")
        if self._on_gpus:
            what += f", {_count(int(self._ray.cluster_resources().get('GPU', 0)), 'GPU')}"
        _say(f"Ray ({address}): {what}{f'; dashboard: http://{dashboard}' if dashboard else ''}")


def _found_everywhere(judge: str) -> str:
    """The judge's folder by its whole path: an actor works in another folder."""
    folder = Path(judge).expanduser()
    return os.path.abspath(folder) if folder.is_dir() else judge


def _end_actors(calls: Mapping[Any, _Worker], idle: Sequence[_Worker], shut_down: bool) -> None:
    import ray

    if not ray.is_initialized():
        return
    for worker in (*calls.values(), *idle):
        with contextlib.suppress(Exception):  # it may be dead
            ray.kill(worker.actor)
    if shut_down:
        ray.shutdown()


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _say(text: str) -> None:
    print(f"mmjudge: {shown(text)}", file=sys.stderr, flush=True)
