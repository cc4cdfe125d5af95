"""Conditions that take more than one call, or a payload, for any model class of lmms-eval.

    conduct(lm, "mmvu_cgr", Conduct(condition, run, question))     while the task is loaded

lmms-eval has two ways of its own to ask twice. Multi-round requests exist in five classes, and are broken in the chat
class of the best known of them; agentic ones work with all, one request at a time. So `generate_until` of the model
itself is wrapped, once: it is handed the requests of all tasks, and what belongs to a task with a condition is asked in
as many of the class's own `generate_until` as the condition takes, each with its own batching. That needs nothing of a
class but that method, chat or simple; the requests it is given are like those that lmms-eval makes.

    cgr      1  one request a picture: the picture and the extraction prompt of Fig. 18
             2  one request a question, with what was extracted from its picture
    var      1  one forward pass a question: I', the picture blended with the inverted attention map
             2  one request a question, about I'

What the first call said goes out with the answer (`judge.core.reply`), and so into samples and the response cache of
lmms-eval, which knows the question's own request only: conditions have tasks, hence keys, of their own. Thoughts are
taken out of what was extracted. Where a first call fails, its questions have failed. Each rank asks about its own
pictures; a picture whose questions are on two ranks is asked about twice.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from judge.core.condition import FIRST_TOKENS, Condition
from judge.core.failure import failed_call
from judge.core.question import Question
from judge.core.reply import write_reply
from judge.core.thoughts import spoken
from judge.harness.lmms_eval.asking import as_messages, as_text, as_visuals
from judge.harness.lmms_eval.payloads import renew_connections, sending
from judge.harness.lmms_eval.run import Refusal, Run
from judge.harness.lmms_eval.visual_refinement import Refiner

TABLE = "_mmjudge_conducted"
Generate = Callable[[Sequence[Any]], Sequence[Any]]
Ask = Callable[[Sequence[Any], Mapping[str, Any]], Sequence[Any]]
"""Requests and a payload → responses."""


@dataclasses.dataclass(frozen=True)
class Conduct:
    """How the requests of one task are asked. question: of a document; refiner: makes I' where it is wanted."""

    condition: Condition
    run: Run
    question: Callable[[Mapping[str, Any]], Question]
    refiner: Refiner | None = None


def conduct(lm: Any, task: str, how: Conduct) -> None:
    """Ask the requests of `task` as `how` says, from now on. Raises Refusal for a model that cannot be asked so."""
    if not callable(getattr(lm, "generate_until", None)):
        raise Refusal(
            f"{task}: the model is not in reach, so it cannot be asked as {how.condition.name} is\n"
            "→ start with lmms-eval's command line or its simple_evaluate"
        )
    table = vars(lm).get(TABLE)
    if table is None:
        table = {}
        setattr(lm, TABLE, table)
        lm.generate_until = _wrapped(lm, lm.generate_until, table)
    table[task] = how


def _wrapped(lm: Any, once: Generate, table: Mapping[str, Conduct]) -> Generate:
    def generate(requests: Sequence[Any], payload: Mapping[str, Any]) -> Sequence[Any]:
        renew_connections(lm)
        with sending(lm, payload):
            return once(requests)

    def generate_until(requests: Sequence[Any]) -> list[Any]:
        of: dict[str, list[int]] = {}
        for position, request in enumerate(requests):
            task = request.args[-2]
            of.setdefault(task if task in table else "", []).append(position)
        responses: list[Any] = [None] * len(requests)
        for task, positions in of.items():
            asked = [requests[position] for position in positions]
            given = Asker(lm, generate, table[task]).ask(asked) if task else generate(asked, {})
            for position, response in zip(positions, given, strict=True):
                responses[position] = response
        return responses

    return generate_until


