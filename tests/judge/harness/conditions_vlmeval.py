"""Run as a script: `mmjudge-vlmeval` with `looks`, the scripted model of the demo, and `guesses`, which never looks.

CALLS names a file that gets a line for every call: the model, and how many pictures it was shown.
"""

from __future__ import annotations

import functools
import os
import sys
from types import ModuleType
from typing import Any

from PIL import Image

from judge.demo.contracts import answer_request
from judge.harness.after_import import after_import
from judge.harness.vlmeval.launcher import main


def add_models(config: ModuleType) -> None:
    import vlmeval.vlm
    from vlmeval.vlm.base import BaseModel

    class Looks(BaseModel):
        INTERLEAVE = True

        def generate_inner(self, message: list[dict[str, str]], dataset: str | None = None) -> str:
            said = "\n".join(part["value"].strip("\n") for part in message if part["type"] == "text")
            pictures = [Image.open(part["value"]).convert("RGB") for part in message if part["type"] == "image"]
            with open(os.environ["CALLS"], "a") as log:
                log.write(f"{type(self).__name__} {dataset} {len(pictures)}\n")
            return self.answer(said, pictures)

        def answer(self, said: str, pictures: list[Any]) -> str:
            return answer_request(said, pictures) or "I cannot tell."

    class Guesses(Looks):
        def answer(self, said: str, pictures: list[Any]) -> str:
            return answer_request(said, []) or "I see nothing."

    class Own(Looks):
        def generate(self, message: Any, dataset: str | None = None) -> str:
            return self.generate_inner(list(message), dataset)

    for cls in (Looks, Guesses, Own):
        setattr(vlmeval.vlm, cls.__name__, cls)
        config.supported_VLM[cls.__name__.lower()] = functools.partial(cls)


if __name__ == "__main__":
    after_import("vlmeval.config", add_models)
    sys.exit(main())
