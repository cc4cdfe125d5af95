"""Run as a script: `mmjudge-vlmeval` with scripted models in VLMEvalKit's table, and crashes on demand.

CALLS names a file that gets a line for every question asked, JUDGED one for every answer judged; DIE_AFTER_ANSWERS and
DIE_AFTER_JUDGED end the process there, as a kill would.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from types import ModuleType
from typing import Any

from judge.harness.after_import import after_import
from judge.harness.vlmeval.launcher import main

FAILED_CALL = "[GENERATION_FAILED] out of memory"


def scripted_answer(text: str) -> str:
    """What the scripted models say to a prompt: a letter that its bytes choose, in one of several phrasings; of sixteen
    answers one is blank, and one a harness's word for a call that failed."""
    number = int(hashlib.sha256(text.encode()).hexdigest(), 16)
    letter = "ABCD"[number % 4]
    if number // 16 % 16 < 2:
        return ["", FAILED_CALL][number // 16 % 16]
    return [letter, f"({letter})", f"The answer is {letter}.", f"{letter}. Because"][number // 4 % 4]


def add_models(config: ModuleType) -> None:
    import vlmeval.vlm
    from vlmeval.vlm.base import BaseModel

    class Scripted(BaseModel):
        INTERLEAVE = True

        def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
            if count("CALLS") > int(os.environ.get("DIE_AFTER_ANSWERS", sys.maxsize)):
                os._exit(137)
            return scripted_answer("".join(part["value"] for part in message if part["type"] == "text"))

    class Api(Scripted):
        is_api = True

        def use_custom_prompt(self, dataset: str) -> bool:
            return vlmeval.dataset.DATASET_TYPE(dataset, default=None) == "MCQ"

    for cls in (Scripted, Api):
        setattr(vlmeval.vlm, cls.__name__, cls)
        config.supported_VLM[cls.__name__.lower()] = functools.partial(cls)


def count(variable: str) -> int:
    """Add a line to the file that `variable` names; how many it has."""
    file = os.environ.get(variable)
    if file is None:
        return 0
    with open(file, "a+") as log:
        log.write("x\n")
        log.seek(0)
        return len(log.readlines())


def watch_judging(module: ModuleType) -> None:
    engine = module.LocalEngine
    complete = engine.complete

    def counted(self: Any, prompts: Any) -> Any:
        for done, item in enumerate(complete(self, prompts)):
            if done >= int(os.environ.get("DIE_AFTER_JUDGED", sys.maxsize)):
                os._exit(137)
            count("JUDGED")
            yield item

    engine.complete = counted


def without_gpus() -> None:
    """run.py names NCCL, which needs GPUs; two ranks on a CPU talk through Gloo instead."""
    import torch.distributed

    original = torch.distributed.init_process_group
    torch.distributed.init_process_group = lambda backend, **others: original(backend="gloo", **others)


if __name__ == "__main__":
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        without_gpus()
    after_import("vlmeval.config", add_models)
    after_import("judge.engines.local", watch_judging)
    sys.exit(main())
