"""A system under test (`judge.systems`) as a model of a harness: all questions at once, answers as texts.

    answers = SystemAnswers("SYSTEM.toml", out="out/mine")
    answers.texts("mmie", benchmark, dataset, [0])  ->  {0: '[{"text": "Step 2", "image": "mmie/pictures/9f….png"}]'}

A harness knows texts only, so an answer is the JSON of its parts, with pictures named below `answers.image_root`, and a
failed call is a text that our tasks know. `OUT/TASK` is an output folder of `mmjudge ask` like any other: what it holds
is not asked again, whoever asked it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from judge.core.benchmark import Benchmark, Dataset
from judge.core.failure import NO_RESPONSE
from judge.errors import UserError
from judge.harness.session import say
from judge.systems.ask import AskOptions, ask_questions
from judge.systems.settings import read_settings


class SystemAnswers:
    """The answers of the system that a SYSTEM.toml describes. Raises UserError for a file that cannot be read.

    out: the folder for a folder a task; None for out/NAME, by the system's name. retry_failed: as of `mmjudge ask`.
    """

    def __init__(self, config: str | None, out: str | None = None, retry_failed: bool = False) -> None:
        if not config:
            raise UserError("no system named", fix="config=SYSTEM.toml; docs/systems.md says what it holds")
        self.settings = read_settings(config)
        name = re.sub(r"[^\w.-]+", "_", self.settings.name).strip(".") or "system"
        self.image_root = (Path(out) if out else Path("out") / name).absolute()
        self._options = AskOptions(retry_failed, say)

    def texts(self, task: str, benchmark: Benchmark, dataset: Dataset, indices: Iterable[int]) -> dict[int, str]:
        """The answers to the questions at `indices`, asked where they are not there yet.

        task: the name of the folder below `image_root`. Raises UserError.
        """
        out = self.image_root / task
        asked = ask_questions(self.settings, benchmark, dataset, out, sorted(set(indices)), self._options)
        for line in asked.to_lines():
            say(f"{self.settings.name}: {line.strip()}")
        return {line["index"]: _text(line["response"], task) for line in asked.lines}


def _text(response: Any, task: str) -> str:
    if response is None:
        return NO_RESPONSE
    return response if isinstance(response, str) else json.dumps([_below(part, task) for part in response])


def _below(part: Mapping[str, Any], task: str) -> Mapping[str, Any]:
    return {**part, "image": f"{task}/{part['image']}"} if part.get("image") else part
