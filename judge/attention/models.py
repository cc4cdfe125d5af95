"""The model under test, for looking inside: from a folder or the Hub, by transformers' own classes only.

    name = identify_model("llava-hf/llava-1.5-7b-hf@main")     "llava-hf/llava-1.5-7b-hf@8c85e9a4d626…"
    model, processor = load_model("out/mine", device="cuda", dtype="bfloat16")

No remote code is run and no pickle is read. A family whose visual tokens cannot be found is refused by its config,
before weights are loaded.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from judge.attention.families import require_family
from judge.errors import UserError
from judge.model.weights.hashes import remembered_sha256
from judge.model.weights.source import fetch_repository, split_repository

FIX = "give a folder or ORG/NAME[@REVISION] of a vision-language model for transformers"
DESCRIBING = {".json", ".jinja", ".model", ".txt", ".safetensors"}
"""Suffixes of the files of a folder that decide what its model answers."""


def identify_model(name: str) -> str:
    """A model's name and revision: a Hub commit, or "local-" and a hash of all its files. Raises UserError.

    Fetches a config at most.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        files = sorted(path for path in folder.iterdir() if path.suffix in DESCRIBING and path.is_file())
        try:
            return f"{folder.resolve().name}@local-{remembered_sha256(files)[:12]}"
        except OSError as error:
            raise UserError(f"cannot be read ({error.strerror})", file=error.filename or folder) from error
    repo, revision = split_repository(name)
    return f"{repo}@{fetch_repository(repo, revision, ('config.json',)).revision}"


def load_model(name: str, *, device: str, dtype: str) -> tuple[Any, Any]:
    """(model in eval mode, processor). device: as torch names it, or "auto" to spread it over all. Raises UserError."""
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForImageTextToText, AutoProcessor

    config = _config(name)
    require_family(config)
    where, revision = _source(name)
    try:
        processor = AutoProcessor.from_pretrained(where, revision=revision, trust_remote_code=False)
        model, loaded = AutoModelForImageTextToText.from_pretrained(
            where,
            revision=revision,
            dtype=getattr(torch, dtype),
            device_map=device,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (OSError, ValueError, ImportError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unusable(name, error) from error
    if missing := sorted(loaded["missing_keys"]):  # transformers fills them with random numbers
        raise UserError(f"{name} lacks {len(missing)} of its weights, {missing[0]} for one", fix=FIX)
    return model.eval(), processor


def _config(name: str) -> Any:
    from transformers import AutoConfig

    where, revision = _source(name)
    try:
        return AutoConfig.from_pretrained(where, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _unusable(name, error) from error


def _source(name: str) -> tuple[str, str | None]:
    if Path(name).expanduser().is_dir():
        return str(Path(name).expanduser()), None
    where, _, revision = name.partition("@")
    return where, revision or None


def _unusable(name: str, error: Exception) -> UserError:
    said = str(error).strip().splitlines() or [type(error).__name__]
    return UserError(f"{name} cannot be loaded: {said[0]}", fix=FIX)