class Asker:
    """The requests of one task. generate: asks through the method of the model's class."""

    def __init__(self, lm: Any, generate: Ask, how: Conduct) -> None:
        self._lm, self._how = lm, how
        self._generate: Generate = lambda requests: generate(requests, how.condition.payload)

    def ask(self, requests: Sequence[Any]) -> list[Any]:
        """One response for every request, in order."""
        condition = self._how.condition
        if condition.procedure == "one call":
            return list(self._generate(requests))
        documents = [self._document(request) for request in requests]
        questions = {document["index"]: self._how.question(document) for document in documents}
        indices = [document["index"] for document in documents]
        said: dict[int, Any] = {}
        if condition.procedure in ("cgr", "cgr_var"):
            said = self._extracted(dict(zip(indices, requests, strict=True)), questions)
        infos = {index: _spoken(text) for index, text in said.items()}
        failed = {index: text for index, text in said.items() if failed_call(text) is not None}
        asked = {index: of.with_info(infos[index]) if index in infos else of for index, of in questions.items()}
        refined: dict[int, str] = {}
        if self._how.refiner is not None:
            asked, refined = self._how.refiner.refine({i: q for i, q in asked.items() if i not in failed})
        whole = [position for position, index in enumerate(indices) if index not in failed]
        given = self._second([requests[position] for position in whole], asked)
        responses: list[Any] = [failed.get(index) for index in indices]
        for position, response in zip(whole, given, strict=True):
            index = indices[position]
            responses[position] = _with_kept(response, info=infos.get(index), refined=refined.get(index))
        return responses

    def _document(self, request: Any) -> Mapping[str, Any]:
        doc_id, task, split = request.args[-3:]
        found: Mapping[str, Any] = self._lm.task_dict[task][split][doc_id]
        return found

    def _extracted(self, requests: Mapping[int, Any], questions: Mapping[int, Question]) -> dict[int, Any]:
        """What was said about the picture of every question; one request a picture. requests: one of each question."""
        first = {index: question.first_call() for index, question in questions.items()}
        pictures: dict[object, list[int]] = {}
        for index, question in first.items():
            pictures.setdefault(question.parts, []).append(index)
        asked = [requests[of[0]] for of in pictures.values()]
        until = f"<mmjudge:{asked[0].args[-2]}:first>"
        changes = {"until": [until], "max_new_tokens": FIRST_TOKENS, "do_sample": False, "temperature": 0.0}
        given = self._generate([self._request(request, first, changes) for request in asked])
        said: dict[int, Any] = {}
        for of, response in zip(pictures.values(), given, strict=True):
            said |= dict.fromkeys(of, _text_of(response))
        return said

    def _second(self, requests: Sequence[Any], questions: Mapping[int, Question]) -> Sequence[Any]:
        return self._generate([self._request(request, questions, {}) for request in requests]) if requests else []

    def _request(self, request: Any, questions: Mapping[int, Question], changes: Mapping[str, Any]) -> Any:
        """A request like `request` that asks `questions` instead: one function for all, since classes call that of the
        first for a whole batch."""
        run = self._how.run
        question = questions[self._document(request)["index"]]
        if self._lm.is_simple:
            generation, rest = dict(request.args[1]), request.args[3:]
            visuals = _Visuals(questions, run)
            arguments = (as_text(question, run), {**generation, **changes}, visuals, *rest)
        else:
            context, _, generation, *rest = request.args
            arguments = (context, _Messages(questions, run), {**generation, **changes}, *rest)
        return dataclasses.replace(request, arguments=arguments, resps=[], token_counts=[], filtered_resps={})


@dataclasses.dataclass(frozen=True)
class _Messages:
    """The `doc_to_messages` of requests that ask these questions."""

    questions: Mapping[int, Question]
    run: Run

    def __call__(self, doc: Mapping[str, Any]) -> list[dict[str, Any]]:
        return as_messages(self.questions[doc["index"]], self.run)


@dataclasses.dataclass(frozen=True)
class _Visuals:
    """Their `doc_to_visual`."""

    questions: Mapping[int, Question]
    run: Run

    def __call__(self, doc: Mapping[str, Any]) -> list[Any]:
        return as_visuals(self.questions[doc["index"]], self.run)


def _text_of(response: Any) -> Any:
    from lmms_eval.api.instance import unwrap_generation_output

    return unwrap_generation_output(response)[0]


def _spoken(text: Any) -> str:
    return "".join(spoken(str(text))).strip()


def _with_kept(response: Any, **kept: str | None) -> Any:
    """A class's response, in whatever form it gives one, with what is kept beside the answer."""
    from lmms_eval.api.instance import GenerationResult, unwrap_generation_output

    text, counts = unwrap_generation_output(response)
    said = write_reply(str(text), **kept)
    return said if counts is None else GenerationResult(said, counts)
