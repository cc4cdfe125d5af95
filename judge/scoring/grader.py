"""One request becomes one verdict: the only place where a judge's completion is read as a score.

    grader = Grader(engine, rubric, "strict", signature)
    for position, verdict in grader.grade(requests):     # in whatever order the engine finishes them
        ...                                              # Verdict("PBL-1", "judge", 4, feedback="…### Score\\n4", …)

`judge.scoring.pipeline` grades through a journal, so that nothing is judged twice; probes and training grade directly.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from judge.core.benchmark import Profile
from judge.core.criteria import Points, numbered_criteria, parse_criteria
from judge.core.failure import MODEL
from judge.core.request import Picture, Request
from judge.core.rubric import Rubric
from judge.core.scale import JUDGE_SCALE
from judge.core.score_text import parse_score
from judge.core.signature import Signature
from judge.core.verdict import Verdict
from judge.engines import Completion, Engine, Prompt
from judge.engines.deferred import DeferredEngine
from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from judge.model import images
from judge.scoring.keys import request_key

UNSIGNED = Signature({})
"""For verdicts that are written nowhere."""


@dataclasses.dataclass(frozen=True)
class Grader:
    """A judge with all that its verdicts depend on.

    engine: None for a benchmark whose rules decide everything. rubric: what is put to the judge; None for an engine
    that does not read (a replay). signature: enters every key.
    """

    engine: Engine | None
    rubric: Rubric | None = None
    profile: Profile = "strict"
    signature: Signature = UNSIGNED

    def __post_init__(self) -> None:
        if self.reads and self.rubric is None:
            raise ValueError("an engine that reads needs a rubric")

    @property
    def reads(self) -> bool:
        """Whether questions and pictures are looked at; a replay answers by id alone."""
        return self.engine is not None and self.engine.reads

    @property
    def needs_no_questions(self) -> bool:
        """An engine is there, and it never looks at a question: `assess(…, bare=True)` is enough for it."""
        return self.engine is not None and not self.engine.reads

    def prompt(self, request: Request) -> Prompt:
        """The request with the message made from it; without a message for an engine that does not read."""
        return Prompt(request, () if self.rubric is None or not self.reads else self.rubric.render(request))

    def key(self, request: Request) -> str:
        """The content address of the verdict on `request`, see `judge.scoring.keys.request_key`. Reads its pictures."""
        template = None if self.rubric is None or not self.reads else self.rubric.templates[request.category]
        return request_key(request, template, self.signature)

    def verdict(self, request: Request, completion: Completion, key: str | None = None) -> Verdict:
        """What `completion` says about `request`: a score, or the reason why there is none."""
        score, reason, failure = None, completion.unscored, None
        if reason is None:
            score, reason = parse_score(completion.text or "", stopped=completion.stopped, profile=self.profile)
        elif reason in MODEL:
            score, reason, failure = JUDGE_SCALE.lowest, None, reason
        elif reason == "image_refused" and _is_the_answers(request):
            score, reason, failure = JUDGE_SCALE.lowest, None, "image_undecodable"
        probs = completion.score_probs
        details: dict[str, object] = {} if completion.note is None else {"note": completion.note}
        if failure is None and score is not None and (points := self._points(request, completion.text or "")):
            details["criteria"] = points
        if completion.votes is not None:
            details["votes"] = list(completion.votes)
        return Verdict(
            id=request.id,
            by="judge",
            score=score,
            unscored=reason,
            category=request.category,
            feedback=completion.text,
            score_probs=probs if probs is not None and _are_shares(probs) else None,
            details=details,
            key=key,
            failure=failure,
        )

    def _points(self, request: Request, text: str) -> Points | None:
        """What the judge gave for single criteria: those of the rubric, or in a replay any."""
        template = None if self.rubric is None else self.rubric.instructions(request.category)
        known = [each.name for each in numbered_criteria(template or "")]
        return parse_criteria(text, known) if known or self.rubric is None else None

    def load(self) -> None:
        """Load a judge that is loaded when it is first asked: now, so that what follows is judging alone."""
        if isinstance(self.engine, DeferredEngine):
            self.engine.load()

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        """(position, completion) once for every request, as the engine finishes them.

        Raises UserError without an engine, RuntimeError for an engine that leaves a request out, and what ends it.
        """
        if not requests:
            return
        if self.engine is None:
            raise UserError(f"{len(requests)} answers need a judge", fix="give --judge")
        waiting = set(range(len(requests)))
        for position, completion in self.engine.complete([self.prompt(request) for request in requests]):
            waiting.remove(position)
            yield position, completion
        if waiting:
            raise RuntimeError(f"the engine left {len(waiting)} of {len(requests)} requests without a completion")

    def grade(self, requests: Sequence[Request]) -> Iterator[tuple[int, Verdict]]:
        """(position, verdict) once for every request, as the engine finishes them; nothing is kept. See `complete`."""
        for position, completion in self.complete(requests):
            yield position, self.verdict(requests[position], completion)

    def scores(self, requests: Sequence[Request]) -> list[int | None]:
        """The score of every request, in order; None where the judge gives none."""
        verdicts = dict(self.grade(requests))
        return [verdicts[position].score for position in range(len(requests))]


def _is_the_answers(request: Request) -> bool:
    """Whether the picture that was refused is one of the answer: every picture of the question can be decoded."""
    if not any(isinstance(segment, Picture) for segment in request.answer):
        return False
    try:
        for segment in request.question:
            if isinstance(segment, Picture):
                images.decode_image(segment.path)
    except ImageRefused:
        return False
    return True


def _are_shares(probs: Sequence[float]) -> bool:
    """Whether an engine gave a probability for every score; NaN is none."""
    return len(probs) == len(JUDGE_SCALE) and all(0 <= share <= 1 for share in probs)
