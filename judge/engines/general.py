"""Any model that sees pictures as the judge, behind OpenAI-compatible endpoints.

    openai:gpt-4o                                           OpenAI, or what $OPENAI_BASE_URL names; key $OPENAI_API_KEY
    openai:Qwen/Qwen2.5-VL-72B-Instruct@http://a:8000/v1    any server, several with commas; key $MMJUDGE_API_KEY
    openai:gemini-2.5-pro@https://generativelanguage.googleapis.com/v1beta/openai

    engine = connect_general("openai:gpt-4o", GeneralOptions(votes=3, temperature=1.0))
    engine.identity   {"judge": "openai:gpt-4o", "server": "system", "reply": "json_schema@5f0c1d22",
                       "pictures": "1536", "temperature": "1", "votes": "3", "tokens": "4096", "engine": "general"}

The rubric is put to it as to MMIE's judges, pictures in place, and the reply is asked for as structured output
(`judge.engines.structured_reply`): feedback, the rubric's criteria, a total. Transport, retries and health are those of
`judge.engines.remote`. What is written down is the text that a judge trained on criteria would have written
(`judge.core.criteria.criteria_text`), so that a recording of it can be replayed.

Text of questions and answers is data: it goes as JSON strings, between the rubric and a last heading of ours, and what
spells a heading or a special token in it is broken up (`judge.engines.messages`). $OPENAI_API_KEY is sent to no address
that --judge names.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.resources
import json
import os
import re
from collections.abc import Mapping
from typing import Any

from judge.core.criteria import Criterion, criteria_text, numbered_criteria, without_headings
from judge.core.foreign_text import described
from judge.core.request import IMAGE_PLACEHOLDER, Text
from judge.core.rubric import Literal
from judge.core.secrets import hide_secrets
from judge.engines import GENERAL_PREFIX, Completion, GeneralOptions, Prompt
from judge.engines.chat_request import ChatRequest, message_note
from judge.engines.endpoints import KEY_VARIABLE, Address, Endpoint, Reply, Served, addresses
from judge.engines.messages import data_url, message
from judge.engines.remote import UNDER_WAY, Pace, Remote, usable
from judge.engines.structured_reply import UnreadableError, read_reply, reply_form, reply_schema, total_probabilities
from judge.engines.taken_fields import find_general_misfit
from judge.engines.votes import Voting
from judge.errors import UserError

BASE_URL, OPENAI_BASE_VARIABLE, OPENAI_KEY_VARIABLE = "https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY"
MAX_TOKENS = 4096
"""Of a reply, what a model thinks before it included."""
TOP_LOGPROBS = 20
"""As many as OpenAI and vLLM give."""

_NAME = re.compile(r"openai:(?P<model>[^\s@,]+(?:@[^\s@,]+)*?)(?:@(?P<address>https?://\S+))?", re.IGNORECASE)
_REPLY = re.compile(r"#+\s*(?:reply|criteria)", re.IGNORECASE)
"""Headings of ours that `judge.model.tokenizer.HEADING` does not know."""
_END = "### Feedback\n"
_NEW_END = "### Reply\nThe JSON object, in the form told above.\n"


@dataclasses.dataclass(frozen=True)
class GeneralJudge:
    """What a judge's name stands for. key_variable: of the environment, whose value is the bearer token."""

    model: str
    addresses: tuple[Address, ...]
    key_variable: str


def parse_general_judge(judge: str) -> GeneralJudge:
    """Model and addresses in a name such as "openai:MODEL@http://HOST:PORT/v1". Raises UserError; asks nobody."""
    match = _NAME.fullmatch(judge)
    if match is None:
        raise UserError(
            f"{hide_secrets(judge)!r} names no model", fix="write openai:MODEL@http://HOST:PORT/v1, or openai:gpt-4o"
        )
    own = match["address"] is None
    url = match["address"] or os.environ.get(OPENAI_BASE_VARIABLE) or BASE_URL
    found = addresses(url)
    if not found:
        raise UserError(f"${OPENAI_BASE_VARIABLE} holds no address", fix="set it to http://HOST:PORT/v1, or unset it")
    if any(address.kind or address.model for address in found):
        raise UserError(f"{hide_secrets(judge)}: an address with a # in it", fix="the model stands before the @")
    named = tuple(dataclasses.replace(address, model=match["model"]) for address in found)
    return GeneralJudge(match["model"], named, OPENAI_KEY_VARIABLE if own else KEY_VARIABLE)


def connect_general(
    judge: str, options: GeneralOptions | None = None, under_way: int | None = None, pace: Pace | None = None
) -> Voting:
    """Ask every address in `judge` whether it serves the model, and what fields of a request it takes.

    Raises UserError where none can be used, for a name that is none, and for a key that is missing.
    """
    pace, options, named = pace or Pace(), options or GeneralOptions(), parse_general_judge(judge)
    if options.votes > 1 and options.temperature == 0:
        raise UserError(f"{options.votes} votes at temperature 0 ask the same thing again", fix="add --temperature 1")
    if named.addresses[0].url == BASE_URL and not os.environ.get(named.key_variable):
        raise UserError(f"OpenAI wants a key, and ${named.key_variable} is not set", fix=f"set ${named.key_variable}")
    every = [Endpoint(address, pace.seconds, named.key_variable) for address in named.addresses]
    requests = GeneralRequests(named.model, options)
    fix = f"mend the address or the model in --judge, or ${named.key_variable} (docs/judges.md)"
    endpoints = usable(every, lambda endpoint: find_general_misfit(endpoint, requests, named.key_variable), fix)
    if len({endpoint.served.lacks - {"max_tokens", "logprobs"} for endpoint in endpoints}) > 1:
        raise UserError("some endpoints take a JSON schema and some do not", fix="one run, one way of asking")
    return Voting(Remote(endpoints, requests, under_way or UNDER_WAY, pace), options.votes)


