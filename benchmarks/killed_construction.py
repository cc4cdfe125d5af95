"""A construction whose server fails and whose process is killed: is every sample there once, and nothing asked twice?

    python -m benchmarks.killed_construction --samples 10000 --kills 20

A scripted OpenAI-compatible server in this process writes replies of prompt v3 and fails a fifth of the calls: errors,
too many requests, connections that end early, replies that are cut off, hold unescaped quotes, or lack a question.
`mmjudge mmvu-data construct` runs against it as a process of its own and is killed (SIGKILL) again and again, each time
after so many more requests. What must hold, and is raised as AssertionError where it does not:

- pairs.jsonl and failed.jsonl together have every sample once, and here failed.jsonl is empty
- the journal has every (sample, attempt) once, in order
- no sample is asked about once a usable reply of it was stored when the process was killed
- what was asked and is not stored is a call that failed, or was under way at a kill
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import math
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from PIL import Image

AT_ONCE = 16
BAD_CALLS = ("500", "429", "cut")
BAD_REPLIES = ("truncated", "quotes", "unmatched")


def reply_about(sample: dict[str, Any], fault: str = "") -> str:
    """A reply of prompt v3 in a fence: 7 to 10 pairs, by the sample's id. fault: of `BAD_REPLIES`, or none."""
    id_ = sample["id"]
    conversations: dict[str, list[dict[str, Any]]] = {"conversations-pos": [], "conversations-neg": []}
    for number in range(7 + zlib.crc32(id_.encode()) % 4):
        thing, colour = f"thing {number} of {id_}", ("red", "blue", "green", "grey")[number % 4]
        right = f"It is {colour}, as its label says."
        wrong = [f"It is {other}." for other in ("pink", "brown", "black")]
        for field, asked in (("pos", f"Which colour has {thing}?"), ("neg", f"Is {thing} not pink?")):
            conversations[f"conversations-{field}"] += [
                {"from": "human", "value": asked, "options": [right, *wrong]},
                {"from": "gpt", "value": right},
            ]
    if fault == "unmatched":
        del conversations["conversations-neg"][-2:]
    text = json.dumps({"id": id_, "image": "another.png", **conversations})
    if fault == "quotes":
        text = text.replace("its label", 'its "label"', 1)
    return f"```json\n{text[: len(text) // 2] if fault == 'truncated' else text}\n```"


