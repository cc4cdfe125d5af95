"""lmms-eval's own command line with an eye on the judge: `python watched_run.py LOG MODE <arguments of lmms-eval>`.

MODE "load": the real judge; LOG gets the number of transformers models alive when it is loaded.
MODE "stops", "all": a judge without weights; LOG gets the id of every answer after its verdict was taken. The first
one sleeps after three.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import judge.engines.local as engines
from judge.engines import Completion, Prompt

LOG, MODE = Path(sys.argv[1]), sys.argv[2]
load_found = engines.load_found


def note(line: object) -> None:
    with LOG.open("a") as file:
        file.write(f"{line}\n")


class HashJudge:
    """The score of an answer is the last digit of its id, modulo 7."""

    reads = True
    identity: Mapping[str, str] = {"judge": "hash"}

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        for number, prompt in enumerate(prompts):
            if MODE == "stops" and number == 3:
                time.sleep(600)
            yield number, Completion(f"### Feedback\nx\n### Score\n{int(prompt.request.id[-1]) % 7}")
            note(prompt.request.id)


def watched(*args: Any, **kwargs: Any) -> Any:
    from transformers import PreTrainedModel

    note(sum(isinstance(thing, PreTrainedModel) for thing in gc.get_objects()))
    return load_found(*args, **kwargs)


if __name__ == "__main__":
    if MODE == "load":
        engines.load_found = watched
    else:
        engines.open_local_engine = lambda *_: HashJudge()
    engines.check_judge = lambda *_: 0 if MODE != "load" else 1  # type: ignore[assignment]
    from lmms_eval.__main__ import cli_evaluate

    sys.argv = ["lmms-eval", *sys.argv[3:]]
    cli_evaluate()
