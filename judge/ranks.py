"""Several processes of one job on a shared folder: every rank judges its share, the first one joins them.

    OUT/ranks/0.jsonl … 7.jsonl    what each rank has judged: journals like verdicts.jsonl (`judge.journal`)
    OUT/ranks/3.alive              a line that changes every few seconds while rank 3 is at work, and says how it ended
    OUT/verdicts.jsonl             written by rank 0 when all is judged, in the end as if it had judged alone

`accelerate launch` and `torchrun` say who is who by RANK and WORLD_SIZE, a step of `srun` by SLURM_PROCID and
SLURM_STEP_NUM_TASKS. No rank talks to another but through the folder, and none writes another's file, so the folder
need not know locks. Shares are dealt from the longest request to the shortest, the same in every rank.

A killed job goes on when it is started again, with as many ranks as you like: each finds in the folder what any rank
has judged. Rank 0 waits for the others as long as they show life; what a dead rank leaves, it judges itself.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import os
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from judge.benchmark import Profile
from judge.engines import Engine
from judge.errors import UserError
from judge.journal import Journal, read
from judge.keys import request_keys
from judge.request import Picture, Request
from judge.rubric import Rubric
from judge.runner import judge_requests
from judge.signature import Signature
from judge.verdict import Verdict

FOLDER = "ranks"
BEAT_SECONDS = 5.0
PATIENCE = 300.0
"""Seconds without a sign of life after which a rank counts as dead: slow shared folders show changes late."""


@dataclasses.dataclass(frozen=True)
class Rank:
    """One process of a job of `size`. local: its number on this machine, which chooses its GPU."""

    number: int = 0
    size: int = 1
    local: int = 0

    @property
    def alone(self) -> bool:
        return self.size == 1


def here(environment: Mapping[str, str] | None = None) -> Rank:
    """Which rank this process is. Raises UserError for numbers that make no sense.

    A batch script of SLURM has SLURM_NTASKS and SLURM_PROCID=0 itself; only in a step (`srun`) do they say more.
    """
    values = os.environ if environment is None else environment
    if "RANK" in values and "WORLD_SIZE" in values:
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
    elif "SLURM_PROCID" in values and "SLURM_STEP_ID" in values:
        size = "SLURM_STEP_NUM_TASKS" if "SLURM_STEP_NUM_TASKS" in values else "SLURM_NTASKS"
        names = ("SLURM_PROCID", size, "SLURM_LOCALID")
    else:
        return Rank()
    number, size_, local = (values.get(name, default) for name, default in zip(names, ("0", "1", "0"), strict=True))
    if not all(value.isdecimal() for value in (number, size_, local)) or int(number) >= int(size_):
        said = ", ".join(f"{name}={values.get(name)}" for name in names)
        raise UserError(f"{said}: not a rank of a job", fix=f"unset {names[0]} and {names[1]} to run alone")
    return Rank(int(number), int(size_), int(local))


def device(rank: Rank, wanted: str | None) -> str | None:
    """The device of a rank that shares its machine: its own GPU or else the CPU, unless a certain one was named."""
    if rank.alone or wanted not in (None, "cuda"):
        return wanted
    import torch

    gpus = torch.cuda.device_count()
    return f"cuda:{rank.local % gpus}" if gpus else wanted or "cpu"


def judge_share(
    requests: Sequence[Request],
    engine: Engine,
    rubric: Rubric | None,
    profile: Profile,
    signature: Signature,
    out: Path,
    rank: Rank,
    *,
    retry_unscored: bool = False,
) -> int:
    """Judge this rank's share of all requests into its own journal; how many these are.

    Raises UserError where another process holds that journal, and whatever ends the engine.
    """
    ours = share(requests, rank)
    with Journal(_journal(out, rank.number)) as journal, _Alive(_alive(out, rank.number), job()):
        # what others have judged in an earlier run: it may have had other shares
        for verdict in _known(ours, engine, rubric, signature, out, besides=journal.path).values():
            before = journal.get(verdict.key or "")
            if before is None or _weight(before) < _weight(verdict):
                journal.record(verdict)
        for _ in judge_requests(
            ours,
            engine,
            rubric,
            profile,
            signature,
            journal,
            retry_unscored=retry_unscored,
            progress=rank.number == 0,
        ):
            pass
    return len(ours)


def join(
    requests: Sequence[Request],
    engine: Engine,
    rubric: Rubric | None,
    signature: Signature,
    journal: Journal,
    out: Path,
    rank: Rank,
) -> None:
    """Wait for the other ranks and put all that was judged into `journal`. What dead ranks owe is missing there."""
    dead = await_others(out, rank, PATIENCE)
    if dead:
        say(f"ranks {', '.join(map(str, dead))} have died: rank {rank.number} judges what they owe")
    for verdict in _known(requests, engine, rubric, signature, out).values():
        journal.record(verdict)


def share(requests: Sequence[Request], rank: Rank) -> list[Request]:
    """The requests that are this rank's: dealt from the longest to the shortest, to and fro; like ones to one rank."""
    alike: dict[tuple[object, ...], list[Request]] = {}
    for request in requests:
        alike.setdefault((request.category, request.question, request.answer, request.gt_answer), []).append(request)
    # sorted is stable: the same order in every rank
    order = sorted(alike.values(), key=lambda group: _rough_length(group[0]), reverse=True)
    turns = {rank.number, 2 * rank.size - 1 - rank.number}
    return [request for place, group in enumerate(order) if place % (2 * rank.size) in turns for request in group]


