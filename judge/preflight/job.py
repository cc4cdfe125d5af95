"""The run that is meant: what would be started here, and what the environment says of it.

job = Job((MMIE, MMVU), "lmms-eval", os.environ)
job.command            "lmms-eval --tasks mmie,mmvu"
job.judge              "MMIE/MMIE-Score"
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from judge.core.benchmark import Benchmark
from judge.engines.loading import is_elsewhere
from judge.engines.replay import PREFIX
from judge.errors import UserError
from judge.harness.ranks import this_rank
from judge.harness.settings import Settings, read_settings
from judge.scoring.pipeline import DEFAULT_JUDGE

Harness = Literal["lmms-eval", "vlmeval", "none"]
HARNESSES: tuple[Harness, ...] = ("lmms-eval", "vlmeval", "none")
"""What a run is started with; "none" for `mmjudge score` alone."""


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
