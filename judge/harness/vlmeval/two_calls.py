"""Questions that take two calls, for any model of VLMEvalKit: its `generate` is handed both.

    dataset.build_prompt(row)  ->  TwoCalls(…)                            for "mmvu_cgr"
    model.generate(message=that, dataset="mmvu_cgr")  ->  '{"mmjudge_reply": {"answer": "B", "info": "…"}}'

VLMEvalKit asks one question after the other (models that are called over the network: some at once, in threads), and
knows no second call. So the base classes' `generate` takes a `TwoCalls` for what it is. A picture is asked about once a
model; how long the first answer may be is the wrapper's own setting. A class that has a `generate` of its own and does
not call that of its base cannot be asked so, and says that.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from typing import Any

from judge.core.failure import failed_call
from judge.core.question import Question
from judge.core.reply import write_reply
from judge.core.thoughts import spoken
from judge.errors import UserError

Message = list[dict[str, str]]
_MARK = "_mmjudge"
_TABLE = "_mmjudge_first_calls"
_LOCK = threading.Lock()


class TwoCalls:
    """A question with a first call. written: makes the message of a question, {"type", "value"} in order."""

    def __init__(self, dataset: str, question: Question, written: Callable[[Question], Message]) -> None:
        self.dataset, self.question, self._written = dataset, question, written

    def __iter__(self) -> Iterator[Any]:
        raise UserError(
            f"{self.dataset}: this model's class asks in a way of its own: no first call can be put before a question",
            fix="take a wrapper whose generate() calls that of its base class, or lmms-eval",
        )

    def ask(self, model: Any, generate: Callable[[Message], Any]) -> Any:
        """The answer, with what was said in the first call. A call that failed is what its caller gives for that."""
        first = self._first(model, generate)
        if failed_call(first) is not None:
            return first
        info = "".join(spoken(str(first))).strip()
        answer = generate(self._written(self.question.with_info(info)))
        if isinstance(answer, dict) and "prediction" in answer:
            return {**answer, "prediction": write_reply(str(answer["prediction"]), info=info)}
        return answer if failed_call(answer) is not None else write_reply(str(answer), info=info)

    def _first(self, model: Any, generate: Callable[[Message], Any]) -> Any:
        """What `model` says in the first call; of the questions about one picture, one asks and the others wait."""
        with _LOCK:
            table = vars(model).setdefault(_TABLE, {})
            entry = table.setdefault((self.dataset, self.question.first), {"lock": threading.Lock()})
        with entry["lock"]:
            if "said" not in entry:
                said = generate(self._written(self.question.first_call()))
                said = said["prediction"] if isinstance(said, dict) and "prediction" in said else said
                if failed_call(said) is not None:
                    return said  # the next question tries again
                entry["said"] = said
            return entry["said"]


def take_two_calls(cls: Any) -> None:
    """Let `cls.generate` take a `TwoCalls` as its message. Calling it again changes nothing."""
    original = cls.generate
    if getattr(original, _MARK, False):
        return

    @functools.wraps(original)
    def generate(self: Any, message: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(message, TwoCalls):
            return original(self, message, *args, **kwargs)
        return message.ask(self, lambda written: original(self, written, *args, **kwargs))

    setattr(generate, _MARK, True)
    cls.generate = generate
