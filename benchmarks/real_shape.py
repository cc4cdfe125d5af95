"""A judge of the real InternVL2-4B shape, with random weights: does it load, what memory and time does a batch take?

    python benchmarks/real_shape.py --device cuda --dtype bfloat16 [--rows 8] [--folder DIR] [--out FILE]
    python benchmarks/real_shape.py --scale tiny          # the same path in seconds, on a CPU

Writes a checkpoint in the original layout (4,146,855,936 parameters, 8.3 GB in bfloat16 shards with an index, matrices
normal with standard deviation 0.02), loads it through `judge.model.weights.checkpoint`, which compares every name and
shape, and answers one batch of mixed prompts: 0 to 4 pictures, lengths on both sides of the 4,096 tokens where the rope
changes, one that crosses them while it is answered. Every answer has `--new-tokens` tokens: random weights never
stop, and time and memory do not depend on what is said. Needs 8.3 GB of disk and some 44 GB on the GPU, 16 GB with
`--rows 3`; what is missing is said before anything is written. The checkpoint is deleted at the end.

Shape: the sibling configs of OpenGVLab/InternVL2 and microsoft/Phi-3-mini-128k-instruct. Two things are not theirs and
cost the same: the tokenizer is the demo judge's, whose ids are the first 1,044 of 32,020, and the rope's long factors
are a geometric series.

Prints a Markdown table, then JSON. Loading is timed with the files in the page cache, where they were just written.
"""

from __future__ import annotations

import argparse
import dataclasses
import gc
import json
import platform
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import workload
from output import print_result
from PIL import Image
from toy_judge import judge_shape

from judge.core.request import Picture, Text
from judge.core.rubric import Literal, Piece
from judge.errors import UserError
from judge.model import conversation, generate, images
from judge.model.tokenizer import Tokenizer
from judge.model.weights import checkpoint, original_layout, shapes
from mmie_tasks.demo import judge_dir

GB = 1e9
ITEM_BYTES = {"float32": 4, "bfloat16": 2}
SHARD_BYTES = GB  # several, as the published judge has
ACTIVATIONS = 2 * GB  # of the longest prompt and of 32 tiles, roughly, at the real shape
NEVER = -1
"""A stop token that no model gives."""


@dataclasses.dataclass(frozen=True)
class Scale:
    """What is put over the demo judge's `config.json`, and what the tensors need beside weights and cache (bytes)."""

    vision: Mapping[str, int]
    text: Mapping[str, int]
    activations: float


SCALES = {
    "real": Scale(
        vision={
            "hidden_size": 1024,
            "image_size": 448,
            "intermediate_size": 4096,
            "num_attention_heads": 16,
            "num_hidden_layers": 24,
            "patch_size": 14,
        },
        text={
            "hidden_size": 3072,
            "intermediate_size": 8192,
            "max_position_embeddings": 131072,
            "num_attention_heads": 32,
            "num_hidden_layers": 32,
            "num_key_value_heads": 32,
            "original_max_position_embeddings": 4096,
            "vocab_size": 32020,
        },
        activations=ACTIVATIONS,
    ),
    "tiny": Scale(
        vision={"num_hidden_layers": 1},
        text={"num_hidden_layers": 2, "original_max_position_embeddings": 256},
        activations=0,
    ),
}

PICTURES = {"square": (512, 512), "photo": (640, 480), "drawing": (1024, 1024), "wide": (1280, 720)}
"""Pixels. At tiles of 448: 1, 13, 10 and 9 tiles."""


