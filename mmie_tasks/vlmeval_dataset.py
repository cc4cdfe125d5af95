"""MMIE in VLMEvalKit: `--data MMIE` (from $MMIE_DATA or the Hub) and `--data MMIE_demo` (bundled, with its judge)."""

from __future__ import annotations

from typing import Any

from judge.core.benchmark import Dataset
from judge.harness.session import say
from judge.harness.vlmeval.dataset import BenchmarkDataset
from judge.io.image_paths import ImageRefused
from mmie_tasks.benchmark import BENCHMARK
from mmie_tasks.demo import demo_dir, judge_dir
from mmie_tasks.judging import locate


class MMIE(BenchmarkDataset):
    """See `judge.harness.vlmeval.dataset`. A picture that is not there is left out, with a word on stderr."""

    BENCHMARK = BENCHMARK
    TYPE = "MMIE"  # no wrapper has a prompt of its own for it, in --api-mode either
    DATASET_URL = {"MMIE": "", "MMIE_demo": ""}  # noqa: RUF012  # the base class's own form

    def open(self, name: str) -> tuple[Dataset, str | None]:
        """The data of `name` and, for the demo, its judge. Raises UserError."""
        if name == "MMIE_demo":
            return BENCHMARK.load(demo_dir(), images=True), str(judge_dir())
        return BENCHMARK.load(images=True), None

    def message(self, record: Any) -> list[dict[str, str]]:
        """{"type": "text" or "image", "value": text or path}, in the order of the question."""
        assert self.source.image_root is not None
        message = []
        for part in record.question:
            if part.text:
                # VLMEvalKit takes a text that is the name of a file or an address for that file; with a line end it
                # is neither, and the official scorer's texts end so, too
                message.append({"type": "text", "value": f"{part.text}\n"})
            if part.image is not None:
                try:
                    path = locate(part.image, self.source.image_root, linked=True).path
                    message.append({"type": "image", "value": str(path)})
                except ImageRefused as refused:
                    say(f"mmjudge: {record.id} is asked without a picture: {refused.message}")
        return message
