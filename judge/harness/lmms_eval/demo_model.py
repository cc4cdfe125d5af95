"""`lmms-eval --model mmjudge_demo`: a scripted model, to see every stage run without weights. It answers the demo only.

    lmms-eval --model mmjudge_demo --model_args output_dir=out/pictures --tasks mmie_demo,mmvu_demo

It reads pictures and texts by rule (`judge.demo.skills`) and is made to fail now and then; its numbers say nothing
about any model. Answers are in the forms real models give: a letter or a sentence for a choice, and
`{"text": "…<image>…", "images": ["mmie_demo-3-0.png"]}` where it draws, with pictures relative to `output_dir`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lmms_eval.api.model import lmms

from judge.core.request import IMAGE_PLACEHOLDER
from judge.demo.contracts import answer_request
from judge.demo.drawing import GRID, Placed, draw_picture, stamps
from judge.demo.skills import Step, continue_plan, work_out_sum

NOTICE = "mmjudge_demo is a scripted model that knows only the bundled demo; its scores say nothing about any model"


class Demo(lmms):
    """Chat model of lmms-eval. `image_root`: the folder of its pictures, which tasks of mmjudge ask for."""

    is_simple = False
    interleaving = "kept"

    def __init__(self, output_dir: str = "out/mmjudge_demo", **_: Any) -> None:
        super().__init__()
        from accelerate import Accelerator

        # lmms-eval gathers over ranks with these two
        self.accelerator = Accelerator()
        self.device = self.accelerator.device
        self.image_root = Path(output_dir).absolute()
        self.image_root.mkdir(parents=True, exist_ok=True)
        if self.rank == 0:
            print(NOTICE, file=sys.stderr)

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """One response for every request, in order."""
        responses = []
        for request in requests:
            _, doc_to_messages, _, doc_id, task, split = request.args
            content = [
                part for turn in doc_to_messages(self.task_dict[task][split][doc_id]) for part in turn["content"]
            ]
            said = "\n".join(part["text"].strip("\n") for part in content if part["type"] == "text")
            pictures = [_opened(part["url"]) for part in content if part["type"] == "image"]
            responses.append(self._answer(said, pictures, f"{task}-{doc_id}"))
        return responses

    def _answer(self, said: str, pictures: Sequence[Any], name: str) -> str:
        if (answer := answer_request(said, pictures)) is not None:
            return answer
        lines = said.split("\n")
        if steps := continue_plan(lines):
            return self._drawn(steps, name)
        return work_out_sum(lines[0], pictures)

    def _drawn(self, steps: Sequence[Step], name: str) -> str:
        """Text with a marker for every picture, and the pictures' files."""
        lines: list[str] = []
        images: list[str] = []
        for step in steps:
            lines.append(step.text)
            if step.kind is not None:
                file = f"{name}-{len(images)}.png"
                height, width = (side * 2 for side in stamps()[step.kind].ink.shape)
                draw_picture([Placed(step.kind, step.colour, (GRID - width) // 2, (GRID - height) // 2, 2)]).save(
                    self.image_root / file
                )
                lines.append(IMAGE_PLACEHOLDER)
                images.append(file)
        return json.dumps({"text": "\n".join(lines), "images": images})

    def generate_until_multi_round(self, requests: Sequence[Any]) -> list[str]:
        """Part of lmms-eval's interface; no task of the demo asks in rounds."""
        raise NotImplementedError("the demo has no rounds")

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """Part of lmms-eval's interface; no task of the demo asks for likelihoods."""
        raise NotImplementedError("a scripted model has no likelihoods")


def _opened(url: Any) -> Any:
    from PIL import Image

    return Image.open(url) if isinstance(url, str | Path) else url
