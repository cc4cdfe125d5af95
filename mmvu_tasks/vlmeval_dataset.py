"""MMVU in VLMEvalKit: `--data MMVU` (from $MMVU_DATA or the Hub) and `--data MMVU_demo` (bundled)."""

from __future__ import annotations

from judge.core.benchmark import Dataset
from judge.harness.vlmeval.dataset import BenchmarkDataset, conditioned
from mmvu_tasks.benchmark import BENCHMARK
from mmvu_tasks.demo import demo_dir


class MMVU(BenchmarkDataset):
    """See `judge.harness.vlmeval.dataset`."""

    BENCHMARK = BENCHMARK
    TYPE = "MMVU"  # no wrapper has a prompt of its own for it, in --api-mode either
    DATASET_URL = dict.fromkeys(("MMVU", "MMVU_demo", *conditioned(BENCHMARK)), "")

    def open(self, name: str) -> tuple[Dataset, str | None]:
        """The data of `name`, without a judge. Raises UserError."""
        return BENCHMARK.load(demo_dir() if name == "MMVU_demo" else None, images=True), None
