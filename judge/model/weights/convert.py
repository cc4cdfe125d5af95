"""From the original InternVL2-4B layout to one that transformers loads by itself, and back.

    convert_judge(Path("MMIE-Score"), Path("out/native"))   ->  Report(to="native", tensors=85, logits={…}, …)
    convert_judge(Path("out/native"), Path("out/again"))    ->  Report(to="original", …)

Tensors are copied block by block in the number type they have; no model is built for that. Then the new folder is
read again: every tensor must have the bytes it came from, and both folders, loaded in float32, must give the same
logits for three prompts (with a picture, short, and longer than longrope's limit). Only then does it get its name:
what fails or is interrupted leaves nothing there.

See `judge.model.weights.hf_layout` for what stands in the native folder and `judge.model.weights.checkpoint` for the
names of tensors.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from judge.core.request import IMAGE_PLACEHOLDER
from judge.errors import UserError
from judge.io import files
from judge.io.progress import counted, doing
from judge.model import conversation, precision
from judge.model.judge_files import read_object
from judge.model.tokenizer import Tokenizer
from judge.model.weights import checkpoint, hf_layout, original_layout, shards

To = Literal["native", "original"]

LOGIT_TOLERANCE = 5e-5
"""Largest absolute difference of float32 logits; as in `judge.model.verify`, a wrong epsilon moves them by more."""

SHARD = "5GB"
BEYOND = 8
"""Tokens by which one prompt exceeds longrope's limit; as many logits of each prompt are compared."""

_NAMES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}

_TEXTS = (
    "Which shape is it?\n### Answer\nA square: its sides  are equal.",
    "  <image>\n<image> 1. Pour\tthe tea.\n\n### Feedback\n",
    "Ünï 你好 \U0001f600 <|end|><|user|> ###Score 6 ",
)
"""Of the prompts whose ids are compared; `<image>` stands for a picture."""


@dataclasses.dataclass(frozen=True)
class Report:
    """tensors: in the new folder, all of equal bytes. bytes: of its files. logits: prompt → largest difference."""

    to: To
    tensors: int
    bytes: int
    logits: Mapping[str, float]


@dataclasses.dataclass(frozen=True)
class Part:
    """One of `blocks` equal blocks of rows of a tensor in a file."""

    file: Path
    name: str
    block: int = 0
    blocks: int = 1


Plan = Mapping[str, Sequence[Part]]
"""Name in the new folder → the parts that make it, row over row."""


def target_layout(source: Path) -> To:
    """What a folder can be turned into. Raises UserError where config.json is of neither layout."""
    raw = read_object(source / "config.json")
    if hf_layout.is_native_config(raw):
        return "original"
    original_layout.read_layout(source)
    return "native"


def convert_judge(source: Path, target: Path, *, device: str = "cpu") -> Report:
    """Write the other layout of `source` to `target`, which must not exist. device: where logits are compared.

    Raises UserError for what cannot be converted, and where what was written is not what was read.
    """
    with files.new_folder(target) as folder:
        return write_converted(source, folder, device=device)


def write_converted(source: Path, folder: Path, *, device: str = "cpu") -> Report:
    """`convert_judge` into an empty folder, which is the caller's to throw away where this fails."""
    to = target_layout(source)
    if to == "native":
        described = original_layout.read_layout(source)
        checkpoint.check_weights(source, described)
        plan = plan_native(source)
        hf_layout.write_native_description(source, described, folder, _widest(plan))
    else:
        hf_layout.write_original_description(source, folder)
        described = original_layout.read_layout(folder)
        plan = plan_original(source, described)
    copy_tensors(plan, folder)
    if to == "original":
        checkpoint.check_weights(folder, described)
    require_same_bytes(plan, folder)
    original, converted = (source, folder) if to == "native" else (folder, source)
    require_same_ids(original, converted, described)
    logits = require_same_logits(original, converted, described, device=device)
    return Report(to, len(plan), sum(file.stat().st_size for file in shards.find_shards(folder)), logits)


