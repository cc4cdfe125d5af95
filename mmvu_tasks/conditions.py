"""MMVU's conditions by name: its authors' methods, and controls (`judge.core.condition`).

    CONDITIONS["blind"]   asked as ever, without the picture; task and dataset "mmvu_blind"

instruction  the steps of the supplement's Fig. 17 before the question, the usual line behind it
prefix       the line of instruction before the question, as six later scripts of the authors have it
blind, blank, noise, swapped    the question as ever; what is shown is not its picture
json, tool   the answer as one JSON object, or as the call of a function (`mmvu_tasks.contract`)
cgr          content-guided refinement: before the question stands what a first call extracts by Fig. 18
var          visual attention refinement, Algorithm 1: asked about I' = 0.85 · I + 0.15 · M_filtered, by the choices of
             `judge.attention.refinement`
cgr_var      both: the first call sees the picture, the second I' (Fig. 20)

Supplement of Yexin Liu et al., arXiv 2406.10638; how two calls are put together and where the steps stand,
BAAI-DCAI/MMVU @87e8079 (`llava1_6_refine.py`). There the steps name events before relationships and give no examples:
the figure is followed. The two questions of a pair share a picture, so that P pictures and Q questions take P + Q
calls: the same answers under greedy decoding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from judge.attention.refinement import VAR
from judge.core.condition import FIRST_TOKENS, Condition
from mmvu_tasks import contract, prompts


def _conditions() -> tuple[Condition, ...]:
    direct, cgr = prompts.identity(), prompts.identity("cgr")
    first = (f"first:{prompts.identity(prompts.FIRST)}", f"tokens:{FIRST_TOKENS}")
    enforced = Condition("tool", prompts.identity("tool"), contract="tool", payload=contract.tool_payload())
    as_json = Condition("json", prompts.identity("json"), contract="json")
    return (
        Condition("instruction", prompts.identity("instruction")),
        Condition("prefix", prompts.identity("prefix")),
        Condition("blind", direct, picture="none"),
        Condition("blank", direct, picture="blank"),
        Condition("noise", direct, picture="noise"),
        Condition("swapped", direct, picture="swapped"),
        dataclasses.replace(as_json, by_endpoint=dataclasses.replace(as_json, payload=contract.json_payload())),
        Condition("tool", prompts.identity("tool_by_prompt"), contract="tool", by_endpoint=enforced),
        Condition("cgr", cgr, procedure="cgr", choices=first),
        Condition("var", direct, procedure="var", choices=(VAR.identity,)),
        Condition("cgr_var", cgr, procedure="cgr_var", choices=(*first, VAR.identity)),
    )


CONDITIONS: Mapping[str, Condition] = {condition.name: condition for condition in _conditions()}
"""By name, in the order of tables."""
