"""The judge in this process: native InternVL classes of transformers, on CPU or CUDA.

    engine = load_engine("MMIE/MMIE-Score")
    engine.identity   {"judge": "MMIE/MMIE-Score@9e8d…", "weights": "5b1c…", "tiles": "12x448",
                       "decoding": "greedy-1024", "dtype": "bfloat16", "rope": "reference", "engine": "transformers"}

Prompts are sorted by length, prepared by threads (decoding pictures takes longer than counting tokens) and generated
in batches. Nothing that only changes speed changes an answer in float32: see `judge.model.generate`.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from judge.engines import Completion, Prompt
from judge.errors import UserError
from judge.image_files import ImageRefused
from judge.model import checkpoint, conversation, distribution, generate, images, layout, rope, source
from judge.model.tokenizer import Tokenizer
from judge.request import Picture

MAX_NEW_TOKENS = 1024
"""As the official scorer's `generation_config` (MMIE repository, main.py)."""

MAX_TILES = 12
"""Tiles of a picture, thumbnail apart: the official scorer's `load_image`. What config.json says is for training."""

ITEM_BYTES = {"float32": 4, "bfloat16": 2}

# A quarter of this many prompts of 1,000 tokens at the real size fits the memory of a desktop machine.
CPU_TOKENS = 16_384
# Share of the free device memory given to cached tokens; the rest is for activations and copies.
CACHE_SHARE = 0.4
PREPARING_THREADS = 4
BATCHES_PREPARED = 2


def load_engine(
    judge: str,
    device: str | None = None,
    dtype: str | None = None,
    batch_size: int | None = None,
    rope: rope.Regime = "reference",
    max_new_tokens: int = MAX_NEW_TOKENS,
) -> TransformersEngine:
    """Load a judge: a folder or `ORG/NAME[@REVISION]`. Defaults: CUDA where there is one; bfloat16 there, float32 on
    a CPU. Raises UserError for whatever the user can mend."""
    device, dtype = _placed(device, dtype)
    found = source.resolve(judge)
    described = layout.read(found.folder)
    tokenizer = _tokenizer(found.folder, described)
    model = checkpoint.load(found.folder, device=device, dtype=dtype, regime=rope)
    identity = {
        "judge": str(found),
        "weights": checkpoint.weights_sha256(found.folder)[:12],
        "tiles": f"{MAX_TILES}x{described.tile_size}",
        "decoding": f"greedy-{max_new_tokens}",
        "dtype": dtype,
        "rope": rope,
        "engine": "transformers",
    }
    return TransformersEngine(model, tokenizer, described, identity, max_new_tokens, batch_size)


def check_judge(judge: str, device: str | None = None, dtype: str | None = None) -> int:
    """Look at a judge without loading it; returns the bytes its weights will take.

    Fetches no weights. Raises UserError for a judge that is missing, gated or not in the layout this engine reads.
    """
    _, dtype = _placed(device, dtype)
    found = source.resolve(judge, weights=False)
    described = layout.read(found.folder)
    _tokenizer(found.folder, described)
    local = found.revision.startswith("local-")
    parameters = checkpoint.check(found.folder, described) if local else checkpoint.parameters(described)
    return parameters * ITEM_BYTES[dtype]


@dataclasses.dataclass(frozen=True)
class _Ready:
    """A prompt with its pictures cut into tiles; `number` is its position in the caller's list."""

    number: int
    row: generate.Row

    @property
    def length(self) -> int:
        return len(self.row.ids)


