"""Run as a script: `mmjudge-vlmeval` with two scripted models in VLMEvalKit's table, and crashes on demand.

CALLS names a file that gets a line for every question asked; DIE_AFTER_ANSWERS and DIE_AFTER_JUDGED end the process
there, as a kill would.
"""

from __future__ import annotations

import functools
import os
import sys
from types import ModuleType
from typing import Any

from conftest import scripted_answer

from judge.harness.after_import import after_import
from judge.harness.vlmeval.launcher import main


def add_models(config: ModuleType) -> None:
    import vlmeval.vlm
    from vlmeval.vlm.base import BaseModel

    class Scripted(BaseModel):
        INTERLEAVE = True

        def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
            calls = count(os.environ.get("CALLS"))
            if calls > int(os.environ.get("DIE_AFTER_ANSWERS", sys.maxsize)):
                os._exit(137)
            return scripted_answer("".join(part["value"] for part in message if part["type"] == "text"))

    class FirstImageOnly(Scripted):
        INTERLEAVE = False

    class Api(Scripted):
        is_api = True

        def use_custom_prompt(self, dataset: str) -> bool:
            return vlmeval.dataset.DATASET_TYPE(dataset, default=None) == "MCQ"

    for cls in (Scripted, FirstImageOnly, Api):
        setattr(vlmeval.vlm, cls.__name__, cls)
        config.supported_VLM[cls.__name__.lower()] = functools.partial(cls)


def count(file: str | None) -> int:
    """Add a line to `file`; how many it has."""
    if file is None:
        return 0
    with open(file, "a+") as log:
        log.write("x\n")
        log.seek(0)
        return len(log.readlines())


def die_while_judging(module: ModuleType) -> None:
    engine = module.TransformersEngine
    complete = engine.complete

    def counted(self: Any, prompts: Any) -> Any:
        for done, item in enumerate(complete(self, prompts), 1):
            yield item
            count(os.environ["JUDGED"])
            if done >= int(os.environ.get("DIE_AFTER_JUDGED", sys.maxsize)):
                os._exit(137)

    engine.complete = counted


if __name__ == "__main__":
    after_import("vlmeval.config", add_models)
    if "JUDGED" in os.environ:
        after_import("judge.engines.transformers", die_while_judging)
    sys.exit(main())