def rows_wanted(limit: int, new_tokens: int) -> list[tuple[tuple[str, ...], int]]:
    """Pictures and tokens (0: as many as the pictures and an eighth of `limit` make) of every prompt, cheap ones first.

    limit: tokens at which the rope changes.
    """
    return [
        ((), limit // 4),
        ((), limit - new_tokens // 2),  # crosses the limit half way through its answer
        (("square",), limit // 2),
        ((), limit + limit // 8),
        (("photo",), 0),
        (("photo", "drawing"), 0),
        (("photo", "drawing", "wide"), 0),
        (("photo", "drawing", "wide", "square"), 0),
    ]


def write_description(folder: Path, scale: Scale) -> original_layout.Layout:
    """Write everything but the weights: the tokenizer's files, and `config.json` of this shape."""
    folder.mkdir(parents=True)
    for file in sorted(judge_dir().glob("*token*")):
        shutil.copy(file, folder)
    raw = judge_shape.config()
    raw["vision_config"] |= scale.vision
    raw["llm_config"] |= scale.text
    raw["force_image_size"] = raw["vision_config"]["image_size"]
    text = raw["llm_config"]
    half = text["hidden_size"] // text["num_attention_heads"] // 2
    stretch = text["max_position_embeddings"] / text["original_max_position_embeddings"]
    text["rope_scaling"] = {
        "type": "su",
        "short_factor": [1.0] * half,
        "long_factor": [stretch ** (i / (half - 1)) for i in range(half)],
    }
    (folder / "config.json").write_text(json.dumps(raw, indent=2) + "\n", encoding="utf-8")
    return original_layout.read_layout(folder)


def write_weights(folder: Path, described: original_layout.Layout, device: str, dtype: str = "bfloat16") -> None:
    """The random judge that all benchmarks share, in two shards or more, and an index that names them."""
    import torch
    from huggingface_hub import save_torch_state_dict

    tensors = checkpoint.original_tensors(workload.make_model(described, device, getattr(torch, dtype)))
    total = shapes.count_parameters(described) * ITEM_BYTES[dtype]
    save_torch_state_dict(
        tensors,
        folder,
        filename_pattern="model{suffix}.safetensors",
        max_shard_size=int(min(SHARD_BYTES, total / 2)),
    )


def prompts(folder: Path, described: original_layout.Layout, new_tokens: int) -> list[generate.ModelInput]:
    """Every prompt of `rows_wanted`, encoded and cut; pictures of noise are written into `folder` and read again."""
    tokenizer = Tokenizer.from_folder(folder)
    limit = described.text["original_max_position_embeddings"]
    cut = {
        name: images.cut_tiles(images.decode_image(_picture(folder, name)), described.tile_size) for name in PICTURES
    }
    rows = []
    for names, tokens in rows_wanted(limit, new_tokens):
        counts = [len(cut[name]) for name in names]
        wanted = tokens or sum(counts) * described.tokens_per_tile + limit // 8

        def ids(words: int, names: Sequence[str] = names, counts: Sequence[int] = counts) -> tuple[int, ...]:
            pieces: list[Piece] = [Literal("### Question\n"), Text("step " * words)]
            for number, name in enumerate(names):
                pieces += [Literal(f"\nImage-{number}: "), Picture(folder / f"{name}.jpg", name)]
            return conversation.encode_prompt(tokenizer, pieces, counts, described.tokens_per_tile).ids

        fewest = len(ids(1))
        a_word = (len(ids(101)) - fewest) / 100
        tiles = np.concatenate([cut[name] for name in names]) if names else None
        rows.append(generate.ModelInput(ids(max(1, 1 + round((wanted - fewest) / a_word))), tiles))
    return rows


def needed(
    described: original_layout.Layout, rows: Sequence[generate.ModelInput], new_tokens: int, scale: Scale, dtype: str
) -> float:
    """Bytes of memory for weights, cache and activations, roughly."""
    text = described.text
    head = text["hidden_size"] // text["num_attention_heads"]
    token = 2 * text["num_hidden_layers"] * text["num_key_value_heads"] * head * ITEM_BYTES[dtype]
    cache = token * sum(generate.slots_needed(len(row.ids), new_tokens) for row in rows)
    return shapes.count_parameters(described) * ITEM_BYTES[dtype] + cache + scale.activations


def require(what: str, wanted: float, free: float, fix: str) -> None:
    """Raise UserError, with `fix`, where more bytes are wanted than free."""
    if free < wanted:
        raise UserError(f"needs {wanted / GB:.1f} GB of {what}, and {free / GB:.1f} GB are free", fix=fix)


def free_memory(device: str) -> float:
    """Bytes that can be taken on the device; infinite where the system does not tell."""
    import torch

    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return float("inf")
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), float("inf"))


def answer(model: Any, rows: Sequence[generate.ModelInput], new_tokens: int) -> float:
    """Seconds for one batch. Raises RuntimeError where an answer is not what it must be."""
    import torch

    start = time.perf_counter()
    done = dict(generate.generate_all(model, rows, stop=NEVER, max_new_tokens=new_tokens))
    seconds = time.perf_counter() - start
    for number in range(len(rows)):
        if len(done[number].ids) != new_tokens or not torch.isfinite(done[number].prefill_logits).all():
            raise RuntimeError(f"prompt {number}: {len(done[number].ids)} tokens, or logits that are not finite")
    return seconds


def measure(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Write, load, hash and ask the judge: seconds, GB, and what it ran on. Raises UserError where room is missing."""
    import torch
    import transformers

    scale = SCALES[args.scale]
    described = write_description(folder, scale)
    rows = prompts(folder, described, args.new_tokens)[: args.rows]
    stored = shapes.count_parameters(described) * ITEM_BYTES["bfloat16"]
    on_disk = shutil.disk_usage(folder).free
    require(f"disk in {folder.parent}", 1.01 * stored, on_disk, "give another --folder")
    wanted = needed(described, rows, args.new_tokens, scale, args.dtype)
    require(f"memory on {args.device}", wanted, free_memory(args.device), "give fewer --rows, or a larger device")

    on_gpu = args.device.startswith("cuda")
    found: dict[str, Any] = {
        "scale": args.scale,
        "parameters": shapes.count_parameters(described),
        "dtype": args.dtype,
    }
    start = time.perf_counter()
    write_weights(folder, described, args.device)
    found["write_s"] = time.perf_counter() - start
    gc.collect()  # modules know each other in circles, and what was written must not count as loaded
    _reset_peak(on_gpu)
    start = time.perf_counter()
    model = checkpoint.load_model(folder, device=args.device, dtype=args.dtype)
    if on_gpu:
        torch.cuda.synchronize()
    found |= {"load_s": time.perf_counter() - start, "load_peak_gb": _peak(on_gpu)}
    start = time.perf_counter()
    checkpoint.weights_sha256(folder)
    found["hash_s"] = time.perf_counter() - start

    answer(model, rows, 1)  # the first time, libraries are opened and memory is taken from the system
    _reset_peak(on_gpu)
    reading, whole = answer(model, rows, 1), answer(model, rows, args.new_tokens)
    return found | {
        "prompt_tokens": [len(row.ids) for row in rows],
        "tiles": [0 if row.tiles is None else len(row.tiles) for row in rows],
        "new_tokens": args.new_tokens,
        "read_s": reading,
        "batch_s": whole,
        "answer_s": whole / len(rows),
        "batch_peak_gb": _peak(on_gpu),
        "device": torch.cuda.get_device_name(args.device) if on_gpu else f"cpu ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def table(found: Mapping[str, Any]) -> str:
    """`measure`'s result in Markdown."""
    memory = "peak memory" if not found["device"].startswith("cpu") else "peak resident memory, mapped files included"
    lines = [f"| {found['parameters']:,} parameters, {found['dtype']}, {found['device']} | |", "|---|---:|"]
    prompts_ = f"{min(found['prompt_tokens']):,} to {max(found['prompt_tokens']):,} tokens"
    for words, value, unit in (
        ("write the checkpoint", found["write_s"], "s"),
        ("load it (files in the page cache)", found["load_s"], "s"),
        (f"{memory}, loading", found["load_peak_gb"], "GB"),
        ("hash its bytes", found["hash_s"], "s"),
        (f"read {len(found['tiles'])} prompts, {prompts_}, {sum(found['tiles'])} tiles", found["read_s"], "s"),
        (f"answer them, {found['new_tokens']} tokens each, reading included", found["batch_s"], "s"),
        ("**an answer**", found["answer_s"], "s"),
        (f"{memory}, answering", found["batch_peak_gb"], "GB"),
    ):
        lines.append(f"| {words} | {value:.{3 if value < 1 else 1}f} {unit} |")
    return "\n".join(lines)


def _picture(folder: Path, name: str) -> Path:
    width, height = PICTURES[name]
    noise = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    path = folder / f"{name}.jpg"
    Image.fromarray(noise).save(path, quality=90)
    return path


def _reset_peak(on_gpu: bool) -> None:
    import torch

    if on_gpu:
        torch.cuda.reset_peak_memory_stats()


def _peak(on_gpu: bool) -> float:
    """GB: of tensors since the last reset on a GPU; of the whole process since its start on a CPU."""
    import torch

    if on_gpu:
        return torch.cuda.max_memory_allocated() / GB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GB


def main(argv: Sequence[str] | None = None) -> int:
    """The command: exit code 0, or 2 where it cannot be run here."""
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=SCALES, default="real")
    parser.add_argument("--device", help="default: CUDA; a CPU for the tiny scale")
    parser.add_argument("--dtype", choices=ITEM_BYTES, default="bfloat16", help="of computing; the file is bfloat16")
    parser.add_argument("--rows", type=int, default=8, help="how many of the 8 prompts, cheap ones first")
    parser.add_argument("--new-tokens", type=int, default=200, help="of every answer")
    parser.add_argument("--folder", type=Path, default=Path(), help="where the checkpoint is put for the time")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JSON there as well")
    args = parser.parse_args(argv)
    args.device = args.device or ("cpu" if args.scale == "tiny" else "cuda")
    try:
        if args.device.startswith("cuda") and not torch.cuda.is_available():
            raise UserError(
                "no CUDA device here, and the real shape is slow without",
                fix="--scale tiny for the same path in small; --device cpu --rows 3 takes a CPU's time",
            )
        with tempfile.TemporaryDirectory(dir=args.folder, prefix="real_shape-") as parent:
            found = measure(args, Path(parent) / "judge")
    except UserError as error:
        print(f"real_shape: {error}", file=sys.stderr)
        return 2
    except torch.cuda.OutOfMemoryError as error:
        print(f"real_shape: the device's memory did not do ({error})\n→ give fewer --rows", file=sys.stderr)
        return 2
    print_result(table(found), found, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
