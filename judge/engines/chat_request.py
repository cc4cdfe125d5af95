"""What is sent to an OpenAI-compatible server for a prompt, and whether it fits there.

    requests = ChatRequests(ServedJudge.of("MMIE/MMIE-Score"))
    request = requests.chat_request(prompt)       ChatRequest(message=…, max_tokens=1024, tokens=2_871)
    requests.body(request, served)                {"model": "MMIE/MMIE-Score", "messages": […], "temperature": 0, …}

Where the served judge's tokenizer is known, a prompt's tokens are counted before it is sent.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from judge.core.foreign_text import described
from judge.engines import MAX_NEW_TOKENS, MAX_TILES, Completion, Prompt, too_long, without_answer
from judge.engines.endpoints import Kind, Reply, Served
from judge.engines.messages import Message, chat, message, prompt_length
from judge.io.image_paths import ImageRefused
from judge.model import conversation, images
from judge.model.tokenizer import Tokenizer
from judge.model.weights import original_layout, source


@dataclasses.dataclass(frozen=True)
class ServedJudge:
    """The judge that is served, as far as its small files tell."""

    tokenizer: Tokenizer
    layout: original_layout.Layout

    @property
    def system(self) -> str:
        """The system message of its prompts."""
        return str(self.layout.raw.get("system_message") or conversation.SYSTEM_MESSAGE)

    @property
    def short_window(self) -> int:
        """Tokens up to which it reads a prompt with the short rope factors."""
        return int(self.layout.text["original_max_position_embeddings"])

    @classmethod
    def of(cls, judge: str) -> ServedJudge:
        """From a folder or `ORG/NAME[@REVISION]`; fetches no weights.

        Raises UserError for a judge that is not there or not in the layout of InternVL2.
        """
        folder = source.resolve_judge(judge, weights=False).folder
        described = original_layout.read_layout(folder)
        return cls(conversation.read_tokenizer(folder, described.text["vocab_size"]), described)


@dataclasses.dataclass(frozen=True)
class ChatRequest:
    """What is asked for one prompt. tokens: of the prompt, or None where they cannot be counted. max_tokens: of the
    answer. kind: of endpoint, or None for any."""

    message: Message
    max_tokens: int
    tokens: int | None = None
    kind: Kind | None = None
    crossed: bool = False
    """Asked at a short endpoint before, where the answer did not fit."""


@dataclasses.dataclass(frozen=True)
class ChatRequests:
    """Makes requests of prompts. judge: what is served, by its small files; None where it is not known, and prompts are
    sent unchecked. split: short and long prompts have endpoints of their own."""

    judge: ServedJudge | None = None
    max_new_tokens: int = MAX_NEW_TOKENS
    split: bool = False

    def identity(self, served: Served) -> Mapping[str, str]:
        """Parts of the signature; what only the server could tell is "unknown"."""
        known = self.judge
        return {
            # vLLM's default name of a model is the path it was loaded from, which says nothing elsewhere
            "judge": PurePath(served.model).name if served.model.startswith(("/", ".")) else served.model,
            "server": served.server,
            "prompt": "checked" if known else "unchecked",
            "tiles": f"{MAX_TILES}x{known.layout.tile_size}" if known else "unknown",
            "decoding": f"greedy-{self.max_new_tokens}",
            "dtype": "unknown",
            "rope": "split" if self.split else "server",
            "engine": "server",
        }

    def chat_request(self, prompt: Prompt) -> ChatRequest | Completion:
        """What to send for a prompt, or why there is nothing to send. Pictures are looked at, not yet read."""
        judge = self.judge
        special = judge.tokenizer.special if judge else ()
        try:
            said = message(prompt.pieces, special)
            if judge is None:
                return ChatRequest(said, self.max_new_tokens)
            length = self._length(said, judge)
        except ImageRefused as refused:
            return Completion(None, unscored=refused.reason, note=refused.message)
        except Exception as error:
            return Completion(None, unscored="engine_error", note=described(error))
        room = judge.layout.window - self.max_new_tokens
        if length > room:
            return too_long(length, room, self._length(message(without_answer(prompt), special), judge))
        if not self.split:
            return ChatRequest(said, self.max_new_tokens, length)
        left = judge.short_window - length
        if left <= 0:
            return ChatRequest(said, self.max_new_tokens, length, "long")
        return ChatRequest(said, min(self.max_new_tokens, left), length, "short")

    def _length(self, said: Message, judge: ServedJudge) -> int:
        """Tokens of the judge's prompt around a message. Raises ImageRefused."""
        size = judge.layout.tile_size
        sizes = [images.read_image_size(picture) for picture in said.pictures]
        tiles = [images.count_tiles(*pixels, size, max_num=MAX_TILES) for pixels in sizes]
        return prompt_length(said.text, tiles, judge.layout.tokens_per_tile, judge.tokenizer, judge.system)

    def body(self, request: ChatRequest, served: Served) -> bytes:
        """The request as JSON, for an endpoint that serves `served`. Raises ImageRefused.

        What vLLM needs beyond the protocol: only <|end|> ends the text (its own default are the tokens that
        generation_config.json lists), and nothing of that file changes the greedy choice.
        """
        judge = self.judge
        body: dict[str, Any] = {
            "model": served.model,
            "messages": chat(request.message, judge.system if judge else conversation.SYSTEM_MESSAGE),
            "temperature": 0,
            "max_tokens": request.max_tokens,
        }
        if served.takes_stop:
            body["stop"] = [conversation.STOP]
        if served.is_vllm:
            body["repetition_penalty"] = 1.0
            if judge:
                body |= {"stop_token_ids": [judge.tokenizer.special[conversation.STOP]], "ignore_eos": True}
            else:  # a stop token that is not printed would not be seen as a stop text
                body["skip_special_tokens"] = False
        return json.dumps(body).encode("ascii")

    def completion(self, reply: Reply, request: ChatRequest) -> Completion | ChatRequest:
        """What a reply says; or the request to a long endpoint, where a whole answer is longer than the short window
        has room for."""
        text, stop, _ = reply.text.partition(conversation.STOP)
        stopped = reply.finish == "stop" or bool(stop)
        if not stopped and request.kind == "short" and request.max_tokens < self.max_new_tokens:
            return dataclasses.replace(request, kind="long", max_tokens=self.max_new_tokens, crossed=True)
        notes = [message_note(request.message)] if request.message.broken else []
        if request.crossed:
            notes.append("prompt and answer cross the short window; read with the factors for long ones throughout")
        return Completion(text.strip(), stopped, reply.new_tokens or 0, note="; ".join(notes) or None)


def message_note(message: Message) -> str:
    """How many spellings of its text were broken up, for the verdict."""
    return f"{message.broken} spellings of special tokens or headings broken up for the server"
