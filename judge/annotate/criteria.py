"""The criteria of a rubric as marks on a page (`judge.core.criteria`).

The sum of the marks is a suggestion: the rubric's own scale ("5 good, one slight flaw") weighs the answer as a whole,
so the score is the annotator's, and the marks stand beside it.
"""

from __future__ import annotations

from judge.core.criteria import Criterion, numbered_criteria
from judge.core.rubric import Rubric


def find_criteria(rubric: Rubric, category: str) -> list[Criterion]:
    """The criteria of a category, in the rubric's order; none where its wording numbers none as ours does."""
    return numbered_criteria(rubric.instructions(category)) if rubric.criteria(category) else []
