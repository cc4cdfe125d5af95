"""`lmms-eval --model mmjudge_replay`: answers from a file, so that scoring is repeated without generation.

    lmms-eval --model mmjudge_replay --model_args predictions=responses.jsonl,image_root=out --tasks mmvu

predictions: any file `judge.io.responses` reads. image_root: the folder below which images of the answers lie, else the
file's own. A question without a line (see `recorded_answers`) counts as not answered, and their number is said.

The chat and the simple class differ only in the tuple lmms-eval hands over, whose last three are always
(doc_id, task, split); see `construct_requests` in lmms-eval 0.7.3, `api/task.py`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from lmms_eval.api.model import lmms

from judge.core.failure import NO_RESPONSE, NOT_ANSWERED
from judge.errors import UserError
from judge.harness.lmms_eval.recorded_answers import Ids, by_question, find
from judge.harness.lmms_eval.run import Refusal
from judge.harness.lmms_eval.tasks import TASK_COLUMN
from judge.harness.session import say
from judge.io.responses import read_responses


class Replay(lmms):
    """Model of lmms-eval. Raises Refusal for a file it cannot use."""

    is_simple = True
    asks = False
    """Read by our tasks: no picture will be looked at."""

    def __init__(self, predictions: str | None = None, image_root: str | None = None, **_: Any) -> None:
        super().__init__()
        from accelerate import Accelerator

        # lmms-eval gathers over ranks with these two; it makes an accelerator itself only for models that have none.
        self.accelerator = Accelerator()
        self.device = self.accelerator.device
        if not predictions:
            raise Refusal("no recorded answers named\n→ --model_args predictions=FILE")
        try:
            answers = read_responses(predictions, image_root)
            self._lines = by_question(answers, predictions)
        except UserError as error:
            raise Refusal(error) from None
        self._file = predictions
        self._ids: dict[tuple[str, str], Ids] = {}
        self.image_root = answers[0].image_root.resolve()

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """One response for every request, in order: text as it stands, parts as JSON, and where the file has no line or
        null, a text that our tasks know for that (lmms-eval knows texts only)."""
        if None in self._lines and len({request.args[-2] for request in requests}) > 1:
            raise Refusal(f"{self._file}: lines without an id fit one task\n→ run one task at a time")
        responses = []
        for request in requests:
            doc_id, task, split = request.args[-3:]
            try:
                answer = find(self._lines, self._ids_of(task, split), doc_id, self._file)
            except UserError as error:
                raise Refusal(error) from None
            responses.append(NOT_ANSWERED if answer is None else _text(answer.response))
        if missing := responses.count(NOT_ANSWERED):
            say(f"mmjudge_replay: no answer in {self._file} to {missing} of {len(requests)} questions")
        return responses

    def _ids_of(self, task: str, split: str) -> Ids:
        if (task, split) not in self._ids:
            documents = self.task_dict[task][split]
            if TASK_COLUMN not in documents.column_names:
                raise UserError(f"recorded answers fit the tasks of mmjudge, not {task!r}")
            self._ids[task, split] = Ids(documents["id"])
        return self._ids[task, split]

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """As `generate_until`: what was recorded is the answer after the last round."""
        return self.generate_until(requests)

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Part of lmms-eval's interface; there is nothing to take likelihoods from."""
        raise NotImplementedError("recorded answers have no likelihoods")


def _text(response: Any) -> str:
    if isinstance(response, str):
        return response
    return NO_RESPONSE if response is None else json.dumps(response)


class ReplayChat(Replay):
    """The same for tasks as chat messages."""

    is_simple = False
