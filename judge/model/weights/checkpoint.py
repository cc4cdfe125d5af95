"""Weights of a judge: from the original InternVL2-4B layout into native transformers classes, and back.

No code from the folder is run and no pickle is opened: safetensors only. Names are compared strictly, because
transformers merely warns about a missing tensor and leaves it random.

    vision_model.encoder.layers.0.attn.qkv.weight (3·h, h)  →  ….attention.{q,k,v}_proj.weight, three blocks of rows
    language_model.model.layers.0.self_attn.qkv_proj.weight →  model.language_model.layers.0.self_attn.qkv_proj.weight
    mlp1.1.weight                                           →  model.multi_modal_projector.linear_1.weight

Source of the map: OpenGVLab/InternVL, `internvl_chat/tools/internvl_custom2hf.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from judge.errors import UserError
from judge.io import files
from judge.io.progress import BYTES, MOMENT, progress_bar
from judge.model import rope
from judge.model.judge_files import MAX_TOKENIZER, list_some, require_file
from judge.model.weights import hashes, original_layout, shapes, shards

# Original name → native name, first match wins; applied to whole prefixes or suffixes.
_RENAMES: tuple[tuple[str, str], ...] = (
    (r"^language_model\.lm_head\.", "lm_head."),
    (r"^language_model\.model\.", "model.language_model."),
    (r"^mlp1\.0\.", "model.multi_modal_projector.layer_norm."),
    (r"^mlp1\.1\.", "model.multi_modal_projector.linear_1."),
    (r"^mlp1\.3\.", "model.multi_modal_projector.linear_2."),
    (r"^vision_model\.embeddings\.class_embedding$", "model.vision_tower.embeddings.cls_token"),
    (r"^vision_model\.embeddings\.position_embedding$", "model.vision_tower.embeddings.position_embeddings"),
    (
        r"^vision_model\.embeddings\.patch_embedding\.",
        "model.vision_tower.embeddings.patch_embeddings.projection.",
    ),
)
_VISION_LAYER = re.compile(r"^vision_model\.encoder\.layers\.(\d+)\.(.+)$")
_VISION_PARTS: tuple[tuple[str, str], ...] = (
    ("attn.proj.", "attention.projection_layer."),
    ("attn.q_norm.", "attention.q_norm."),
    ("attn.k_norm.", "attention.k_norm."),
    ("norm1.", "layernorm_before."),
    ("norm2.", "layernorm_after."),
    ("ls1", "lambda_1"),
    ("ls2", "lambda_2"),
    ("mlp.", "mlp."),
)
_QKV = "attn.qkv."


def native_names(name: str) -> tuple[str, ...]:
    """Native names of one original tensor, in the order of its blocks of rows; empty where the name is unknown."""
    for pattern, replacement in _RENAMES:
        renamed, count = re.subn(pattern, replacement, name)
        if count:
            return (renamed,)
    match = _VISION_LAYER.match(name)
    if match:
        prefix, rest = f"model.vision_tower.encoder.layer.{match[1]}.", match[2]
        if rest.startswith(_QKV):
            return tuple(f"{prefix}attention.{part}_proj.{rest[len(_QKV) :]}" for part in "qkv")
        for original, native in _VISION_PARTS:
            if rest.startswith(original):
                return (prefix + native + rest[len(original) :],)
    return ()


def original_names(natives: Iterable[str], layers: int) -> dict[str, tuple[str, ...]]:
    """The inverse: original name → native names, for all native tensors of a model with `layers` vision layers."""
    wanted = set(natives)
    candidates = {"vision_model.embeddings.class_embedding", "vision_model.embeddings.position_embedding"}
    for kind in ("weight", "bias"):
        candidates |= {f"vision_model.embeddings.patch_embedding.{kind}", *(f"mlp1.{n}.{kind}" for n in (0, 1, 3))}
        for layer in range(layers):
            prefix = f"vision_model.encoder.layers.{layer}."
            parts = ("attn.qkv", "attn.proj", "attn.q_norm", "attn.k_norm", "mlp.fc1", "mlp.fc2", "norm1", "norm2")
            candidates |= {f"{prefix}{part}.{kind}" for part in parts} | {f"{prefix}ls1", f"{prefix}ls2"}
    prefixes = {"model.language_model.": "language_model.model.", "lm_head.": "language_model.lm_head."}
    for native, original in prefixes.items():
        candidates |= {original + name[len(native) :] for name in wanted if name.startswith(native)}
    found = {name: native_names(name) for name in sorted(candidates)}
    found = {name: parts for name, parts in found.items() if wanted.issuperset(parts)}
    left = wanted.difference(*found.values())
    if left:
        raise ValueError(f"no original name for {sorted(left)}")
    return found


def check_weights(folder: Path, described: original_layout.Layout) -> int:
    """Compare names and shapes of all tensors with what the config asks for; returns the number of parameters.

    Reads headers only. Raises UserError that names missing, unknown and wrongly shaped tensors.
    """
    found = shards.read_headers(folder)
    _check_layers(folder, described, found)
    expected = shapes.original_shapes(described)
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    other = [
        f"{name} is {list(found[name][1])}, expected {list(expected[name])}"
        for name in sorted(expected.keys() & found.keys())
        if found[name][1] != expected[name]
    ]
    problems = [
        f"{len(names)} tensors {what}: {list_some(names)}"
        for what, names in (("missing", missing), ("unknown", extra), ("of another shape", other))
        if names
    ]
    if problems:
        raise UserError(
            "weights do not fit config.json: " + "; ".join(problems),
            file=folder,
            fix="download the judge folder again, or give a judge in the InternVL2-4B layout",
        )
    return shapes.count_parameters(described)


def _check_layers(folder: Path, described: original_layout.Layout, found: shards.Headers) -> None:
    """Raise UserError where config.json asks for more layers than the shards have: no list of their names is made."""
    for part, prefix in (("vision_config", shapes.VISION_LAYERS), ("llm_config", shapes.TEXT_LAYERS)):
        there = len({name[len(prefix) :].partition(".")[0] for name in found if name.startswith(prefix)})
        wanted = described.raw[part]["num_hidden_layers"]
        if wanted > there:
            raise UserError(
                f"is {wanted}, and the weights have {there}",
                file=folder / "config.json",
                field=f"{part}.num_hidden_layers",
                fix="download the judge folder again",
            )


def original_parts(described: original_layout.Layout) -> dict[str, tuple[str, ...]]:
    """Original name → native names, block by block, of every tensor the config asks for."""
    return {name: native_names(name) for name in shapes.original_shapes(described)}


def load_model(folder: Path, *, device: str = "cpu", dtype: str = "float32", regime: rope.Regime = "reference") -> Any:
    """A native `InternVLForConditionalGeneration` in evaluation mode, with per-row rope installed.

    Tensors are read one at a time straight into their place, so the peak is one model and one tensor. device, dtype:
    torch's names. Raises UserError for a folder that is not a whole judge, torch.cuda.OutOfMemoryError.
    """
    import torch

    described = original_layout.read_layout(folder)
    check_weights(folder, described)
    model = _empty(folder, described)
    model = model.to(getattr(torch, dtype)).to_empty(device=device)
    target = model.state_dict()
    files_of_weights = shards.find_shards(folder)
    stored = sum(file.stat().st_size for file in files_of_weights)
    with torch.no_grad(), progress_bar(stored, "reading weights", BYTES, after=MOMENT) as bar:
        for file in files_of_weights:
            with shards.open_shard(file) as tensors:
                for name in tensors.keys():  # noqa: SIM118 (not a mapping)
                    natives, tensor = native_names(name), tensors.get_tensor(name)
                    for native, block in zip(natives, tensor.chunk(len(natives)), strict=True):
                        target[native].copy_(block)
                    bar.update(tensor.nbytes)
    # transformers would stop at any of [2, 32000, 32007] from generation_config.json; chat() stops at <|end|> alone,
    # so that file is not read and judge.model.generate is given its one stop token
    rope.install_rope(model, regime)
    unset = sorted(name for name, _ in model.named_buffers() if name not in target)
    if unset:
        raise RuntimeError(f"this transformers version computes {unset}, which loading does not fill")
    return model.eval()


def weights_sha256(folder: Path) -> str:
    """SHA-256 over the bytes of all shards in order of name; read once on a machine (`hashes`).

    Raises UserError where there are none, OSError where one cannot be read.
    """
    return hashes.remembered_sha256(shards.find_shards(folder))


def description_sha256(folder: Path) -> str:
    """SHA-256 over config and tokenizer files: what else decides what a local folder answers."""
    names = ("config.json", "added_tokens.json", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.model")
    there = [folder / name for name in names if (folder / name).exists()]
    for file in there:
        status = require_file(file)
        if status.st_size > MAX_TOKENIZER:
            raise UserError(f"has {status.st_size:,} bytes, and at most {MAX_TOKENIZER:,} are read", file=file)
    return files.sha256(*there)


def save_original(model: Any, folder: Path, raw: Mapping[str, Any]) -> None:
    """Write a native model in the original layout: `config.json` from `raw`, and one safetensors file in its dtype.

    The tokenizer's files are the caller's to copy.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(original_tensors(model), str(folder / "model.safetensors"), metadata={"format": "pt"})
    files.write_text(folder / "config.json", json.dumps(raw, indent=2) + "\n")


