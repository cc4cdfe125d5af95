"""A system that answers with text and pictures (`judge.systems`) as a model of VLMEvalKit: `--model mmjudge_system`.

    {"model": {"mine": {"class": "MMJudgeSystem", "config": "SYSTEM.toml", "out": "out/mine"}}, "data": {…}}

By name the file is taken from $MMJUDGE_SYSTEM. VLMEvalKit asks one question after the other; here the first one has all
of its dataset asked together, so that a writer and a painter never need the device at once. Pictures lie below `out`
(default: out/NAME); for `--mode eval`, which makes no model, set MMJUDGE_IMAGE_ROOT to that folder.
"""

from __future__ import annotations

import json
import os
from typing import Any

from vlmeval.vlm.base import BaseModel

from judge.errors import UserError
from judge.harness.system_answers import SystemAnswers
from judge.harness.vlmeval.loaded import LOADED

VARIABLE, IMAGE_ROOT = "MMJUDGE_SYSTEM", "MMJUDGE_IMAGE_ROOT"
_ROOTS: set[str] = set()
"""What this module has put into the environment: models are asked and scored one after the other."""


class MMJudgeSystem(BaseModel):
    """See the module. Raises UserError for a system that cannot be asked, and for datasets that are not ours."""

    INTERLEAVE = True

    def __init__(self, config: str | None = None, out: str | None = None) -> None:
        super().__init__()
        self._answers = SystemAnswers(config or os.environ.get(VARIABLE), out)
        if os.environ.get(IMAGE_ROOT) in (None, *_ROOTS):  # what the user says stays
            os.environ[IMAGE_ROOT] = str(self._answers.image_root)
            _ROOTS.add(os.environ[IMAGE_ROOT])
        self._texts: dict[str, dict[str, str]] = {}

    def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
        """The answer to one message, {"type", "value"} in order: the parts of the answer as JSON."""
        if dataset is None or dataset not in LOADED:
            raise UserError(f"mmjudge_system answers the datasets of mmjudge, not {dataset!r}")
        if dataset not in self._texts:
            source = LOADED[dataset]
            if not source.condition.plain:
                raise UserError(f"{dataset}: a system is asked the questions as they are published, under no condition")
            texts = self._answers.texts(dataset, source.BENCHMARK, source.source, range(len(source.source.records)))
            self._texts[dataset] = {_key(source.build_prompt(index)): text for index, text in texts.items()}
        return self._texts[dataset][_key(message)]


def _key(message: Any) -> str:
    return json.dumps([[part["type"], part["value"]] for part in message])