def plan_native(source: Path) -> Plan:
    """Parts of every native tensor of an original folder whose names have been checked."""
    plan: dict[str, Sequence[Part]] = {}
    for name, (file, _) in shards.read_headers(source).items():
        states = checkpoint.native_names(name)
        for block, state in enumerate(states):
            plan[hf_layout.saved_name(state)] = (Part(file, name, block, len(states)),)
    return plan


def plan_original(source: Path, described: original_layout.Layout) -> Plan:
    """Parts of every original tensor of a native folder. Raises UserError for missing and unknown names."""
    found = {hf_layout.state_name(name): Part(file, name) for name, (file, _) in shards.read_headers(source).items()}
    wanted = checkpoint.original_parts(described)
    expected = {state for states in wanted.values() for state in states}
    problems = [
        f"{len(names)} tensors {what}: {', '.join(sorted(names)[:5])}"
        for what, names in (("missing", expected - found.keys()), ("unknown", found.keys() - expected))
        if names
    ]
    if problems:
        raise UserError("weights do not fit config.json: " + "; ".join(problems), file=source)
    return {name: [found[state] for state in states] for name, states in wanted.items()}


def copy_tensors(plan: Plan, folder: Path) -> None:
    """Write the planned tensors into shards of at most `SHARD`, with an index where there are several."""
    from huggingface_hub import split_state_dict_into_shards_factory
    from safetensors.torch import save_file

    with _Reader() as reader:
        split = split_state_dict_into_shards_factory(
            dict(plan),
            get_storage_size=reader.bytes,
            filename_pattern="model{suffix}.safetensors",
            max_shard_size=SHARD,
        )
        shards_to_write = split.filename_to_tensors.items()
        for file, names in counted(shards_to_write, "writing weights", "file", after=0):
            tensors = {name: reader.tensor(plan[name]) for name in names}
            save_file(tensors, str(folder / file), metadata={"format": "pt"})
    if split.is_sharded:
        index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
        files.write_text(folder / "model.safetensors.index.json", json.dumps(index, indent=2) + "\n")


def require_same_bytes(plan: Plan, folder: Path) -> None:
    """Read the new folder again. Raises UserError unless every tensor has the type and bytes of its parts."""
    import torch

    written = {name: Part(file, name) for name, (file, _) in shards.read_headers(folder).items()}
    if written.keys() != plan.keys():
        raise UserError(f"holds other tensors than planned: {sorted(written.keys() ^ plan.keys())[:5]}", file=folder)
    with _Reader() as reader:
        for name, parts in counted(plan.items(), "comparing bytes", "tensor"):
            ours, theirs = reader.tensor([written[name]]), reader.tensor(parts)
            same = ours.dtype == theirs.dtype and ours.shape == theirs.shape
            # as bytes: a number that is none does not equal itself
            if not same or not torch.equal(ours.view(torch.uint8), theirs.view(torch.uint8)):
                raise UserError(f"{name} is not what was read", file=folder, fix="see whether the disk is sound")


def require_same_ids(original: Path, converted: Path, described: original_layout.Layout) -> None:
    """Raise UserError unless transformers' tokenizer and the folder's chat template give the reference's ids."""
    from transformers import AutoTokenizer

    ours, theirs = Tokenizer.from_folder(original), AutoTokenizer.from_pretrained(converted, trust_remote_code=False)
    system = str(described.raw.get("system_message") or conversation.SYSTEM_MESSAGE)
    for text in _TEXTS:
        spelled = text.replace(IMAGE_PLACEHOLDER, conversation.IMAGE_CONTEXT)
        wanted = ours.encode_trusted(conversation.chat_text(spelled, [], described.tokens_per_tile, system))
        pictures = text.count(IMAGE_PLACEHOLDER)
        as_served = f"{conversation.IMAGE_CONTEXT}\n" * pictures + text  # see `hf_tokenizer.chat_template`
        parts = [{"type": "text", "text": text}, *[{"type": "image"}] * pictures]
        for content in (spelled, as_served, parts):
            messages = [{"role": "user", "content": content}]
            found = theirs.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)["input_ids"]
            if list(found) != wanted:
                raise UserError(
                    f"its tokenizer.json splits {text!r} in another way than the SentencePiece tokenizer",
                    file=converted,
                )


