"""Several processes of one job on a shared folder: every rank judges its share, the first one joins them.

    OUT/ranks/0.jsonl … 7.jsonl    what each rank has judged: journals like verdicts.jsonl (`judge.scoring.journal`)
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
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from judge.core.foreign_text import shown
from judge.core.request import Picture, Request
from judge.core.verdict import Verdict
from judge.engines.devices import Rank
from judge.io.verdicts import read_verdicts
from judge.results.run_folder import Run, RunFolder
from judge.scoring.background_keys import request_keys
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.pipeline import judge_requests
from judge.scoring.score import Scoring

FOLDER = "ranks"
BEAT_SECONDS = 5.0
Sign = tuple[str, ...]
"""A process and its count, or how it ended: ("3f…", "17"), ("3f…", "done"), or nothing."""

PATIENCE = 300.0
"""Seconds without a sign of life after which a rank counts as dead: slow shared folders show changes late."""


def score_as_rank(scoring: Scoring, folder: RunFolder, rank: Rank, before: Mapping[int, Sign]) -> Run | None:
    """Judge this rank's share; the first rank then puts everything together. None for every other rank.

    before: `signs` when this process began. Raises UserError.
    """
    scoring.check_folder(folder)
    requests = [item for item in scoring.assessed if isinstance(item, Request)]
    retry = scoring.options.retry_unscored
    folder.make()
    first = rank.number == 0
    with (
        Journal(folder.verdicts, before_writing=folder.discard_results) if first else contextlib.nullcontext()
    ) as journal:
        count = judge_share(requests, scoring.grader, folder.path, rank, retry_unscored=retry)
        if journal is None:
            say(f"rank {rank.number} of {rank.size}: {count} of {len(requests)} answers are judged")
            return None
        join(requests, scoring.grader, journal, rank, before, retry_unscored=retry)
        # every rank has seen to its own
        done = dataclasses.replace(scoring, options=dataclasses.replace(scoring.options, retry_unscored=False))
        return done.judge_into(folder, journal)


def judge_share(
    requests: Sequence[Request], grader: Grader, out: Path, rank: Rank, *, retry_unscored: bool = False
) -> int:
    """Judge this rank's share of all requests into its own journal; how many these are.

    Raises UserError where another process holds that journal, and whatever ends the engine.
    """
    ours = share(requests, rank)
    with Journal(_journal(out, rank.number)) as journal, _Alive(_alive(out, rank.number)):
        # what others have judged in an earlier run: it may have had other shares
        for verdict in _known(ours, grader, out, besides=journal.path)[0].values():
            before = journal.get(verdict.key or "")
            if before is None or _weight(before) < _weight(verdict):
                journal.record(verdict)
        for _ in judge_requests(ours, grader, journal, retry_unscored=retry_unscored, progress=rank.number == 0):
            pass
    return len(ours)


def join(
    requests: Sequence[Request],
    grader: Grader,
    journal: Journal,
    rank: Rank,
    before: Mapping[int, Sign],
    *,
    retry_unscored: bool = False,
) -> None:
    """Wait for the other ranks and put all that was judged into `journal`. What dead ranks owe is missing there.

    journal: `verdicts.jsonl` of the folder that the ranks share. before: `signs` when this process began.
    """
    out = journal.path.parent
    known, whole = _known(requests, grader, out)
    if retry_unscored or not whole:
        dead = await_others(out, rank, before, PATIENCE)
        if dead:
            say(f"ranks {', '.join(map(str, dead))} have died: rank {rank.number} judges what they owe")
        known, _ = _known(requests, grader, out)
    for verdict in known.values():
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
    requests: Sequence[Request], grader: Grader, out: Path, besides: Path | None = None
) -> tuple[dict[str, Verdict], bool]:
    """What any rank, or a single process, has judged of these requests, and whether that is all of them.

    key → the best verdict: one with a score goes before one without, one about the answer before one about a failed
    attempt.
    """
    files = [out / "verdicts.jsonl", *sorted((out / FOLDER).glob("*.jsonl"))]
    verdicts = [verdict for file in files if file != besides and file.exists() for verdict in read_verdicts(file)]
    # keys take reading every picture: only where there may be something under them
    names = {verdict.id for verdict in verdicts}
    named = [request for request in requests if request.id in names]
    wanted = set(request_keys(named, grader))
    found: dict[str, Verdict] = {}
    for verdict in verdicts:
        if verdict.key in wanted:
            before = found.get(verdict.key)
            if before is None or _weight(verdict) >= _weight(before):
                found[verdict.key] = verdict
    settled = {key for key, verdict in found.items() if verdict.stands}
    return found, len(named) == len(requests) and settled == wanted


def _weight(verdict: Verdict) -> int:
    return 2 * (verdict.score is not None) + verdict.stands


def signs(out: Path, rank: Rank) -> dict[int, Sign]:
    """The other ranks' signs of life as they are now; those of an earlier job among them."""
    return {number: _sign(_alive(out, number)) for number in range(rank.size) if number != rank.number}


def await_others(out: Path, rank: Rank, before: Mapping[int, Sign], patience: float) -> list[int]:
    """Wait until every other rank has ended; those that failed, died or never showed up.

    before: `signs` when this job began. A rank that had ended then is one of an earlier job.
    """
    seen: dict[int, tuple[Sign, float]] = {}
    waiting, dead, said = set(before), list[int](), False
    while waiting:
        now = time.monotonic()
        for number, sign in signs(out, rank).items():
            if number not in seen or seen[number][0] != sign:
                seen[number] = (sign, now)
            ended = sign[1:] in ((DONE,), (FAILED,)) and sign != before[number]
            if number in waiting and (ended or now - seen[number][1] > patience):
                waiting.remove(number)
                dead += [number] if sign[1:] != (DONE,) or not ended else []
        if waiting and not said:
            said = True
            say(f"waiting for ranks {', '.join(map(str, sorted(waiting)))}")
        if waiting:
            time.sleep(min(BEAT_SECONDS, patience) / 10)
    return sorted(dead)


DONE, FAILED = "done", "failed"


def say(text: str) -> None:
    """A line on stderr, at once."""
    print(f"mmjudge: {shown(text)}", file=sys.stderr, flush=True)


def _journal(out: Path, number: int) -> Path:
    return out / FOLDER / f"{number}.jsonl"


def _alive(out: Path, number: int) -> Path:
    return out / FOLDER / f"{number}.alive"


def _sign(path: Path) -> Sign:
    """The words of a rank's line, or none."""
    try:
        return tuple(path.read_text(encoding="ascii").split())
    except (OSError, UnicodeDecodeError):
        return ()


class _Alive:
    """Writes "PROCESS COUNT" again and again until the block ends, then whether it ended well."""

    def __init__(self, path: Path) -> None:
        self._path, self._process = path, uuid.uuid4().hex
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
        part.write_text(f"{self._process} {state}\n", encoding="ascii")
        part.replace(self._path)