class Teacher:
    """The server. asked: the id of every request, in order. faults: how many there were of each kind. most: from so
    many requests on none is answered, until it is raised."""

    def __init__(self, share: float, seed: int = 0) -> None:
        self.asked: list[str] = []
        self.most = math.inf
        self.faults: collections.Counter[str] = collections.Counter()
        self._chance, self._share, self._lock = random.Random(seed), share, threading.Lock()
        teacher = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_POST(self) -> None:
                size = int(self.headers["content-length"])
                data = self.rfile.read(size)
                if len(data) < size:  # the client was killed
                    self.close_connection = True
                    return
                body = json.loads(data)
                text = body["messages"][0]["content"][0]["text"]
                sample, _ = json.JSONDecoder().raw_decode(text.removeprefix("Input JSON:\n"))
                number, fault = teacher.note(sample["id"])
                while number >= teacher.most:
                    time.sleep(0.01)
                try:
                    self.answer(sample, fault)
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client was killed

            def answer(self, sample: dict[str, Any], fault: str) -> None:
                if fault in ("500", "429"):
                    self.send(int(fault), {"error": {"message": "told to fail"}})
                    return
                said = {"role": "assistant", "content": reply_about(sample, fault)}
                finish = "length" if fault == "truncated" else "stop"
                choice = {"index": 0, "message": said, "finish_reason": finish}
                usage = {"prompt_tokens": 1371, "completion_tokens": 1702}
                self.send(200, {"choices": [choice], "usage": usage}, cut=fault == "cut")

            def send(self, status: int, value: Any, *, cut: bool = False) -> None:
                data = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("content-length", str(len(data)))
                if status == 429:
                    self.send_header("retry-after", "0")
                self.end_headers()
                self.wfile.write(data[: len(data) // 2] if cut else data)
                self.close_connection = True

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.request_queue_size = 128
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def note(self, id_: str) -> tuple[int, str]:
        """Count a request: how many there are, and what goes wrong with it."""
        with self._lock:
            self.asked.append(id_)
            fault = self._chance.choice(BAD_CALLS + BAD_REPLIES) if self._chance.random() < self._share else ""
            if fault:
                self.faults[fault] += 1
            return len(self.asked), fault

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@dataclasses.dataclass(frozen=True)
class Outcome:
    """requests: at the server. failed: calls of them. stored: replies. lost: under way at a kill. pairs: how many
    records have so many pairs. seconds: of all runs."""

    samples: int
    kills: int
    requests: int
    failed: int
    stored: int
    usable: int
    lost: int
    pairs: dict[int, int]
    seconds: float


def write_samples(folder: Path, count: int) -> Path:
    """A LLaVA-style file of `count` samples on eight small pictures."""
    for number in range(8):
        Image.new("RGB", (32, 32), (number * 30, 99, 200)).save(folder / f"{number}.png")
    rows = [{"id": f"sample-{number}", "image": f"{number % 8}.png"} for number in range(count)]
    file = folder / "samples.json"
    file.write_text(json.dumps(rows))
    return file


def run_killed(folder: Path, count: int, kills: int, seed: int = 0) -> Outcome:
    """Construct `count` samples in `folder`, killed so often. Raises AssertionError for what must not be."""
    source, out = write_samples(folder, count), folder / "out"
    teacher = Teacher(share=0.2, seed=seed)
    chance, began = random.Random(seed), time.monotonic()
    words = ["mmvu-data", "construct", str(source), "--address", teacher.url, "--model", "teacher", "--out", str(out)]
    words += ["--at-once", str(AT_ONCE), "--attempts", "12"]
    command = [sys.executable, "-m", "judge.cli", *words]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    killed = 0
    try:
        for _ in range(kills):
            more = int(count / (kills + 1) * chance.uniform(0.5, 1.2))
            known, before = usable_ids(out), len(teacher.asked)
            teacher.most = before + more  # it is killed by then, however late anybody looks
            with (folder / "log").open("ab") as log:
                process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            while process.poll() is None and len(teacher.asked) < teacher.most:
                time.sleep(0.01)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                killed += 1
            process.wait()
            teacher.most = math.inf
            time.sleep(0.2)  # what the server had begun to read is counted
            assert not known & set(teacher.asked[before:]), "asked again though its reply was stored"
        known, before, code = usable_ids(out), len(teacher.asked), 3
        while code == 3:  # calls that failed five times in a row
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            code = done.returncode
        assert code == 0, done.stderr[-2000:]
        assert not known & set(teacher.asked[before:]), "asked again though its reply was stored"
    finally:
        teacher.close()
    return check_folder(out, teacher, count, killed, time.monotonic() - began)


def check_folder(out: Path, teacher: Teacher, count: int, killed: int, seconds: float) -> Outcome:
    """What a run has left, held to what must be."""
    attempts: collections.defaultdict[str, list[int]] = collections.defaultdict(list)
    usable = 0
    lines = [json.loads(line) for line in (out / "replies.jsonl").read_bytes().splitlines()]
    for line in lines:
        attempts[line["id"]].append(line["attempt"])
        usable += not line["problems"]
    assert all(found == list(range(1, len(found) + 1)) for found in attempts.values()), "an attempt twice, or left out"
    records = [json.loads(line) for line in (out / "pairs.jsonl").read_bytes().splitlines()]
    assert [record["id"] for record in records] == [f"sample-{number}" for number in range(count)]
    assert usable == count
    assert (out / "failed.jsonl").read_bytes() == b""
    sizes = collections.Counter(len(record["conversations-neg"]) // 2 for record in records)
    assert set(sizes) <= set(range(7, 11))
    failed = sum(teacher.faults[fault] for fault in BAD_CALLS)
    lost = len(teacher.asked) - failed - len(lines)
    assert 0 <= lost <= killed * AT_ONCE
    return Outcome(count, killed, len(teacher.asked), failed, len(lines), usable, lost, dict(sorted(sizes.items())),
                   round(seconds, 1))  # fmt: skip


def usable_ids(out: Path) -> set[str]:
    """Samples that have a usable reply in the journal; the last line may be cut off."""
    file = out / "replies.jsonl"
    found = set()
    for line in file.read_bytes().splitlines(keepends=True) if file.exists() else ():
        if line.endswith(b"\n") and not (row := json.loads(line))["problems"]:
            found.add(row["id"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=20)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(dataclasses.asdict(run_killed(Path(folder), args.samples, args.kills)), indent=1))


if __name__ == "__main__":
    main()
