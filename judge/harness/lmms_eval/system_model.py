"""`lmms-eval --model mmjudge_system`: a system that answers with text and pictures, asked and scored in one run.

    lmms-eval --model mmjudge_system --model_args config=SYSTEM.toml,out=out/mine --tasks mmie --output_path results

config: the file that `mmjudge ask` takes. out: where its answers go, a folder a task; a run that was killed goes on
from there. retry_failed=True: ask again where a call failed. All questions of a task are asked together, so that a
writer and a painter never need the device at once, and the system is freed before the judge loads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lmms_eval.api.model import lmms

from judge.errors import UserError
from judge.harness.lmms_eval.tasks import TASK_COLUMN, Refusal, session_of
from judge.harness.system_answers import SystemAnswers


class SystemModel(lmms):
    """Model of lmms-eval. Raises Refusal for a system that cannot be asked.

    interleaving: the questions are put to the system as they are, and not through lmms-eval's classes.
    """

    is_simple = False
    interleaving = "kept"
    asks_as_published = True

    def __init__(self, config: str | None = None, out: str | None = None, retry_failed: Any = False, **_: Any) -> None:
        super().__init__()
        from accelerate import Accelerator

        # lmms-eval gathers over ranks with these two; it makes an accelerator itself only for models that have none.
        self.accelerator = Accelerator()
        self.device = self.accelerator.device
        if self.accelerator.num_processes > 1:
            raise Refusal(
                "a system is asked by one process\n→ leave `accelerate launch` out; at_once and batches say more"
            )
        try:
            self._answers = SystemAnswers(config, out, str(retry_failed).lower() in ("true", "1"))
        except UserError as error:
            raise Refusal(error) from None
        self.image_root = self._answers.image_root

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """One response for every request, in order: the parts of the answer as JSON."""
        wanted: dict[str, list[int]] = {}
        asked = []
        for request in requests:
            doc_id, task, split = request.args[-3:]
            document = self.task_dict[task][split][doc_id]
            if TASK_COLUMN not in document:
                raise Refusal(f"mmjudge_system answers the tasks of mmjudge, not {task!r}")
            asked.append((task, document["index"]))
            wanted.setdefault(task, []).append(document["index"])
        texts = {}
        for task, indices in wanted.items():
            session = session_of(task)
            try:
                texts[task] = self._answers.texts(task, session.benchmark, session.dataset, indices)
            except UserError as error:
                raise Refusal(error) from None
        return [texts[task][index] for task, index in asked]

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """Part of lmms-eval's interface; no task of mmjudge asks in rounds."""
        raise NotImplementedError("a system has no rounds")

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Part of lmms-eval's interface; no task of mmjudge asks for likelihoods."""
        raise NotImplementedError("a system has no likelihoods")
