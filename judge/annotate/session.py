"""One annotator at work: what the page is sent and what it may ask for, as plain values.

    session.item(3)                                 the fourth answer in this annotator's order
    session.score({"item": 3, "score": 4, "criteria": {"Text quality": 1, …}, "feedback": ""})
    session.undo()                                  takes the last score back and says whose it was

Answers are called by their position in the order. Ids, models and names of files stay here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from judge.annotate.criteria import find_criteria
from judge.annotate.items import Item
from judge.annotate.store import Store
from judge.core.criteria import Criterion, are_valid
from judge.core.request import Picture, Segment, Text
from judge.core.rubric import Rubric
from judge.core.scale import JUDGE_SCALE
from judge.errors import UserError
from judge.web.pages import Refused
from judge.web.pictures import Album

LONGEST = 50_000
"""Characters of a text that are shown; no judge reads so many."""
MOST = 200
"""Texts and pictures of a question or an answer that are shown."""
FEEDBACK = 4_000
"""Characters of a note."""


class Session:
    """items: in the order in which they are shown."""

    def __init__(self, items: Sequence[Item], rubric: Rubric, store: Store, annotator: str) -> None:
        self.items, self.store, self.annotator = items, store, annotator
        self.album = Album()
        self._rubric = rubric
        self._positions = {item.key: position for position, item in enumerate(items)}
        categories = sorted({item.request.category for item in items})
        self._criteria: Mapping[str, list[Criterion]] = {name: find_criteria(rubric, name) for name in categories}
        self._check()

    def _check(self) -> None:
        """What was scored is what is shown now. Raises UserError."""
        for key, score in self.store.scores(self.annotator).items():
            said = None if score.answer is None else score.answer.response
            if key in self._positions and isinstance(said, list):
                shown = self.items[self._positions[key]].request.answer
                if [part["text"] for part in said if part["text"]] != [s.text for s in shown if isinstance(s, Text)]:
                    raise UserError(
                        f"{self.annotator} scored another answer of {key[1]}",
                        file=score.where, record=key[0], fix="give another --out, or these answers another name",
                    )  # fmt: skip

    def progress(self) -> dict[str, Any]:
        """next: the first item without a score, None where all have one."""
        return self._progress(-1, self._scored())

    def scored(self) -> int:
        """How many of the answers shown here this annotator has scored."""
        return len(self._scored())

    def item(self, position: int) -> dict[str, Any]:
        """Raises Refused where there is no such item."""
        if not 0 <= position < len(self.items):
            raise Refused("there is no such answer")
        request = self.items[position].request
        known = self._criteria[request.category]
        return {
            "item": position,
            **self._given(position),
            "category": request.category,
            "question": self._pieces(request.question),
            "answer": self._pieces(request.answer),
            "truth": None if request.gt_answer is None else _clip(request.gt_answer),
            "criteria": [[criterion.name, criterion.text, criterion.points] for criterion in known],
            "rubric": self._rubric.instructions(request.category).removesuffix("### Question\n").strip(),
        }

    def _given(self, position: int) -> dict[str, Any]:
        """The score that stands. Marks under other names than this rubric's, from elsewhere, are not shown."""
        item = self.items[position]
        score = self.store.scores(self.annotator).get(item.key)
        if score is None:
            return {"score": None, "marks": None, "feedback": ""}
        known = self._criteria[item.request.category]
        marks = dict(score.criteria) if known and are_valid(score.criteria, known) else None
        return {"score": score.score, "marks": marks, "feedback": score.feedback or ""}

    def score(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Write {"item", "score": 4, "criteria": {NAME: points} or null, "feedback": text}. Raises Refused."""
        position, score, marks, feedback = (given.get(name) for name in ("item", "score", "criteria", "feedback"))
        if type(position) is not int or not 0 <= position < len(self.items):
            raise Refused("there is no such answer")
        item = self.items[position]
        if type(score) is not int or score not in JUDGE_SCALE:
            raise Refused(f"a score is a whole number from {JUDGE_SCALE}")
        if marks is not None and not (
            isinstance(marks, dict) and are_valid(marks, self._criteria[item.request.category])
        ):
            raise Refused("these are not the marks of the rubric's criteria")
        if not isinstance(feedback, str) or len(feedback) > FEEDBACK:
            raise Refused(f"a note is text of at most {FEEDBACK} characters")
        who = (*item.key, self.annotator)
        self.store.record(who, score, item.request.answer, marks, feedback.strip())
        return self._progress(position, self._scored())

    def undo(self) -> dict[str, Any]:
        """Take the last score back; "undone": its item, "was": what was given. Raises Refused where there is none."""
        scored = self._scored()
        if not scored:
            raise Refused("there is no score to take back")
        position = scored.pop()
        was = self._given(position)
        self.store.undo((*self.items[position].key, self.annotator))
        return {**self._progress(position, scored), "undone": position, "was": was}

    def _scored(self) -> list[int]:
        """Positions of the items with a score, in the order in which they got it."""
        return [self._positions[key] for key in self.store.scores(self.annotator) if key in self._positions]

    def _progress(self, after: int, scored: list[int]) -> dict[str, Any]:
        """next: the first item after `after`, and then from the start, that has no score."""
        has = set(scored)
        order = [*range(after + 1, len(self.items)), *range(after + 1)]
        return {
            "annotator": self.annotator,
            "of": len(self.items),
            "scored": len(has),
            "next": next((position for position in order if position not in has), None),
        }

    def _pieces(self, segments: Sequence[Segment]) -> list[Any]:
        shown: list[Any] = [self._piece(segment) for segment in segments[:MOST]]
        if len(segments) > MOST:
            shown.append({"text": "", "cut": f"{len(segments) - MOST:,} more parts are not shown"})
        return shown

    def _piece(self, segment: Segment) -> Any:
        return _clip(segment.text) if isinstance(segment, Text) else {"image": self._address(segment)}

    def _address(self, picture: Picture) -> str:
        return f"picture/{self.album.name(picture)}"


def _clip(text: str) -> dict[str, str]:
    if len(text) <= LONGEST:
        return {"text": text}
    return {"text": text[:LONGEST], "cut": f"{len(text) - LONGEST:,} more characters are not shown"}
