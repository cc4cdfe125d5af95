"""What only the real thing can say, each in a process of its own: a minute rather than seconds.

lmms-eval   its index of tasks: which file each name stands for, as a run sees it
VLMEvalKit  whether our datasets get into its tables
torch       whether it can be imported beside torchvision, and which device it sees
the judge   config, tokenizer and weights as a run checks them; of a judge from the Hub the hash of every file
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from judge.io import files
from judge.io.hub_access import OFFLINE_VARIABLE
from judge.io.progress import size as shown_bytes
from judge.model.weights import checkpoint, shards
from judge.preflight.device import DEVICE, Need, check_device
from judge.preflight.finding import Finding, Findings, State
from judge.preflight.job import Job
from judge.preflight.judge_files import JUDGE, JudgeFiles
from judge.preflight.later import Later
from judge.preflight.packages import HARNESS_PACKAGES, PACKAGES, installed_version
from judge.preflight.tasks import REINSTALL, TASKS, by_include_path

SECONDS = 300.0
"""For each process."""

# What a run imports, in its order; the task manager then says which file each name stands for.
LMMS_EVAL = """
import json, sys
import lmms_eval.evaluator
from lmms_eval.tasks import TaskManager
index = TaskManager().task_index
print(json.dumps({name: index.get(name, {}).get("yaml_path") for name in sys.argv[1:]}))
"""

VLMEVAL = """
import json
from judge.harness.vlmeval.registration import register
register()
from vlmeval.dataset import SUPPORTED_DATASETS
print(json.dumps({"datasets": list(SUPPORTED_DATASETS)}))
"""

TORCH = """
import json, sys
import torch, torchvision
found = {"cuda": torch.cuda.is_available(), "gpus": torch.cuda.device_count(), "name": None}
if found["cuda"]:
    found["name"] = torch.cuda.get_device_name()
    found["free"], found["total"] = torch.cuda.mem_get_info()
print(json.dumps(found))
"""

JUDGED = """
import json, sys
from judge.engines.local import check_judge
from judge.errors import UserError
judge, device, dtype = (word or None for word in sys.argv[1:])
try:
    found = {"bytes": check_judge(judge, device, dtype)}
except UserError as error:
    found = {"problem": str(error).rpartition("\\n→ ")[0] or str(error), "fix": error.fix}
