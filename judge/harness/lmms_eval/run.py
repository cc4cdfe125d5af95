"""The lmms-eval run around a task: what was asked for, of which model, and whether that makes sense here.

    running()  ->  Run(predict_only=False, asks=True, image_root=Path("out"), interleaving="kept",
                       asked=Asked("qwen2_5_vl Qwen/Qwen2.5-VL-7B-Instruct", {"name": "lmms-eval", …}))

Neither the command line nor the Python interface hands its arguments to a task, so they are read off the stack: of
`simple_evaluate`, as it is called in lmms-eval 0.7.3.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from judge.core.foreign_text import shown, shown_error
from judge.errors import UserError
from judge.harness.lmms_eval.model_classes import interleaving, needs_picture, wants_numbers
from judge.harness.session import Asked, say
from judge.results.run_info import Interleaving

DECLARED = re.compile(r"(?:^|,)(?:output_dir|output_image_dir|generated_image_dir)=([^,]+)")
"""The arguments by which model classes that make pictures are told where to put them."""


class Refusal(SystemExit):
    """Ends the run with a message and exit code 1. lmms-eval retries ordinary exceptions and then exits with 0."""

    def __init__(self, problem: UserError | str) -> None:
        super().__init__(f"mmjudge: {shown_error(problem) if isinstance(problem, UserError) else shown(problem)}")


@dataclasses.dataclass(frozen=True)
class Run:
    """What the run around us is about.

    asks: whether a model will look at questions and pictures. numbered: whether it wants pictures by number in the
    text; needs_picture: whether it cannot be asked without one. repeats: how often
    every question is asked. image_root: the folder below which the model's pictures
    lie, as its class says; declared: the one that the model's arguments name. asked: of whom, and whether all
    questions are. tracker: lmms-eval's own, which knows its folder for this model when the run ends.
    model: the object of the model under test, None outside `simple_evaluate`.
    """

    predict_only: bool = False
    asks: bool = True
    numbered: bool = False
    needs_picture: bool = False
    repeats: int = 1
    image_root: Path | None = None
    declared: Path | None = None
    asked: Asked = dataclasses.field(default_factory=Asked)
    tracker: Any = None
    model: Any = None

    @property
    def folder(self) -> str:
        """The name of this model's folder, as lmms-eval makes it of `pretrained=` and the like; else that of the class.

        Never a way out of the folder it is put into.
        """
        named = getattr(getattr(self.tracker, "general_config_tracker", None), "model_name_sanitized", None)
        arguments = (self.asked.harness or {}).get("arguments", {})
        name = re.sub(r"[^\w.+=@ -]+", "__", str(named or arguments.get("model") or "model"))
        return name if name.strip(". ") else "model"


def running() -> Run:
    """The lmms-eval run that is loading its tasks now; defaults, and a line on stderr, where none is.

    Raises Refusal for options that give nonsense with our tasks.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_code.co_name == "simple_evaluate":
            return _of_arguments(frame.f_locals)
        frame = frame.f_back
    say(
        "mmjudge: these tasks are loaded outside lmms-eval's simple_evaluate, whose arguments cannot be read: a model"
        " that will be asked, and judged answers, are taken for granted"
    )
    return Run()


def _of_arguments(given: Mapping[str, Any]) -> Run:
    for problem in refused(given):
        raise Refusal(problem)
    limit, tasks = given.get("limit"), given.get("tasks")
    if isinstance(limit, float) and 0 < limit < 1 and isinstance(tasks, list) and len(tasks) > 1:
        _say_once(f"mmjudge: --limit {limit}: lmms-eval makes a count of it at the first task and keeps that for all")
    model = given.get("lm")
    asks = getattr(model, "asks", True)
    found = DECLARED.search(str(given.get("model_args") or ""))
    return Run(
        predict_only=bool(given.get("predict_only")),
        asks=asks,
        numbered=wants_numbers(model),
        needs_picture=needs_picture(model),
        repeats=int(given.get("repeats") or 1),
        image_root=getattr(model, "image_root", None),
        declared=Path(found[1]).expanduser().absolute() if found else None,
        asked=_asked(given, interleaving(model) if asks else "unknown"),
        tracker=given.get("evaluation_tracker"),
        model=model,
    )


@functools.cache
def _say_once(line: str) -> None:
    say(line)


def refused(given: Mapping[str, Any]) -> Iterator[UserError]:
    """Options of `simple_evaluate` that give nonsense with our tasks, each with the reason and what to do instead."""
    if given.get("num_fewshot"):
        yield UserError(
            "--num_fewshot: these questions are asked as they stand, and no examples belong to them",
            fix="leave --num_fewshot out",
        )
    if given.get("apply_chat_template") or given.get("fewshot_as_multiturn"):
        yield UserError(
            "--apply_chat_template and --fewshot_as_multiturn rewrite a text; chat classes apply the model's template"
            " to our messages themselves",
            fix="leave them out",
        )
    if given.get("baseline"):
        yield UserError(
            "--baseline compares the text of answers with the reference, and takes points for shares of 1",
            fix="run without it, then: mmjudge compare BASELINE_RESULTS RESULTS",
        )
    if given.get("system_instruction"):
        yield UserError(
            "--system_instruction reaches simple model classes only, where it becomes part of the question",
            fix="leave it out, or give it to the model by its own arguments (--model_args system_prompt=…)",
        )


def _asked(given: Mapping[str, Any], what: Interleaving) -> Asked:
    """What the arguments of `simple_evaluate` say for the record."""
    model, arguments = given.get("model"), given.get("model_args")
    names = ("num_fewshot", "limit", "offset", "gen_kwargs", "repeats", "force_simple")
    kept = {name: given[name] for name in names if given.get(name)}
    if kept.get("repeats") == 1:
        del kept["repeats"]
    kept |= {"model": model if isinstance(model, str) else type(model).__name__, "model_args": str(arguments or "")}
    named = re.search(r"(?:^|,)(?:pretrained|model|model_version|predictions)=([^,]+)", kept["model_args"])
    harness = {"name": "lmms-eval", "version": importlib.metadata.version("lmms-eval"), "arguments": kept}
    name = f"{kept['model']} {named[1]}" if named else kept["model"]
    partial = bool(given.get("limit") or given.get("offset"))
    # lmms-eval has called its `clean()` by then, which frees what is directly an attribute and a module, no engine
    return Asked(name, harness, partial, freed=given.get("lm"), interleaving=what)
