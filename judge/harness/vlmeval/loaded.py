"""The datasets of ours that this process has made, by name: a system under test is asked all of its questions at once.

LOADED["MMIE_demo"].build_prompt(3)  ->  the message of question 3 (`judge.harness.vlmeval.dataset.BenchmarkDataset`)
"""

from __future__ import annotations

from typing import Any

LOADED: dict[str, Any] = {}