def _rough_length(request: Request) -> int:
    segments = (*request.question, *request.answer)
    return sum(8_000 if isinstance(segment, Picture) else len(segment.text) for segment in segments)


def _known(
    requests: Sequence[Request],
    engine: Engine,
    rubric: Rubric | None,
    signature: Signature,
    out: Path,
    besides: Path | None = None,
) -> dict[str, Verdict]:
    """What any rank, or a single process, has judged of these requests; key → the best verdict: one with a score goes
    before one without, one about the answer before one about a failed attempt."""
    files = [out / "verdicts.jsonl", *sorted((out / FOLDER).glob("*.jsonl"))]
    verdicts = [verdict for file in files if file != besides and file.exists() for verdict in read(file)]
    # keys take reading every picture: only where there may be something under them
    names = {verdict.id for verdict in verdicts}
    wanted = set(request_keys([r for r in requests if r.id in names], engine, rubric, signature))
    found: dict[str, Verdict] = {}
    for verdict in verdicts:
        if verdict.key in wanted:
            before = found.get(verdict.key)
            if before is None or _weight(verdict) >= _weight(before):
                found[verdict.key] = verdict
    return found


def _weight(verdict: Verdict) -> int:
    return 2 * (verdict.score is not None) + verdict.stands


def job(environment: Mapping[str, str] | None = None) -> str:
    """What tells this job from an earlier one on the same folder, as far as the launcher says. All ranks agree."""
    values = os.environ if environment is None else environment
    names = (
        "SLURM_JOB_ID",
        "SLURM_STEP_ID",
        "SLURM_RESTART_COUNT",
        "TORCHELASTIC_RUN_ID",
        "MASTER_ADDR",
        "MASTER_PORT",
    )
    return hashlib.sha256(repr([values.get(name) for name in names]).encode()).hexdigest()[:16]


def await_others(out: Path, rank: Rank, patience: float) -> list[int]:
    """Wait until every other rank has ended; those that failed, died or never showed up."""
    seen: dict[int, tuple[list[str], float]] = {}
    waiting = [number for number in range(rank.size) if number != rank.number]
    dead: list[int] = []
    ours, said = job(), False
    while waiting:
        now = time.monotonic()
        for number in list(waiting):
            sign = _sign(_alive(out, number))
            if number not in seen or seen[number][0] != sign:
                seen[number] = (sign, now)
            state = sign[2] if sign[:1] == [ours] else ""  # of an earlier job: not there yet
            if state in (DONE, FAILED) or now - seen[number][1] > patience:
                waiting.remove(number)
                dead += [number] if state != DONE else []
        if waiting and not said:
            said = True
            say(f"waiting for ranks {', '.join(map(str, waiting))}")
        if waiting:
            time.sleep(min(BEAT_SECONDS, patience) / 10)
    return sorted(dead)


DONE, FAILED = "done", "failed"


def say(text: str) -> None:
    print(f"mmjudge: {text}", file=sys.stderr, flush=True)


def _journal(out: Path, number: int) -> Path:
    return out / FOLDER / f"{number}.jsonl"


def _alive(out: Path, number: int) -> Path:
    return out / FOLDER / f"{number}.alive"


def _sign(path: Path) -> list[str]:
    """The words of a rank's line, or none."""
    try:
        words = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError):
        return []
    return words if len(words) == 3 else []


class _Alive:
    """Writes "JOB PROCESS COUNT" again and again until the block ends, then whether it ended well."""

    def __init__(self, path: Path, job: str) -> None:
        self._path, self._job, self._process = path, job, uuid.uuid4().hex
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="alive", daemon=True)

    def __enter__(self) -> None:
        self._write("0")
        self._thread.start()

    def __exit__(self, kind: object, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._write(DONE if kind is None else FAILED)

    def _beat(self) -> None:
        count = 0
        while not self._ended.wait(BEAT_SECONDS):
            count += 1
            with contextlib.suppress(OSError):  # the next one may do
                self._write(str(count))

    def _write(self, state: str) -> None:
        # renamed into place: a reader on another machine sees the old line or the new one
        part = self._path.with_name(f"{self._path.name}.{self._process}")
        part.write_text(f"{self._job} {self._process} {state}\n", encoding="ascii")
        part.replace(self._path)
