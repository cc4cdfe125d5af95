"""What the journal costs: how long judging waits for it, as a share of the time to judge.

    python benchmarks/journal_cost.py [--verdicts 100] [--judging 0.3] [--repeats 5] [--folder DIR]

The real `judge_requests` runs with an engine that only takes its time: `--judging` seconds an answer, 0.3 being about
what a batched 4B judge takes on one data-centre GPU and less than anything slower. Requests are of the size of MMIE's
(2 pictures of 100 kB, 300 words; 800 characters of feedback). Every repeat runs it twice over new pictures, in turn
first and second: with the journal, and with neither keys nor journal. What the first takes more is the cost, and every
row is the median of the repeats:

wait        for how long the engine stands still between an answer and being asked for the next: mean over the answers.
            Without a journal that is parsing and building the verdict.
median wait the same, of the answer in the middle: what is left where nothing else ran on the machine.
elapsed     the whole run, until the journal is closed and all is on the disk, and noise: a sleep ends when the machine
            likes. On a busy one this says little.
processor   of all threads. Hashing and syncing run beside the judging and take none of its time while a core is free.
            Where none is, this is the cost.
once        how much longer it takes from the call to the first prompt, and from the last answer to the closed journal,
            in ms a run.
resumed     the same run again: all keys at once, and nothing to judge.

`--folder` decides which disk is measured (default: the current folder). Prints a Markdown table, then JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from unittest import mock

from judge.core.request import Picture, Request, Text
from judge.core.rubric import Rubric
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.engines import Completion, Prompt
from judge.io import files
from judge.io.verdicts import read_verdicts
from judge.scoring import background_keys, grader, journal
from judge.scoring.grader import Grader
from judge.scoring.journal import Journal
from judge.scoring.pipeline import judge_requests

GOAL = 0.001
CLOCKS = {"wait": "wait", "median_wait": "median wait", "elapsed": "elapsed", "processor": "processor"}
RUBRIC = Rubric("measured", {"PBL": "criterion " * 300 + "{question}{answer}"})
SIGNATURE = Signature({"benchmark": "mmie", "judge": "measured"})
FEEDBACK = "### Feedback\n" + "f" * 800 + "\n### Score\n4"


class Busy:
    """An engine that takes its time, and notes when it begins and ends to: 2 n moments for n prompts."""

    reads = True
    identity: Mapping[str, str] = {"judge": "measured"}

    def __init__(self, seconds: float) -> None:
        self.seconds, self.moments = seconds, list[float]()

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        for number in range(len(prompts)):
            self.moments.append(time.perf_counter())
            time.sleep(self.seconds)
            self.moments.append(time.perf_counter())
            yield number, Completion(FEEDBACK)


class NoJournal(Journal):
    """Knows nothing and keeps nothing."""

    def __init__(self) -> None:
        pass

    def get(self, key: str) -> None:
        return None

    def questions(self) -> set[journal.Question]:
        return set()

    def record(self, verdict: Verdict) -> Verdict:
        return verdict

    def close(self) -> None:
        pass


@dataclasses.dataclass(frozen=True)
class Times:
    """Milliseconds a verdict, by each clock; `once` is milliseconds a run."""

    wait: float
    median_wait: float
    elapsed: float
    processor: float
    once: float


def run(requests: Sequence[Request], seconds: float, path: Path | None) -> Times:
    """Judge what is not in the journal yet. path None: neither journal nor keys."""
    files.__dict__["_sha256"].cache_clear()
    engine = Busy(seconds)
    began, busy = time.perf_counter(), time.process_time()
    with NoJournal() if path is None else Journal(path) as opened:
        judged = judge_requests(requests, Grader(engine, RUBRIC, "strict", SIGNATURE), opened)
        assert sum(1 for _ in judged) == len(requests)
    ended, busy = time.perf_counter(), time.process_time() - busy
    n, moments = len(requests), engine.moments or [began, began]
    waits = [later - earlier for earlier, later in zip(moments[1:-1:2], moments[2::2], strict=True)] or [0.0]
    once = moments[0] - began + ended - moments[-1]
    found = (statistics.mean(waits), statistics.median(waits), (ended - began) / n, busy / n, once)
    return Times(*(1e3 * clock for clock in found))


def run_without(requests: Sequence[Request], seconds: float) -> Times:
    with (
        mock.patch.object(grader, "request_key", lambda request, template, signature: request.id),
        mock.patch.object(background_keys, "_stamp", return_value=None),
    ):
        return run(requests, seconds, None)


def make_requests(folder: Path, verdicts: int) -> list[Request]:
    """New requests about new pictures of 100 kB, which are in the system's cache."""
    folder.mkdir()
    requests = []
    for number in range(verdicts):
        pictures = []
        for name in (f"{number}-0.bin", f"{number}-1.bin"):
            (folder / name).write_bytes(os.urandom(100_000))
            pictures.append(Picture(folder / name, name))
        question = (Text(f"{number} " + "step " * 200), *pictures)
        requests.append(Request(f"PBL-{number}", "PBL", question, (Text("answer " * 100),)))
    return requests