class TransformersEngine:
    """See the module. Built by `load_engine`."""

    reads = True

    def __init__(
        self,
        model: Any,
        tokenizer: Tokenizer,
        described: layout.Layout,
        identity: Mapping[str, str],
        max_new_tokens: int = MAX_NEW_TOKENS,
        batch_size: int | None = None,
    ) -> None:
        """batch_size: the most prompts generated together; fewer where memory asks for it."""
        self.model, self.tokenizer, self.layout = model, tokenizer, described
        self.max_new_tokens = max_new_tokens
        self._identity = dict(identity)
        self._stop = tokenizer.special[conversation.STOP]
        self._watch = distribution.score_tokens(tokenizer)
        on_cpu = model.lm_head.weight.device.type == "cpu"
        self._batch_size = batch_size or (8 if on_cpu else 32)
        self._budget = CPU_TOKENS if on_cpu else self._tokens_that_fit()

    @property
    def identity(self) -> Mapping[str, str]:
        return self._identity

    def complete(self, prompts: Sequence[Prompt]) -> Iterator[tuple[int, Completion]]:
        """Completions as they are done, longest prompts first: what does not fit is found out early."""
        order = sorted(range(len(prompts)), key=lambda number: _rough_length(prompts[number]), reverse=True)
        with ThreadPoolExecutor(PREPARING_THREADS) as pool:
            upcoming: list[Future[_Ready | Completion]] = []
            windows = _cut(order, self._batch_size * BATCHES_PREPARED)
            for window, following in zip(windows, [*windows[1:], list[int]()], strict=False):
                current = upcoming or [pool.submit(self._prepare, n, prompts[n]) for n in window]
                upcoming = [pool.submit(self._prepare, n, prompts[n]) for n in following]
                ready = []
                for number, future in zip(window, current, strict=True):
                    prepared = future.result()
                    if isinstance(prepared, Completion):
                        yield number, prepared
                    else:
                        ready.append(prepared)
                for batch in self._batches(ready):
                    yield from self._generate(batch)

    def _prepare(self, number: int, prompt: Prompt) -> _Ready | Completion:
        """Ids and tiles of one prompt, or why there are none."""
        described = self.layout
        try:
            pictures = (piece for piece in prompt.pieces if isinstance(piece, Picture))
            cut = [
                images.tiles(images.decode(picture.path), described.tile_size, max_num=MAX_TILES)
                for picture in pictures
            ]
            encoded = conversation.encode(
                self.tokenizer, prompt.pieces, [len(tiles) for tiles in cut], described.tokens_per_tile, self._system
            )
        except ImageRefused as error:
            return Completion(None, unscored=error.reason, note=error.message)
        except Exception as error:
            return _failed(error)
        room = described.window - self.max_new_tokens
        if len(encoded.ids) > room:
            return Completion(None, unscored="request_too_long", note=f"{len(encoded.ids)} tokens, room for {room}")
        return _Ready(number, generate.Row(encoded.ids, np.concatenate(cut) if cut else None))

    def _batches(self, ready: list[_Ready]) -> Iterator[list[_Ready]]:
        """Prompts of like length together, within rows and tokens."""
        left = sorted(ready, key=lambda item: (item.length, item.number), reverse=True)
        while left:
            # the first is the longest, and what every row of its batch takes
            rows = max(1, min(self._batch_size, self._budget // (left[0].length + self.max_new_tokens)))
            yield left[:rows]
            left = left[rows:]

    def _generate(self, batch: list[_Ready]) -> Iterator[tuple[int, Completion]]:
        """Generate one batch. A batch that fails is halved until what fails is one prompt."""
        import torch

        done: set[int] = set()
        try:
            rows = [item.row for item in batch]
            steps = generate.greedy(
                self.model, rows, stop=self._stop, max_new_tokens=self.max_new_tokens, watch=self._watch
            )
            for place, generated in steps:
                completion = self._completion(generated)
                done.add(place)
                yield batch[place].number, completion
            return
        except Exception as error:
            if isinstance(error, getattr(torch, "AcceleratorError", ())):
                raise  # the device is lost, and every later prompt would fail with it
            failure = error.with_traceback(None)  # frames hold the tensors that did not fit
        left = [item for place, item in enumerate(batch) if place not in done]
        if len(batch) == 1:
            yield batch[0].number, _failed(failure)
            return
        if isinstance(failure, torch.cuda.OutOfMemoryError):
            torch.cuda.empty_cache()
            self._batch_size = max(1, len(batch) // 2)
        half = (len(left) + 1) // 2
        for part in (left[:half], left[half:]):
            if part:
                yield from self._generate(part)

    def _completion(self, generated: generate.Generated) -> Completion:
        return Completion(
            text=generate.text(self.tokenizer, generated),
            stopped=generated.stopped,
            new_tokens=len(generated.ids),
            score_probs=distribution.score_distribution(self.tokenizer, generated.ids, generated.watched),
        )

    @property
    def _system(self) -> str:
        return str(self.layout.raw.get("system_message") or conversation.SYSTEM_MESSAGE)

    def _tokens_that_fit(self) -> int:
        """Tokens whose keys and values fit the free memory of the device."""
        import torch

        text = self.model.config.text_config
        weight = self.model.lm_head.weight
        head = text.hidden_size // text.num_attention_heads
        token = 2 * text.num_hidden_layers * text.num_key_value_heads * head * weight.element_size()
        free, _ = torch.cuda.mem_get_info(weight.device)
        return int(CACHE_SHARE * free / token)


def _placed(device: str | None, dtype: str | None) -> tuple[str, str]:
    import torch

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"no CUDA device here for --device {device}", fix="leave --device out, or give --device cpu")
    dtype = dtype or ("float32" if device == "cpu" else "bfloat16")
    if dtype not in ITEM_BYTES:
        raise UserError(f"dtype {dtype!r} is not one of {', '.join(ITEM_BYTES)}")
    return device, dtype


def _tokenizer(folder: Path, described: layout.Layout) -> Tokenizer:
    tokenizer = Tokenizer.from_folder(folder)
    needed = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>", "<img>", "<IMG_CONTEXT>", "</img>")
    missing = [content for content in needed if content not in tokenizer.special]
    if missing:
        raise UserError(f"the tokenizer lacks {', '.join(missing)}", file=folder)
    rows = described.text["vocab_size"]
    if len(tokenizer) > rows:
        raise UserError(f"the tokenizer has {len(tokenizer)} tokens, the model rows for {rows}", file=folder)
    return tokenizer


def _rough_length(prompt: Prompt) -> int:
    """Good enough to put like beside like before any picture is opened: one picture is some 2,000 tokens."""
    return sum(8_000 if isinstance(piece, Picture) else len(piece.text) for piece in prompt.pieces)


def _cut(order: list[int], size: int) -> list[list[int]]:
    numbers = iter(order)
    return list(iter(lambda: list(itertools.islice(numbers, size)), []))


def _failed(error: Exception) -> Completion:
    return Completion(None, unscored="engine_error", note=f"{type(error).__name__}: {error}")