def require_same_logits(
    original: Path, converted: Path, described: original_layout.Layout, *, device: str = "cpu"
) -> Mapping[str, float]:
    """Prompt → largest absolute difference of its last `BEYOND` logits in float32; one model in memory at a time.

    Raises UserError where one exceeds `LOGIT_TOLERANCE`.
    """
    import torch
    from transformers import AutoModelForImageTextToText

    with doing(f"comparing logits of both layouts in float32 on {device}"):
        ours = last_logits(checkpoint.load_model(original, device=device), described, device)
        theirs = AutoModelForImageTextToText.from_pretrained(converted, dtype=torch.float32, trust_remote_code=False)
        other = last_logits(theirs.to(device), described, device)
    found = {name: float((ours[name] - other[name]).abs().max()) for name in ours}
    for name, difference in found.items():
        if not difference <= LOGIT_TOLERANCE:
            raise UserError(f"logits of the {name} prompt are off by {difference:.1e}, at most {LOGIT_TOLERANCE:.0e}")
    return found


def last_logits(model: Any, described: original_layout.Layout, device: str = "cpu") -> dict[str, Any]:
    """Prompt → logits (1, `BEYOND`, vocabulary) of its last tokens, on the CPU, for all `comparison_prompts`."""
    import torch

    found = {}
    with torch.inference_mode(), precision.exact_float32():
        for name, prompt in comparison_prompts(described).items():
            there = {field: tensor.to(device) for field, tensor in prompt.items()}
            found[name] = model(**there, logits_to_keep=BEYOND).logits.cpu()
    return found


def comparison_prompts(described: original_layout.Layout) -> dict[str, dict[str, Any]]:
    """Random ids, always the same: alone, around a tile of noise, and beyond longrope's limit where there is one."""
    import torch

    random = torch.Generator().manual_seed(0)
    limit = described.text["original_max_position_embeddings"]

    def ids(count: int) -> Any:
        some = torch.randint(described.text["vocab_size"] - 1, (1, count), generator=random)
        return some + (some >= described.image_token)  # any but the image token

    size = described.tile_size
    tile = torch.full((1, described.tokens_per_tile), described.image_token)
    pictured = torch.cat([ids(BEYOND), tile, ids(BEYOND)], 1)
    noise = torch.randn(1, 3, size, size, generator=random)
    short, long = ids(2 * BEYOND), ids(limit + BEYOND)
    found = {"short": {"input_ids": short}, "picture": {"input_ids": pictured, "pixel_values": noise}}
    if limit + BEYOND <= described.window:
        found["long"] = {"input_ids": long}
    return found


class _Reader:
    """Tensors of many files, opened once each."""

    def __enter__(self) -> _Reader:
        self._stack, self._files = contextlib.ExitStack(), dict[Path, Any]()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _file(self, part: Part) -> Any:
        if part.file not in self._files:
            self._files[part.file] = self._stack.enter_context(shards.open_shard(part.file))
        return self._files[part.file]

    def type(self, part: Part) -> str:
        kind: str = self._file(part).get_slice(part.name).get_dtype()
        return kind

    def bytes(self, parts: Sequence[Part]) -> int:
        def one(part: Part) -> int:
            shape = self._file(part).get_slice(part.name).get_shape()
            return math.prod(shape) * shards.ITEM_BYTES[self.type(part)] // part.blocks

        return sum(map(one, parts))

    def tensor(self, parts: Sequence[Part]) -> Any:
        import torch

        blocks = [self._file(part).get_tensor(part.name).chunk(part.blocks)[part.block] for part in parts]
        return (torch.cat(blocks) if len(blocks) > 1 else blocks[0]).contiguous()


def _widest(plan: Plan) -> str:
    """The number type that holds all tensors, in torch's word."""
    with _Reader() as reader:
        kinds = {reader.type(part) for parts in plan.values() for part in parts}
    return _NAMES[max(kinds, key=shards.ITEM_BYTES.__getitem__)]
