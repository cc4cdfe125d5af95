"""An OpenAI-compatible endpoint as a writer: vLLM, SGLang, llama.cpp, OpenRouter, OpenAI.

    [writer]
    kind = "endpoint"
    address = "http://localhost:8000/v1"
    model = "Qwen/Qwen2.5-VL-72B-Instruct"
    at_once = 16
    extra = {reasoning_effort = "low"}      # further fields of the request, as the server knows them

`$MMJUDGE_API_KEY`, or the variable that `key_variable` names, is the bearer token. An endpoint whose replies hold
pictures is a system by itself (`kind = "chat"`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from judge.core.request import Text
from judge.core.secrets import hide_known_secrets
from judge.engines.endpoints import KEY_VARIABLE
from judge.engines.messages import data_url
from judge.io.image_paths import ImageRefused
from judge.systems import JSON, Failed
from judge.systems.chat_reply import choice_failure
from judge.systems.posting import Api, NoAnswer, Patience, at_the_same_time, only_address
from judge.systems.settings import SPEED, Count, Given, Seconds, Table
from judge.systems.writers import Decoding, Prompt

KeyVariable = Annotated[str, Field(pattern=r"(?i)^\w*(?:key|token|secret|password)$")]
"""So named that its value is hidden wherever it would be shown (`judge.core.secrets`)."""


class EndpointKeys(Table):
    """Keys of an endpoint. seconds: for one exchange. key_variable: of the environment, whose value is the bearer
    token. extra: further fields of the request."""

    address: Annotated[Given, Field(exclude=True)]
    model: Given
    at_once: Annotated[Count, SPEED] = 8
    seconds: Annotated[Seconds, SPEED] = 600.0
    attempts: Annotated[Count, SPEED] = 5
    key_variable: Annotated[KeyVariable, SPEED] = KEY_VARIABLE
    extra: dict[str, Any] = Field(default_factory=dict)

    def connect(self) -> Api:
        """Its connections. Raises UserError for what is no address."""
        return Api(self.address, Patience(self.seconds, self.attempts), self.at_once, self.key_variable)


class EndpointWriterSettings(EndpointKeys, Decoding):
    """The keys of a writer of this kind."""

    kind: Literal["endpoint"] = "endpoint"

    def open(self) -> EndpointWriter:
        """The writer; nothing is asked yet."""
        return EndpointWriter(self)


class EndpointWriter:
    """See the module."""

    packages = ()

    def __init__(self, settings: EndpointWriterSettings) -> None:
        self.settings = settings
        only_address(settings.address)

    @property
    def identity(self) -> Mapping[str, JSON]:
        return self.settings.to_json()

    def write_texts(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, str | Failed]]:
        api = self.settings.connect()
        try:
            work = at_the_same_time(prompts, self.settings.at_once, lambda prompt: self._text(api, prompt))
            for position, text, _ in work:
                yield position, text
        finally:
            api.close()

    def close(self) -> None:
        """Nothing is held between calls."""

    def _text(self, api: Api, prompt: Prompt) -> str | Failed:
        try:
            reply = api.post_json("chat/completions", self._body(prompt))
            (choice, *_) = reply["choices"]
            content = choice["message"].get("content") or choice["message"].get("refusal")
            failure = choice_failure(choice)
        except NoAnswer as none:  # too many bytes are no picture here
            return Failed(none.reason if none.refused else "call_failed", str(none), "writer")
        except ImageRefused as error:
            return Failed("call_failed", str(error), "writer")
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            return Failed("call_failed", f"not a chat completion ({error!r})", "writer")
        if failure:
            return Failed("call_failed", failure, "writer")
        if isinstance(content, list):
            content = "".join(str(part.get("text") or "") for part in content if isinstance(part, dict))
        if isinstance(content, str) and content.strip():
            return hide_known_secrets(content)
        return Failed("empty_answer", f"no text (finish_reason {choice.get('finish_reason')!r})", "writer")

    def _body(self, prompt: Prompt) -> dict[str, Any]:
        settings = self.settings
        content = [
            {"type": "text", "text": part.text}
            if isinstance(part, Text)
            else {"type": "image_url", "image_url": {"url": data_url(part)}}
            for part in prompt
        ]
        body: dict[str, Any] = {"model": settings.model, "messages": [{"role": "user", "content": content}]}
        body |= {"max_tokens": settings.max_new_tokens, "temperature": settings.temperature}
        if settings.top_p is not None:
            body["top_p"] = settings.top_p
        return {name: value for name, value in {**body, **settings.extra}.items() if value != ""}