def measure(folder: Path, verdicts: int, seconds: float, repeats: int) -> dict[str, list[Times]]:
    """Times of each kind of run, one a repeat."""
    found: dict[str, list[Times]] = {"with": [], "without": [], "resumed": []}
    for repeat in range(repeats):
        requests = make_requests(folder / str(repeat), verdicts)
        path = folder / f"{repeat}.jsonl"
        for name in ("with", "without") if repeat % 2 else ("without", "with"):
            times = run(requests, seconds, path) if name == "with" else run_without(requests, seconds)
            found[name].append(times)
        assert len(read_verdicts(path)) == verdicts
        found["resumed"].append(run(requests, seconds, path))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--verdicts", type=int, default=100)
    parser.add_argument("--judging", type=float, default=0.3, metavar="SECONDS")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", type=Path, default=Path())
    args = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        found = measure(Path(folder), args.verdicts, args.judging, args.repeats)
    print(f"| ms a verdict, n = {args.verdicts}, median of {args.repeats} | with | without | cost | share of judging |")
    print("|---|---:|---:|---:|---:|")
    shares = {}
    for clock, name in CLOCKS.items():
        of = {kind: [getattr(times, clock) for times in runs] for kind, runs in found.items()}
        costs = [one - other for one, other in zip(of["with"], of["without"], strict=True)]
        shares[clock] = [cost / 1e3 / args.judging for cost in costs]
        middle = statistics.median(shares[clock])
        between = f"{min(shares[clock]):.3%} to {max(shares[clock]):.3%}"
        print(
            f"| {name} | {statistics.median(of['with']):.3f} | {statistics.median(of['without']):.3f} "
            f"| {statistics.median(costs):.3f} | **{middle:.3%}** ({between}) |"
        )
    once = [statistics.median(times.once for times in found[kind]) for kind in ("with", "without")]
    print(f"| once, ms a run | {once[0]:.1f} | {once[1]:.1f} | {once[0] - once[1]:.1f} | |")
    resumed = statistics.median(times.elapsed for times in found["resumed"])
    print(f"| resumed, nothing left to judge | {resumed:.3f} | | | {resumed / 1e3 / args.judging:.3%} |")
    met = statistics.median(shares["wait"]) <= GOAL
    print(f"\nJudging waits for the journal {statistics.median(shares['wait']):.3%} of its time; goal {GOAL:.1%}"
          f"{'' if met else ', missed'}.\n")  # fmt: skip
    where = {"cpus": os.cpu_count(), "load": load, "machine": platform.machine(), "python": platform.python_version()}
    runs = {name: [dataclasses.asdict(times) for times in runs] for name, runs in found.items()}
    print(json.dumps({"ms": runs, "shares": shares, "verdicts": args.verdicts, "judging_s": args.judging, **where}))


if __name__ == "__main__":
    main()
