"""What the journal costs: time to key and to write a verdict, as a share of the time to judge one.

    python benchmarks/journal_cost.py [--verdicts 1000] [--judging 0.3] [--folder DIR]

`--folder` decides which disk is measured (default: the current folder). `--judging` is the time to judge one answer in
seconds: 0.3 is about what a batched 4B judge takes on one data-centre GPU, and less than anything slower. Requests are
of the size of MMIE's (2 pictures of 100 kB, 300 words, 800 characters of feedback). What counts is the time for which
judging waits; between two verdicts the benchmark sleeps, as a judge would be busy, and the disk syncs. A second row
shows what the wait would be if each sync were waited for. Processor time stands beside the wait: pictures are hashed
by several threads, so the wait is the shorter one where cores are free, and the longer one where they are not.
Prints a Markdown table, then JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from pathlib import Path

from judge.engines import Engine
from judge.engines.replay import Replay
from judge.journal import Journal
from judge.request import Picture, Request, Text
from judge.rubric import Rubric
from judge.runner import request_keys
from judge.signature import Signature
from judge.verdict import Verdict

GOAL = 0.001
PAUSE = 0.02


class Reader(Replay):
    """An engine that reads and is never asked."""

    reads = True

    def __init__(self) -> None:
        pass


def measure(folder: Path, verdicts: int) -> dict[str, float]:
    """Milliseconds a verdict of every step."""
    engine: Engine = Reader()
    rubric = Rubric("measured", {"PBL": "criterion " * 300})
    requests = []
    for number in range(verdicts):
        pictures = tuple(Picture(_picture(folder, 2 * number + k), "x") for k in range(2))
        requests.append(Request(f"PBL-{number}", "PBL", (Text("step " * 200), *pictures), (Text("answer " * 100),)))
    start, busy = time.perf_counter(), time.process_time()
    keys = list(request_keys(requests, engine, rubric, Signature({"benchmark": "mmie", "judge": "measured"})))
    keyed, busy = time.perf_counter() - start, time.process_time() - busy
    found = {"key_ms": 1e3 * keyed / verdicts, "key_processor_ms": 1e3 * busy / verdicts}
    for name, waits in (("record", False), ("record_and_wait", True)):
        times, busy = [], 0.0
        path = folder / f"{name}.jsonl"
        with Journal(path) as journal, path.open("rb") as file:
            for number, (request, key) in enumerate(zip(requests, keys, strict=True)):
                time.sleep(PAUSE)
                verdict = Verdict(request.id, "judge", number % 7, category="PBL", feedback="f" * 800, key=key)
                start, began = time.perf_counter(), time.thread_time()
                journal.record(verdict)
                if waits:
                    os.fsync(file.fileno())
                busy += time.thread_time() - began
                times.append(time.perf_counter() - start)
        found |= {f"{name}_processor_ms": 1e3 * busy / verdicts}
        found |= {f"{name}_ms": 1e3 * statistics.mean(times), f"{name}_median_ms": 1e3 * statistics.median(times)}
    start, busy = time.perf_counter(), time.thread_time()
    with Journal(path) as journal:
        assert len(journal.questions()) == verdicts
    reopened, busy = time.perf_counter() - start, time.thread_time() - busy
    return {**found, "reopen_ms": 1e3 * reopened / verdicts, "reopen_processor_ms": 1e3 * busy / verdicts}


def _picture(folder: Path, number: int) -> Path:
    path = folder / f"{number}.bin"
    path.write_bytes(number.to_bytes(4, "big") * 25_000)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--verdicts", type=int, default=1000)
    parser.add_argument("--judging", type=float, default=0.3, metavar="SECONDS")
    parser.add_argument("--folder", type=Path, default=Path())
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        found = measure(Path(folder), args.verdicts)
    found["share_of_judging"] = (found["key_ms"] + found["record_ms"]) / 1e3 / args.judging
    processor = (found["key_processor_ms"] + found["record_processor_ms"]) / 1e3 / args.judging
    print(f"| a verdict, n = {args.verdicts} | wait, ms | processor, ms |\n|---|---:|---:|")
    for name, words in (
        ("key", "hash the request and its 2 pictures"),
        ("record", "write the line"),
        ("record_and_wait", "(write it and wait for the disk)"),
        ("reopen", "(read it again on resuming)"),
    ):
        print(f"| {words} | {found[f'{name}_ms']:.3f} | {found[f'{name}_processor_ms']:.3f} |")
    share = found["share_of_judging"]
    print(f"| **share of judging at {args.judging} s** (goal {GOAL:.1%}) | **{share:.3%}** | {processor:.3%} |\n")
    where = {
        "cpus": os.cpu_count(),
        "load": os.getloadavg()[0],
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    print(json.dumps({**found, "verdicts": args.verdicts, "judging_s": args.judging, **where}))


if __name__ == "__main__":
    main()
