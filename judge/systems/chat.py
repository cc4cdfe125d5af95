"""An OpenAI-compatible endpoint whose replies hold pictures.

    kind = "chat"
    address = "https://openrouter.ai/api/v1"
    model = "google/gemini-2.5-flash-image"
    key_variable = "OPENROUTER_API_KEY"         # its value is sent as the bearer token; nothing of it is kept
    modalities = ["image", "text"]              # sent as it stands; [] sends none
    extra = {temperature = 0.0}                 # further fields of the request, as they stand

What is sent is one user turn, the question's texts and pictures in their order (pictures as their files' bytes). What
comes back is read by `judge.systems.chat_reply`. Who is asked again how often: `judge.systems.posting`. A refusal by a
safety filter is the model's failure: filters are a part of what is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Annotated, Any, Literal

from judge.core.foreign_text import MOST_OF_A_NOTE, on_one_line
from judge.core.question import Question
from judge.core.request import Text
from judge.engines.messages import data_url
from judge.errors import UserError
from judge.io.image_paths import ImageRefused
from judge.io.progress import progress_bar
from judge.systems import JSON, Failed, Reply, Workspace
from judge.systems.chat_reply import read_reply
from judge.systems.endpoint_writer import EndpointKeys
from judge.systems.posting import Api, NoAnswer, at_the_same_time, only_address
from judge.systems.settings import AS_LIST, Given, Settings

OURS = frozenset({"model", "messages", "modalities", "stream", "n"})
"""Fields of the request that have keys of their own, or one value only."""


class ChatSettings(EndpointKeys, Settings):
    """See the module. system: the text of a system message; none is sent without it."""

    kind: Literal["chat"]
    system: str = ""
    modalities: Annotated[tuple[Given, ...], AS_LIST] = ("image", "text")

    def open(self, workspace: Workspace) -> Chat:
        """The endpoint, not yet asked. Raises UserError for what is no address, and for fields that are ours."""
        only_address(self.address)
        if taken := sorted(OURS & self.extra.keys()):
            raise UserError(f"{', '.join(taken)}: set by keys of their own, or not at all", field="extra",
                            fix="leave it out")  # fmt: skip
        return Chat(self, workspace)


class Chat:
    """See the module."""

    def __init__(self, settings: ChatSettings, workspace: Workspace) -> None:
        self._settings, self._workspace = settings, workspace
        self._api: Api | None = None

    @property
    def identity(self) -> Mapping[str, JSON]:
        """The model and what is sent."""
        return self._settings.to_json()

    def answer(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Reply | Failed]]:
        """Replies as they come. Raises UserError where no question can be answered."""
        self._api = api = self._settings.connect()
        with progress_bar(len(questions), "answers", "answer") as bar:
            replies = at_the_same_time(questions, self._settings.at_once, lambda question: self._ask(api, question))
            for position, reply, _ in replies:
                bar.update()
                yield questions[position], reply
        self.close()

    def _ask(self, api: Api, question: Question) -> Reply | Failed:
        try:
            found = api.post_json("chat/completions", self._body(question))
        except NoAnswer as none:
            return Failed(none.reason, on_one_line(str(none), MOST_OF_A_NOTE))
        except ImageRefused as refused:
            return Failed("call_failed", f"a picture of the question cannot be sent: {refused.message}")
        return read_reply(found, self._workspace.pictures)

    def _body(self, question: Question) -> dict[str, Any]:
        settings = self._settings
        content = [
            {"type": "text", "text": part.text}
            if isinstance(part, Text)
            else {"type": "image_url", "image_url": {"url": data_url(part)}}
            for part in question.parts
        ]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if settings.system:
            messages.insert(0, {"role": "system", "content": settings.system})
        body: dict[str, Any] = {**settings.extra, "model": settings.model, "messages": messages}
        if settings.modalities:
            body["modalities"] = list(settings.modalities)
        return body

    def close(self) -> None:
        """End what is under way."""
        if self._api is not None:
            self._api.close()
            self._api = None

    def __enter__(self) -> Chat:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