@dataclasses.dataclass(frozen=True)
class GeneralRequest(ChatRequest):
    """criteria: of the rubric, for the category of the question."""

    criteria: tuple[Criterion, ...] = ()


@dataclasses.dataclass(frozen=True)
class GeneralRequests:
    """Makes requests of prompts, and completions of replies (`judge.engines.remote.Requests`)."""

    model: str
    options: GeneralOptions

    def identity(self, served: Served) -> Mapping[str, str]:
        """Parts of the signature."""
        how, template = self.options, _template()
        form = "text" if "response_format" in served.lacks else "json_schema"
        return {
            "judge": f"{GENERAL_PREFIX}{self.model}",
            "server": served.server,
            "reply": f"{form}@{hashlib.sha256(template.encode()).hexdigest()[:8]}",
            "pictures": str(how.max_side or "whole"),
            "temperature": "default" if how.temperature is None else f"{how.temperature:g}",
            "votes": str(how.votes),
            "tokens": str(MAX_TOKENS),
            "engine": "general",
        }

    def chat_request(self, prompt: Prompt) -> ChatRequest | Completion:
        """What to send for a prompt, or why there is nothing to send. Pictures are not yet read."""
        try:
            pieces = list(prompt.pieces)
            if pieces and isinstance(last := pieces[-1], Literal):
                pieces[-1] = Literal(last.text.removesuffix(_END) + _NEW_END)
            first = pieces[0].text if pieces and isinstance(pieces[0], Literal) else ""
            apart = [Text(_REPLY.sub(_apart, p.text)) if isinstance(p, Text) else p for p in pieces]
            said = message(apart)
            broken = said.broken + sum(len(_REPLY.findall(p.text)) for p in pieces if isinstance(p, Text))
            said = dataclasses.replace(said, broken=broken)
            return GeneralRequest(said, MAX_TOKENS, criteria=tuple(numbered_criteria(first)))
        except Exception as error:
            return Completion(None, unscored="engine_error", note=described(error))

    def body(self, request: ChatRequest, served: Served) -> bytes:
        """The request as JSON, without the fields that the endpoint has refused. Raises ImageRefused."""
        criteria = _criteria(request)
        messages = [
            {"role": "system", "content": system_message(request)},
            {"role": "user", "content": self._content(request)},
        ]
        limit = "max_completion_tokens" if "max_tokens" in served.lacks else "max_tokens"
        body: dict[str, Any] = {"model": self.model, "messages": messages, limit: request.max_tokens}
        if self.options.temperature is not None:
            body["temperature"] = self.options.temperature
        if "response_format" not in served.lacks:
            schema = {"name": "verdict", "strict": True, "schema": reply_schema(criteria)}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if "logprobs" not in served.lacks:
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        return json.dumps(body).encode("ascii")

    def _content(self, request: ChatRequest) -> list[dict[str, Any]]:
        """Texts and pictures in their order."""
        content: list[dict[str, Any]] = []
        texts = request.message.text.split(IMAGE_PLACEHOLDER)
        for text, picture in zip(texts, [*request.message.pictures, None], strict=True):
            content.append({"type": "text", "text": text})
            if picture is not None:
                url = data_url(picture, self.options.max_side)
                content.append({"type": "image_url", "image_url": {"url": url}})
        return [part for part in content if part.get("text") != ""]

    def completion(self, reply: Reply, request: ChatRequest) -> Completion | ChatRequest:
        """What a reply says, as text that a judge trained on criteria would have written."""
        criteria = _criteria(request)
        notes = [message_note(request.message)] if request.message.broken else []
        new_tokens, stopped = reply.new_tokens or 0, reply.finish == "stop"
        try:
            said = read_reply(reply.text, criteria)
        except UnreadableError as error:
            reason = "unreadable_reply" if stopped else "truncated"
            note = "; ".join([*notes, str(error)])
            return Completion(without_headings(reply.text), stopped, new_tokens, unscored=reason, note=note)
        probs = total_probabilities(reply.text, said.span, reply.logprobs)
        text = criteria_text(said.feedback, said.points, said.score)
        return Completion(text, True, new_tokens, probs, note="; ".join([*notes, *said.notes]) or None)


def system_message(request: ChatRequest) -> str:
    """What the model is told before the rubric: what is data, and in which form to reply."""
    return _template().format(form=reply_form(_criteria(request)))


def _criteria(request: ChatRequest) -> tuple[Criterion, ...]:
    return request.criteria if isinstance(request, GeneralRequest) else ()


def _apart(match: re.Match[str]) -> str:
    return without_headings(match[0])


def _template() -> str:
    file = importlib.resources.files(__package__).joinpath("templates/general_reply.txt")
    return file.read_text(encoding="utf-8")