print(json.dumps(found))
"""


class DeepChecks:
    """Started at once, answered later: they go on while the other checks are made."""

    def __init__(self, job: Job, judge: str | None) -> None:
        """judge: one that is to run here, and is here."""
        self._job, settings = job, job.settings
        names = [benchmark.name for benchmark in job.benchmarks]
        self._asked: dict[str, Later[Any]] = {}
        if installed_version(*HARNESS_PACKAGES["lmms-eval"]) is not None:
            self._asked["lmms-eval"] = Later(lambda: _answer(LMMS_EVAL, *names))
        if installed_version(*HARNESS_PACKAGES["vlmeval"]) is not None:
            self._asked["vlmeval"] = Later(lambda: _answer(VLMEVAL))
        if installed_version("torch") is not None and installed_version("torchvision") is not None:
            self._asked["torch"] = Later(lambda: _answer(TORCH))
            if judge is not None:
                self._asked["judge"] = Later(
                    lambda: _answer(JUDGED, judge, settings.device or "", settings.dtype or "")
                )

    def findings(self, checked: str | None = None, need: Need | None = None) -> Findings:
        """A line for each, as they end.

        checked: the device that the lines without torch are about, None where there are none; need: the judge's.
        """
        lines: dict[str, Callable[[Any], Findings]]
        lines = {"lmms-eval": self._lmms_eval, "vlmeval": self._vlmeval, "judge": self._judge}
        lines["torch"] = functools.partial(self._torch, checked, need)
        for name, asked in self._asked.items():
            try:
                yield from lines[name](asked.result(SECONDS))
            except (_Ended, TimeoutError) as error:
                yield self._broken(name, str(error))

    def _broken(self, name: str, said: str) -> Finding:
        part = {"lmms-eval": TASKS, "vlmeval": TASKS, "torch": PACKAGES, "judge": JUDGE}[name]
        needed = name in (self._job.harness, "judge") or (name == "torch" and self._job.harness != "none")
        what = {
            "lmms-eval": "lmms-eval cannot be imported",
            "vlmeval": "VLMEvalKit does not take our datasets",
            "torch": "torch and torchvision cannot be imported",
            "judge": "the judge could not be examined",
        }[name]
        mend = "pip install --force-reinstall torch torchvision, both from one index, in one command"
        return Finding(part, "fails" if needed else "warning", f"{what}: {said}", mend)

    def _lmms_eval(self, paths: Mapping[str, str | None]) -> Findings:
        state: State = "fails" if self._job.harness == "lmms-eval" else "warning"
        for benchmark in self._job.benchmarks:
            path = paths.get(benchmark.name)
            if path is not None and Path(path).parent == benchmark.task_dir:
                yield Finding(TASKS, "ok", f"lmms-eval: {benchmark.name} is {path}, as a run sees it")
                continue
            said = f"not ours, but {path}" if path else "not found"
            mend = f"{REINSTALL}; or pip install -U lmms-eval; or meanwhile {by_include_path((benchmark,))}"
            yield Finding(TASKS, state, f"lmms-eval: {benchmark.name} is {said}", mend)

    def _vlmeval(self, answer: Mapping[str, list[str]]) -> Findings:
        lost = [b.name.upper() for b in self._job.benchmarks if b.name.upper() not in answer["datasets"]]
        if lost:
            state: State = "fails" if self._job.harness == "vlmeval" else "warning"
            yield Finding(TASKS, state, f"VLMEvalKit: has no {' and no '.join(lost)} after registering", REINSTALL)
        else:
            yield Finding(TASKS, "ok", "VLMEvalKit: our datasets are in its tables")

    def _torch(self, checked: str | None, need: Need | None, answer: Mapping[str, Any]) -> Findings:
        if answer["cuda"]:
            free, total = shown_bytes(answer["free"]), shown_bytes(answer["total"])
            yield Finding(DEVICE, "ok", f"torch sees {answer['name']}, {free} of {total} free")
            return
        if checked == "cpu" or not self._job.judges_here:
            yield Finding(DEVICE, "ok", "torch sees the CPU")
            return
        named = self._job.settings.device not in (None, "cpu")
        mend = "update the GPU's driver, or install a torch that is made for it: https://pytorch.org/get-started"
        yield Finding(DEVICE, "fails" if named else "warning", "torch sees no GPU, but the CPU", mend)
        if not named:
            yield from check_device(self._job, [], None, need)

    def _judge(self, answer: Mapping[str, Any]) -> Findings:
        if "problem" in answer:
            yield Finding(JUDGE, "fails", answer["problem"], answer["fix"] or "mmjudge doctor --judge …")
        else:
            size = shown_bytes(answer["bytes"])
            yield Finding(JUDGE, "ok", f"its config and tokenizer can be read, and its {size} of weights fit them")


class _Ended(Exception):  # noqa: N818 - how a process ended, not a fault of ours
    """What a process said last."""


def _answer(script: str, *arguments: str) -> Any:
    """The JSON that a script prints last. Raises _Ended, TimeoutError."""
    command = [sys.executable, "-c", script, *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, env={**os.environ, OFFLINE_VARIABLE: "1"}
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"no answer in {SECONDS:g} s") from None
    if done.returncode != 0:
        raise _Ended("".join(done.stderr.strip().splitlines()[-1:]) or f"ended with {done.returncode}")
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (ValueError, IndexError):
        raise _Ended("printed no answer") from None


def check_weights_hash(found: JudgeFiles) -> Findings:
    """Lines about the bytes of a judge's weights; files of the Hub's cache are called by their hash."""
    assert found.folder is not None
    shards_here = shards.find_shards(found.folder)
    size = sum(file.stat().st_size for file in shards_here)
    blobs = {file: file.resolve().name for file in shards_here if re.fullmatch("[0-9a-f]{64}", file.resolve().name)}
    if len(blobs) < len(shards_here):
        digest = checkpoint.weights_sha256(found.folder)[:12]
        said = f"SHA-256 of the weights ({shown_bytes(size)}) begins with {digest}"
        yield Finding(JUDGE, "ok", f"{said}: nothing here says what it should be", "mmjudge verify DIR --golden DIR")
        return
    for file, sha256 in blobs.items():
        if files.sha256(file) != sha256:
            mend = f"rm {file.resolve()} && hf download {found.place.repo if found.place else found.name}"
            yield Finding(JUDGE, "fails", f"{file.name} is not the file that the Hub has: its SHA-256 differs", mend)
            return
    yield Finding(JUDGE, "ok", f"every byte of the weights ({shown_bytes(size)}) is the Hub's, by SHA-256")
