"""An OpenAI-compatible endpoint whose replies hold pictures.

    kind = "chat"
    address = "https://openrouter.ai/api/v1"
    model = "google/gemini-2.5-flash-image"
    key_variable = "OPENROUTER_API_KEY"         # its value is sent as the bearer token; nothing of it is kept
    modalities = ["image", "text"]              # sent as it stands; [] sends none
    parameters = {temperature = 0.0}            # of the request's body, as they stand

What is sent is one user turn, the question's texts and pictures in their order (pictures as their files' bytes). What
comes back is read by `judge.systems.chat_reply`. Endpoints that are busy or fail are asked again `retries` times, with
growing pauses, or those they ask for; what they refuse is not. A refusal by a safety filter is the model's failure:
filters are a part of what is measured.
"""

from __future__ import annotations

import base64
import concurrent.futures
import mimetypes
import threading
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from judge.core.foreign_text import MOST_OF_A_NOTE, on_one_line
from judge.core.question import Question
from judge.core.request import Picture, Text
from judge.engines import endpoints
from judge.engines.endpoints import Client, Refused, addresses
from judge.errors import UserError
from judge.io.files import read_bytes
from judge.systems import JSON, Failed, Reply, Workspace
from judge.systems.chat_reply import read_reply
from judge.systems.pictures import MOST_PICTURE_BYTES
from judge.systems.progress import progress_bar
from judge.systems.settings import AS_LIST, SPEED, Count, Given, Seconds, Settings

MOST_REPLY_BYTES = 2 * MOST_PICTURE_BYTES
"""Of a whole reply: base64 takes a third more than a picture."""
LONGEST_PAUSE = 120.0
"""Seconds between two tries, whatever the endpoint asks for."""
BLOCKED = ("content_policy", "content_filter", "content policy", "safety", "moderation", "responsibleai")
"""Words by which endpoints say that a filter refused a request (OpenAI, Azure, OpenRouter, Google)."""
MOST_REFUSED = 20
"""So many refusals in a row, and no answer yet, end the run: the request is at fault, not the questions."""

KeyVariable = Annotated[str, Field(pattern=r"(?i)^(?:\w*(?:key|token|secret|password))?$")]
"""So named that its value is hidden wherever it would be shown (`judge.core.secrets`)."""


class ChatSettings(Settings):
    """See the module. at_once: requests under way. seconds: how long a reply may take. retries: tries after the first.

    system: the text of a system message; none is sent without it.
    """

    kind: Literal["chat"]
    address: Given
    model: Given
    key_variable: Annotated[KeyVariable, SPEED] = ""
    system: str = ""
    modalities: Annotated[tuple[Given, ...], AS_LIST] = ("image", "text")
    parameters: Mapping[str, JsonValue] = {}
    at_once: Annotated[Count, Field(le=256), SPEED] = 8
    seconds: Annotated[Seconds, SPEED] = 300.0
    retries: Annotated[int, Field(ge=0, le=100), SPEED] = 5

    def open(self, workspace: Workspace) -> Chat:
        """The endpoint, not yet asked. Raises UserError for what is no address, and for parameters that are ours."""
        found = addresses(self.address)
        if len(found) != 1 or found[0].kind or found[0].model:
            raise UserError("is not one address", field="address", fix="give http://HOST:PORT/v1")
        if taken := sorted({"model", "messages", "modalities", "stream", "n"} & self.parameters.keys()):
            raise UserError(f"{', '.join(taken)}: set by keys of their own, or not at all", field="parameters",
                            fix="leave it out")  # fmt: skip
        client = Client(found[0], self.seconds, self.at_once, self.key_variable, MOST_REPLY_BYTES)
        return Chat(self, workspace, client)


class Chat:
    """See the module."""

    def __init__(self, settings: ChatSettings, workspace: Workspace, client: Client) -> None:
        self._settings, self._workspace, self._client = settings, workspace, client
        self._answered = False
        self._ended = threading.Event()
        self._refused = 0

    @property
    def identity(self) -> Mapping[str, JSON]:
        """Address, model and what is sent."""
        return self._settings.to_json()

    def answer(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Reply | Failed]]:
        """Replies as they come. Raises UserError where every request would be refused alike."""
        self._ended.clear()
        pool = concurrent.futures.ThreadPoolExecutor(self._settings.at_once, thread_name_prefix="chat")
        waiting = iter(questions)
        under_way: dict[concurrent.futures.Future[Reply | Failed], Question] = {}
        try:
            with progress_bar(len(questions), "answers", "answer") as bar:
                while True:
                    for question in waiting:
                        under_way[pool.submit(self._ask, question)] = question
                        if len(under_way) == 2 * self._settings.at_once:
                            break
                    if not under_way:
                        return
                    done, _ = concurrent.futures.wait(under_way, return_when=concurrent.futures.FIRST_COMPLETED)
                    for future in done:
                        question = under_way.pop(future)
                        reply = future.result()
                        bar.update()
                        yield question, reply
        finally:
            self._ended.set()
            for future in under_way:
                future.cancel()
            self._client.give_up("the run has ended")
            pool.shutdown(cancel_futures=True)

    def _ask(self, question: Question) -> Reply | Failed:
        pause, last = 1.0, ""
        for attempt in range(self._settings.retries + 1):
            if attempt and self._ended.wait(pause):
                break
            try:
                found = self._client.post("chat/completions", self._body(question))
            except endpoints.TooLarge as large:
                return Failed("image_undecodable", str(large))
            except endpoints.Failed as failed:
                last = str(failed)
                pause = min(failed.wait if failed.wait is not None else 2.0 * pause, LONGEST_PAUSE)
            except Refused as refused:
                return self._refusal(refused)
            except OSError as error:
                return Failed("call_failed", f"a picture of the question cannot be read ({error.strerror})")
            else:
                self._answered = True
                return read_reply(found, self._workspace.pictures)
        return Failed("call_failed", on_one_line(last, MOST_OF_A_NOTE))

    def _refusal(self, refused: Refused) -> Failed:
        """What a refusal means. Raises UserError where every other question would be refused, too."""
        said = str(refused).lower()
        if refused.status in (400, 403, 422, 451) and any(word in said for word in BLOCKED):
            return Failed("empty_answer", f"a safety filter refused the request: {refused}")
        self._refused += 1
        if not self._answered and (refused.of_the_endpoint or self._refused >= MOST_REFUSED):
            raise UserError(f"{self._client.address} refuses: {refused}", fix="mend SYSTEM.toml, then ask again")
        return Failed("call_failed", f"refused: {refused}")

    def _body(self, question: Question) -> dict[str, Any]:
        settings = self._settings
        content = [_text(part) if isinstance(part, Text) else _picture(part) for part in question.parts]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if settings.system:
            messages.insert(0, {"role": "system", "content": settings.system})
        body: dict[str, Any] = {**settings.parameters, "model": settings.model, "messages": messages}
        if settings.modalities:
            body["modalities"] = list(settings.modalities)
        return body

    def close(self) -> None:
        """End what is under way."""
        self._client.close()

    def __enter__(self) -> Chat:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _text(part: Text) -> dict[str, Any]:
    return {"type": "text", "text": part.text}


def _picture(part: Picture) -> dict[str, Any]:
    """A picture as its file has it. Raises OSError."""
    media = mimetypes.guess_type(part.path.name)[0] or "image/png"
    data = base64.b64encode(read_bytes(part.path)).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:{media};base64,{data}"}}