def original_tensors(model: Any) -> dict[str, Any]:
    """Original name → tensor of a native model, on its device; copied only where several become one."""
    import torch

    state = model.state_dict()

    def joined(natives: Sequence[str]) -> Any:
        blocks = [state[native] for native in natives]
        return (torch.cat(blocks) if len(blocks) > 1 else blocks[0]).contiguous()

    names = original_names(state, model.config.vision_config.num_hidden_layers)
    return {name: joined(natives) for name, natives in names.items()}


def new_model(described: original_layout.Layout, *, seed: int) -> Any:
    """A model of this shape with random weights, float32, as transformers draws them: where training starts."""
    import torch
    from transformers import InternVLForConditionalGeneration

    torch.manual_seed(seed)
    model = InternVLForConditionalGeneration(original_layout.native_config(described))
    rope.install_rope(model)
    return model


def _empty(folder: Path, described: original_layout.Layout) -> Any:
    """The native model without storage. Raises UserError where the config's numbers do not go together."""
    import torch
    from transformers import InternVLForConditionalGeneration

    try:
        with torch.device("meta"):
            model = InternVLForConditionalGeneration(original_layout.native_config(described))
    except Exception as error:  # transformers and torch have no error of their own for that
        why = " ".join(str(error).split())
        raise UserError(f"describes a model that cannot be built: {why}", file=folder / "config.json") from None
    state = model.state_dict()
    built = {
        name: (sum(state[native].shape[0] for native in natives), *state[natives[0]].shape[1:])
        for name, natives in original_names(state, described.vision["num_hidden_layers"]).items()
    }
    expected = shapes.original_shapes(described)
    if built != expected:
        other = sorted({name for name, _ in built.items() ^ expected.items()})
        raise RuntimeError(
            f"this transformers version builds other tensors than the original layout has: {list_some(other)}"
        )
    return model
