"""MMIE's conditions by name: controls of what is shown (`judge.core.condition`); the words stay as they are.

    CONDITIONS["blind"]   every question without its pictures; task and dataset "mmie_blind"

The judge sees the question as published, whatever the model was shown. Questions without a picture are asked as ever.
"""

from __future__ import annotations

from collections.abc import Mapping

from judge.core.condition import Condition
from mmie_tasks.prompts import ASKED

CONDITIONS: Mapping[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("blind", ASKED, picture="none"),
        Condition("blank", ASKED, picture="blank"),
        Condition("noise", ASKED, picture="noise"),
        Condition("swapped", ASKED, picture="swapped"),
    )
}
"""By name, in the order of tables."""
