"""All checks in order, none of which can end the others.

    for finding in examine(job): …

What is asked of the network and of nvidia-smi begins first and is waited for at the end: seconds, not minutes. A check
that breaks is a line that says so.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from judge.core.benchmark import Benchmark
from judge.core.foreign_text import described
from judge.engines.loading import is_address
from judge.errors import UserError
from judge.preflight import data, judge_files
from judge.preflight.data import FoundData, check_data, find_data
from judge.preflight.deep import SECONDS, DeepChecks, check_weights_hash
from judge.preflight.device import DEVICE, Gpu, check_device, chosen_device, chosen_dtype, list_gpus
from judge.preflight.disk import DISK, check_disk
from judge.preflight.finding import Finding, Findings, of_error
from judge.preflight.hub import HUB, Access, Hub, Place, check_hub
from judge.preflight.job import Job
from judge.preflight.judge_files import JudgeFiles, check_judge_files, check_rubric, find_judge, rubric_name
from judge.preflight.later import NETWORK_SECONDS, Later
from judge.preflight.packages import PACKAGES, build_of, check_packages, local_part
from judge.preflight.served_judge import check_served_judge
from judge.preflight.tasks import TASKS, check_tasks
from judge.preflight.variables import SETTINGS, check_variables

PARTS = (SETTINGS, PACKAGES, TASKS, HUB, data.DATA, judge_files.JUDGE, DEVICE, DISK)
"""Headings, in the order in which they are shown."""


@dataclasses.dataclass(frozen=True)
class Examined:
    """findings: by heading, in the order of `PARTS`. settings: what the run would use, name → value."""

    findings: tuple[Finding, ...]
    settings: Mapping[str, str]

    @property
    def works(self) -> bool:
        """Whether nothing was found that the run would fail at."""
        return all(finding.state != "fails" for finding in self.findings)


def examine(job: Job) -> Examined:
    """Look at all that the run needs. Never raises, for whatever is wrong here."""
    return _Examination(job).examined()


class _Examination:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._found: list[Finding] = []
        self._gpus = Later(lambda: list_gpus(job.environment))
        self._build = local_part(self._tried(DEVICE, lambda: build_of("torch"), None))
        self._judge = self._tried(judge_files.JUDGE, self._find_judge, None)
        self._served = None
        if job.judged and not job.judges_here:
            self._served = Later(lambda: list(check_served_judge(job)))
        # asked before data is read, which takes a second
        asked = self._repositories()
        self._hub = Hub(asked) if asked else None
        self._data = [self._tried_data(benchmark) for benchmark in job.benchmarks]
        self._rubrics = self._ask_for_rubrics()
        self._deep = self._start_deep()

    def examined(self) -> Examined:
        job = self._job
        self._take(SETTINGS, lambda: check_variables(job))
        self._take(PACKAGES, lambda: check_packages(job))
        self._take(TASKS, lambda: check_tasks(job))
        self._take(HUB, self._check_hub)
        for found in self._data:
            if found is not None:
                self._take(data.DATA, functools.partial(check_data, job, found, self._access(found.place)))
        if job.judged:
            self._take(judge_files.JUDGE, self._check_judge)
            self._take(judge_files.JUDGE, self._check_rubrics)
        gpus = self._seen_gpus()
        need = self._judge.need if self._judge else None
        checked = None
        if job.judges_here and gpus is not None:
            checked = chosen_device(job, gpus, self._build)
            self._take(DEVICE, lambda: check_device(job, gpus, self._build, need))
        self._take(DISK, self._check_disk)
        if (deep := self._deep) is not None:
            self._take(TASKS, lambda: deep.findings(checked, need))
            if (judge := self._judge) is not None and judge.layout is not None and not judge.missing:
                self._take(judge_files.JUDGE, lambda: check_weights_hash(judge))
        ordered = sorted(self._found, key=lambda finding: PARTS.index(finding.part))
        return Examined(tuple(ordered), self._settings(gpus or []))

    def _take(self, part: str, check: Callable[[], Findings]) -> None:
        """What a check finds, up to where it breaks."""
        try:
            for finding in check():
                self._found.append(finding)
        except UserError as error:
            self._found.append(of_error(part, error))
        except Exception as error:
            self._found.append(_broken(part, error))

    def _tried(self, part: str, find: Callable[[], Any], otherwise: Any) -> Any:
        try:
            return find()
        except UserError as error:
            self._found.append(of_error(part, error))
        except Exception as error:
            self._found.append(_broken(part, error))
        return otherwise

    def _find_judge(self) -> JudgeFiles | None:
        return find_judge(self._job.judge) if self._job.judges_here else None

    def _tried_data(self, benchmark: Benchmark) -> FoundData | None:
        found: FoundData | None = self._tried(data.DATA, lambda: find_data(self._job, benchmark), None)
        return found

    def _repositories(self) -> list[Place]:
        """Those that something of the run comes from: not what lies in a folder that the user names."""
        job = self._job
        found = [data.place_of(one) for one in job.benchmarks if data.named_folder(job, one) is None]
        if self._judge is not None and self._judge.place is not None:
            found.append(self._judge.place)
        return found

    def _wanted(self) -> dict[Place, str]:
        """What must be fetched, by place; "" for what is here."""
        wanted = dict.fromkeys(self._repositories(), "")
        wanted |= {found.place: found.to_fetch for found in self._data if found is not None and found.folder is None}
        if self._judge is not None and self._judge.place is not None:
            wanted[self._judge.place] = self._judge.to_fetch
        return wanted

    def _access(self, place: Place | None) -> Access:
        return self._hub.access(place) if self._hub is not None and place is not None else Access(None)

    def _check_hub(self) -> Findings:
        if self._hub is None:
            yield Finding(HUB, "ok", "not needed: data and judge are named, and nothing is fetched")
        else:
            yield from check_hub(self._hub, self._wanted())

    def _check_judge(self) -> Findings:
        if self._served is not None:
            # it has ended by itself, but for a server that is slow to close
            yield from self._served.result(SECONDS if self._job.deep else 2 * NETWORK_SECONDS)
        elif self._judge is not None:
            yield from check_judge_files(self._judge, self._access(self._judge.place))

    def _rubric_name(self) -> str:
        """As `judge.harness.session` has it: of a served judge its tokenizer's folder tells."""
        settings, judge = self._job.settings, self._job.judge
        if is_address(judge):
            judge = settings.tokenizer or judge
        elif self._judge is not None and self._judge.folder is not None:
            judge = str(self._judge.folder)
        return rubric_name(settings, judge)

    def _ask_for_rubrics(self) -> dict[str, Later[str]]:
        """Whether the published wordings could be downloaded, by benchmark."""
        from huggingface_hub import constants

        if constants.HF_HUB_OFFLINE:
            return {}
        addresses = {one.name: getattr(one, "rubric_address", None) for one in self._job.judged if self._reads}
        return {name: Later(functools.partial(_reach, at)) for name, at in addresses.items() if at}

    def _check_rubrics(self) -> Findings:
        if not self._reads:
            return
        for benchmark in self._job.judged:
            reachable = None
            if (asked := self._rubrics.get(benchmark.name)) is not None:
                reachable = asked.result(NETWORK_SECONDS)
            yield from check_rubric(benchmark, self._rubric_name(), reachable)

    @property
    def _reads(self) -> bool:
        """Whether the judge is put a rubric to; a recording is not."""
        return bool(self._job.judged) and not self._job.judge.startswith("replay:")

    def _seen_gpus(self) -> list[Gpu] | None:
        """None where it cannot be told without torch which there are."""
        mend = "mmjudge doctor --deep, which asks torch"
        try:
            gpus = self._gpus.result()
        except Exception as error:
            if self._job.judges_here:
                said = f"nvidia-smi does not say which GPUs are here ({described(error)})"
                self._found.append(Finding(DEVICE, "warning", said, mend))
            return None
        if not gpus and (self._build or "").startswith("rocm"):
            said = "which GPUs of AMD are here is not asked without torch"
            self._found.append(Finding(DEVICE, "warning", said, mend))
            return None
        return gpus

    def _check_disk(self) -> Findings:
        from huggingface_hub import constants

        fetched: dict[str, int | None] = {}
        for found in (found for found in self._data if found is not None and found.to_fetch):
            size = data.bytes_to_fetch(found, self._access(found.place).sizes)
            # pictures lie there packed and unpacked
            fetched[f"{found.benchmark.name}'s data"] = 2 * size if size is not None else None
        if self._judge is not None and self._judge.to_fetch:
            fetched["the judge"] = judge_files.bytes_to_fetch(self._judge, self._access(self._judge.place))
        yield from check_disk(fetched, Path(constants.HF_HUB_CACHE), Path.cwd())

    def _start_deep(self) -> DeepChecks | None:
        if not self._job.deep:
            return None
        whole = self._judge is not None and self._judge.folder is not None and not self._judge.missing
        return DeepChecks(self._job, self._job.judge if whole else None)

    def _settings(self, gpus: list[Gpu]) -> dict[str, str]:
        job = self._job
        if not job.judged:
            return {}
        found = {"judge": job.judge}
        if job.judges_here:
            device = chosen_device(job, gpus, self._build)
            found |= {"device": device, "dtype": chosen_dtype(job, device)}
        if self._reads:
            try:
                found["rubric"] = self._rubric_name()
            except UserError:
                found["rubric"] = "unknown"
        return {**found, "profile": job.settings.profile}


def _broken(part: str, error: Exception) -> Finding:
    return Finding(part, "warning", f"this check broke, and says nothing: {described(error)}")


def _reach(address: str) -> str:
    """Why an address cannot be fetched from; "" where it can."""
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=NETWORK_SECONDS):
            return ""
    except OSError as error:
        return f"{type(error).__name__}: {error}"


def environment_with(options: Mapping[str, str | None]) -> dict[str, str]:
    """The environment with what the command line says in its place. options: variable → value, None for not given."""
    return {**os.environ, **{name: value for name, value in options.items() if value is not None}}
