"""What a check finds, the run that is meant, and questions that are asked while the checks go on.

job = Job((MMIE, MMVU), "lmms-eval", os.environ)
job.command            "lmms-eval --tasks mmie,mmvu"
job.judge              "MMIE/MMIE-Score"
"""

from __future__ import annotations

import dataclasses
import functools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Generic, Literal, TypeVar

from judge.core.benchmark import Benchmark
from judge.engines.loading import is_elsewhere
from judge.engines.replay import PREFIX
from judge.errors import UserError
from judge.harness.ranks import this_rank
from judge.harness.settings import Settings, read_settings
from judge.scoring.pipeline import DEFAULT_JUDGE

T = TypeVar("T")
State = Literal["ok", "warning", "fails"]
Harness = Literal["lmms-eval", "vlmeval", "none"]
HARNESSES: tuple[Harness, ...] = ("lmms-eval", "vlmeval", "none")
"""What a run is started with; "none" for `mmjudge score` alone."""

NETWORK_SECONDS = 3.0
"""For all that is asked of the network, from the start of the checks."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """A line: what was found, and how to mend it. part: the heading that it belongs below. "fails": the run would."""

    part: str
    state: State
    found: str
    mend: str | None = None


Findings = Iterator[Finding]


def of_error(part: str, error: UserError, state: State = "fails", name: str = "") -> Finding:
    """The line that an error makes. name: what it is about, put before it."""
    said = str(error).rpartition("\n→ ")[0] if error.fix else str(error)
    return Finding(part, state, f"{name}: {said}" if name else said, error.fix)


@dataclasses.dataclass(frozen=True)
class Job:
    """The run whose chances are looked into. environment: with the command line's options in their variables' place;
    data: the folder that `--data` names."""

    benchmarks: tuple[Benchmark, ...]
    harness: Harness
    environment: Mapping[str, str]
    data: Path | None = None
    deep: bool = False

    @property
    def command(self) -> str:
        """As it is started, without the model under test."""
        names = [benchmark.name for benchmark in self.benchmarks]
        if self.harness == "lmms-eval":
            return f"lmms-eval --tasks {','.join(names)}"
        if self.harness == "vlmeval":
            return f"mmjudge-vlmeval --data {' '.join(name.upper() for name in names)}"
        return f"mmjudge score --benchmark {' or '.join(names)}"

    @property
    def judged(self) -> tuple[Benchmark, ...]:
        """The benchmarks that ask a judge."""
        return tuple(benchmark for benchmark in self.benchmarks if benchmark.judged)

    @functools.cached_property
    def settings(self) -> Settings:
        """What the environment says; a variable that cannot be read counts as unset (`judge.preflight.variables` says
        so)."""
        values = dict(self.environment)
        for _ in range(len(values)):
            try:
                return read_settings(values)
            except UserError:
                values = _without_unreadable(values)
        return read_settings({})

    @property
    def judge(self) -> str:
        """Its name."""
        return self.settings.judge or DEFAULT_JUDGE

    @property
    def judges_here(self) -> bool:
        """Whether a judge's network is to run in this process."""
        return bool(self.judged) and not is_elsewhere(self.judge) and not self.judge.startswith(PREFIX)


def _without_unreadable(values: Mapping[str, str]) -> dict[str, str]:
    try:
        this_rank(values)
    except UserError:
        return {name: value for name, value in values.items() if name not in ("RANK", "SLURM_PROCID")}
    for name in (name for name in values if name.startswith("MMJUDGE_")):
        try:
            read_settings({name: values[name]})
        except UserError:
            return {other: value for other, value in values.items() if other != name}
    return {}


class Later(Generic[T]):
    """The result of a function that runs in a thread of its own, for which nobody waits when the process ends."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._function, self._value = function, list[T]()
        self._error: BaseException | None = None
        self._started = time.monotonic()
        self._thread = threading.Thread(target=self._call, daemon=True)
        self._thread.start()

    def _call(self) -> None:
        try:
            self._value.append(self._function())
        except BaseException as error:
            self._error = error

    def result(self, seconds: float = NETWORK_SECONDS) -> T:
        """What the function returned. seconds: from its start. Raises TimeoutError, and what the function raised."""
        self._thread.join(max(0.0, seconds - (time.monotonic() - self._started)))
        if self._error is not None:
            raise self._error
        if not self._value:
            raise TimeoutError(f"no answer in {seconds:g} s")
        return self._value[0]
