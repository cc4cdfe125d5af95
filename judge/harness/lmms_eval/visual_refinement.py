"""VAR in lmms-eval: pictures refined by the model that is asked (`judge.attention.refinement`), before its second call.

One forward pass a question, through the transformers model and processor that the class keeps; the question is put as
one user turn, without what the class may add (a system prompt). Rows are all tokens of its text. I' goes into the cache
of pictures, by the name of its content, and the answer says which it was: a report shows it beside the picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from judge.core.condition import Condition
from judge.core.question import Question
from judge.core.request import Picture
from judge.errors import UserError
from judge.harness.lmms_eval.run import Refusal
from judge.model.altered import open_shown, picture_cache

PROCESSORS = ("processor", "_processor", "_image_processor")
"""Where classes of lmms-eval 0.7.3 keep the processor: llava_hf has it under the last name."""


@dataclasses.dataclass(frozen=True)
class Refiner:
    """Makes I' of the pictures of questions, with a model and a processor of transformers."""

    model: Any
    processor: Any

    def refine(self, questions: Mapping[int, Question]) -> tuple[dict[int, Question], dict[int, str]]:
        """The questions about their refined pictures, and the files of these in the cache. Raises Refusal."""
        from judge.attention.refinement import keep_picture, refine_picture

        folder, asked, files = picture_cache(), dict(questions), {}
        for index, question in questions.items():
            (picture,) = question.pictures
            content = [
                {"type": "image"} if isinstance(part, Picture) else {"type": "text", "text": part.text}
                for part in question.parts
            ]
            messages = [{"role": "user", "content": content}]
            try:
                refined = refine_picture(self.model, self.processor, open_shown(picture), messages)
                name = keep_picture(refined.picture, folder)
            except UserError as error:
                raise Refusal(error) from None
            shown = Picture(folder / name, name)
            parts = tuple(shown if isinstance(part, Picture) else part for part in question.parts)
            asked[index], files[index] = dataclasses.replace(question, parts=parts), name
        return asked, files


def refiner_for(condition: Condition, lm: Any) -> Refiner | None:
    """What refines pictures where `condition` wants it. Raises UserError for a model this cannot be done with."""
    if condition.procedure not in ("var", "cgr_var"):
        return None
    from judge.attention.families import require_family

    model: Any = getattr(lm, "model", None)
    processor = next((found for name in PROCESSORS if callable(found := getattr(lm, name, None))), None)
    if not hasattr(model, "config") or not hasattr(processor, "apply_chat_template"):
        raise UserError(
            f"{condition.name} looks into the model, and {type(lm).__name__} keeps none of transformers",
            fix="take a class on transformers, such as llava_hf, internvl_hf or qwen2_5_vl",
        )
    require_family(model.config)
    return Refiner(model, processor)
