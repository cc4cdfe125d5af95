"""MMIE in VLMEvalKit: `--data MMIE` (from $MMIE_DATA or the Hub), `MMIE_1k` (its fixed subset of 1,000 questions) and
`MMIE_demo` (bundled, with its judge)."""

from __future__ import annotations

from judge.core.benchmark import Dataset
from judge.harness.vlmeval.dataset import BenchmarkDataset, conditioned
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir, judge_dir


class MMIE(BenchmarkDataset):
    """See `judge.harness.vlmeval.dataset`. A picture that is not there is left out, with a word on stderr."""

    BENCHMARK = BENCHMARK
    TYPE = "MMIE"  # no wrapper has a prompt of its own for it, in --api-mode either
    DATASET_URL = dict.fromkeys(("MMIE", "MMIE_1k", "MMIE_demo", *conditioned(BENCHMARK)), "")

    def open(self, name: str) -> tuple[Dataset, str | None]:
        """The data of `name` and, for the demo, its judge. Raises UserError."""
        if name == "MMIE_demo":
            return BENCHMARK.load(demo_dir(), images=True), str(judge_dir())
        whole = BENCHMARK.load(images=True)
        return (BENCHMARK.take_subset(whole, "1k") if name == "MMIE_1k" else whole), None
